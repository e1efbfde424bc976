"""GraphQL of the factor library."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import factors as domain_factors
from backend.accounting.domain.factors import Factor, FactorFilter, Parameter, Provenance, Purpose
from backend.accounting.service.factors import FactorService
from backend.evidence.graphql import Document, attached
from backend.kit.graphql.fields import batched, query
from backend.kit.graphql.nodes import Node, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.context import Info, SignedIn

enum_type(Parameter, name="FactorParameter")
enum_type(Provenance, name="FactorProvenance")
enum_type(Purpose, name="FactorPurpose")

AFactor = Annotated["EmissionFactor", strawberry.lazy("backend.accounting.graphql.factors")]


@object_type
class FactorSet:
    """Values published together (因子集)."""

    code: str
    """Code of the set."""
    purpose: Purpose
    """What its values may be used for."""
    by_default: bool
    """Whether its values are used where a stream names no set."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English."""
    own_set_id: strawberry.ID | None
    """The set of the tenant's own; null: of the library, the same for everyone."""


@object_type
class FactorRegion:
    """A place factors hold for (区域)."""

    code: str
    """ISO 3166-2 for provinces, GRID-… for grids, CN for the nation, WORLD."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English."""
    within: str | None
    """Code of the region it lies in: a province in a grid, a grid in the nation."""


@object_type
class EmissionFactor(Node):
    """One value of the factor library or of a set of the tenant's own, with its provenance (排放因子)."""

    key: strawberry.Private[UUID]
    set: FactorSet
    """The set it was published in."""
    code: str
    """Code of the fuel, material or gas."""
    name_zh: str
    """Its name in Chinese."""
    name_en: str
    """Its name in English."""
    parameter: Parameter
    """What the value is."""
    value: Decimal
    """The value."""
    unit: str
    """Its unit."""
    region: FactorRegion
    """Where it holds."""
    year: int | None
    """The year it was published for."""
    first_year: int | None
    """First year of activity it is offered for by default."""
    last_year: int | None
    """Last such year; null: until a later value follows."""
    provenance: Provenance
    """How near it is to the text that sets it."""
    basis: str
    """Conditions it holds under."""
    source: str
    """Where it was read."""
    technology: str
    """The technology it is for; empty: any."""
    entered: str | None
    """Value and unit as they were entered; null in the library."""
    from_version: int | None
    """The version of its own set that brought it; null in the library."""
    until_version: int | None
    """The first version of its own set that no longer holds it; null: it still holds."""

    @batched
    async def documents(parents: list[AFactor], info: Info) -> list[list[Document]]:
        """The documents that prove a value of an own set; none in the library."""
        return await attached("EmissionFactor", [p.key for p in parents], info)


@input_type
class EmissionFactorFilter:
    """Which factors to list; what is left out does not narrow."""

    text: str | None = None
    """Found in code or name, width and case folded."""
    code: str | None = None
    """Code of the fuel, material or gas."""
    parameter: Parameter | None = None
    """What the value is."""
    set_code: str | None = None
    """Code of the set."""
    region: str | None = None
    """Code of the region."""
    year: int | None = None
    """The year it was published for."""
    provenance: Provenance | None = None
    """How near it is to the text that sets it."""
    purpose: Purpose | None = None
    """What its set may be used for."""
    technology: str | None = None
    """The technology it is for."""
    holds_in: int | None = None
    """A year of activity it is offered for."""
    with_regions_around: bool = False
    """Also of the grid, the nation and the world around `region`."""


def set_type(of: domain_factors.FactorSet) -> FactorSet:
    own = to_id("OwnFactorSet", of.own_set_id) if of.own_set_id else None
    return build(FactorSet, of, own_set_id=own)


async def factor_types(info: Info, factors: Sequence[Factor]) -> list[EmissionFactor]:
    sets, regions = await info.context.use(FactorService).names(info.context.principal)
    return [
        build(
            EmissionFactor,
            f,
            id=to_id("EmissionFactor", f.id),
            key=f.id,
            set=set_type(sets[f.set_code]),
            region=build(FactorRegion, regions[f.region]),
        )
        for f in factors
    ]


async def fetch_factors(keys: Sequence[UUID], info: Info) -> dict[UUID, EmissionFactor]:
    found = await info.context.use(FactorService).by_ids(info.context.principal, keys)
    return dict(zip(found, await factor_types(info, list(found.values())), strict=True))


@object_type
class Material:
    """A fuel or material that factors are known for (燃料、物料)."""

    code: str
    """Its code."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English."""
    units: list[str]
    """Canonical units its quantities can be kept in."""
    parameters: list[Parameter]
    """What is known of it."""
    sets: list[str]
    """The sets that hold it; of the tenant's own as CODE@VERSION."""
    regions: list[str]
    """The regions there are values for."""
    technologies: list[str]
    """The technologies there are values for, beside those for any."""


@object_type
class FactorQueries:
    """The factor library."""

    @query(SignedIn("the library is the same for everyone"))
    async def emission_factors(
        self,
        info: Info,
        filter: Annotated[
            EmissionFactorFilter | None, strawberry.argument(description="Which factors; all when not given.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[EmissionFactor]:
        """Values of the factor library in use, with their provenance, by set and code."""
        wanted = build(FactorFilter, filter) if filter else FactorFilter()
        page = await info.context.use(FactorService).page(
            info.context.principal, wanted, PageRequest.read(first, after)
        )
        types = await factor_types(info, page.rows)
        by_key = dict(zip((f.id for f in page.rows), types, strict=True))
        return Connection.of(page.map(lambda f: by_key[f.id]))

    @query(SignedIn("the library is the same for everyone; own sets are those of the caller's reach"))
    async def materials(
        self,
        info: Info,
        text: Annotated[
            str, strawberry.argument(description="Found in code or name, width and case folded; empty: all.")
        ] = "",
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[Material]:
        """Fuels and materials that streams can be accounted by, by code."""
        page = await info.context.use(FactorService).materials(
            info.context.principal, text, PageRequest.read(first, after)
        )
        return Connection.of(page.map(lambda m: build(Material, m)))


NODES = {"EmissionFactor": (EmissionFactor, fetch_factors)}
