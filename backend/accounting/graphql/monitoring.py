"""GraphQL of monitoring plans and their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import monitoring as domain
from backend.accounting.domain.monitoring import (
    Direction,
    Frequency,
    ParameterKind,
    PlanItem,
    PlanState,
)
from backend.accounting.graphql.plan_inputs import (
    ApproveMonitoringPlanInput,
    CreateMonitoringPlanFromTemplateInput,
    CreateMonitoringPlanInput,
    RejectMonitoringPlanInput,
    SetPlanParametersInput,
    SubmitMonitoringPlanInput,
)
from backend.accounting.service.monitoring import MonitoringService
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import Payload
from backend.kit.graphql.types import build, enum_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(PlanState, name="MonitoringPlanState")
enum_type(PlanItem, name="MonitoringPlanItem")

APlan = Annotated["MonitoringPlan", strawberry.lazy("backend.accounting.graphql.monitoring")]


@object_type
class PlanParameter(Node):
    """What a monitoring plan measures (8.2.4 c and d, a row of Table 3)."""

    code: str
    """Code, unique in the plan; readings keep it over versions."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; may be empty."""
    table_row: int | None
    """Row of Table 3 it comes from."""
    kind: ParameterKind
    """Whether readings are added up or averaged."""
    direction: Direction
    """Which way it is corrected when the instrument is not calibrated."""
    unit: str
    """Unit of its readings."""
    stream_id: strawberry.ID | None
    """The stream whose activity is its readings; null: readings of its own."""
    instrument_id: strawberry.ID | None
    """What measures it."""
    data_source: str
    """Where the data come from (数据来源)."""
    method: str
    """Test method."""
    standard: str
    """Standard of the method."""
    requirement: str
    """Requirement (监测要求)."""
    proof: str
    """Proof to be kept (相关证明材料)."""
    frequency: Frequency
    """The least often that it is measured."""
    due_days: int
    """Days after the end of a period within which its reading is due."""
    lowest: Decimal | None
    """Lowest plausible reading."""
    highest: Decimal | None
    """Highest plausible reading."""
    partner_code: str | None
    """The parameter its months are checked against."""
    tolerance: Decimal | None
    """Share by which they may differ: 0.02 is 2 %."""

    @classmethod
    def of(cls, record: domain.PlanParameter) -> PlanParameter:
        return build(
            cls,
            record,
            id=to_id("PlanParameter", record.id),
            stream_id=to_id("EmissionStream", record.stream_id) if record.stream_id else None,
            instrument_id=to_id("Instrument", record.instrument_id) if record.instrument_id else None,
        )


@object_type
class MonitoringPlanGap:
    """Something a plan lacks."""

    item: PlanItem
    """Which item of 8.2.4."""
    about: str
    """The field, parameter, stream or instrument."""


@object_type
class MonitoringPlan(Node):
    """A version of the monitoring plan of an organisation (8.2.4)."""

    record: strawberry.Private[domain.MonitoringPlan]
    organisation_id: strawberry.ID
    """The organisation."""
    version: int
    """Version, from 1."""
    state: PlanState
    """Where it stands."""
    address: str
    """a) Address."""
    organisation_code: str
    """a) Organisation code (统一社会信用代码)."""
    contact: str
    """a) Contact of the responsible person."""
    organisation_boundary: str
    """b) Boundary of the organisation."""
    accounting_boundary: str
    """b) Boundary of the accounting."""
    other_matters: str
    """f) Other matters."""
    starts_on: date
    """First day in force, once approved."""
    ends_on: date | None
    """Day from which a later version is in force."""
    submitted_at: datetime | None
    """When it was submitted."""
    approved_at: datetime | None
    """When it was approved."""

    @batched
    async def parameters(parents: list[APlan], info: Info) -> list[list[PlanParameter]]:
        """Its parameters, by code."""
        keys = [p.record.id for p in parents]
        found = await info.context.use(MonitoringService).parameters_of(info.context.principal, keys)
        return [[PlanParameter.of(p) for p in found if p.plan_id == key] for key in keys]

    @strawberry.field
    async def gaps(self, info: Info) -> list[MonitoringPlanGap]:
        """What it lacks before it can be submitted (8.2.4 a to f)."""
        found = await info.context.use(MonitoringService).gaps(info.context.principal, self.record)
        return [build(MonitoringPlanGap, gap) for gap in found]

    @classmethod
    def of(cls, record: domain.MonitoringPlan) -> MonitoringPlan:
        owner = to_id("Organisation", record.organisation_id)
        return build(cls, record, id=to_id("MonitoringPlan", record.id), record=record, organisation_id=owner)


@object_type
class MonitoringPlanPayload(Payload):
    """The plan as it is now."""

    plan: MonitoringPlan | None = None
    """The plan."""


@object_type
class CreateMonitoringPlanPayload(MonitoringPlanPayload):
    """The new draft."""


@object_type
class UnboundParameter:
    """A parameter of a template that is not read from the stream it names; it waits for readings by hand."""

    code: str
    """The parameter."""
    stream: str
    """Codes of the source and stream it looks for, as the pack names them: CLINKER.STATIONARY/COAL."""
    unit: str | None
    """The unit of that stream, where it is there but kept in another unit than the parameter; null: it is not there."""


