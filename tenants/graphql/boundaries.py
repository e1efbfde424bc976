"""Boundary settings as clients see them: each value typed, with the organisation and the record it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type, one_of_input_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.domain import boundaries as domain
from tenants.domain.boundaries import (
    AllowancePolicy,
    BoundaryCategory,
    BoundaryGas,
    BoundaryKey,
    BoundaryOrigin,
    ConsolidationApproach,
    EvidenceKind,
    GwpSet,
)
from tenants.graphql.types import AnOrganisation, readable
from tenants.service import BoundaryService
from tenants.service.boundaries import SetBoundary

for each in (
    BoundaryKey,
    ConsolidationApproach,
    BoundaryCategory,
    BoundaryGas,
    GwpSet,
    AllowancePolicy,
    EvidenceKind,
    BoundaryOrigin,
):
    enum_type(each)

_FIELDS: Final[Mapping[BoundaryKey, str]] = {key: key.value.lower() for key in BoundaryKey}


@object_type
class BoundaryValue:
    """The value of one key: the field of that key is set, the others are null or empty."""

    consolidation_approach: ConsolidationApproach | None
    """How the parts of a group are put together."""
    categories: list[BoundaryCategory]
    """Which categories are accounted."""
    gases: list[BoundaryGas]
    """Which gases are accounted."""
    gwp_set: GwpSet | None
    """Which assessment report the warming potentials are from."""
    base_year: int | None
    """The year later ones are compared with."""
    factor_set: str | None
    """Which set of emission factors is preferred."""
    materiality: Decimal | None
    """What may be left out or wrong, as a fraction of the total."""
    allowance_policy: AllowancePolicy | None
    """Which allowances may offset emissions."""
    evidence_documents: list[EvidenceKind]
    """For which kinds of records a stored document is demanded."""

    @classmethod
    def of(cls, key: BoundaryKey, value: domain.BoundaryValue | None) -> BoundaryValue:
        empty: dict[str, Any] = dict.fromkeys(_FIELDS.values()) | {
            "categories": [],
            "gases": [],
            "evidence_documents": [],
        }
        shown = list(value) if isinstance(value, tuple) else value
        return cls(**empty | {_FIELDS[key]: shown})


@object_type
class BoundarySetting(Node):
    """A boundary setting as it was recorded at an organisation. What is changed later stays readable here."""

    organisation_key: strawberry.Private[UUID]
    key: BoundaryKey
    """What is set."""
    value: BoundaryValue
    """To what."""
    valid_from: date
    """First day."""
    valid_until: date | None
    """First day no longer; null without an end."""
    reason: str
    """Why (8.2.2.7, 8.2.2.8)."""
    recorded_at: datetime
    """When it was recorded."""
    superseded_at: datetime | None
    """When it became history; null while it holds."""

    @batched
    async def organisation(parents: list[Any], info: Info) -> list[AnOrganisation | None]:
        """Where it is set; null when the caller may not read that organisation."""
        return await readable(info, [setting.organisation_key for setting in parents])

    @classmethod
    def of(cls, record: domain.BoundarySetting) -> BoundarySetting:
        return build(
            cls,
            record,
            id=to_id("BoundarySetting", record.id),
            organisation_key=record.organisation_id,
            value=BoundaryValue.of(record.key, record.value),
        )


@object_type
class BoundaryEntry:
    """One effective value and where it comes from."""

    record: strawberry.Private[domain.BoundarySetting | None]
    key: BoundaryKey
    """What is set."""
    value: BoundaryValue
    """To what."""
    origin: BoundaryOrigin
    """Whether it is set here, inherited, or a default."""

    @batched
    async def organisation(parents: list[Any], info: Info) -> list[AnOrganisation | None]:
        """The organisation the value comes from; null for a default, and when the caller may not read it."""
        return await readable(info, [entry.record and entry.record.organisation_id for entry in parents])

    @batched
    async def setting(parents: list[Any], info: Info) -> list[BoundarySetting | None]:
        """The record the value comes from; null for a default, and when the caller may not read its organisation."""
        wanted = [entry.record.id for entry in parents if entry.record]
        found = await fetch_settings(wanted, info)
        return [found.get(entry.record.id) if entry.record else None for entry in parents]

    @classmethod
    def of(cls, entry: domain.BoundaryEntry) -> BoundaryEntry:
        return build(cls, entry, record=entry.setting, value=BoundaryValue.of(entry.key, entry.value))


@object_type
class Boundary:
    """What holds for the accounting of an organisation on a day (4.3, 8.2.2)."""

    as_of: date
    """The day it holds for."""
    consolidation_approach: ConsolidationApproach
    """How the parts of a group are put together."""
    categories: list[BoundaryCategory]
    """Which categories are accounted."""
    gases: list[BoundaryGas]
    """Which gases are accounted."""
    gwp_set: GwpSet
    """Which assessment report the warming potentials are from."""
    base_year: int | None
    """The year later ones are compared with (8.2.2.7); null when none is set."""
    factor_set: str | None
    """Which set of emission factors is preferred; null when none is set."""
    materiality: Decimal
    """What may be left out or wrong, as a fraction of the total."""
    allowance_policy: AllowancePolicy
    """Which allowances may offset emissions."""
    evidence_documents: list[EvidenceKind]
    """For which kinds of records a stored document is demanded before they are submitted; by default none."""
    entries: list[BoundaryEntry]
    """The same values, each with its source."""

    @classmethod
    def of(cls, record: domain.EffectiveBoundary) -> Boundary:
        return build(
            cls,
            record,
            consolidation_approach=record.approach,
            categories=list(record.categories),
            gases=list(record.gases),
            evidence_documents=list(record.evidence_documents),
            entries=[BoundaryEntry.of(entry) for entry in record.entries.values()],
        )


@one_of_input_type
class BoundaryValueInput:
    """The value of exactly one key."""

    consolidation_approach: ConsolidationApproach | None = strawberry.UNSET
    """How the parts of a group are put together (8.2.1)."""
    categories: list[BoundaryCategory] | None = strawberry.UNSET
    """Which categories are accounted (8.2.2.1 to 8.2.2.6)."""
    gases: list[BoundaryGas] | None = strawberry.UNSET
    """Which gases are accounted."""
    gwp_set: GwpSet | None = strawberry.UNSET
    """Which assessment report the warming potentials are from."""
    base_year: int | None = strawberry.UNSET
    """The year later ones are compared with; needs a reason (8.2.2.7)."""
    factor_set: str | None = strawberry.UNSET
    """Which set of emission factors is preferred."""
    materiality: Decimal | None = strawberry.UNSET
    """What may be left out or wrong, as a fraction of the total, such as 0.05."""
    allowance_policy: AllowancePolicy | None = strawberry.UNSET
    """Which allowances may offset emissions (8.4.1, 8.4.2)."""
    evidence_documents: list[EvidenceKind] | None = strawberry.UNSET
    """For which kinds of records a stored document is demanded before they are submitted; an empty list: for none."""

    def record(self) -> tuple[BoundaryKey, domain.BoundaryValue]:
        """The one that is given; that it is one and not null, the oneOf rule of GraphQL has seen to."""
        given = {key: getattr(self, field) for key, field in _FIELDS.items()}
        key, value = next((k, v) for k, v in given.items() if v is not strawberry.UNSET)
        return key, tuple(value) if isinstance(value, list) else value


@input_type
class SetBoundaryInput(MutationInput):
    """A value for an organisation and all below it."""

    organisation_id: strawberry.ID
    """The organisation where it is set."""
    value: BoundaryValueInput
    """The value; exactly one of its fields."""
    valid_from: date
    """First day."""
    valid_until: date | None = None
    """First day no longer; without an end when not given."""
    reason: str = ""
    """Why. Needed for a base year (8.2.2.7), and to depart from what is set above or was set before (8.2.2.8)."""


@object_type
class SetBoundaryPayload(Payload):
    """What was recorded."""

    setting: BoundarySetting | None = None
    """The new record."""
    superseded: list[BoundarySetting]
    """The records it took the place of, wholly or for a time."""


@input_type
class RemoveBoundaryInput(MutationInput):
    """Takes a value away, so that what is set above holds again."""

    organisation_id: strawberry.ID
    """The organisation where it is set."""
    key: BoundaryKey
    """What is set."""
    valid_from: date
    """First day without it."""
    valid_until: date | None = None
    """First day with it again; never when not given."""
    reason: str
    """Why (8.2.2.8)."""


@object_type
class RemoveBoundaryPayload(Payload):
    """What was taken away."""

    superseded: list[BoundarySetting]
    """The records that hold no longer, wholly or for a time."""


@object_type
class BoundaryQueries:
    """The history of boundary settings."""

    @query(requires(Permission.ORGANISATION_READ))
    async def boundary_settings(
        self, info: Info, organisation_id: strawberry.ID, first: int | None = None, after: str | None = None
    ) -> Connection[BoundarySetting]:
        """All that was ever set at one organisation itself, the latest record first."""
        key = key_of(organisation_id, "Organisation", "organisationId")
        service, request = info.context.use(BoundaryService), PageRequest.read(first, after)
        page = await service.history(info.context.principal, key, request)
        return Connection.of(page.map(BoundarySetting.of))


@object_type
class BoundaryMutations:
    """Setting boundaries."""

    @mutation(requires(Permission.BOUNDARY_MANAGE))
    async def set_boundary(self, info: Info, input: SetBoundaryInput) -> SetBoundaryPayload:
        """Set one boundary setting of an organisation; it holds for all below it until one of them sets it too."""
        key, value = input.value.record()
        organisation = key_of(input.organisation_id, "Organisation", "organisationId")
        given = build(SetBoundary, input, organisation_id=organisation, key=key, value=value)
        done = await info.context.use(BoundaryService).set(info.context.actor(input), given, "setBoundary")
        made = done.value.setting
        return SetBoundaryPayload(
            errors=[],
            setting=BoundarySetting.of(made) if made else None,
            superseded=[BoundarySetting.of(x) for x in done.value.superseded],
            replayed=done.replayed,
        )

    @mutation(requires(Permission.BOUNDARY_MANAGE))
    async def remove_boundary(self, info: Info, input: RemoveBoundaryInput) -> RemoveBoundaryPayload:
        """Take away a boundary setting of an organisation: what is set above, or the default, holds again."""
        organisation = key_of(input.organisation_id, "Organisation", "organisationId")
        given = build(SetBoundary, input, organisation_id=organisation, value=None)
        done = await info.context.use(BoundaryService).set(info.context.actor(input), given, "removeBoundary")
        gone = [BoundarySetting.of(x) for x in done.value.superseded]
        return RemoveBoundaryPayload(errors=[], superseded=gone, replayed=done.replayed)


async def fetch_settings(keys: Sequence[UUID], info: Info) -> dict[UUID, BoundarySetting]:
    found = await info.context.use(BoundaryService).by_ids(info.context.principal, keys)
    return {key: BoundarySetting.of(record) for key, record in found.items()}
