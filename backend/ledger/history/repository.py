"""All SQL about how things stood and what a unit went through."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import or_, select

from backend.kit.database import ReadSession, UnitOfWork
from backend.ledger.domain.accounts import Account
from backend.ledger.domain.balances import Balance
from backend.ledger.history.domain import Accounts, Moved, Stage
from backend.ledger.repository.names import account_of
from backend.ledger.tables import asset_account
from tenants.access import Permission, Principal, within


@dataclass(frozen=True, slots=True)
class AsOf:
    """A day of effect, and a moment of knowledge: what was recorded later is left out."""

    effective_on: date
    known_at: datetime


# What rests there now, less what took effect or was recorded later: the entries are the truth of both. For moments
# before the first checkpoint, and as the measure of the other way.
_FROM_NOW: Final = """
SELECT a.id AS account_id, x.lot_id, sum(x.amount_t) AS quantity_t
FROM asset_account a
JOIN LATERAL (
  SELECT b.lot_id, b.quantity_t AS amount_t
  FROM asset_balance b WHERE b.tenant_id = a.tenant_id AND b.account_id = a.id
  UNION ALL
  SELECT e.lot_id, -e.amount_t
  FROM asset_entry e JOIN asset_transfer t ON t.tenant_id = e.tenant_id AND t.id = e.transfer_id
  WHERE e.tenant_id = a.tenant_id AND e.account_id = a.id
    AND (t.effective_on > :effective_on OR t.recorded_at > :known_at)
) x ON true
WHERE {accounts}
GROUP BY a.tenant_id, a.id, x.lot_id
HAVING sum(x.amount_t) <> 0 OR :zero AND EXISTS (
  SELECT FROM asset_entry e JOIN asset_transfer t ON t.tenant_id = e.tenant_id AND t.id = e.transfer_id
  WHERE e.tenant_id = a.tenant_id AND e.account_id = a.id AND e.lot_id = x.lot_id
    AND t.effective_on <= :effective_on AND t.recorded_at <= :known_at)
ORDER BY a.id, x.lot_id
"""
# The last day the checkpoint knows, and what it does not know: entries recorded after it, found by their ids.
_FROM_CHECKPOINT: Final = """
SELECT a.id AS account_id, x.lot_id, sum(x.amount_t) AS quantity_t
FROM asset_account a
JOIN LATERAL (
  SELECT b.lot_id, coalesce(k.quantity_t, 0) AS amount_t, k.quantity_t IS NOT NULL AS moved
  FROM asset_balance b
  LEFT JOIN LATERAL (
    SELECT k.quantity_t FROM asset_checkpoint_balance k
    WHERE k.tenant_id = b.tenant_id AND k.account_id = b.account_id AND k.lot_id = b.lot_id
      AND k.day <= :effective_on AND k.number <= :number
    ORDER BY k.day DESC, k.number DESC LIMIT 1) k ON true
  WHERE b.tenant_id = a.tenant_id AND b.account_id = a.id
  UNION ALL
  SELECT e.lot_id, e.amount_t, true
  FROM asset_entry e JOIN asset_transfer t ON t.tenant_id = e.tenant_id AND t.id = e.transfer_id
  WHERE e.tenant_id = a.tenant_id AND e.account_id = a.id
    AND e.transfer_id BETWEEN :from_id AND ledger_id_floor(CAST(:known_at AS timestamptz) + interval '1 hour')
    AND t.recorded_at > :since AND t.recorded_at <= :known_at AND t.effective_on <= :effective_on
) x ON true
WHERE {accounts}
GROUP BY a.id, x.lot_id
HAVING sum(x.amount_t) <> 0 OR :zero AND bool_or(x.moved)
ORDER BY a.id, x.lot_id
"""
_OF_ONE: Final = "a.organisation_id = :organisation_id"
_OF_SUBTREE: Final = """a.organisation_id IN (
  SELECT r.descendant_id FROM organisation_reach r
  WHERE r.tenant_id = a.tenant_id AND r.ancestor_id = :organisation_id)"""
_CHECKPOINT: Final = """
SELECT number, known_at, from_id FROM asset_checkpoint WHERE known_at <= :known_at ORDER BY number DESC LIMIT 1
"""
_MAKE_CHECKPOINT: Final = "SELECT ledger_checkpoint(CAST(:age AS interval), :most)"
# All legs of a lot and of those it was cut from, as far as the number was in them, the first lot first. Legs are found
# by account, not by lot: a leg of a lot debits an account that has a balance of it.
_LINE: Final = """
WITH RECURSIVE line (id, back) AS (
  SELECT CAST(:lot AS uuid), 0
  UNION
  SELECT c.parent_id, line.back + 1 FROM line
  JOIN asset_lot_cut c ON c.child_id = line.id
  JOIN asset_lot o ON o.tenant_id = c.tenant_id AND o.id = c.parent_id
  WHERE int8range(o.serial_first, o.serial_last, '[]') @> CAST(:number AS bigint))
