"""GraphQL of targets and deviations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import deviations as domain
from backend.accounting.domain.deviations import DeviationCause, DeviationKind, DeviationState, NewTarget
from backend.accounting.graphql.enums import Category
from backend.accounting.service.deviations import DeviationService
from backend.evidence.graphql import Document, attached
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires

AFinding = Annotated["DeviationFinding", strawberry.lazy("backend.accounting.graphql.deviations")]
for kind in (DeviationKind, DeviationState, DeviationCause):
    enum_type(kind)


@object_type
class EmissionTarget(Node):
    """What an organisation aims at in a year (排放目标)."""

    year: int
    """Calendar year."""
    category: Category | None
    """The category it is about; null: all that the boundary accounts."""
    product: str | None
    """The product whose intensity it is about; null for an absolute target."""
    value: Decimal
    """The target."""
    unit: str
    """tCO2e, or tCO2e per unit of the product."""
    threshold: Decimal
    """By which fraction it may be exceeded before that is a serious deviation."""
    note: str
    """Remark."""
    recorded_at: datetime
    """When it was set."""
    superseded_at: datetime | None
    """When it was replaced; null while it is in force."""
    superseded_because: str | None
    """Why."""

    @classmethod
    def of(cls, record: domain.EmissionTarget) -> EmissionTarget:
        return build(cls, record, id=to_id("EmissionTarget", record.id))


@object_type
class DeviationFinding(Node):
    """A figure that departs too far from the year before or from a target (偏差, 9.1.2)."""

    record: strawberry.Private[domain.DeviationFinding]
    kind: DeviationKind
    """What it was compared with."""
    year: int
    """The year."""
    category: Category | None
    """The category; null: the total."""
    product: str | None
    """The product, where an intensity was compared."""
    compared: Decimal
    """What it was compared with."""
    actual: Decimal
    """What it was."""
    unit: str
    """Unit of both."""
    deviation: Decimal | None
    """The difference as a fraction of what it was compared with, 6 decimals; null where that was 0."""
    threshold: Decimal
    """The fraction beyond which it counts as serious."""
    state: DeviationState
    """Where it stands."""
    cause: DeviationCause | None
    """Why it came about; null before it is closed."""
    analysis: str
    """The analysis it was closed with."""
    found_at: datetime
    """When it was found."""
    closed_at: datetime | None
    """When it was closed."""

    @batched
    async def documents(parents: list[AFinding], info: Info) -> list[list[Document]]:
        """The documents that its analysis rests on."""
        return await attached("DeviationFinding", [p.record.id for p in parents], info)

    @classmethod
    def of(cls, record: domain.DeviationFinding) -> DeviationFinding:
        return build(cls, record, id=to_id("DeviationFinding", record.id), record=record)


@input_type
class SetEmissionTargetInput(MutationInput):
    """A target: of a category, of the total, or of a product's intensity."""

    organisation_id: strawberry.ID
    """The organisation, with all below it."""
    year: int
    """Calendar year."""
    category: Category | None = None
    """Only this category."""
    product: str | None = None
    """The product whose intensity is aimed at."""
    value: Decimal
    """tCO2e, or tCO2e per unit of the product."""
    threshold: Decimal = Decimal("0.05")
    """By which fraction it may be exceeded."""
    note: str = ""
    """Remark."""
    reason: str = ""
    """Why it replaces an earlier target; needed where there is one."""

    def command(self) -> NewTarget:
        return build(NewTarget, self, organisation_id=key_of(self.organisation_id, "Organisation", "organisationId"))


@object_type
class SetEmissionTargetPayload(Payload):
    """The target in force."""

    target: EmissionTarget | None = None
    """The target."""


@input_type
class FindDeviationsInput(MutationInput):
    """A whole year of an organisation to compare."""

    organisation_id: strawberry.ID
    """The organisation, with all below it."""
    year: int
    """Calendar year that is over."""


@object_type
class FindDeviationsPayload(Payload):
    """What departs too far."""

    deviations: list[DeviationFinding]
    """Findings of the year that are open now."""


@input_type
class CloseDeviationInput(MutationInput):
    """A finding that has been explained."""

    id: strawberry.ID
    """The finding."""
    cause: DeviationCause
    """Why it came about."""
    analysis: str
    """The analysis."""


@object_type
class CloseDeviationPayload(Payload):
    """The finding as it is now."""

    deviation: DeviationFinding | None = None
    """The finding, closed."""


@object_type
class DeviationQueries:
    """Targets and deviations."""

    @query(requires(Permission.EMISSION_READ))
    async def emission_targets(
        self, info: Info, organisation_id: strawberry.ID, first: int | None = None, after: str | None = None
    ) -> Connection[EmissionTarget]:
        """The targets of an organisation that are in force, the latest first."""
        owner, request = key_of(organisation_id, "Organisation", "organisationId"), PageRequest.read(first, after)
        page = await info.context.use(DeviationService).page_of_targets(info.context.principal, owner, request)
        return Connection.of(page.map(EmissionTarget.of))

    @query(requires(Permission.EMISSION_READ))
    async def deviations(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        state: Annotated[DeviationState | None, strawberry.argument(description="Only those that stand so.")] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[DeviationFinding]:
        """Findings of an organisation, the latest first."""
        owner, request = key_of(organisation_id, "Organisation", "organisationId"), PageRequest.read(first, after)
        page = await info.context.use(DeviationService).page(info.context.principal, owner, state, request)
        return Connection.of(page.map(DeviationFinding.of))


@object_type
class DeviationMutations:
    """Targets, and what departs from them."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def set_emission_target(self, info: Info, input: SetEmissionTargetInput) -> SetEmissionTargetPayload:
        """Set a target; one that is there already is replaced, with a reason."""
        done = await info.context.use(DeviationService).set_target(info.context.actor(input), input.command())
        return SetEmissionTargetPayload(errors=[], target=EmissionTarget.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def find_deviations(self, info: Info, input: FindDeviationsInput) -> FindDeviationsPayload:
        """Compare a year with the one before and with its targets, and record what departs too far."""
        owner = key_of(input.organisation_id, "Organisation", "organisationId")
        done = await info.context.use(DeviationService).find(info.context.actor(input), owner, input.year)
        found = [DeviationFinding.of(f) for f in done.value.findings]
        return FindDeviationsPayload(errors=[], deviations=found, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def close_deviation(self, info: Info, input: CloseDeviationInput) -> CloseDeviationPayload:
        """Close a finding with its cause and an analysis."""
        key, service = key_of(input.id, "DeviationFinding", "id"), info.context.use(DeviationService)
        done = await service.close(info.context.actor(input), key, input.cause, input.analysis)
        return CloseDeviationPayload(errors=[], deviation=DeviationFinding.of(done.value), replayed=done.replayed)


async def fetch_findings(keys: Sequence[UUID], info: Info) -> dict[UUID, DeviationFinding]:
    found = await info.context.use(DeviationService).by_ids(info.context.principal, keys)
    return {key: DeviationFinding.of(record) for key, record in found.items()}


async def fetch_targets(keys: Sequence[UUID], info: Info) -> dict[UUID, EmissionTarget]:
    found = await info.context.use(DeviationService).targets_by_ids(info.context.principal, keys)
    return {key: EmissionTarget.of(record) for key, record in found.items()}


NODES = {
    "DeviationFinding": (DeviationFinding, fetch_findings),
    "EmissionTarget": (EmissionTarget, fetch_targets),
}
