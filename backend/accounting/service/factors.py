"""The factor library as callers see it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from backend.accounting.domain.factors import Factor, FactorFilter, FactorSet, Region
from backend.accounting.repository import factors as rows
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Principal


class FactorService:
    """Reads the library."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def page(self, principal: Principal, wanted: FactorFilter, request: PageRequest) -> Page[Factor]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.page_of_factors(session, wanted, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Factor]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.factors(session, keys)

    async def names(self, principal: Principal) -> tuple[dict[str, FactorSet], dict[str, Region]]:
        """Sets and regions by code."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            sets, regions = await rows.sets(session), await rows.regions(session)
        return {s.code: s for s in sets}, {r.code: r for r in regions}
