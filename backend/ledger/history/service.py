"""How balances stood on a day, as known at a moment; and the life of a unit from its issue to its last use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from backend.kit.text import clean
from backend.kit.toolbox import Toolbox
from backend.ledger.domain import Balance, Lot, Transfer
from backend.ledger.history import repository
from backend.ledger.history.repository import AsOf
from backend.ledger.repository import holdings
from tenants.access import Permission, Principal, require, require_organisation


@dataclass(frozen=True, slots=True)
class UnitLife:
    """The lot a unit came with, and all transfers of that lot the caller may see, the earliest first."""

    lot: Lot
    steps: Sequence[Transfer]


class HistoryService:
    """Reads of the past; nothing of it is ever changed."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def balances(
        self,
        principal: Principal,
        organisation_id: UUID,
        effective_on: date | None,
        known_at: datetime | None,
        *,
        below: bool,
    ) -> list[Balance]:
        """Units by account and lot at the end of a day (today when not given), from what was recorded by a moment (now
        when not given). Errors: FORBIDDEN, NOT_FOUND.
        """
        clock = self.toolbox.clock
        as_of = AsOf(effective_on or clock.today(), known_at or clock.now())
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.ASSET_READ, organisation_id)
            await require_organisation(session, organisation_id, "organisationId")
            return await repository.balances(session, organisation_id, as_of, below=below)

    async def unit_life(self, principal: Principal, scheme: str, prefix: str, number: int) -> UnitLife | None:
        """None when no lot that the caller may know of holds the number."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            key = await repository.lot_of_unit(session, clean(scheme), clean(prefix), number)
            lot = (await holdings.lots(session, [key], principal)).get(key) if key is not None else None
            if lot is None:
                return None
            return UnitLife(lot, await repository.transfers_of_lot(session, lot.id, principal))
