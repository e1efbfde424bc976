"""Adding and editing organisations."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final

import strawberry

from backend.kit.graphql.fields import mutation
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.payloads import MutationInput, Payload, UserError, user_error
from backend.kit.graphql.types import build, input_type, object_type
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.domain import organisations as domain
from tenants.domain.organisations import EnteringReason, NewOrganisation, OrganisationKind, Profile
from tenants.graphql.organisations import Organisation
from tenants.graphql.types import ProductionLine
from tenants.service import OrganisationService
from tenants.service.organisations import Lines, NewOrganisations, ProfileEdit, Row

MANAGE: Final = requires(Permission.ORGANISATION_MANAGE)


@input_type
class ProfileFields:
    """What identifies and describes an organisation."""

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
    """Main business (8.2.1)."""
    capacity: str = ""
    """Scale and production capacity (8.2.1)."""


@input_type
class NewOrganisationInput(ProfileFields):
    """An organisation to add to the tree."""

    kind: OrganisationKind
    """Group, subsidiary or site."""
    parent_id: strawberry.ID | None = None
    """The organisation above; none for a GROUP."""
    parent_code: str | None = None
    """The organisation above by its code, instead of `parentId`; in a list it may be a row of the same list."""
    entered_on: date
    """First day in the tree."""
    entered_because: EnteringReason = EnteringReason.FOUNDED
    """How it comes into the tree."""
    equity_share: Decimal = Decimal(1)
    """The parent's equity share, a fraction of 1."""
    operational_control: bool = True
    """Whether the parent has operational control."""
    financial_control: bool = True
    """Whether the parent has financial control."""
    reason: str = ""
    """Why it is added, where that needs saying."""

    def command(self, *path: str) -> NewOrganisation:
        if self.parent_id is not None and self.parent_code is not None:
            raise domain.wrong(
                "name the parent by parentId or by parentCode, not both",
                "parentId 与 parentCode 只能填写一个",
                *path,
                "parentCode",
            )
        return build(
            NewOrganisation,
            self,
            profile=build(Profile, self),
            parent_id=key_of(self.parent_id, "Organisation", *path, "parentId") if self.parent_id else None,
            ownership=build(domain.Ownership, self),
        )


@input_type
class CreateOrganisationInput(NewOrganisationInput, MutationInput):
    """An organisation to add to the tree."""


@object_type
class CreateOrganisationPayload(Payload):
    """The organisation as it was added."""

    organisation: Organisation | None = None
    """The new organisation."""


@input_type
class CreateOrganisationsInput(MutationInput):
    """Organisations to add, 1 to 500 of them."""

    organisations: list[NewOrganisationInput]
    """The rows; a row may name its parent by the code of another row, before or behind it."""
    all_or_nothing: bool = False
    """If one row is refused, add none."""


@object_type
class CreatedOrganisation:
    """What became of one row."""

    code: str
    """The code of the row."""
    organisation: Organisation | None
    """The new organisation; null when the row was refused."""
    errors: list[UserError]
    """Why the row was refused; empty when it was added."""


@object_type
class CreateOrganisationsPayload(Payload):
    """What became of the rows. `errors` is about the list as a whole; each row has its own."""

    results: list[CreatedOrganisation]
    """One entry per row, in the order of the input."""


@input_type
class RecordAcquisitionInput(ProfileFields, MutationInput):
    """A company or a site that comes into the group from outside."""

    kind: OrganisationKind = OrganisationKind.SUBSIDIARY
    """Subsidiary or site."""
    parent_id: strawberry.ID
    """The organisation that acquires it."""
    acquired_on: date
    """First day it belongs to the group."""
    equity_share: Decimal
    """The share that was acquired, a fraction of 1."""
    operational_control: bool
    """Whether the parent has operational control."""
    financial_control: bool
    """Whether the parent has financial control."""
    reason: str
    """What happened: it is reported as a change of the boundary (8.2.2.8)."""

    def command(self) -> NewOrganisation:
        if not self.reason.strip():
            raise domain.wrong(
                "say why: an acquisition needs a reason (8.2.2.8)", "请说明收购原因（8.2.2.8）", "reason"
            )
        return build(
            NewOrganisation,
            self,
            profile=build(Profile, self),
            parent_id=key_of(self.parent_id, "Organisation", "parentId"),
            entered_on=self.acquired_on,
            entered_because=EnteringReason.ACQUIRED,
            ownership=build(domain.Ownership, self),
        )


@object_type
class RecordAcquisitionPayload(Payload):
    """The organisation as it was taken in."""

    organisation: Organisation | None = None
    """The acquired organisation."""


