"""The factor library as callers see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from backend.accounting.domain.factors import Factor, FactorFilter, FactorSet, Region
from backend.accounting.domain.materials import Material, materials
from backend.accounting.repository import factors as rows
from backend.accounting.repository import own_sets as own_rows
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

    async def materials(self, principal: Principal, text: str, request: PageRequest) -> Page[Material]:
        """What streams can be accounted by, by code; own sets are those the caller may read."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            library = await rows.library(session)
            readable = await own_rows.sets(session, [s.own_set_id for s in library.sets if s.own_set_id], principal)
        hidden = {s.code for s in library.sets if s.own_set_id and s.own_set_id not in readable}
        seen = replace(library, factors=[f for f in library.factors if f.set_code not in hidden])
        (behind,) = request.key(str) if request.after else ("",)
        found = [m for m in materials(seen, text) if m.code > behind]
        return Page.cut(found[: request.first + 1], request, lambda m: (m.code,))

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Factor]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.factors(session, keys, principal)

    async def names(self, principal: Principal) -> tuple[dict[str, FactorSet], dict[str, Region]]:
        """Sets (of the tenant's own too) and regions by code."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            sets, regions = await rows.sets(session) + await own_rows.names(session), await rows.regions(session)
        return {s.code: s for s in sets}, {r.code: r for r in regions}
