"""Changing the tree in time: moves, ownership, departures."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import mutation
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, input_type, object_type
from backend.kit.text import tidy
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.domain import organisations as domain
from tenants.domain.organisations import LeavingReason
from tenants.domain.tree import Departure
from tenants.graphql.organisations import Organisation
from tenants.service import TreeService
from tenants.service.tree import Holding, Move

MANAGE: Final = requires(Permission.ORGANISATION_MANAGE)


@input_type
class OwnershipInput:
    """How a parent holds a child."""

    equity_share: Decimal
    """The parent's share, a fraction of 1."""
    operational_control: bool
    """Whether the parent has operational control."""
    financial_control: bool
    """Whether the parent has financial control."""

    def record(self) -> domain.Ownership:
        return build(domain.Ownership, self)


@input_type
class _Change(MutationInput):
    organisation_id: strawberry.ID
    """The organisation it is about."""
    reason: str = ""
    """Why."""
    expected_version: int | None = None
    """The version the change is based on, when that matters."""

    @property
    def key(self) -> UUID:
        return key_of(self.organisation_id, "Organisation", "organisationId")


@input_type
class MoveOrganisationInput(_Change):
    """A new parent from a day on."""

    parent_id: strawberry.ID
    """The new parent."""
    moved_on: date
    """First day below the new parent; it stays there until the next move that is already recorded."""
    ownership: OwnershipInput | None = None
    """How the new parent holds it; as before when not given."""


@object_type
class MoveOrganisationPayload(Payload):
    """The organisation that was moved."""

    organisation: Organisation | None = None
    """The organisation."""


@input_type
class SetOwnershipInput(_Change):
    """Another share or control from a day on."""

    valid_from: date
    """First day; it holds until the next change of ownership that is already recorded."""
    ownership: OwnershipInput
    """How the parent holds it."""


@object_type
class SetOwnershipPayload(Payload):
    """The organisation that is held differently."""

    organisation: Organisation | None = None
    """The organisation."""


@input_type
class RecordDisposalInput(_Change):
    """An organisation leaves the group, and with it all that lies below it."""

    disposed_on: date
    """First day it no longer belongs to the group."""


@object_type
class RecordDisposalPayload(Payload):
    """What left the group."""

    organisations: list[Organisation]
    """The organisation itself first, then all that left with it."""


@input_type
class CloseOrganisationInput(_Change):
    """An organisation ceases to operate."""

    closed_on: date
    """First day it no longer operates."""
    with_descendants: bool = False
    """Close what lies below it too; otherwise it must have left before."""


@object_type
class CloseOrganisationPayload(Payload):
    """What was closed."""

    organisations: list[Organisation]
    """The organisation itself first, then all that was closed with it."""


@object_type
class TreeMutations:
    """Changing the tree in time."""

    @mutation(MANAGE)
    async def move_organisation(self, info: Info, input: MoveOrganisationInput) -> MoveOrganisationPayload:
        """Hang an organisation and all below it under another parent from a day on; history stays as it was."""
        move = Move(
            input.key,
            key_of(input.parent_id, "Organisation", "parentId"),
            input.moved_on,
            input.ownership.record() if input.ownership else None,
            input.reason,
            input.expected_version,
        )
        done = await info.context.use(TreeService).move(info.context.actor(input), move)
        return MoveOrganisationPayload(errors=[], organisation=Organisation.of(done.value), replayed=done.replayed)

    @mutation(MANAGE)
    async def set_ownership(self, info: Info, input: SetOwnershipInput) -> SetOwnershipPayload:
        """Change the equity share and the control a parent has, from a day on."""
        holding = Holding(input.key, input.valid_from, input.ownership.record(), input.reason, input.expected_version)
        done = await info.context.use(TreeService).set_ownership(info.context.actor(input), holding)
        return SetOwnershipPayload(errors=[], organisation=Organisation.of(done.value), replayed=done.replayed)

    @mutation(MANAGE)
    async def record_disposal(self, info: Info, input: RecordDisposalInput) -> RecordDisposalPayload:
        """Let an organisation leave the group from a day on, with all that lies below it (8.2.2.8)."""
        departure = Departure(
            organisation_id=input.key,
            on=input.disposed_on,
            because=LeavingReason.DISPOSED,
            with_descendants=True,
            reason=tidy(input.reason),
            expected_version=input.expected_version,
        )
        done = await info.context.use(TreeService).dispose(info.context.actor(input), departure)
        left = [Organisation.of(x) for x in done.value.organisations]
        return RecordDisposalPayload(errors=[], organisations=left, replayed=done.replayed)

    @mutation(MANAGE)
    async def close_organisation(self, info: Info, input: CloseOrganisationInput) -> CloseOrganisationPayload:
        """Close an organisation from a day on."""
        departure = Departure(
            organisation_id=input.key,
            on=input.closed_on,
            because=LeavingReason.CLOSED,
            with_descendants=input.with_descendants,
            reason=tidy(input.reason),
            expected_version=input.expected_version,
        )
        done = await info.context.use(TreeService).close(info.context.actor(input), departure)
        left = [Organisation.of(x) for x in done.value.organisations]
        return CloseOrganisationPayload(errors=[], organisations=left, replayed=done.replayed)
