"""What the types of the slice share: arguments, and small types that hang on an organisation."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import batched
from backend.kit.graphql.types import build, enum_type, object_type
from tenants.context import Info
from tenants.domain import organisations as domain
from tenants.domain.tree import Link
from tenants.domain.tree import Relative as RelativeRecord
from tenants.service import OrganisationService

if TYPE_CHECKING:
    from tenants.graphql.organisations import Organisation

for each in (domain.OrganisationKind, domain.EnteringReason, domain.LeavingReason, domain.OrganisationOrder):
    enum_type(each)

AnOrganisation = Annotated["Organisation", strawberry.lazy("tenants.graphql.organisations")]
AsOf = Annotated[date | None, strawberry.argument(description="The day it holds for; today when not given.")]
KnownAt = Annotated[
    datetime | None,
    strawberry.argument(description="The moment whose knowledge counts: what was recorded later is left out."),
]
First = Annotated[int | None, strawberry.argument(description="How many rows, 1 to 1000; 50 when not given.")]
After = Annotated[str | None, strawberry.argument(description="Cursor of the last row seen; rows behind it follow.")]


async def readable(info: Info, keys: list[UUID | None]) -> list[Organisation | None]:
    """For each key the organisation, or None where there is none the caller may read."""
    from tenants.graphql.organisations import Organisation  # noqa: PLC0415 - the type that holds these types

    wanted = {key for key in keys if key is not None}
    found = await info.context.use(OrganisationService).by_ids(info.context.principal, list(wanted))
    return [Organisation.of(found[key]) if key in found else None for key in keys]


@object_type
class Ownership:
    """How an organisation is held by its parent during a time."""

    equity_share: Decimal
    """The parent's share, a fraction of 1."""
    operational_control: bool
    """Whether the parent has operational control."""
    financial_control: bool
    """Whether the parent has financial control."""
    valid_from: date
    """First day."""
    valid_until: date | None
    """First day no longer; null while no change is recorded."""
    reason: str
    """Why it became so."""

    @classmethod
    def of(cls, link: Link) -> Ownership:
        return build(cls, link.ownership, valid_from=link.valid_from, valid_until=link.valid_until, reason=link.reason)


@object_type
class Place:
    """Where an organisation hung in the tree during a time, and how it was held there."""

    parent_key: strawberry.Private[UUID]
    ownership: Ownership
    """How it was held, and from when to when."""

    @batched
    async def parent(parents: list[Any], info: Info) -> list[AnOrganisation | None]:
        """The organisation above; null when the caller may not see it."""
        return await readable(info, [place.parent_key for place in parents])

    @classmethod
    def of(cls, link: Link) -> Place:
        return cls(parent_key=link.parent_id, ownership=Ownership.of(link))


@object_type
class Relative:
    """An ancestor or a descendant on a day: how far away, and what of it is owned and controlled along the way."""

    organisation: AnOrganisation
    """The organisation above or below."""
    depth: int
    """How many levels lie between, 1 for a parent or a child."""
    equity_share: Decimal
    """The shares along the way multiplied, a fraction of 1."""
    operational_control: bool
    """Whether operational control is unbroken along the way."""
    financial_control: bool
    """Whether financial control is unbroken along the way."""

    @classmethod
    def of(cls, record: RelativeRecord) -> Relative:
        from tenants.graphql.organisations import Organisation  # noqa: PLC0415 - the type that holds this one

        return build(cls, record, organisation=Organisation.of(record.organisation))


@object_type
class ProductionLine:
    """A production line (8.2.1)."""

    name: str
    """Name, unique in the organisation."""
    product: str
    """What it makes."""
    capacity: Decimal | None
    """How much it can make, in `capacityUnit`."""
    capacity_unit: str
    """Unit of the capacity, such as 万吨/年."""
    commissioned_on: date | None
    """Day it went into operation."""

    @classmethod
    def of(cls, record: domain.ProductionLine) -> ProductionLine:
        return build(cls, record)
