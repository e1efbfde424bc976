"""All SQL of splits and merges."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Final
from uuid import UUID

from asyncpg.exceptions import UniqueViolationError

from backend.kit.database import ReadSession
from backend.kit.ids import uuid7
from backend.ledger.codes import LOT_ALREADY_ISSUED
from backend.ledger.cuts.domain import not_whole, part_of, serial_of
from backend.ledger.domain.accounts import Account
from backend.ledger.domain.lots import Lot, LotRef
from backend.ledger.domain.transfers import TransferKind
from backend.ledger.repository import holdings
from backend.ledger.repository.names import account_of
from tenants.access import Principal
from tenants.commands import Change

_RESTING: Final = """
SELECT b.lot_id, a.id, a.organisation_id, a.code, a.name, a.kind
FROM asset_balance b
JOIN asset_lot o ON o.tenant_id = b.tenant_id AND o.id = b.lot_id
JOIN asset_account a ON a.tenant_id = b.tenant_id AND a.id = b.account_id
WHERE b.lot_id = ANY (CAST(:lots AS uuid[])) AND a.organisation_id IS NOT NULL
  AND b.quantity_t = o.quantity_t AND b.reserved_t = 0 AND o.withdrawn_by IS NULL
"""
_IN_PLACE: Final = """
WITH RECURSIVE heir (first, id) AS (
  SELECT k.id, k.id FROM unnest(CAST(:lots AS uuid[])) AS k (id)
  UNION
  SELECT heir.first, c.child_id FROM heir JOIN asset_lot_cut c ON c.parent_id = heir.id)
SELECT heir.first, array_agg(o.issue_reference ORDER BY o.serial_first) AS parts
FROM heir JOIN asset_lot o ON o.id = heir.id
WHERE o.withdrawn_by IS NULL
GROUP BY heir.first
"""
_CUT: Final = """
SELECT ledger_cut($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::uuid[], $11::uuid[], $12::text[],
                  $13::bigint[], $14::bigint[])
"""


async def resting(session: ReadSession, lots: Collection[UUID]) -> dict[UUID, Account]:
    """The account of each lot that rests wholly and free in one of an organisation."""
    rows = await session.rows(_RESTING, {"lots": list(lots)})
    return {row.lot_id: account_of(row._mapping) for row in rows}  # noqa: SLF001 - SQLAlchemy's public view by name


async def in_place_of(
    session: ReadSession, refs: Collection[LotRef], principal: Principal
) -> dict[LotRef, Sequence[str]]:
    """Of some names that no standing lot has: those of lots that were split or merged, with the references of the lots
    that are there instead, as far as the caller may know of them.
    """
    gone = {lot.id: lot for lot in await holdings.withdrawn_lots(session, refs, principal)}
    rows = await session.rows(_IN_PLACE, {"lots": list(gone)}) if gone else []
    parts: dict[LotRef, Sequence[str]] = {}
    for lot, there in ((gone[row.first], row.parts) for row in rows):
        parts |= {LotRef(lot.id): there, LotRef(None, lot.scheme, lot.issue_reference): there}
    return {ref: parts[ref] for ref in refs if ref in parts}


async def cut_into(
    change: Change,
    kind: TransferKind,
    on: date,
    evidence: str,
    account: Account,
    old: Sequence[Lot],
    blocks: Sequence[tuple[int, int]],
) -> tuple[UUID, list[Lot]]:
    """Put lots of these blocks in the place of old ones: the transfer and the lots. Errors: LOT_NOT_WHOLE when one
    moved meanwhile, LOT_ALREADY_ISSUED.
    """
    transfer_id = uuid7()
    new = [part_of(old[0], uuid7(), transfer_id, block) for block in blocks]
    moved = await _cut(change, kind, on, evidence, account, old, new)
    if moved is not None:
        raise not_whole(next(lot for lot in old if lot.id == moved))
    return transfer_id, new


async def _cut(
    change: Change,
    kind: TransferKind,
    on: date,
    evidence: str,
    account: Account,
    old: Sequence[Lot],
    new: Sequence[Lot],
) -> UUID | None:
    """Put new lots in the place of old ones; the old one that moved meanwhile, if any. Errors: LOT_ALREADY_ISSUED."""
    driver = await change.unit.driver()
    serials = [serial_of(lot) for lot in new]
    try:
        found: UUID | None = await driver.fetchval(
            _CUT,
            change.actor.principal.member_id,
            change.operation,
            change.actor.correlation_id,
            new[0].issued_by,
            kind,
            on,
            evidence,
            account.id,
            account.organisation_id,
            [lot.id for lot in old],
            [lot.id for lot in new],
            [lot.issue_reference for lot in new],
            [s.first for s in serials],
            [s.last for s in serials],
        )
    except UniqueViolationError as error:
        if getattr(error, "constraint_name", "") != "asset_lot_reference_key":
            raise
        names = ", ".join(lot.issue_reference for lot in new)
        raise LOT_ALREADY_ISSUED(path=("lot",), scheme=new[0].scheme, reference=names) from error
    return found
