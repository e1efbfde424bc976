"""The factor library as callers see it, and the coefficients streams are accounted with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from backend.accounting.domain.coefficients import Coefficient, derive
from backend.accounting.domain.factors import Factor, FactorFilter, FactorSet, Region
from backend.accounting.domain.materials import Material, materials
from backend.accounting.domain.sources import Stream
from backend.accounting.repository import factors as rows
from backend.accounting.repository import own_sets as own_rows
from backend.accounting.service.batches import Errors, sift
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.errors import CodedError
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Principal

StreamYear = tuple[UUID, int]
_NOBODY: Final = UUID(int=0)


class FactorService:
    """Reads the library; explains coefficients."""

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

    async def coefficients(
        self, principal: Principal, wanted: Sequence[tuple[Stream, int]]
    ) -> dict[StreamYear, Coefficient]:
        """What each stream is accounted with in a year: as kept, or as it would be derived today; absent when the
        library has no value for it.
        """
        async with self.toolbox.database.read(principal.tenant_id) as session:
            kept, made, _ = await kept_and_derived(session, wanted)
        return kept | made


async def kept_and_derived(
    session: ReadSession, wanted: Iterable[tuple[Stream, int]]
) -> tuple[dict[StreamYear, Coefficient], dict[StreamYear, Coefficient], dict[StreamYear, CodedError]]:
    """Coefficients that are kept; those derived now because they are not; and why some cannot be."""
    asked = {(stream.id, year): stream for stream, year in wanted}
    kept = await rows.coefficients(session, list(asked)) if asked else {}
    missing = [key for key in asked if key not in kept]
    if not missing:
        return kept, {}, {}
    library = await rows.library(session)
    errors: Errors = {}
    known: dict[object, Coefficient] = {}

    def derived(key: StreamYear) -> Coefficient:
        # Thousands of streams burn the same coal: what they have in common is derived once.
        stream, year = asked[key], key[1]
        alike = (year, replace(stream, id=_NOBODY, source_id=_NOBODY, code="", name_zh="", name_en=""))
        if alike not in known:
            known[alike] = derive(stream, year, library)
        return known[alike]

    made = sift(dict(enumerate(missing)), derived, errors)
    return kept, {missing[i]: c for i, c in made.items()}, {missing[i]: e for i, e in errors.items()}


async def ensure_coefficients(unit: UnitOfWork, wanted: Iterable[tuple[Stream, int]]) -> dict[StreamYear, CodedError]:
    """Derive and keep what is missing, once per stream and year; why some cannot be derived."""
    _, made, errors = await kept_and_derived(unit, wanted)
    if made:
        await rows.insert_coefficients(unit, made)
    return errors
