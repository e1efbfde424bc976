"""GraphQL of base years and their recalculation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import base_years as domain
from backend.accounting.domain.base_years import (
    DEFAULT_THRESHOLD,
    BaseYearPolicy,
    RecalculationState,
    RecalculationTrigger,
)
from backend.accounting.graphql.enums import Category
from backend.accounting.service.base_years import BaseYearService
from backend.evidence.graphql import Document, attached
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.domain import ConsolidationApproach
from tenants.graphql import Organisation, fetch_organisations
from tenants.graphql.types import After, First

enum_type(RecalculationTrigger)
enum_type(RecalculationState)
ABaseYear = Annotated["BaseYear", strawberry.lazy("backend.accounting.graphql.base_years")]
ARecalculation = Annotated["BaseYearRecalculation", strawberry.lazy("backend.accounting.graphql.base_years")]


@object_type
class BaseYearValue:
    """A version of the base-year value."""

    version: int
    """1 as it was set; each accepted recalculation makes one more."""
    co2e_t: Decimal
    """tCO2e."""
    made_at: datetime
    """When it was made."""
    recalculation_id: strawberry.ID | None
    """The recalculation it follows from; null for the first."""

    @classmethod
    def of(cls, record: domain.BaseYearValue) -> BaseYearValue:
        key = to_id("BaseYearRecalculation", record.recalculation_id) if record.recalculation_id else None
        return build(cls, record, recalculation_id=key)


@object_type
class BaseYearRecalculation(Node):
    """A proposed change of a base-year value, and what became of it (基准年重算)."""

    record: strawberry.Private[domain.Recalculation]
    trigger: RecalculationTrigger
    """What makes it due."""
    version: int
    """The version of the value it would change."""
    effect_t: Decimal
    """What it would change the value by, tCO2e."""
    base_t: Decimal
    """The value it was compared with, tCO2e."""
    above_threshold: bool
    """Whether the effect reaches the threshold of the policy."""
    state: RecalculationState
    """Where it stands."""
    reason: str
    """Why it was accepted or declined; empty before."""
    proposed_at: datetime
    """When it was proposed."""
    decided_at: datetime | None
    """When it was decided."""

    @batched
    async def about(parents: list[ARecalculation], info: Info) -> list[Organisation | None]:
        """The organisation that changed, or whose records did; null when the caller may not see it."""
        found = await fetch_organisations(list({p.record.about_id for p in parents}), info)
        return [found.get(p.record.about_id) for p in parents]

    @batched
    async def documents(parents: list[ARecalculation], info: Info) -> list[list[Document]]:
        """The documents that its decision rests on."""
        return await attached("BaseYearRecalculation", [p.record.id for p in parents], info)

    @classmethod
    def of(cls, record: domain.Recalculation) -> BaseYearRecalculation:
        return build(cls, record, id=to_id("BaseYearRecalculation", record.id), record=record)


@object_type
class BaseYear(Node):
    """The year later ones are compared with, its value and its recalculation policy (基准年, 8.2.2.7)."""

    record: strawberry.Private[domain.BaseYear]
    year: int
    """Calendar year, as the boundary names it."""
    approach: ConsolidationApproach
    """How the group was put together."""
    categories: list[Category]
    """The categories that are accounted."""
    threshold: Decimal
    """From which fraction of the value a recalculation is due."""
    triggers: list[RecalculationTrigger]
    """For which reasons it is recalculated."""
    reason: str
    """Why it was set so."""
    recorded_at: datetime
    """When it was set."""
    superseded_at: datetime | None
    """When another took its place; null while it is in force."""
    superseded_because: str | None
    """Why."""

    @batched
    async def values(parents: list[ABaseYear], info: Info) -> list[list[BaseYearValue]]:
        """Its value with its history, the version in force last."""
        keys = [p.record.id for p in parents]
        found = await info.context.use(BaseYearService).values(info.context.principal, keys)
        return [[BaseYearValue.of(v) for v in found.get(key, [])] for key in keys]

    @batched
    async def pending_t(parents: list[ABaseYear], info: Info) -> list[Decimal]:
        """What the open proposals come to together, tCO2e: small changes may be due in sum."""
        keys = [p.record.id for p in parents]
        found = await info.context.use(BaseYearService).pending(info.context.principal, keys)
        return [found.get(key, Decimal(0)) for key in keys]

    @batched
    async def recalculations(
        parents: list[ABaseYear], info: Info, first: First = None, after: After = None
    ) -> list[Connection[BaseYearRecalculation]]:
        """Recalculations that were proposed, the latest first."""
        service, request = info.context.use(BaseYearService), PageRequest.read(first, after)
        pages = [await service.recalculations(info.context.principal, p.record.id, request) for p in parents]
        return [Connection.of(page.map(BaseYearRecalculation.of)) for page in pages]

    @classmethod
    def of(cls, record: domain.BaseYear) -> BaseYear:
        own = to_id("BaseYear", record.id)
        return build(
            cls, record, id=own, record=record, categories=list(record.categories), triggers=list(record.triggers)
        )


@input_type
class SetBaseYearInput(MutationInput):
    """The recalculation policy of an organisation's base year; the year is the one its boundary names."""

    organisation_id: strawberry.ID
    """The organisation, with all below it."""
    threshold: Decimal = DEFAULT_THRESHOLD
    """From which fraction of the value a recalculation is due."""
    triggers: list[RecalculationTrigger] | None = None
    """For which reasons; all of them when left out."""
    reason: str
    """Why it is set so."""

    def command(self) -> BaseYearPolicy:
        owner = key_of(self.organisation_id, "Organisation", "organisationId")
        triggers = tuple(RecalculationTrigger) if self.triggers is None else tuple(self.triggers)
        return BaseYearPolicy(owner, self.reason, self.threshold, triggers)