SELECT o.id, o.issued_by, l.transfer_id, t.effective_on, l.from_account_id, l.to_account_id, l.quantity_t
FROM line
JOIN asset_lot o ON o.id = line.id
JOIN asset_balance b ON b.tenant_id = o.tenant_id AND b.lot_id = o.id
JOIN asset_leg l ON l.tenant_id = b.tenant_id AND l.from_account_id = b.account_id AND l.lot_id = b.lot_id
JOIN asset_transfer t ON t.tenant_id = l.tenant_id AND t.id = l.transfer_id
ORDER BY line.back DESC, o.id
"""
_LOT_OF_UNIT: Final = """
SELECT id FROM asset_lot
WHERE scheme = :scheme AND upper(serial_prefix) = upper(:prefix)
  AND int8range(serial_first, serial_last, '[]') @> CAST(:number AS bigint)
  AND serial_first IS NOT NULL AND withdrawn_by IS NULL
"""


async def balances(session: ReadSession, wanted: Accounts, as_of: AsOf, *, zero: bool) -> list[Balance]:
    """Units by account and lot in some accounts; `zero`: also what had rested there and was all gone."""
    asked = asdict(wanted) | {"zero": zero, "effective_on": as_of.effective_on, "known_at": as_of.known_at}
    statement = _FROM_NOW
    checkpoint = await session.first(_CHECKPOINT, {"known_at": as_of.known_at})
    if checkpoint is not None:
        asked |= {"number": checkpoint.number, "since": checkpoint.known_at, "from_id": checkpoint.from_id}
        statement = _FROM_CHECKPOINT
    accounts = _OF_SUBTREE if wanted.below else _OF_ONE
    if wanted.account_id is not None:
        accounts += " AND a.id = :account_id"
    rows = await session.rows(statement.replace("{accounts}", accounts), asked)
    return [Balance(row.account_id, row.lot_id, int(row.quantity_t)) for row in rows]


async def make_checkpoint(unit: UnitOfWork, older_than: timedelta, most: int) -> bool:
    """Make the next checkpoint from about so many transfers of that age; False when there are none."""
    return bool(await unit.scalar(_MAKE_CHECKPOINT, {"age": older_than, "most": most}))


async def lot_of_unit(session: ReadSession, scheme: str, prefix: str, number: int) -> UUID | None:
    """The standing lot whose block holds a serial number: there is at most one."""
    found = await session.scalar(_LOT_OF_UNIT, {"scheme": scheme, "prefix": prefix, "number": number})
    return None if found is None else UUID(int=found.int)


async def stages_of_unit(session: ReadSession, lot_id: UUID, number: int) -> list[Stage]:
    """The lots a unit was in, the first one first: this one and those it was cut from while the number was in them."""
    rows = await session.rows(_LINE, {"lot": lot_id, "number": number})
    births = {row.issued_by for row in rows}
    born: dict[UUID, Moved] = {}
    moves: dict[UUID, list[Moved]] = {row.id: [] for row in rows}
    for row in rows:
        moved = Moved(row.transfer_id, row.effective_on, row.from_account_id, row.to_account_id, row.quantity_t)
        if row.transfer_id == row.issued_by:
            born[row.id] = moved
        elif row.transfer_id not in births:
            # What a split or merge takes out of the lot before is the birth of the next.
            moves[row.id].append(moved)
    return [Stage(born[key], moves[key]) for key in moves]


async def places(session: ReadSession, keys: Collection[UUID], principal: Principal) -> list[Account]:
    """Those of some accounts that the caller may know of: of organisations whose assets it may read, and outside."""
    own = within(principal, Permission.ASSET_READ, asset_account.c.organisation_id)
    shown = or_(asset_account.c.organisation_id.is_(None), own)
    rows = await session.rows(
        select(asset_account).where(asset_account.c.id.in_(keys), shown).order_by(asset_account.c.id)
    )
    return [account_of(row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public view of a row by name