@object_type
class CreateMonitoringPlanFromTemplatePayload(MonitoringPlanPayload):
    """The new draft."""

    unbound: list[UnboundParameter]
    """Parameters whose stream the organisation does not have."""


@object_type
class SetPlanParametersPayload(MonitoringPlanPayload):
    """The draft."""


@object_type
class SubmitMonitoringPlanPayload(MonitoringPlanPayload):
    """The submitted plan."""


@object_type
class ApproveMonitoringPlanPayload(MonitoringPlanPayload):
    """The plan in force."""


@object_type
class RejectMonitoringPlanPayload(MonitoringPlanPayload):
    """The draft again."""


@object_type
class MonitoringPlanQueries:
    """Plans."""

    @query(requires(Permission.EMISSION_READ))
    async def monitoring_plans(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this organisation and all below it.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[MonitoringPlan]:
        """Monitoring plans the caller may read, oldest first."""
        owner = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        request = PageRequest.read(first, after)
        page = await info.context.use(MonitoringService).page(
            info.context.principal, "plan", request, organisation_id=owner
        )
        return Connection.of(page.map(MonitoringPlan.of))


@object_type
class MonitoringPlanMutations:
    """Changes to plans."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_monitoring_plan(self, info: Info, input: CreateMonitoringPlanInput) -> CreateMonitoringPlanPayload:
        """Start a new version of a monitoring plan."""
        copied = key_of(input.copy_of_plan_id, "MonitoringPlan", "copyOfPlanId") if input.copy_of_plan_id else None
        done = await info.context.use(MonitoringService).create_plan(
            info.context.actor(input), input.header(), copy_of=copied
        )
        plan = MonitoringPlan.of(done.value.plan)
        return CreateMonitoringPlanPayload(errors=[], plan=plan, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_monitoring_plan_from_template(
        self, info: Info, input: CreateMonitoringPlanFromTemplateInput
    ) -> CreateMonitoringPlanFromTemplatePayload:
        """Start a new version with the parameters of a template, read from the streams a pack made where they are."""
        done = await info.context.use(MonitoringService).create_plan(
            info.context.actor(input), input.header(), template=input.template
        )
        plan, unbound = MonitoringPlan.of(done.value.plan), [build(UnboundParameter, u) for u in done.value.unbound]
        return CreateMonitoringPlanFromTemplatePayload(errors=[], plan=plan, unbound=unbound, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def set_plan_parameters(self, info: Info, input: SetPlanParametersInput) -> SetPlanParametersPayload:
        """Add, replace and remove parameters of a draft."""
        given = [p.command("parameters", str(i)) for i, p in enumerate(input.parameters)]
        plan_id = key_of(input.plan_id, "MonitoringPlan", "planId")
        done = await info.context.use(MonitoringService).set_parameters(
            info.context.actor(input), plan_id, given, input.removed_codes
        )
        return SetPlanParametersPayload(errors=[], plan=MonitoringPlan.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def submit_monitoring_plan(self, info: Info, input: SubmitMonitoringPlanInput) -> SubmitMonitoringPlanPayload:
        """Submit a complete draft for approval."""
        plan_id = key_of(input.plan_id, "MonitoringPlan", "planId")
        done = await info.context.use(MonitoringService).submit(info.context.actor(input), plan_id)
        return SubmitMonitoringPlanPayload(errors=[], plan=MonitoringPlan.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def approve_monitoring_plan(
        self, info: Info, input: ApproveMonitoringPlanInput
    ) -> ApproveMonitoringPlanPayload:
        """Put a plan that others made in force; the version before ends there."""
        plan_id = key_of(input.plan_id, "MonitoringPlan", "planId")
        done = await info.context.use(MonitoringService).approve(info.context.actor(input), plan_id)
        return ApproveMonitoringPlanPayload(errors=[], plan=MonitoringPlan.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def reject_monitoring_plan(self, info: Info, input: RejectMonitoringPlanInput) -> RejectMonitoringPlanPayload:
        """Send a submitted plan back to its makers."""
        plan_id = key_of(input.plan_id, "MonitoringPlan", "planId")
        done = await info.context.use(MonitoringService).reject(info.context.actor(input), plan_id, input.reason)
        return RejectMonitoringPlanPayload(errors=[], plan=MonitoringPlan.of(done.value), replayed=done.replayed)


async def fetch_plans(keys: Sequence[UUID], info: Info) -> dict[UUID, MonitoringPlan]:
    found = await info.context.use(MonitoringService).by_ids(info.context.principal, "plan", keys)
    return {key: MonitoringPlan.of(record) for key, record in found.items()}


async def fetch_parameters(keys: Sequence[UUID], info: Info) -> dict[UUID, PlanParameter]:
    found = await info.context.use(MonitoringService).by_ids(info.context.principal, "parameter", keys)
    return {key: PlanParameter.of(record) for key, record in found.items()}


NODES = {"MonitoringPlan": (MonitoringPlan, fetch_plans), "PlanParameter": (PlanParameter, fetch_parameters)}
