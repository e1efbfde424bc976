"""Totals over an organisation and all below it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from backend.accounting.domain.categories import SubtypeTotal
from backend.accounting.domain.factors import BIOGENIC_CO2
from backend.accounting.domain.gwp_totals import GwpTotal, totals_by_set
from backend.accounting.domain.inventories import Inventory
from backend.accounting.domain.known import AsKnown, as_known
from backend.accounting.domain.months import checked_year
from backend.accounting.repository import factors as factor_rows
from backend.accounting.repository import gwp_totals as gwp_rows
from backend.accounting.repository import known as known_rows
from backend.accounting.repository import totals as rows
from backend.kit.database import ReadSession
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require, require_organisation
from tenants.domain import GwpSet


class TotalService:
    """What organisations emitted, for those who may read it."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def by_subtype(self, principal: Principal, organisation_id: UUID, year: int) -> list[SubtypeTotal]:
        """tCO2e of a year by category and sub-type. Errors: NOT_FOUND, FORBIDDEN, YEAR_OUT_OF_RANGE."""
        checked_year(year, "year")
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, organisation_id)
            await require_organisation(session, organisation_id, "organisationId")
            return await rows.by_subtype(session, organisation_id, year)

    async def by_gwp_set(
        self, principal: Principal, organisation_id: UUID, year: int, sets: Sequence[GwpSet]
    ) -> list[GwpTotal]:
        """tCO2e of a year under each set. Errors: NOT_FOUND, FORBIDDEN, YEAR_OUT_OF_RANGE."""
        checked_year(year, "year")
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, organisation_id)
            await require_organisation(session, organisation_id, "organisationId")
            potentials = await _potentials(session, sets)
            sums = await gwp_rows.of_organisation(session, organisation_id, year, potentials)
        return totals_by_set(sums, sets, BIOGENIC_CO2)

    async def of_inventories(
        self, principal: Principal, of: Sequence[Inventory], sets: Sequence[GwpSet]
    ) -> dict[UUID, list[GwpTotal]]:
        """What inventories the caller was given already add up to under each set, as submitted last."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            potentials = await _potentials(session, sets)
            sums = await gwp_rows.of_inventories(session, [(i.id, i.round) for i in of], potentials)
        return {i.id: totals_by_set([s for s in sums if s.about == i.id], sets, BIOGENIC_CO2) for i in of}

    async def as_known(self, principal: Principal, organisation_id: UUID, year: int, known_at: datetime) -> AsKnown:
        """A year as it was known at a moment, beside today. Errors: NOT_FOUND, FORBIDDEN, YEAR_OUT_OF_RANGE."""
        checked_year(year, "year")
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, organisation_id)
            await require_organisation(session, organisation_id, "organisationId")
            totals, moved = await known_rows.totals(session, organisation_id, year, known_at)
        return as_known(known_at, totals, moved)


async def _potentials(session: ReadSession, sets: Sequence[GwpSet]) -> gwp_rows.Potentials:
    library = await factor_rows.library(session)
    return {wanted: library.potentials(wanted) for wanted in sets}
