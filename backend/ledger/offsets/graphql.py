"""GraphQL of offset surrenders: begin, decide, withdraw, and follow them step by step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

import strawberry

from backend.kit.errors import Locale
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from backend.ledger.graphql import OfOrganisation
from backend.ledger.graphql_legs import UsedLegInput, organisation
from backend.ledger.offsets import domain
from backend.ledger.offsets.domain import Decision, NewOffsetSurrender, OffsetCause, OffsetStep, Withdrawal
from backend.ledger.offsets.service import OffsetService
from tenants.access import Permission
from tenants.commands import Done
from tenants.context import Info, requires

enum_type(OffsetStep)
enum_type(OffsetCause)
_READ: Final = requires(Permission.ASSET_READ)
_MOVE: Final = requires(Permission.ASSET_MANAGE, Permission.ASSET_SYNC)


@object_type
class OffsetStepTaken:
    """A step of an offset surrender as it was taken."""

    step: OffsetStep
    """The step."""
    taken_at: datetime | None
    """When; null in the answer that takes it."""
    cause: OffsetCause | None
    """Why it was turned back."""
    reference: str
    """Reference of the registry's paper."""
    reason: str
    """Why: as somebody put it, or what `code` says in the language of Accept-Language."""
    code: str | None
    """Code of what a rule or a deadline says, from the published list; null where somebody gave the reason."""
    transfer_id: strawberry.ID | None
    """The transfer that used the units up."""

    @classmethod
    def of(cls, step: domain.StepTaken, locale: Locale) -> OffsetStepTaken:
        posted, refusal = step.transfer_id, step.refusal
        return build(
            cls,
            step,
            reason=refusal.error().message(locale) if refusal else step.reason,
            code=refusal and refusal.code,
            transfer_id=posted and to_id("AssetTransfer", posted),
        )


@object_type
class OffsetSurrender(Node):
    """Offsets on their way from the registry of reductions to the registry of allowances (抵销清缴, 8.3.2).

    They are used up at both or at neither, and it ends once.
    """

    organisation_id: strawberry.ID
    """Organisation whose units they are."""
    beneficiary_id: strawberry.ID
    """Organisation whose obligation they serve."""
    for_year: int
    """Year they serve."""
    quantity: Tonnes
    """Units over all lots."""
    reservation_id: strawberry.ID
    """The reservation by which they are frozen."""
    deadline: datetime | None
    """When they come free if nobody decided by then."""
    state: OffsetStep
    """The last step."""
    steps: list[OffsetStepTaken]
    """All steps, the first one first."""
    recorded_at: datetime | None
    """When it was begun."""

    @classmethod
    def of(cls, record: domain.OffsetSurrender, locale: Locale) -> OffsetSurrender:
        return build(
            cls,
            record,
            id=to_id("OffsetSurrender", record.id),
            organisation_id=to_id("Organisation", record.organisation_id),
            beneficiary_id=to_id("Organisation", record.beneficiary_id),
            quantity=Tonnes(record.quantity_t),
            reservation_id=to_id("AssetReservation", record.reservation_id),
            steps=[OffsetStepTaken.of(step, locale) for step in record.steps],
        )


@input_type
class BeginOffsetSurrenderInput(MutationInput):
    """Offsets to surrender."""

    legs: list[UsedLegInput]
    """1 to 100 legs of one organisation's CCER, verified savings or sinks: all of them or none."""
    beneficiary_id: strawberry.ID
    """Organisation whose obligation they serve."""
    for_year: int
    """Year they serve."""
    reference: str = ""
    """Reference of the freezing at the registry of reductions."""
    purpose: str = ""
    """Purpose, in words."""
    evidence: str = ""
    """Reference of the document that proves it."""
    deadline: datetime | None = None
    """When they come free if nobody decided by then."""

    def command(self) -> NewOffsetSurrender:
        legs = tuple(x.order("legs", str(i)) for i, x in enumerate(self.legs))
        return build(
            NewOffsetSurrender, self, legs=legs, beneficiary_id=organisation(self.beneficiary_id, "beneficiaryId")
        )


