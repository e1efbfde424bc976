"""GraphQL of results as they were known on a date."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from backend.accounting.domain.known import DifferenceKind
from backend.accounting.domain.sources import Category, DirectKind
from backend.accounting.graphql.sources import Year
from backend.accounting.service.totals import TotalService
from backend.kit.graphql.fields import query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.types import build, enum_type, object_type
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(DifferenceKind, name="RestatementKind")


@object_type
class KnownTotal:
    """What a category added up to then and does today."""

    category: Category
    """The category of 8.2.2."""
    direct_kind: DirectKind | None
    """Which term of formula (3); null unless direct."""
    known_t: Decimal
    """tCO2e as known then."""
    today_t: Decimal
    """tCO2e as known today."""


@object_type
class KnownDifference:
    """What changed since, for one reason."""

    kind: DifferenceKind
    """What made the difference."""
    reason: str
    """The reason that was given when something was superseded or withdrawn; empty for what was only added."""
    results: int
    """How many months of streams, or declared results, it moved."""
    difference_t: Decimal
    """tCO2e it added since."""


@object_type
class ResultsAsKnown:
    """A year of an organisation and all below it as it was known at a moment (截至某日所知的结果)."""

    known_at: datetime
    """The moment."""
    known_t: Decimal
    """tCO2e as known then; biogenic CO2 is left out."""
    today_t: Decimal
    """tCO2e as known today."""
    difference_t: Decimal
    """The restatement difference: today less then; the differences add up to it exactly."""
    categories: list[KnownTotal]
    """By category and direct kind."""
    differences: list[KnownDifference]
    """Why they differ."""


@object_type
class KnownQueries:
    """Results as known on a date."""

    @query(requires(Permission.EMISSION_READ))
    async def results_as_known(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID, strawberry.argument(description="The organisation, with all below it.")
        ],
        year: Year,
        known_at: Annotated[
            datetime, strawberry.argument(description="What was recorded or superseded later is left out.")
        ],
    ) -> ResultsAsKnown:
        """A year's emissions as they were known at a moment, and why they are others today."""
        at = key_of(organisation_id, "Organisation", "organisationId")
        found = await info.context.use(TotalService).as_known(info.context.principal, at, year, known_at)
        return build(
            ResultsAsKnown,
            found,
            difference_t=found.today_t - found.known_t,
            categories=[build(KnownTotal, c) for c in found.categories],
            differences=[build(KnownDifference, d) for d in found.differences],
        )