@object_type
class SetBaseYearPayload(Payload):
    """The base year in force."""

    base_year: BaseYear | None = None
    """The base year."""


@input_type
class ProposeBaseYearRecalculationsInput(MutationInput):
    """A base year to compare with its records and the organisation of today."""

    id: strawberry.ID
    """The base year."""


@object_type
class ProposeBaseYearRecalculationsPayload(Payload):
    """What is proposed."""

    recalculations: list[BaseYearRecalculation]
    """Proposals that are open now."""


@input_type
class DecideRecalculationInput(MutationInput):
    """A proposal, and why it is decided so."""

    id: strawberry.ID
    """The proposal."""
    reason: str
    """Why."""


@input_type
class AcceptBaseYearRecalculationInput(DecideRecalculationInput):
    """A proposal to take into the value."""


@input_type
class DeclineBaseYearRecalculationInput(DecideRecalculationInput):
    """A proposal to leave out of it."""


@object_type
class RecalculationPayload(Payload):
    """The proposal as it is now."""

    recalculation: BaseYearRecalculation | None = None
    """The proposal."""


@object_type
class AcceptBaseYearRecalculationPayload(RecalculationPayload):
    """The proposal, accepted."""


@object_type
class DeclineBaseYearRecalculationPayload(RecalculationPayload):
    """The proposal, declined."""


@object_type
class BaseYearQueries:
    """Base years."""

    @query(requires(Permission.EMISSION_READ))
    async def base_year(self, info: Info, organisation_id: strawberry.ID) -> BaseYear | None:
        """The base year that is kept for an organisation; null when there is none."""
        owner = key_of(organisation_id, "Organisation", "organisationId")
        found = await info.context.use(BaseYearService).current(info.context.principal, owner)
        return BaseYear.of(found) if found else None


async def _decide(info: Info, input: DecideRecalculationInput, *, accept: bool) -> tuple[BaseYearRecalculation, bool]:
    key, service = key_of(input.id, "BaseYearRecalculation", "id"), info.context.use(BaseYearService)
    done = await service.decide(info.context.actor(input), key, input.reason, accept=accept)
    return BaseYearRecalculation.of(done.value), done.replayed


@object_type
class BaseYearMutations:
    """Setting and recalculating base years."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def set_base_year(self, info: Info, input: SetBaseYearInput) -> SetBaseYearPayload:
        """Keep the value of the year that the boundary names, with a recalculation policy."""
        done = await info.context.use(BaseYearService).set(info.context.actor(input), input.command())
        return SetBaseYearPayload(errors=[], base_year=BaseYear.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def propose_base_year_recalculations(
        self, info: Info, input: ProposeBaseYearRecalculationsInput
    ) -> ProposeBaseYearRecalculationsPayload:
        """Compare the base year with its records and the organisation of today, and propose what has changed."""
        key = key_of(input.id, "BaseYear", "id")
        done = await info.context.use(BaseYearService).propose(info.context.actor(input), key)
        found = [BaseYearRecalculation.of(p) for p in done.value.open]
        return ProposeBaseYearRecalculationsPayload(errors=[], recalculations=found, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def accept_base_year_recalculation(
        self, info: Info, input: AcceptBaseYearRecalculationInput
    ) -> AcceptBaseYearRecalculationPayload:
        """Take a proposal into the base-year value; not by who proposed it."""
        made, replayed = await _decide(info, input, accept=True)
        return AcceptBaseYearRecalculationPayload(errors=[], recalculation=made, replayed=replayed)

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def decline_base_year_recalculation(
        self, info: Info, input: DeclineBaseYearRecalculationInput
    ) -> DeclineBaseYearRecalculationPayload:
        """Leave a proposal out of the base-year value, with the reason; not by who proposed it."""
        made, replayed = await _decide(info, input, accept=False)
        return DeclineBaseYearRecalculationPayload(errors=[], recalculation=made, replayed=replayed)


async def fetch_base_years(keys: Sequence[UUID], info: Info) -> dict[UUID, BaseYear]:
    found = await info.context.use(BaseYearService).by_ids(info.context.principal, keys)
    return {key: BaseYear.of(record) for key, record in found.items()}


async def fetch_recalculations(keys: Sequence[UUID], info: Info) -> dict[UUID, BaseYearRecalculation]:
    found = await info.context.use(BaseYearService).recalculations_by_ids(info.context.principal, keys)
    return {key: BaseYearRecalculation.of(record) for key, record in found.items()}


NODES = {
    "BaseYear": (BaseYear, fetch_base_years),
    "BaseYearRecalculation": (BaseYearRecalculation, fetch_recalculations),
}
