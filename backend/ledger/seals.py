"""The chain over a tenant's transfers, for whoever has to trust it: export, check, anchors, proofs.

For the operator, in the owner's role; nobody is asked for a permission here. The format is told in `verify.py`, which
reads it without a database.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from backend.kit.database import Database, ReadSession, UnitOfWork
from backend.kit.errors import not_found
from backend.ledger.repository import seals
from backend.ledger.repository.seals import Anchor, Seal
from backend.ledger.verify import BrokenError, Verifier, merkle_path, merkle_root

PAGE: Final = 500
SETTLED: Final = timedelta(minutes=10)
"""What was begun so long ago is sealed or never will be: no transaction seals that began five minutes ago."""

__all__ = [
    "Anchor", "Proof", "Seal",
    "anchor_days", "anchors", "compare", "export", "proof", "prove", "tenant_named", "verify",
]  # fmt: skip


async def tenant_named(database: Database, slug: str) -> UUID:
    """The tenant of a slug. Errors: NOT_FOUND."""
    async with database.read(None) as session:
        found = await seals.tenant_named(session, slug)
    if found is None:
        raise not_found("Tenant", slug, "tenant")
    return found


async def export(database: Database, tenant_id: UUID) -> AsyncGenerator[bytes, None]:
    """The lines of a tenant's ledger as of one instant, without line feeds."""
    async with database.snapshot(tenant_id) as session:
        yield f"tanheng-ledger|1|{tenant_id}".encode()
        after = 0
        while page := await seals.seals(session, after, PAGE):
            words = await seals.lines(session, [key for seal in page for key in seal.transfer_ids])
            for seal in page:
                yield f"S|{seal.hash.hex()}|{seal.words}".encode()
                for key, leaf in zip(seal.transfer_ids, seal.leaves, strict=True):
                    yield f"T|{leaf.hex()}|{words.get(key, f'missing|{key}')}".encode()
            after = page[-1].number
        left_out = await seals.unsealed(session)
        if left_out is not None:
            yield f"U|transfer|{left_out}".encode()
        for anchor in await seals.anchors(session):
            yield f"A|{anchor.day}|{anchor.first_seal}|{anchor.last_seal}|{anchor.root.hex()}".encode()


async def verify(database: Database, tenant_id: UUID) -> Verifier:
    """Check the chain against what the tables hold now, then the balances. Errors: BrokenError, which names the first
    broken link, or the first balance that differs.
    """
    verifier = Verifier()
    async with aclosing(export(database, tenant_id)) as lines:
        async for line in lines:
            verifier.take(line)
    verifier.end()
    await compare(database, tenant_id)
    return verifier


async def compare(database: Database, tenant_id: UUID) -> None:
    """Compare each balance with the sum of its legs, and what is set aside of it with the open reservations.

    Errors: BrokenError, which names the first that differs.
    """
    async with database.snapshot(tenant_id) as session:
        wrong = await seals.miscounted(session)
    if wrong is None:
        return
    of = f"the balance of account {wrong.account} and lot {wrong.lot}"
    if wrong.found_t is None:
        message = f"{of} is missing; its legs come to {wrong.moved_t} t"
    elif wrong.found_t != wrong.moved_t:
        message = f"{of} says {wrong.found_t} t; its legs come to {wrong.moved_t} t"
    else:
        message = f"{of} says {wrong.reserved_t} t set aside; its open reservations come to {wrong.held_t} t"
    raise BrokenError(message)


async def anchor_days(unit: UnitOfWork, now: datetime) -> list[Anchor]:
    """Make the anchors of past days (UTC) that have none, once nothing of them can still be sealed.

    Publish their roots where nobody here can change them.
    """
    made = []
    for day in await seals.days_to_anchor(unit, (now - SETTLED).astimezone(UTC).date()):
        anchor = Anchor(day.day, day.first_seal, day.last_seal, merkle_root(day.hashes))
        await seals.insert_anchor(unit, anchor)
        made.append(anchor)
    return made


async def anchors(database: Database, tenant_id: UUID, since: date) -> list[Anchor]:
    """The anchors of a tenant's days from one on, in order."""
    async with database.read(tenant_id) as session:
        return [anchor for anchor in await seals.anchors(session) if anchor.day >= since]


@dataclass(frozen=True, slots=True)
class Proof:
    """That a transfer is in the ledger: its words, its seal, the neighbours on the way to the root, and the day whose
    anchor the root is (none yet: the root is the seal's own hash).
    """

    transfer: str
    seal: Seal
    path: tuple[tuple[str, bytes], ...]
    root: bytes
    anchored_on: date | None

    def told(self) -> dict[str, Any]:
        """As `verify.py` reads it."""
        return {
            "transfer": self.transfer,
            "leaves": [leaf.hex() for leaf in self.seal.leaves],
            "seal": self.seal.words,
            "path": [[side, neighbour.hex()] for side, neighbour in self.path],
            "root": self.root.hex(),
        }


async def prove(database: Database, tenant_id: UUID, transfer_id: UUID) -> dict[str, Any]:
    """The proof that a transfer is in the ledger, for `verify.py`. Errors: NOT_FOUND."""
    async with database.snapshot(tenant_id) as session:
        return (await proof(session, transfer_id)).told()


async def proof(session: ReadSession, transfer_id: UUID) -> Proof:
    """Within a session that sees one instant. Errors: NOT_FOUND."""
    seal = await seals.seal_of(session, transfer_id)
    if seal is None:
        raise not_found("AssetTransfer", transfer_id)
    words = await seals.lines(session, [transfer_id])
    for anchor in await seals.anchors(session):
        if anchor.first_seal <= seal.number <= anchor.last_seal:
            hashes = await seals.hashes(session, anchor.first_seal, anchor.last_seal)
            path = tuple(merkle_path(hashes, seal.number - anchor.first_seal))
            return Proof(words[transfer_id], seal, path, anchor.root, anchor.day)
    return Proof(words[transfer_id], seal, (), seal.hash, None)
