"""GraphQL of the tenant's own factor sets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

import strawberry

from backend.accounting.domain import own_sets as domain
from backend.accounting.domain.factors import Factor, Purpose
from backend.accounting.domain.own_sets import SetState
from backend.accounting.graphql.factors import EmissionFactor, factor_types
from backend.accounting.graphql.own_set_inputs import (
    ApproveOwnFactorSetInput,
    CreateOwnFactorSetInput,
    DraftOwnFactorSetInput,
    NewOwnFactorInput,
    ProposeOwnFactorSetInput,
    RecordOwnFactorsInput,
    RejectOwnFactorSetInput,
    RemoveOwnFactorsInput,
    WithdrawOwnFactorSetInput,
)
from backend.accounting.graphql.rows import read_rows, why
from backend.accounting.service.own_sets import OwnSetService
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import Payload, UserError
from backend.kit.graphql.types import build, enum_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.commands import Done
from tenants.context import Info, requires

enum_type(SetState, name="FactorSetState")

ASet = Annotated["OwnFactorSet", strawberry.lazy("backend.accounting.graphql.own_sets")]


@object_type
class FactorSetVersion:
    """A version of a set of the tenant's own."""

    version: int
    """Version, from 1."""
    reference: str
    """How streams and adoptions name it: CODE@VERSION."""
    state: SetState
    """How final it is."""
    reason: str
    """Why it was drafted; empty for the first."""
    drafted_at: datetime | None
    """When it was begun."""
    proposed_at: datetime | None
    """When it was proposed."""
    approved_at: datetime | None
    """When it was approved."""
    ended_at: datetime | None
    """When it was superseded or withdrawn."""
    ended_because: str
    """Why it was withdrawn; empty otherwise."""


@object_type
class OwnFactorSet(Node):
    """A factor set of the tenant's own: it belongs to an organisation and serves all below it (自有因子集)."""

    key: strawberry.Private[UUID]
    organisation_id: strawberry.ID
    """The organisation it belongs to."""
    code: str
    """Code, beginning with OWN-."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; may be empty."""
    purpose: Purpose
    """What its values may be used for."""

    @batched
    async def versions(parents: list[ASet], info: Info) -> list[list[FactorSetVersion]]:
        """Its versions, oldest first."""
        keys = [p.key for p in parents]
        found = await info.context.use(OwnSetService).versions_of(info.context.principal, keys)
        return [
            [build(FactorSetVersion, v, reference=f"{p.code}@{v.version}") for v in found.get(p.key, [])]
            for p in parents
        ]

    @classmethod
    def of(cls, record: domain.OwnSet) -> OwnFactorSet:
        owner = to_id("Organisation", record.organisation_id)
        return build(cls, record, id=to_id("OwnFactorSet", record.id), key=record.id, organisation_id=owner)


@object_type
class OwnFactorSetPayload(Payload):
    """The set as it is now."""

    set: OwnFactorSet | None = None
    """The set."""


P = TypeVar("P", bound=OwnFactorSetPayload)


@object_type
class CreateOwnFactorSetPayload(OwnFactorSetPayload):
    """The new set with its first draft."""


@object_type
class DraftOwnFactorSetPayload(OwnFactorSetPayload):
    """The set with its new draft."""


@object_type
class RemoveOwnFactorsPayload(OwnFactorSetPayload):
    """The set."""


@object_type
class ProposeOwnFactorSetPayload(OwnFactorSetPayload):
    """The set with its proposed version."""


@object_type
class ApproveOwnFactorSetPayload(OwnFactorSetPayload):
    """The set with its approved version."""


@object_type
class RejectOwnFactorSetPayload(OwnFactorSetPayload):
    """The set with its draft."""


@object_type
class WithdrawOwnFactorSetPayload(OwnFactorSetPayload):
    """The set without what was withdrawn."""


@object_type
class OwnFactorOutcome:
    """What became of one row."""

    factor: EmissionFactor | None
    """The value as it was recorded; null when the row was refused."""
    error: UserError | None
    """Why the row was refused."""


@object_type
class RecordOwnFactorsPayload(OwnFactorSetPayload):
    """The set, and what became of each row."""

    outcomes: list[OwnFactorOutcome]
    """One per row, in their order."""