@input_type
class UpdateOrganisationInput(MutationInput):
    """Changes of a profile, a new name among them; what is not given stays as it is, null empties it."""

    organisation_id: strawberry.ID
    """The organisation to edit."""
    expected_version: int
    """The version the edit is based on."""
    code: str | None = strawberry.UNSET
    """The tenant's own code, unique in the tenant."""
    name_zh: str | None = strawberry.UNSET
    """Name in Chinese."""
    name_en: str | None = strawberry.UNSET
    """Name in English."""
    credit_code: str | None = strawberry.UNSET
    """Unified social credit code (GB 32100); its check character is verified."""
    address: str | None = strawberry.UNSET
    """Postal address."""
    division_code: str | None = strawberry.UNSET
    """Administrative division (GB/T 2260)."""
    industry_code: str | None = strawberry.UNSET
    """Industry (GB/T 4754)."""
    founded_on: date | None = strawberry.UNSET
    """Day the organisation was founded."""
    business: str | None = strawberry.UNSET
    """Main business (8.2.1)."""
    capacity: str | None = strawberry.UNSET
    """Scale and production capacity (8.2.1)."""

    def command(self) -> ProfileEdit:
        given = {f: getattr(self, f) for f in Profile.__dataclass_fields__}
        named = {f: value for f, value in given.items() if value is not strawberry.UNSET}
        texts = {f: "" for f, value in named.items() if value is None and f not in _NULLABLE}
        return ProfileEdit(
            key_of(self.organisation_id, "Organisation", "organisationId"), named | texts, self.expected_version
        )


_NULLABLE: Final = {"credit_code", "division_code", "industry_code", "founded_on"}


@object_type
class UpdateOrganisationPayload(Payload):
    """The organisation as it now is."""

    organisation: Organisation | None = None
    """The edited organisation."""


@input_type
class ProductionLineInput:
    """A production line."""

    name: str
    """Name, unique in the organisation."""
    product: str = ""
    """What it makes."""
    capacity: Decimal | None = None
    """How much it can make, in `capacityUnit`."""
    capacity_unit: str = ""
    """Unit of the capacity, such as 万吨/年."""
    commissioned_on: date | None = None
    """Day it went into operation."""


@input_type
class SetProductionLinesInput(MutationInput):
    """The production lines of an organisation, all of them."""

    organisation_id: strawberry.ID
    """The organisation whose lines they are."""
    lines: list[ProductionLineInput]
    """The lines; those that are not named any more are removed."""
    expected_version: int | None = None
    """The version the list is based on, when that matters."""


@object_type
class SetProductionLinesPayload(Payload):
    """The lines as they now are."""

    production_lines: list[ProductionLine]
    """All lines of the organisation."""


@object_type
class EditingMutations:
    """Adding and editing organisations."""

    @mutation(MANAGE)
    async def create_organisation(self, info: Info, input: CreateOrganisationInput) -> CreateOrganisationPayload:
        """Add a group, a subsidiary or a site to the tree."""
        done = await info.context.use(OrganisationService).create(info.context.actor(input), input.command())
        return CreateOrganisationPayload(errors=[], organisation=Organisation.of(done.value), replayed=done.replayed)

    @mutation(MANAGE)
    async def create_organisations(self, info: Info, input: CreateOrganisationsInput) -> CreateOrganisationsPayload:
        """Add up to 500 organisations, each row judged on its own: a whole tree in one or a few calls."""
        rows = tuple(row.command("organisations", str(i)) for i, row in enumerate(input.organisations))
        given = NewOrganisations(rows, input.all_or_nothing)
        done = await info.context.use(OrganisationService).create_many(info.context.actor(input), given)
        results = [_created(row, info) for row in done.value.rows]
        return CreateOrganisationsPayload(errors=[], results=results, replayed=done.replayed)

    @mutation(MANAGE)
    async def record_acquisition(self, info: Info, input: RecordAcquisitionInput) -> RecordAcquisitionPayload:
        """Take in a company or a site that the group acquired, from its date and with its share."""
        service, actor = info.context.use(OrganisationService), info.context.actor(input)
        done = await service.create(actor, input.command(), "recordAcquisition")
        return RecordAcquisitionPayload(errors=[], organisation=Organisation.of(done.value), replayed=done.replayed)

    @mutation(MANAGE)
    async def update_organisation(self, info: Info, input: UpdateOrganisationInput) -> UpdateOrganisationPayload:
        """Edit the profile of an organisation, its name too."""
        done = await info.context.use(OrganisationService).update(info.context.actor(input), input.command())
        return UpdateOrganisationPayload(errors=[], organisation=Organisation.of(done.value), replayed=done.replayed)

    @mutation(MANAGE)
    async def set_production_lines(self, info: Info, input: SetProductionLinesInput) -> SetProductionLinesPayload:
        """Replace the list of an organisation's production lines (8.2.1)."""
        key = key_of(input.organisation_id, "Organisation", "organisationId")
        lines = tuple(build(domain.ProductionLine, line) for line in input.lines)
        given = Lines(key, lines, input.expected_version)
        done = await info.context.use(OrganisationService).set_lines(info.context.actor(input), given)
        made = [ProductionLine.of(line) for line in done.value.lines]
        return SetProductionLinesPayload(errors=[], production_lines=made, replayed=done.replayed)


def _created(row: Row, info: Any) -> CreatedOrganisation:
    made = Organisation.of(row.organisation) if row.organisation else None
    errors = [user_error(row.refused.error(), info.context.locale)] if row.refused else []
    return CreatedOrganisation(code=row.code, organisation=made, errors=errors)
