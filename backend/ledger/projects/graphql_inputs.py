"""GraphQL input types of projects, each with the command it stands for."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from uuid import UUID

import strawberry

from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.payloads import MutationInput
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, input_type
from backend.ledger.graphql_inputs import SerialBlockInput
from backend.ledger.graphql_legs import organisation
from backend.ledger.projects.domain import Claim, NewProject, Taken
from backend.ledger.projects.sinks import Round, Stand


@input_type
class CreateCarbonProjectInput(MutationInput):
    """A project to enter."""

    organisation_id: strawberry.ID
    """Organisation that owns it."""
    code: str
    """Code, unique in the tenant; lots are named by it."""
    name: str
    """Name."""
    regime: str
    """Regime, as `projectRegimes` lists them; CCER_2023 or SINK_FILING."""
    methodology: str
    """Methodology of that regime, as `methodologies` lists them."""
    begun_on: date
    """Day it began."""
    crediting_from: date
    """First day of the crediting period."""
    crediting_to: date
    """Day after the last of the crediting period."""
    region: str = ""
    """Region it lies in."""
    in_allowance_scheme: bool = False
    """Whether it lies inside an allowance scheme: then its reductions cannot be registered."""
    in_other_mechanism: bool = False
    """Whether it takes part in another mechanism: then its reductions cannot be registered."""

    def command(self) -> NewProject:
        return build(NewProject, self, organisation_id=organisation(self.organisation_id, "organisationId"))


@input_type
class StepDocumentInput:
    """A document that a step needs."""

    kind: str
    """Kind, as the step names it."""
    reference: str
    """Its number, or the id of an evidence document."""


@input_type
class _StepInput(MutationInput):
    step: str
    """Code of the step, as the regime names it."""
    happened_on: date
    """Day it happened."""
    documents: list[StepDocumentInput] = strawberry.field(default_factory=list)
    """The documents it needs."""
    body: str = ""
    """Body that validated or verified, where the step names one."""
    note: str = ""
    """Anything else."""
    expected_version: int | None = None
    """Version you saw; refused when it has moved on."""

    def taken(self, verified_t: int | None = None) -> Taken:
        documents = {d.kind: d.reference for d in self.documents}
        return build(Taken, self, documents=documents, verified_t=verified_t)


@input_type
class TakeProjectStepInput(_StepInput):
    """A step of a project."""

    project_id: strawberry.ID
    """The project."""

    def command(self) -> Taken:
        return self.taken()


@input_type
class TakeClaimStepInput(_StepInput):
    """A step of a claim."""

    claim_id: strawberry.ID
    """The claim."""
    verified: Tonnes | None = None
    """Tonnes that were verified; all that was claimed when not given."""
    serial: SerialBlockInput | None = None
    """With the step that registers the claim: serial numbers of its lot, as many as tonnes verified."""

    def command(self) -> Taken:
        serial = None if self.serial is None else self.serial.block()
        return replace(self.taken(self.verified), serial=serial)


@input_type
class ClaimReductionsInput(MutationInput):
    """Reductions to claim."""

    project_id: strawberry.ID
    """The registered project."""
    period_from: date
    """First day."""
    period_to: date
    """Day after the last."""
    quantity: Tonnes
    """Tonnes accounted."""

    def command(self) -> Claim:
        key = key_of(self.project_id, "CarbonProject", "projectId")
        return Claim(UUID(int=0), key, 0, self.period_from, self.period_to, self.quantity, "")


@input_type
class RecordSinkStandInput(MutationInput):
    """A stand of trees."""

    project_id: strawberry.ID
    """The project."""
    code: str
    """Code, unique in the project."""
    species: str
    """Species."""
    area_mu: Decimal
    """Area in mu (1 mu is 1/15 ha), at most 6 decimals."""
    effective_area_mu: Decimal
    """Area in mu that takes up carbon."""
    planted_on: date
    """Day of planting."""
    expected_t_per_mu_year: Decimal
    """Expected uptake, tCO2 per mu and year."""
    planting_plan: str = ""
    """Planting plan, in words."""
    replaces_because: str = ""
    """Why it takes the place of the one before, when it does."""

    def command(self) -> Stand:
        return build(Stand, self, project_id=key_of(self.project_id, "CarbonProject", "projectId"))


@input_type
class RecordMonitoringRoundInput(MutationInput):
    """A measurement of the carbon stock."""

    project_id: strawberry.ID
    """The project."""
    measured_on: date
    """Day."""
    stock_t: Decimal
    """Carbon stock, tCO2."""
    uncertainty: Decimal
    """Uncertainty as a fraction, at 90 % confidence: 0.1 is 10 %."""
    evidence: str
    """Reference of the monitoring report."""
    replaces_because: str = ""
    """Why it takes the place of the one before, when it does."""

    def command(self) -> Round:
        return build(Round, self, project_id=key_of(self.project_id, "CarbonProject", "projectId"))
