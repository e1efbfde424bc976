"""GraphQL of projects: their life cycles, claims and sinks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import Payload
from backend.kit.graphql.types import object_type
from backend.kit.pages import PageRequest
from backend.ledger.graphql import OfOrganisation
from backend.ledger.graphql_legs import organisation
from backend.ledger.projects.domain import methodologies, regimes
from backend.ledger.projects.graphql_inputs import (
    ClaimReductionsInput,
    CreateCarbonProjectInput,
    RecordMonitoringRoundInput,
    RecordSinkStandInput,
    TakeClaimStepInput,
    TakeProjectStepInput,
)
from backend.ledger.projects.graphql_types import CarbonProject, Methodology, ProjectClaim, ProjectRegime
from backend.ledger.projects.service import ProjectService
from tenants.access import Permission
from tenants.context import Info, SignedIn, requires

_READ = requires(Permission.ASSET_READ)
_MANAGE = requires(Permission.ASSET_MANAGE)


@object_type
class CreateCarbonProjectPayload(Payload):
    """The project as it was entered."""

    project: CarbonProject | None = None
    """The project."""


@object_type
class TakeProjectStepPayload(Payload):
    """The project after the step."""

    project: CarbonProject | None = None
    """The project."""


@object_type
class RecordSinkStandPayload(Payload):
    """The project whose stand was recorded."""

    project: CarbonProject | None = None
    """The project."""


@object_type
class RecordMonitoringRoundPayload(Payload):
    """The project that was measured."""

    project: CarbonProject | None = None
    """The project."""


@object_type
class ClaimReductionsPayload(Payload):
    """The claim as it was made."""

    claim: ProjectClaim | None = None
    """The claim."""


@object_type
class TakeClaimStepPayload(Payload):
    """The claim after the step."""

    claim: ProjectClaim | None = None
    """The claim."""


@object_type
class Queries:
    """Root queries of projects."""

    @query(_READ)
    async def carbon_projects(
        self, info: Info, organisation_id: OfOrganisation = None, first: int | None = None, after: str | None = None
    ) -> Connection[CarbonProject]:
        """Projects, by code."""
        owner = organisation(organisation_id, "organisationId") if organisation_id else None
        request = PageRequest.read(first, after)
        page = await info.context.use(ProjectService).page(info.context.principal, request, owner)
        return Connection.of(page.map(CarbonProject.of))

    @query(SignedIn("regimes are the same for every tenant"))
    async def project_regimes(self, info: Info) -> list[ProjectRegime]:
        """The ways to registered reductions, with their steps."""
        return [ProjectRegime.of(r) for r in regimes().values()]

    @query(SignedIn("methodologies are the same for every tenant"))
    async def methodologies(self, info: Info) -> list[Methodology]:
        """Methodologies by which projects are accounted (6.2.3 a 7)."""
        return [Methodology.of(m) for m in methodologies().values()]


@object_type
class Mutations:
    """Root mutations of projects."""

    @mutation(_MANAGE)
    async def create_carbon_project(self, info: Info, input: CreateCarbonProjectInput) -> CreateCarbonProjectPayload:
        """Enter a project (8.3.2, 8.3.3)."""
        done = await info.context.use(ProjectService).create(info.context.actor(input), input.command())
        return CreateCarbonProjectPayload(errors=[], project=CarbonProject.of(done.value), replayed=done.replayed)

    @mutation(_MANAGE)
    async def take_project_step(self, info: Info, input: TakeProjectStepInput) -> TakeProjectStepPayload:
        """Take the next step of a project: publish, validate, apply, register …"""
        key = key_of(input.project_id, "CarbonProject", "projectId")
        done = await info.context.use(ProjectService).take_step(info.context.actor(input), key, input.command())
        return TakeProjectStepPayload(errors=[], project=CarbonProject.of(done.value), replayed=done.replayed)

    @mutation(_MANAGE)
    async def record_sink_stand(self, info: Info, input: RecordSinkStandInput) -> RecordSinkStandPayload:
        """Record a stand of trees: species, area, expected uptake (9.1.1 a 3)."""
        service, actor = info.context.use(ProjectService), info.context.actor(input)
        done = await service.record_stand(actor, input.command(), input.replaces_because)
        project = await _project(done.value.project_id, info)
        return RecordSinkStandPayload(errors=[], project=project, replayed=done.replayed)

    @mutation(_MANAGE)
    async def record_monitoring_round(
        self, info: Info, input: RecordMonitoringRoundInput
    ) -> RecordMonitoringRoundPayload:
        """Record a measurement of the carbon stock (8.3.3.4)."""
        service, actor = info.context.use(ProjectService), info.context.actor(input)
        done = await service.record_round(actor, input.command(), input.replaces_because)
        project = await _project(done.value.project_id, info)
        return RecordMonitoringRoundPayload(errors=[], project=project, replayed=done.replayed)

    @mutation(_MANAGE)
    async def claim_reductions(self, info: Info, input: ClaimReductionsInput) -> ClaimReductionsPayload:
        """Claim reductions of a period, in part or whole."""
        done = await info.context.use(ProjectService).claim(info.context.actor(input), input.command())
        return ClaimReductionsPayload(errors=[], claim=ProjectClaim.of(done.value), replayed=done.replayed)

    @mutation(_MANAGE)
    async def take_claim_step(self, info: Info, input: TakeClaimStepInput) -> TakeClaimStepPayload:
        """Take the next step of a claim; registering it issues its lot."""
        key = key_of(input.claim_id, "ProjectClaim", "claimId")
        done = await info.context.use(ProjectService).take_claim_step(info.context.actor(input), key, input.command())
        return TakeClaimStepPayload(errors=[], claim=ProjectClaim.of(done.value), replayed=done.replayed)


async def _project(key: UUID, info: Info) -> CarbonProject:
    found = await info.context.use(ProjectService).projects(info.context.principal, [key])
    return CarbonProject.of(found[key])


async def _projects(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(ProjectService).projects(info.context.principal, keys)
    return {key: CarbonProject.of(record) for key, record in found.items()}


async def _claims(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(ProjectService).claims(info.context.principal, keys)
    return {key: ProjectClaim.of(record) for key, record in found.items()}


NODES = {"CarbonProject": (CarbonProject, _projects), "ProjectClaim": (ProjectClaim, _claims)}
