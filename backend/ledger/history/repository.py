"""All SQL about how things stood and what a unit went through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select

from backend.kit.database import ReadSession
from backend.ledger.domain import Balance, Transfer
from backend.ledger.repository.transfers import transfers
from backend.ledger.tables import asset_leg
from tenants.access import Principal


@dataclass(frozen=True, slots=True)
class AsOf:
    """A day of effect, and a moment of knowledge: what was recorded later is left out."""

    effective_on: date
    known_at: datetime


# What rests there now, less what took effect or was recorded later: the entries are the truth of both.
_BALANCES: Final = """
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
WHERE a.organisation_id = :organisation_id OR (:below AND EXISTS (
  SELECT FROM organisation_reach r
  WHERE r.tenant_id = a.tenant_id AND r.ancestor_id = :organisation_id AND r.descendant_id = a.organisation_id))
GROUP BY a.id, x.lot_id
HAVING :zero OR sum(x.amount_t) <> 0
ORDER BY a.id, x.lot_id
"""
_LOT_OF_UNIT: Final = """
SELECT id FROM asset_lot
WHERE scheme = :scheme AND serial_prefix = :prefix
  AND int8range(serial_first, serial_last, '[]') @> CAST(:number AS bigint)
  AND serial_first IS NOT NULL AND withdrawn_by IS NULL
"""


async def balances(
    session: ReadSession, organisation_id: UUID, as_of: AsOf, *, below: bool, zero: bool
) -> list[Balance]:
    """Units by account and lot in the accounts of an organisation, or also of all below it today; `zero`: also
    what once rested there and was all gone.
    """
    asked = {"organisation_id": organisation_id, "below": below, "zero": zero}
    asked |= {"effective_on": as_of.effective_on, "known_at": as_of.known_at}
    rows = await session.rows(_BALANCES, asked)
    return [Balance(row.account_id, row.lot_id, int(row.quantity_t)) for row in rows]


async def lot_of_unit(session: ReadSession, scheme: str, prefix: str, number: int) -> UUID | None:
    """The standing lot whose block holds a serial number: there is at most one."""
    found = await session.scalar(_LOT_OF_UNIT, {"scheme": scheme, "prefix": prefix, "number": number})
    return None if found is None else UUID(int=found.int)


async def transfers_of_lot(session: ReadSession, lot_id: UUID, principal: Principal) -> Sequence[Transfer]:
    """All that moved units of a lot and that the caller may see, as recorded."""
    touching = select(asset_leg.c.transfer_id).where(asset_leg.c.lot_id == lot_id).distinct()
    keys = [UUID(int=row.transfer_id.int) for row in await session.rows(touching)]
    found = await transfers(session, keys, principal)
    return [found[key] for key in sorted(found)]