@object_type
class OwnSetQueries:
    """The tenant's own factor sets."""

    @query(requires(Permission.EMISSION_READ))
    async def own_factor_sets(
        self, info: Info, first: int | None = None, after: str | None = None
    ) -> Connection[OwnFactorSet]:
        """Factor sets of organisations at, above or below where the caller reads emissions, by code."""
        page = await info.context.use(OwnSetService).page(info.context.principal, PageRequest.read(first, after))
        return Connection.of(page.map(OwnFactorSet.of))

    @query(requires(Permission.EMISSION_READ))
    async def own_factors(
        self,
        info: Info,
        set_id: Annotated[strawberry.ID, strawberry.argument(description="The set.")],
        version: Annotated[int, strawberry.argument(description="The version, from 1.")],
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[EmissionFactor]:
        """What a version of a factor set of the tenant's own holds, by material."""
        page = await info.context.use(OwnSetService).values(
            info.context.principal, key_of(set_id, "OwnFactorSet", "setId"), version, PageRequest.read(first, after)
        )
        types = dict(zip((f.id for f in page.rows), await factor_types(info, page.rows), strict=True))
        return Connection.of(page.map(lambda f: types[f.id]))


@object_type
class OwnSetMutations:
    """Changes to the tenant's own factor sets."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_own_factor_set(self, info: Info, input: CreateOwnFactorSetInput) -> CreateOwnFactorSetPayload:
        """Begin a factor set of an organisation, with an empty first draft."""
        done = await info.context.use(OwnSetService).create(info.context.actor(input), input.command())
        return _shown(CreateOwnFactorSetPayload, done)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def draft_own_factor_set(self, info: Info, input: DraftOwnFactorSetInput) -> DraftOwnFactorSetPayload:
        """Begin the next version of a factor set with the values of the one before."""
        done = await info.context.use(OwnSetService).draft(info.context.actor(input), input.step())
        return _shown(DraftOwnFactorSetPayload, done)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def record_own_factors(self, info: Info, input: RecordOwnFactorsInput) -> RecordOwnFactorsPayload:
        """Record up to 1000 values in a draft; each row is judged on its own unless all or nothing is asked."""
        done = await info.context.use(OwnSetService).record(
            info.context.actor(input),
            input.step(),
            read_rows(input.rows, NewOwnFactorInput.command),
            all_or_nothing=input.all_or_nothing,
        )
        made: list[Factor] = [o.factor for o in done.value.outcomes if o.factor]
        types = dict(zip((f.id for f in made), await factor_types(info, made), strict=True))
        outcomes = [
            OwnFactorOutcome(
                factor=types[o.factor.id] if o.factor else None,
                error=why(o.refusal, info),
            )
            for o in done.value.outcomes
        ]
        of = OwnFactorSet.of(done.value.of)
        return RecordOwnFactorsPayload(errors=[], set=of, outcomes=outcomes, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def remove_own_factors(self, info: Info, input: RemoveOwnFactorsInput) -> RemoveOwnFactorsPayload:
        """Take values out of a draft; versions before it go on holding them."""
        keys = [key_of(x, "EmissionFactor", "factorIds", str(i)) for i, x in enumerate(input.factor_ids)]
        done = await info.context.use(OwnSetService).remove(info.context.actor(input), input.step(), keys)
        return _shown(RemoveOwnFactorsPayload, done)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def propose_own_factor_set(self, info: Info, input: ProposeOwnFactorSetInput) -> ProposeOwnFactorSetPayload:
        """Put a draft forward for approval by somebody else."""
        done = await info.context.use(OwnSetService).propose(info.context.actor(input), input.step())
        return _shown(ProposeOwnFactorSetPayload, done)

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def approve_own_factor_set(self, info: Info, input: ApproveOwnFactorSetInput) -> ApproveOwnFactorSetPayload:
        """Approve a version that others made; nothing is recalculated before an organisation adopts it."""
        done = await info.context.use(OwnSetService).approve(info.context.actor(input), input.step())
        return _shown(ApproveOwnFactorSetPayload, done)

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def reject_own_factor_set(self, info: Info, input: RejectOwnFactorSetInput) -> RejectOwnFactorSetPayload:
        """Send a proposed version back to its makers."""
        done = await info.context.use(OwnSetService).reject(info.context.actor(input), input.step())
        return _shown(RejectOwnFactorSetPayload, done)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def withdraw_own_factor_set(
        self, info: Info, input: WithdrawOwnFactorSetInput
    ) -> WithdrawOwnFactorSetPayload:
        """Give up the version in the making, or close the approved one to new adoptions (which needs an approver)."""
        done = await info.context.use(OwnSetService).withdraw(info.context.actor(input), input.step())
        return _shown(WithdrawOwnFactorSetPayload, done)


def _shown(payload: type[P], done: Done[domain.OwnSet]) -> P:
    return payload(errors=[], set=OwnFactorSet.of(done.value), replayed=done.replayed)


async def fetch_sets(keys: Sequence[UUID], info: Info) -> dict[UUID, OwnFactorSet]:
    found = await info.context.use(OwnSetService).by_ids(info.context.principal, keys)
    return {key: OwnFactorSet.of(record) for key, record in found.items()}


NODES = {"OwnFactorSet": (OwnFactorSet, fetch_sets)}
