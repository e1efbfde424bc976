"""Totals over an organisation and all below it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from backend.accounting.domain.categories import SubtypeTotal
from backend.accounting.domain.known import AsKnown, as_known
from backend.accounting.domain.months import checked_year
from backend.accounting.repository import known as known_rows
from backend.accounting.repository import totals as rows
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require, require_organisation


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

    async def as_known(self, principal: Principal, organisation_id: UUID, year: int, known_at: datetime) -> AsKnown:
        """A year as it was known at a moment, beside today. Errors: NOT_FOUND, FORBIDDEN, YEAR_OUT_OF_RANGE."""
        checked_year(year, "year")
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, organisation_id)
            await require_organisation(session, organisation_id, "organisationId")
            totals, moved = await known_rows.totals(session, organisation_id, year, known_at)
        return as_known(known_at, totals, moved)
