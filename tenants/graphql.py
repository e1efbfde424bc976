"""GraphQL of the tenants slice: organisations and who is calling."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants import domain
from tenants.access import Permission
from tenants.context import Info, SignedIn, requires
from tenants.domain import LeavingReason, NewOrganisation, OrganisationKind, Ownership, Profile
from tenants.service import OrganisationService

enum_type(OrganisationKind)
enum_type(LeavingReason)


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
    left_on: date | None
    """First day no longer in the tree; null while it is."""
    left_because: LeavingReason | None
    """Why it left."""
    version: int
    """Counts the edits; pass it back as `expectedVersion`."""

    @classmethod
    def of(cls, record: domain.Organisation) -> Organisation:
        return build(cls, record, id=to_id("Organisation", record.id), key=record.id)


@input_type
class CreateOrganisationInput(MutationInput):
    """An organisation to add to the tree."""

    kind: OrganisationKind
    """Group, subsidiary or site."""
    code: str
    """The tenant's own code, unique in the tenant."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    credit_code: str | None = None
    """Unified social credit code (GB 32100); its check character is verified."""
    address: str = ""
    """Postal address."""
    division_code: str | None = None
    """Administrative division (GB/T 2260)."""
    industry_code: str | None = None
    """Industry (GB/T 4754)."""
    founded_on: date | None = None
    """Day the organisation was founded."""
    business: str = ""
    """Main business."""
    capacity: str = ""
    """Scale and production capacity."""
    parent_id: strawberry.ID | None = None
    """The organisation above; none for a GROUP."""
    entered_on: date
    """First day in the tree."""
    equity_share: Decimal = Decimal(1)
    """The parent's equity share, a fraction of 1."""
    operational_control: bool = True
    """Whether the parent has operational control."""
    financial_control: bool = True
    """Whether the parent has financial control."""
    reason: str = ""
    """Why it is added, where that needs saying (an acquisition)."""

    def command(self) -> NewOrganisation:
        return NewOrganisation(
            kind=self.kind,
            profile=build(Profile, self),
            parent_id=key_of(self.parent_id, "Organisation", "parentId") if self.parent_id else None,
            entered_on=self.entered_on,
            ownership=build(Ownership, self),
            reason=self.reason,
        )


@object_type
class CreateOrganisationPayload(Payload):
    """The organisation as it was added."""

    organisation: Organisation | None = None
    """The new organisation."""


@object_type
class Viewer:
    """Who is calling."""

    display_name: str
    """Name of the caller."""


@object_type
class Queries:
    """Root queries of the slice."""

    @query(SignedIn("shows the caller its own membership"))
    async def viewer(self, info: Info) -> Viewer:
        """Who is calling, in which tenant, with which roles."""
        return Viewer(display_name=info.context.principal.display_name)

    @query(requires(Permission.ORGANISATION_READ))
    async def organisations(
        self, info: Info, first: int | None = None, after: str | None = None
    ) -> Connection[Organisation]:
        """Organisations the caller may read, by code."""
        service = info.context.use(OrganisationService)
        page = await service.page(info.context.principal, PageRequest.read(first, after))
        return Connection.of(page.map(Organisation.of))


@object_type
class Mutations:
    """Root mutations of the slice."""

    @mutation(requires(Permission.ORGANISATION_MANAGE))
    async def create_organisation(self, info: Info, input: CreateOrganisationInput) -> CreateOrganisationPayload:
        """Add a group, a subsidiary or a site to the tree."""
        done = await info.context.use(OrganisationService).create(info.context.actor(input), input.command())
        return CreateOrganisationPayload(errors=[], organisation=Organisation.of(done.value), replayed=done.replayed)


async def fetch_organisations(keys: Sequence[UUID], info: Info) -> dict[UUID, Organisation]:
    found = await info.context.use(OrganisationService).by_ids(info.context.principal, keys)
    return {key: Organisation.of(record) for key, record in found.items()}


NODES = {"Organisation": (Organisation, fetch_organisations)}