@input_type
class DecideOffsetSurrenderInput(MutationInput):
    """What the registry of allowances decided."""

    surrender_id: strawberry.ID
    """The offset surrender."""
    accepted: bool
    """Whether it accepted the offset."""
    reference: str
    """Reference of its decision."""
    reason: str = ""
    """Why it refused."""

    def command(self) -> Decision:
        return build(Decision, self, surrender_id=_key(self.surrender_id))


@input_type
class WithdrawOffsetSurrenderInput(MutationInput):
    """An offset surrender to give up."""

    surrender_id: strawberry.ID
    """The offset surrender."""
    reason: str
    """Why."""

    def command(self) -> Withdrawal:
        return Withdrawal(_key(self.surrender_id), self.reason)


def _key(surrender_id: strawberry.ID) -> UUID:
    return key_of(surrender_id, "OffsetSurrender", "surrenderId")


@object_type
class OffsetSurrenderPayload(Payload):
    """The offset surrender after the step."""

    surrender: OffsetSurrender | None = None
    """The offset surrender."""

    @classmethod
    def of(cls, done: Done[domain.OffsetSurrender], locale: Locale) -> Self:
        return cls(errors=[], surrender=OffsetSurrender.of(done.value, locale), replayed=done.replayed)


@object_type
class BeginOffsetSurrenderPayload(OffsetSurrenderPayload):
    """The offset surrender as it was begun."""


@object_type
class DecideOffsetSurrenderPayload(OffsetSurrenderPayload):
    """The offset surrender as it was decided."""


@object_type
class WithdrawOffsetSurrenderPayload(OffsetSurrenderPayload):
    """The offset surrender as it was given up."""


@object_type
class Queries:
    """Root queries about offset surrenders."""

    @query(_READ)
    async def offset_surrenders(
        self,
        info: Info,
        organisation_id: OfOrganisation = None,
        state: Annotated[OffsetStep | None, strawberry.argument(description="Only those that stand there.")] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[OffsetSurrender]:
        """Offset surrenders with their steps, the latest first."""
        key = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        service = info.context.use(OffsetService)
        page = await service.surrenders(info.context.principal, PageRequest.read(first, after), key, state)
        return Connection.of(page.map(lambda record: OffsetSurrender.of(record, info.context.locale)))


@object_type
class Mutations:
    """Root mutations on offset surrenders."""

    @mutation(_MOVE)
    async def begin_offset_surrender(self, info: Info, input: BeginOffsetSurrenderInput) -> BeginOffsetSurrenderPayload:
        """Freeze offsets at their registry; they are offered at the registry of allowances next (冻结并提交抵销)."""
        service = info.context.use(OffsetService)
        done = await service.begin(info.context.actor(input), input.command())
        return BeginOffsetSurrenderPayload.of(done, info.context.locale)

    @mutation(_MOVE)
    async def decide_offset_surrender(
        self, info: Info, input: DecideOffsetSurrenderInput
    ) -> DecideOffsetSurrenderPayload:
        """Enter the decision of the registry of allowances: units are used up next, or given back (受理或退回)."""
        service = info.context.use(OffsetService)
        done = await service.decide(info.context.actor(input), input.command())
        return DecideOffsetSurrenderPayload.of(done, info.context.locale)

    @mutation(_MOVE)
    async def withdraw_offset_surrender(
        self, info: Info, input: WithdrawOffsetSurrenderInput
    ) -> WithdrawOffsetSurrenderPayload:
        """Give an offset surrender up before it is accepted; its units come free next (撤回)."""
        service = info.context.use(OffsetService)
        done = await service.withdraw(info.context.actor(input), input.command())
        return WithdrawOffsetSurrenderPayload.of(done, info.context.locale)


async def _surrenders(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(OffsetService).surrenders_by_ids(info.context.principal, keys)
    return {key: OffsetSurrender.of(record, info.context.locale) for key, record in found.items()}


NODES = {"OffsetSurrender": (OffsetSurrender, _surrenders)}
