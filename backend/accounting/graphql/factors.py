"""GraphQL of the factor library."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain.factors import Factor, FactorFilter, Parameter, Provenance, Purpose
from backend.accounting.service.factors import FactorService
from backend.kit.graphql.fields import query
from backend.kit.graphql.nodes import Node, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.context import Info, SignedIn

enum_type(Parameter, name="FactorParameter")
enum_type(Provenance, name="FactorProvenance")
enum_type(Purpose, name="FactorPurpose")


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


@object_type
class FactorRegion:
    """A place factors hold for (区域)."""

    code: str
    """ISO 3166-2 for provinces, GRID-… for grids, CN for the nation, WORLD."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English."""


@object_type
class EmissionFactor(Node):
    """One value of the factor library, with its provenance (排放因子)."""

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


async def factor_types(info: Info, factors: Sequence[Factor]) -> list[EmissionFactor]:
    sets, regions = await info.context.use(FactorService).names(info.context.principal)
    return [
        build(
            EmissionFactor,
            f,
            id=to_id("EmissionFactor", f.id),
            set=build(FactorSet, sets[f.set_code]),
            region=build(FactorRegion, regions[f.region]),
        )
        for f in factors
    ]


async def fetch_factors(keys: Sequence[UUID], info: Info) -> dict[UUID, EmissionFactor]:
    found = await info.context.use(FactorService).by_ids(info.context.principal, keys)
    return dict(zip(found, await factor_types(info, list(found.values())), strict=True))


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


NODES = {"EmissionFactor": (EmissionFactor, fetch_factors)}
