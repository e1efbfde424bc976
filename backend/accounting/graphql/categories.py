"""GraphQL of the six categories, their sub-types, and what they are in the GHG Protocol and in ISO 14064-1."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import strawberry

from backend.accounting.domain.categories import Scope, by_protocol, mapped, mappings
from backend.accounting.domain.sources import Category, Subtype
from backend.accounting.graphql.sources import EmissionSource, Year
from backend.accounting.service.sources import SourceService
from backend.accounting.service.totals import TotalService
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from tenants.access import Permission
from tenants.context import Info, SignedIn, requires

enum_type(Scope, name="GhgProtocolScope")


@object_type
class EmissionSubtypeMapping:
    """A sub-type of a category, and where other standards put it."""

    category: Category
    """The category of 8.2.2."""
    subtype: Subtype | None
    """The sub-type; null: of sources that do not say it."""
    scope: Scope
    """Scope of the GHG Protocol."""
    scope_3_category: int | None = strawberry.field(name="scope3Category")
    """Category of scope 3, from 1 to 15; null where there is none, or none is said."""
    iso_category: int
    """Category of ISO 14064-1:2018, from 1 to 6."""


@object_type
class SubtypeTotal:
    """What a sub-type of a category adds up to."""

    category: Category
    """The category."""
    subtype: Subtype | None
    """The sub-type; null: of sources that do not say it."""
    iso_category: int
    """Category of ISO 14064-1:2018."""
    co2e_t: Decimal
    """tCO2e."""


@object_type
class GhgProtocolTotal:
    """What a scope, or a category of scope 3, adds up to."""

    scope: Scope
    """The scope."""
    scope_3_category: int | None = strawberry.field(name="scope3Category")
    """Category of scope 3; null in scopes 1 and 2, and for sources of scope 3 that no category is said of."""
    co2e_t: Decimal
    """tCO2e."""


@object_type
class GhgProtocolTotals:
    """A year of an organisation and all below it: the same tonnes in both orders."""

    totals: list[GhgProtocolTotal]
    """By scope and category of scope 3."""
    by_subtype: list[SubtypeTotal]
    """By category and sub-type of 8.2.2."""
    total_t: Decimal
    """tCO2e in all; biogenic CO2 is left out."""


@input_type
class ClassifyEmissionSourceInput(MutationInput):
    """What a source is within its category."""

    source_id: strawberry.ID
    """The source."""
    subtype: Subtype | None = None
    """The sub-type; null: none."""
    reason: str
    """Why; kept in the audit trail."""


@object_type
class ClassifyEmissionSourcePayload(Payload):
    """The source as it is now."""

    source: EmissionSource | None = None
    """The source."""


@object_type
class CategoryQueries:
    """Categories."""

    @query(SignedIn("the standards are the same for everyone"))
    async def emission_subtypes(self, info: Info) -> list[EmissionSubtypeMapping]:
        """The categories of 8.2.2 with their sub-types, and where the GHG Protocol and ISO 14064-1 put them."""
        return [build(EmissionSubtypeMapping, m) for m in mappings()]

    @query(requires(Permission.EMISSION_READ))
    async def ghg_protocol_totals(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID, strawberry.argument(description="The organisation, with all below it.")
        ],
        year: Year,
    ) -> GhgProtocolTotals:
        """A year's emissions by scope of the GHG Protocol; they add up to the categories of 8.2.2 exactly."""
        at = key_of(organisation_id, "Organisation", "organisationId")
        found = await info.context.use(TotalService).by_subtype(info.context.principal, at, year)
        return GhgProtocolTotals(
            totals=[build(GhgProtocolTotal, t) for t in by_protocol(found)],
            by_subtype=[build(SubtypeTotal, t, iso_category=mapped(t.category, t.subtype).iso_category) for t in found],
            total_t=sum((t.co2e_t for t in found), Decimal(0)),
        )


@object_type
class CategoryMutations:
    """Changes to what sources are."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def classify_emission_source(
        self, info: Info, input: ClassifyEmissionSourceInput
    ) -> ClassifyEmissionSourcePayload:
        """Say of a source, with a reason, which sub-type of its category it is."""
        done = await info.context.use(SourceService).classify(
            info.context.actor(input),
            key_of(input.source_id, "EmissionSource", "sourceId"),
            input.subtype,
            input.reason,
        )
        source = EmissionSource.of(done.value)
        return ClassifyEmissionSourcePayload(errors=[], source=source, replayed=done.replayed)
