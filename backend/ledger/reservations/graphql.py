"""GraphQL of reservations: two-phase transfers, freezing and pledging."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

import strawberry

from backend.kit.errors import INVALID_INPUT
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from backend.ledger.graphql import OfOrganisation
from backend.ledger.graphql_enums import TransferKind
from backend.ledger.graphql_legs import PostedLegInput, organisation
from backend.ledger.graphql_types import AssetParty, PostedPayload
from backend.ledger.reservations import domain
from backend.ledger.reservations.domain import (
    Aim,
    NewReservation,
    PostReservation,
    ReservationState,
    VoidReservation,
)
from backend.ledger.reservations.service import PostedReservation, ReservationService
from tenants.access import Permission
from tenants.commands import Done
from tenants.context import Info, requires

enum_type(Aim, name="ReservationAim")
enum_type(ReservationState)
_READ: Final = requires(Permission.ASSET_READ)
_MOVE: Final = requires(Permission.ASSET_MANAGE, Permission.ASSET_SYNC)


@object_type
class ReservedLeg:
    """Units of one lot set aside in an account."""

    lot_id: strawberry.ID
    """The lot."""
    quantity: Tonnes
    """Units set aside at first."""
    held: Tonnes
    """Units of them set aside now: those of which no part was posted; 0 after the end."""
    source: AssetParty
    """Account they rest in."""
    destination: AssetParty | None
    """Account they are to go to; null for what is to stay."""

    @classmethod
    def of(cls, leg: domain.ReservedLeg, held_t: int) -> ReservedLeg:
        return cls(
            lot_id=to_id("AssetLot", leg.lot_id),
            quantity=Tonnes(leg.quantity_t),
            held=Tonnes(held_t),
            source=AssetParty.of(leg.source),
            destination=None if leg.destination is None else AssetParty.of(leg.destination),
        )


@object_type
class AssetReservation(Node):
    """Units set aside in an organisation's account: nobody can spend them but by posting parts of a PENDING one, until
    it ends, which it does once (预留).
    """

    aim: Aim
    """What they are set aside for."""
    kind: TransferKind | None
    """Kind of the transfer it is for, when PENDING."""
    organisation_id: strawberry.ID
    """Organisation whose units they are."""
    legs: list[ReservedLeg]
    """The units, by lot and account."""
    beneficiary_id: strawberry.ID | None
    """Organisation they are to serve, when they are to be used up."""
    for_year: int | None
    """Year they are to serve."""
    purpose: str
    """Purpose, in words."""
    evidence: str
    """Reference of the document that proves it."""
    expires_at: datetime | None
    """When it ends by itself; null when only somebody ends it."""
    state: ReservationState
    """Where it stands."""
    transfer_id: strawberry.ID | None
    """The transfer that was posted last and ended it."""
    transfer_ids: list[strawberry.ID]
    """All transfers posted of it, the first one first."""
    reason: str
    """Why it was given up; of an offset surrender that a rule or its deadline turned back, the code of that."""
    recorded_at: datetime | None
    """When it was recorded; null in a rehearsal."""
    ended_at: datetime | None
    """When it ended."""

    @classmethod
    def of(cls, record: domain.Reservation) -> AssetReservation:
        served, posted = record.beneficiary_id, record.transfer_id
        return build(
            cls,
            record,
            id=to_id("AssetReservation", record.id),
            organisation_id=to_id("Organisation", record.organisation_id),
            legs=[ReservedLeg.of(leg, record.held_t(leg)) for leg in record.legs],
            beneficiary_id=served and to_id("Organisation", served),
            transfer_id=posted and to_id("AssetTransfer", posted),
            transfer_ids=[to_id("AssetTransfer", key) for key in record.transfers],
        )


@input_type
class ReserveAssetsInput(MutationInput):
    """Units of one organisation to set aside."""

    aim: Aim
    """What for."""
    legs: list[PostedLegInput]
    """1 to 100 legs: all of them or none. A destination only for a PENDING TRANSFER."""
    kind: TransferKind | None = None
    """Kind of the transfer, for PENDING: TRANSFER, SURRENDER, RETIRE or CANCEL."""
    beneficiary_id: strawberry.ID | None = None
    """Organisation the units are to serve: for SURRENDER and RETIRE."""
    for_year: int | None = None
    """Year they are to serve."""
    purpose: str = ""
    """Purpose, in words."""
    evidence: str = ""
    """Reference of the document that proves it."""
    expires_at: datetime | None = None
    """When it ends by itself, if nobody ends it before."""

    def command(self) -> NewReservation:
        legs = tuple(x.order("legs", str(i)) for i, x in enumerate(self.legs))
        served = self.beneficiary_id and organisation(self.beneficiary_id, "beneficiaryId")
        return build(NewReservation, self, legs=legs, beneficiary_id=served or None)


@input_type
class ReservationPartInput:
    """A leg of which less is posted than is set aside."""

    leg: int
    """Number of the leg, from 0."""
    quantity: Tonnes
    """Units to post; 0 leaves the leg out."""


@input_type
class PostReservationInput(MutationInput):
    """A PENDING reservation to post."""

    reservation_id: strawberry.ID
    """The reservation."""
    parts: list[ReservationPartInput] = strawberry.field(default_factory=list)
    """Legs of which not all that is set aside is posted; of the others it is."""
    final: bool = True
    """Whether this is the last posting of it: then what is left over is free again. When false it stays set aside, to
    be posted later, until it is used up, given up or expires."""

    def command(self) -> PostReservation:
        key = key_of(self.reservation_id, "AssetReservation", "reservationId")
        parts: dict[int, int] = {}
        for number, part in enumerate(self.parts):
            if part.leg in parts:
                raise INVALID_INPUT(
                    path=("parts", str(number), "leg"),
                    reason=f"Leg {part.leg} is named twice; give one quantity for each leg.",
                    reason_zh=f"第 {part.leg} 条分录重复；每条分录只能给出一个数量。",
                )
            parts[part.leg] = part.quantity
        return PostReservation(key, parts, self.final)


@input_type
class VoidReservationInput(MutationInput):
    """A reservation to end without a transfer: give up, unfreeze, release."""

    reservation_id: strawberry.ID
    """The reservation."""
    reason: str
    """Why."""

    def command(self) -> VoidReservation:
        return VoidReservation(key_of(self.reservation_id, "AssetReservation", "reservationId"), self.reason)


@object_type
class ReservationPayload(Payload):
    """The reservation after a mutation; each has its own type of it."""

    reservation: AssetReservation | None = None
    """The reservation."""

    @classmethod
    def of(cls, done: Done[domain.Reservation]) -> Self:
        return cls(errors=[], reservation=AssetReservation.of(done.value), replayed=done.replayed)


@object_type
class ReserveAssetsPayload(ReservationPayload):
    """The reservation as it was made."""


@object_type
class PostReservationPayload(PostedPayload):
    """The transfer as it was posted, and the reservation after it."""

    reservation: AssetReservation | None = None
    """The reservation."""

    @classmethod
    def after(cls, done: Done[PostedReservation]) -> Self:
        answer = cls.of(Done(done.value.posting, done.replayed))
        answer.reservation = AssetReservation.of(done.value.reservation)
        return answer


@object_type
class VoidReservationPayload(ReservationPayload):
    """The reservation after its end."""


@object_type
class Queries:
    """Root queries about reservations."""

    @query(_READ)
    async def asset_reservations(
        self,
        info: Info,
        organisation_id: OfOrganisation = None,
        state: Annotated[
            ReservationState | None, strawberry.argument(description="Only those that stand like this.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[AssetReservation]:
        """Units set aside, the latest first."""
        key = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        service = info.context.use(ReservationService)
        page = await service.reservations(info.context.principal, PageRequest.read(first, after), key, state)
        return Connection.of(page.map(AssetReservation.of))


@object_type
class Mutations:
    """Root mutations on reservations."""

    @mutation(_MOVE)
    async def reserve_assets(self, info: Info, input: ReserveAssetsInput) -> ReserveAssetsPayload:
        """Set units aside for a transfer that is decided later, freeze them or pledge them (冻结、质押)."""
        service = info.context.use(ReservationService)
        return ReserveAssetsPayload.of(await service.reserve(info.context.actor(input), input.command()))

    @mutation(_MOVE)
    async def post_reservation(self, info: Info, input: PostReservationInput) -> PostReservationPayload:
        """Post the transfer that units were set aside for, in full or in part, at once or part by part."""
        done = await info.context.use(ReservationService).post(info.context.actor(input), input.command())
        return PostReservationPayload.after(done)

    @mutation(_MOVE)
    async def void_reservation(self, info: Info, input: VoidReservationInput) -> VoidReservationPayload:
        """Give a pending transfer up, unfreeze units, or release a pledge (撤销、解冻、解押)."""
        service = info.context.use(ReservationService)
        return VoidReservationPayload.of(await service.void(info.context.actor(input), input.command()))


async def _reservations(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(ReservationService).reservations_by_ids(info.context.principal, keys)
    return {key: AssetReservation.of(record) for key, record in found.items()}


NODES = {"AssetReservation": (AssetReservation, _reservations)}
