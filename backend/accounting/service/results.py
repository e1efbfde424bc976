"""Results for those who read them: source by source for callers, whole organisations for consolidation."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from backend.accounting.domain.results import CategoryTotal, Potentials, SourceResult
from backend.accounting.repository import factors as factor_rows
from backend.accounting.repository import inventories as inventory_rows
from backend.accounting.repository import results as rows
from backend.kit.database import ReadSession
from backend.kit.toolbox import Toolbox
from tenants.access import Principal
from tenants.domain import GwpSet


class ResultService:
    """What sources emitted."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def of_sources(
        self, principal: Principal, source_ids: Sequence[UUID], year: int
    ) -> dict[UUID, list[SourceResult]]:
        """Results of sources the caller was given already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.results_of(session, source_ids, year)

    async def potentials(self, principal: Principal, gwp_set: GwpSet) -> Potentials:
        """Warming potentials of a set, biogenic CO2 with 0."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            library = await factor_rows.library(session)
        return Potentials(library.potentials(gwp_set))

    async def rebuild(self, tenant_id: UUID) -> int:
        """Derive every result of a tenant again from its records, to the same bits; for operators and jobs.

        Answers how many results there are.
        """
        return await self.toolbox.database.write(tenant_id, rows.rebuild)


class EmissionReader:
    """What consolidation reads, inside its own transaction. No permission is asked here: its jobs have asked."""

    @staticmethod
    async def category_totals(
        session: ReadSession, organisation_ids: Sequence[UUID], from_year: int, to_year: int
    ) -> Sequence[CategoryTotal]:
        """Own totals (tCO2e) of each organisation per category and direct kind over whole years, both included.

        One set-wise statement. Biogenic CO2 is left out; an organisation without results has no row.
        """
        return await rows.category_totals(session, organisation_ids, from_year, to_year)

    @staticmethod
    async def approved_totals(
        session: ReadSession, organisation_ids: Sequence[UUID], from_year: int, to_year: int
    ) -> Sequence[CategoryTotal]:
        """The same of approved inventories alone: what is pending stays out."""
        return await inventory_rows.approved_totals(session, organisation_ids, from_year, to_year)
