"""GraphQL of results."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import strawberry

from backend.accounting.domain import results as domain
from backend.accounting.domain.results import Origin
from backend.accounting.service.results import ResultService
from backend.kit.graphql.fields import batched
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, enum_type, object_type
from tenants.context import Info
from tenants.domain import GwpSet

enum_type(Origin, name="ResultOrigin")

AResult = Annotated["MonthlyResult", strawberry.lazy("backend.accounting.graphql.results")]
WhichSet = Annotated[GwpSet, strawberry.argument(description="The set of warming potentials to apply.")]


@object_type
class MonthlyResult:
    """What a source emitted of one gas in one period of a year."""

    record: strawberry.Private[domain.SourceResult]
    first_month: Month
    """First month of the period."""
    months: int
    """Length of the period in months; an annual figure stays an annual figure."""
    gas: str
    """Gas: CO2, CH4, … or CO2E; CO2_BIOGENIC is kept beside the total."""
    origin: Origin
    """Whether it follows from activity or was declared."""
    mass_t: Decimal
    """Mass of the gas, tonnes."""
    co2e_t: Decimal
    """CO2 equivalent, tonnes; 0 for biogenic CO2."""
    records: int
    """How many records it is made of."""
    last_recorded_at: datetime
    """When the latest of them was recorded."""

    @batched
    async def co2e(parents: list[AResult], info: Info, gwp_set: WhichSet) -> list[Decimal | None]:
        """CO2 equivalent by another set of warming potentials, from the mass of the gas; null for CO2E, whose gases are
        not known.
        """
        found = await info.context.use(ResultService).potentials(info.context.principal, gwp_set)
        return [found.restated(p.record) for p in parents]

    @classmethod
    def of(cls, record: domain.SourceResult) -> MonthlyResult:
        return build(cls, record, record=record)
