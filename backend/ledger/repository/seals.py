"""Reading the chain, anchoring the seals of past days, and comparing balances with what moved them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.pages import Page, PageRequest

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
_ANCHOR_PAGE: Final = """
SELECT day, first_seal, last_seal, root FROM asset_anchor
WHERE CAST(:after AS date) IS NULL OR day > :after ORDER BY day LIMIT :size
"""
_OF_TRANSFER: Final = """
SELECT s.number, s.transfer_ids, s.leaves, s.previous, s.hash, ledger_micros(s.sealed_at) AS micros
FROM asset_transfer t JOIN asset_seal s ON s.tenant_id = t.tenant_id AND s.sealed_at = t.recorded_at
WHERE t.id = :id AND t.id = ANY (s.transfer_ids)
"""
_HEAD: Final = """
SELECT number, transfer_ids, leaves, previous, hash, ledger_micros(sealed_at) AS micros
FROM asset_seal ORDER BY number DESC LIMIT 1
"""
# A balance that somebody changed or took away, and legs that meet none; the first by account and lot.
_MISCOUNTED: Final = """
SELECT coalesce(g.code || ' ' || a.code, a.code, k.account_id::text) AS account,
       coalesce(o.scheme || ' ' || o.issue_reference, k.lot_id::text) AS lot,
       k.found_t, k.moved_t, k.reserved_t, k.held_t
FROM (
  SELECT account_id, lot_id, b.quantity_t AS found_t, coalesce(e.moved_t, 0) AS moved_t,
         coalesce(b.reserved_t, 0) AS reserved_t, coalesce(h.held_t, 0) AS held_t
  FROM (SELECT account_id, lot_id, quantity_t, reserved_t FROM asset_balance) b
  FULL JOIN (SELECT account_id, lot_id, sum(amount_t) AS moved_t FROM asset_entry GROUP BY 1, 2) e
    USING (account_id, lot_id)
  FULL JOIN (
    SELECT l.account_id, l.lot_id, sum(l.left_t) AS held_t FROM asset_reservation_left l
    WHERE NOT EXISTS (SELECT FROM asset_reservation_end d
                      WHERE d.tenant_id = l.tenant_id AND d.reservation_id = l.reservation_id)
    GROUP BY 1, 2) h USING (account_id, lot_id)) k
LEFT JOIN asset_account a ON a.id = k.account_id
LEFT JOIN organisation g ON g.id = a.organisation_id
LEFT JOIN asset_lot o ON o.id = k.lot_id
WHERE k.found_t IS DISTINCT FROM k.moved_t OR k.reserved_t <> k.held_t
ORDER BY k.account_id, k.lot_id LIMIT 1
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
    previous: bytes
    sealed_at: datetime


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


@dataclass(frozen=True, slots=True)
class Miscounted:
    """A balance that is not what its legs, or its open reservations, come to; `found_t` is none when it is gone."""

    account: str
    lot: str
    found_t: int | None
    moved_t: int
    reserved_t: int
    held_t: int


async def tenant_named(session: ReadSession, name: str) -> UUID | None:
    found = await session.scalar("SELECT find_tenant(:name)", {"name": name})
    return None if found is None else UUID(int=found.int)


async def seals(session: ReadSession, after: int, size: int) -> list[Seal]:
    """The next seals by number."""
    return [_seal(row) for row in await session.rows(_SEALS, {"after": after, "size": size})]


async def seal_of(session: ReadSession, transfer_id: UUID) -> Seal | None:
    row = await session.first(_OF_TRANSFER, {"id": transfer_id})
    return None if row is None else _seal(row)


async def head(session: ReadSession) -> Seal | None:
    """The last seal."""
    row = await session.first(_HEAD)
    return None if row is None else _seal(row)


async def miscounted(session: ReadSession) -> Miscounted | None:
    """The first balance that differs from the sum of its legs, or from what is set aside of it."""
    row = await session.first(_MISCOUNTED)
    if row is None:
        return None
    found = None if row.found_t is None else int(row.found_t)
    return Miscounted(row.account, row.lot, found, int(row.moved_t), int(row.reserved_t), int(row.held_t))


async def page_of_anchors(session: ReadSession, request: PageRequest) -> Page[Anchor]:
    """Anchors by day."""
    (after,) = (None,) if request.after is None else request.key(date.fromisoformat)
    rows = await session.rows(_ANCHOR_PAGE, {"after": after, "size": request.first + 1})
    found = [Anchor(row.day, row.first_seal, row.last_seal, bytes(row.root)) for row in rows]
    return Page.cut(found, request, lambda anchor: (anchor.day.isoformat(),))


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
    sealed_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=row.micros)
    keys, words = tuple(row.transfer_ids), _words(row, stored)
    return Seal(row.number, keys, leaves, words, bytes(row.hash), bytes(row.previous), sealed_at)


def _words(row: Any, leaves: bytes) -> str:
    fields = ("seal", row.number, bytes(row.previous).hex(), row.micros, len(row.transfer_ids))
    return "|".join(map(str, (*fields, sha256(leaves).hexdigest())))
