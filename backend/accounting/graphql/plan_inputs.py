"""GraphQL inputs of monitoring plans."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import strawberry

from backend.accounting.domain.monitoring import Direction, Frequency, NewParameter, ParameterKind, PlanHeader
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.payloads import MutationInput
from backend.kit.graphql.types import build, enum_type, input_type

enum_type(Direction, name="CorrectionDirection")
enum_type(Frequency, name="MonitoringFrequency")
enum_type(ParameterKind, name="PlanParameterKind")


@input_type
class MonitoringPlanInput(MutationInput):
    """What a plan says besides its parameters."""

    organisation_id: strawberry.ID
    """The organisation."""
    starts_on: date
    """First day in force, once approved."""
    address: str = ""
    """a) Address."""
    organisation_code: str = ""
    """a) Organisation code."""
    contact: str = ""
    """a) Contact of the responsible person."""
    organisation_boundary: str = ""
    """b) Boundary of the organisation."""
    accounting_boundary: str = ""
    """b) Boundary of the accounting."""
    other_matters: str = ""
    """f) Other matters; say so when there are none."""

    def header(self) -> PlanHeader:
        return build(PlanHeader, self, organisation_id=key_of(self.organisation_id, "Organisation", "organisationId"))


@input_type
class CreateMonitoringPlanInput(MonitoringPlanInput):
    """A new version of the plan of an organisation."""

    copy_of_plan_id: strawberry.ID | None = None
    """Take over the parameters of this version."""


@input_type
class CreateMonitoringPlanFromTemplateInput(MonitoringPlanInput):
    """A new version with the parameters of a template."""

    template: str = "CEMENT"
    """The template: CEMENT has the 16 rows of Table 3."""


@input_type
class PlanParameterInput:
    """A parameter of a plan."""

    code: str
    """Code, unique in the plan."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    table_row: int | None = None
    """Row of Table 3 it answers to."""
    kind: ParameterKind = ParameterKind.QUANTITY
    """Whether readings are added up or averaged."""
    direction: Direction = Direction.INPUT
    """Which way it is corrected when the instrument is not calibrated."""
    unit: str
    """Unit of its readings; of a stream: that of the stream."""
    stream_id: strawberry.ID | None = None
    """A stream of the organisation whose activity is its readings."""
    instrument_id: strawberry.ID | None = None
    """An instrument of the organisation."""
    data_source: str = ""
    """Where the data come from."""
    method: str = ""
    """Test method."""
    standard: str = ""
    """Standard of the method."""
    requirement: str = ""
    """Requirement."""
    proof: str = ""
    """Proof to be kept."""
    frequency: Frequency
    """The least often that it is measured."""
    due_days: int = 10
    """Days after the end of a period within which its reading is due."""
    lowest: Decimal | None = None
    """Lowest plausible reading."""
    highest: Decimal | None = None
    """Highest plausible reading."""
    partner_code: str | None = None
    """The parameter its months are checked against."""
    tolerance: Decimal | None = None
    """Share by which they may differ."""

    def command(self, *path: str) -> NewParameter:
        stream = key_of(self.stream_id, "EmissionStream", *path, "streamId") if self.stream_id else None
        measured = key_of(self.instrument_id, "Instrument", *path, "instrumentId") if self.instrument_id else None
        return build(NewParameter, self, stream_id=stream, instrument_id=measured)


@input_type
class SetPlanParametersInput(MutationInput):
    """Parameters to add or, by their code, to replace in a draft."""

    plan_id: strawberry.ID
    """The draft."""
    parameters: list[PlanParameterInput] = strawberry.field(default_factory=list)
    """Parameters to add or replace."""
    removed_codes: list[str] = strawberry.field(default_factory=list)
    """Codes of parameters to remove."""


@input_type
class MonitoringPlanStepInput(MutationInput):
    """A plan to take a step with."""

    plan_id: strawberry.ID
    """The plan."""


@input_type
class SubmitMonitoringPlanInput(MonitoringPlanStepInput):
    """A draft to submit."""


@input_type
class ApproveMonitoringPlanInput(MonitoringPlanStepInput):
    """A submitted plan to approve."""


@input_type
class RejectMonitoringPlanInput(MonitoringPlanStepInput):
    """A submitted plan to send back."""

    reason: str
    """Why; kept in the audit trail."""
