"""The organisation as clients see it, and asking for organisations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import batched, by_key, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.types import build, input_type, object_type
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.domain import organisations as domain
from tenants.domain.organisations import EnteringReason, LeavingReason, OrganisationKind, OrganisationOrder
from tenants.graphql.boundaries import Boundary
from tenants.graphql.types import (
    After,
    AnOrganisation,
    AsOf,
    First,
    KnownAt,
    Ownership,
    Place,
    ProductionLine,
    Relative,
    readable,
)
from tenants.service import BoundaryService, OrganisationService, TreeService


@object_type
class Organisation(Node):
    """A node of the organisation tree: a group, a subsidiary or a site (组织)."""

    key: strawberry.Private[UUID]
    kind: OrganisationKind
    """Group, subsidiary or site."""
    code: str
    """The tenant's own code, unique in the tenant."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; empty when there is none."""
    credit_code: str | None
    """Unified social credit code (GB 32100), 18 characters."""
    address: str
    """Postal address."""
    division_code: str | None
    """Administrative division (GB/T 2260), six digits."""
    industry_code: str | None
    """Industry (GB/T 4754)."""
    founded_on: date | None
    """Day the organisation was founded."""
    business: str
    """Main business (8.2.1)."""
    capacity: str
    """Scale and production capacity (8.2.1)."""
    entered_on: date
    """First day in the tree."""
    entered_because: EnteringReason
    """How it came into the tree."""
    left_on: date | None
    """First day no longer in the tree; null while it is."""
    left_because: LeavingReason | None
    """Why it left."""
    version: int
    """Counts the edits; pass it back as `expectedVersion`."""

    @classmethod
    def of(cls, record: domain.Organisation) -> Organisation:
        return build(cls, record, id=to_id("Organisation", record.id), key=record.id)

    @batched
    async def parent(parents: list[AnOrganisation], info: Info, as_of: AsOf = None) -> list[AnOrganisation | None]:
        """The organisation above on a day; null for a GROUP, and where the caller may not read it."""
        places = await info.context.use(TreeService).places(info.context.principal, [p.key for p in parents], as_of)
        above = {key: place.parent_id for key, place in places.items()}
        return await readable(info, [above.get(p.key) for p in parents])

    @batched
    async def ownership(parents: list[AnOrganisation], info: Info, as_of: AsOf = None) -> list[Ownership | None]:
        """How the parent holds it on a day; null for a GROUP and on days it is not in the tree."""
        places = await info.context.use(TreeService).places(info.context.principal, [p.key for p in parents], as_of)
        return by_key([p.key for p in parents], {key: Ownership.of(place) for key, place in places.items()})

    @batched
    async def history(parents: list[AnOrganisation], info: Info) -> list[list[Place]]:
        """Where it hung over time and how it was held, the earliest first; recorded future changes too."""
        found = await info.context.use(TreeService).history(info.context.principal, [p.key for p in parents])
        return [[Place.of(link) for link in found[p.key]] for p in parents]

    @batched
    async def children(
        parents: list[AnOrganisation], info: Info, as_of: AsOf = None, first: First = None, after: After = None
    ) -> list[Connection[AnOrganisation]]:
        """Organisations directly below on a day, by code."""
        service, request = info.context.use(TreeService), PageRequest.read(first, after)
        found = await service.children(info.context.principal, [p.key for p in parents], as_of, request)
        return [Connection.of(found[p.key].map(Organisation.of)) for p in parents]

    @batched
    async def ancestors(parents: list[AnOrganisation], info: Info, as_of: AsOf = None) -> list[list[Relative]]:
        """All organisations above on a day that the caller may read, the nearest first."""
        service = info.context.use(TreeService)
        found = await service.ancestors(info.context.principal, [p.key for p in parents], as_of)
        return [[Relative.of(record) for record in found[p.key]] for p in parents]

    @batched
    async def descendants(
        parents: list[AnOrganisation], info: Info, as_of: AsOf = None, first: First = None, after: After = None
    ) -> list[Connection[Relative]]:
        """All organisations below on a day, level by level and by code inside a level."""
        service, request = info.context.use(TreeService), PageRequest.read(first, after)
        found = await service.descendants(info.context.principal, [p.key for p in parents], as_of, request)
        return [Connection.of(found[p.key].map(Relative.of)) for p in parents]

    @batched
    async def production_lines(parents: list[AnOrganisation], info: Info) -> list[list[ProductionLine]]:
        """Production lines (8.2.1), by name."""
        service = info.context.use(OrganisationService)
        found = await service.production_lines(info.context.principal, [p.key for p in parents])
        return [[ProductionLine.of(line) for line in found[p.key]] for p in parents]

    @batched
    async def boundary(
        parents: list[AnOrganisation], info: Info, as_of: AsOf = None, known_at: KnownAt = None
    ) -> list[Boundary]:
        """What holds for its accounting on a day (4.3, 8.2.2), each value with its source."""
        service = info.context.use(BoundaryService)
        found = await service.effective(info.context.principal, [p.key for p in parents], as_of, known_at)
        return [Boundary.of(found[p.key]) for p in parents]


@input_type
class OrganisationFilterInput:
    """Which organisations to list; what is not given does not narrow."""

    search: str | None = None
    """Text that occurs in the code or in a name; full-width and small letters count as equal."""
    kind: OrganisationKind | None = None
    """Only groups, only subsidiaries or only sites."""
    within: strawberry.ID | None = None
    """An organisation: itself and all that lies below it."""
    as_of: date | None = None
    """Only organisations in the tree on this day, and `within` as the tree was then; when not given, those that have
    left are listed too, and `within` follows the tree of today."""

    def record(self) -> domain.OrganisationFilter:
        top = key_of(self.within, "Organisation", "filter", "within") if self.within else None
        return build(domain.OrganisationFilter, self, within=top)


FilterArgument = Annotated[OrganisationFilterInput | None, strawberry.argument(description="Which organisations.")]
OrderArgument = Annotated[OrganisationOrder, strawberry.argument(description="By what the list is ordered.")]


@object_type
class OrganisationQueries:
    """Asking for organisations."""

    @query(requires(Permission.ORGANISATION_READ))
    async def organisations(
        self,
        info: Info,
        filter: FilterArgument = None,
        order_by: OrderArgument = OrganisationOrder.CODE,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[Organisation]:
        """Organisations the caller may read, by code or by name."""
        wanted = filter.record() if filter else domain.OrganisationFilter()
        request = PageRequest.read(first, after)
        service = info.context.use(OrganisationService)
        page: Page[domain.Organisation] = await service.page(info.context.principal, request, wanted, order_by)
        return Connection.of(page.map(Organisation.of))


async def fetch_organisations(keys: Sequence[UUID], info: Info) -> dict[UUID, Organisation]:
    found = await info.context.use(OrganisationService).by_ids(info.context.principal, keys)
    return {key: Organisation.of(record) for key, record in found.items()}
