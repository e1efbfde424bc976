"""Reading the chain, and anchoring the seals of past days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from backend.kit.database import ReadSession, UnitOfWork

_SEALS: Final = """
SELECT number, transfer_ids, leaves, previous, hash, ledger_micros(sealed_at) AS micros
FROM asset_seal WHERE number > :after ORDER BY number LIMIT :size
"""
_LINES: Final = "SELECT id, line FROM ledger_lines(CAST(:ids AS uuid[]))"
_UNSEALED: Final = """
SELECT t.id FROM asset_transfer t
WHERE NOT EXISTS (SELECT FROM asset_seal s WHERE s.tenant_id = t.tenant_id AND s.sealed_at = t.recorded_at
                    AND t.id = ANY (s.transfer_ids))
ORDER BY t.id LIMIT 1
"""
_ANCHORS: Final = "SELECT day, first_seal, last_seal, root FROM asset_anchor ORDER BY day"
_OF_TRANSFER: Final = """
SELECT s.number, s.transfer_ids, s.leaves, s.previous, s.hash, ledger_micros(s.sealed_at) AS micros
FROM asset_transfer t JOIN asset_seal s ON s.tenant_id = t.tenant_id AND s.sealed_at = t.recorded_at
WHERE t.id = :id AND t.id = ANY (s.transfer_ids)
"""
_DAYS: Final = """
SELECT (sealed_at AT TIME ZONE 'UTC')::date AS day, min(number) AS first_seal, max(number) AS last_seal,
       array_agg(hash ORDER BY number) AS hashes
FROM asset_seal
WHERE number > coalesce((SELECT max(last_seal) FROM asset_anchor), 0) AND (sealed_at AT TIME ZONE 'UTC')::date < :before
GROUP BY 1 ORDER BY 1
"""
_ANCHOR: Final = """
INSERT INTO asset_anchor (tenant_id, day, first_seal, last_seal, root)
VALUES (:tenant_id, :day, :first_seal, :last_seal, :root)
"""
_HASHES: Final = "SELECT hash FROM asset_seal WHERE number BETWEEN :first AND :last ORDER BY number"


@dataclass(frozen=True, slots=True)
class Seal:
    """A link of the chain: the transfers it closes with their leaves, and its own words and hash."""

    number: int
    transfer_ids: tuple[UUID, ...]
    leaves: tuple[bytes, ...]
    words: str
    hash: bytes


@dataclass(frozen=True, slots=True)
class Anchor:
    """The root over the seals of a day (UTC)."""

    day: date
    first_seal: int
    last_seal: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Day:
    """The seals of a day that has no anchor yet."""

    day: date
    first_seal: int
    last_seal: int
    hashes: Sequence[bytes]


async def tenant_named(session: ReadSession, name: str) -> UUID | None:
    found = await session.scalar("SELECT find_tenant(:name)", {"name": name})
    return None if found is None else UUID(int=found.int)


async def seals(session: ReadSession, after: int, size: int) -> list[Seal]:
    """The next seals by number."""
    return [_seal(row) for row in await session.rows(_SEALS, {"after": after, "size": size})]


async def seal_of(session: ReadSession, transfer_id: UUID) -> Seal | None:
    row = await session.first(_OF_TRANSFER, {"id": transfer_id})
    return None if row is None else _seal(row)


async def lines(session: ReadSession, transfer_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The words of transfers as they stand today."""
    return {row.id: row.line for row in await session.rows(_LINES, {"ids": list(transfer_ids)})}


async def unsealed(session: ReadSession) -> UUID | None:
    """A transfer that no seal closes: there is none, unless somebody went round the triggers."""
    found = await session.scalar(_UNSEALED)
    return None if found is None else UUID(int=found.int)


async def anchors(session: ReadSession) -> list[Anchor]:
    rows = await session.rows(_ANCHORS)
    return [Anchor(row.day, row.first_seal, row.last_seal, bytes(row.root)) for row in rows]


async def days_to_anchor(session: ReadSession, before: date) -> list[Day]:
    """Past days whose seals have no anchor, in order."""
    rows = await session.rows(_DAYS, {"before": before})
    return [Day(row.day, row.first_seal, row.last_seal, [bytes(h) for h in row.hashes]) for row in rows]


async def insert_anchor(unit: UnitOfWork, anchor: Anchor) -> None:
    given = {"day": anchor.day, "first_seal": anchor.first_seal, "last_seal": anchor.last_seal, "root": anchor.root}
    await unit.execute(_ANCHOR, given | {"tenant_id": unit.tenant_id})


async def hashes(session: ReadSession, first: int, last: int) -> list[bytes]:
    """Of the seals from `first` to `last`."""
    return [bytes(row.hash) for row in await session.rows(_HASHES, {"first": first, "last": last})]


def _seal(row: Any) -> Seal:
    stored = bytes(row.leaves)
    leaves = tuple(stored[i : i + 32] for i in range(0, len(stored), 32))
    # The root is counted anew: what the database keeps of a seal is its leaves and its hash.
    return Seal(row.number, tuple(row.transfer_ids), leaves, _words(row, stored), bytes(row.hash))


def _words(row: Any, leaves: bytes) -> str:
    fields = ("seal", row.number, bytes(row.previous).hex(), row.micros, len(row.transfer_ids))
    return "|".join(map(str, (*fields, sha256(leaves).hexdigest())))
