"""GraphQL of instruments, calibrations, readings and findings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import monitored as kept
from backend.accounting.domain import monitoring as domain
from backend.accounting.domain.monitored import TODO_EN, TODO_ZH, Finding, FindingKind
from backend.accounting.graphql.monitoring import PlanParameter, fetch_parameters
from backend.accounting.service.monitoring import MonitoringService
from backend.accounting.service.readings import NewReading
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.rows import all_rows, row_type
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.ids import uuid7
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(FindingKind, name="MonitoringFindingKind")

First = Annotated[int | None, strawberry.argument(description="How many rows, 1 to 1000; 50 when not given.")]
After = Annotated[str | None, strawberry.argument(description="Cursor of the last row seen; rows behind it follow.")]
AFinding = Annotated["MonitoringFinding", strawberry.lazy("backend.accounting.graphql.readings")]


@object_type
class Calibration(Node):
    """A calibration of an instrument."""

    done_on: date
    """Day it was done."""
    valid_until: date
    """Last day it covers."""
    actual_error: Decimal
    """Error that was found, as a share: 0.004 is 0.4 %."""
    certificate: str
    """Certificate: number or evidence."""

    @classmethod
    def of(cls, record: kept.Calibration) -> Calibration:
        return build(cls, record, id=to_id("Calibration", record.id))


@object_type
class Instrument(Node):
    """What measures (8.2.4 e)."""

    key: strawberry.Private[UUID]
    code: str
    """Code, unique in the organisation."""
    name_zh: str
    """Name in Chinese."""
    name_en: str
    """Name in English; may be empty."""
    instrument_type: str
    """Type: belt scale, electricity meter, calorimeter …"""
    model: str
    """Model."""
    serial: str
    """Serial number."""
    point: str
    """Where it measures (监测点位)."""
    required_error: Decimal
    """Accuracy asked of it, as a share: 0.005 for class 0.5."""

    @strawberry.field
    async def calibrations(self, info: Info, first: First = None, after: After = None) -> Connection[Calibration]:
        """Its calibrations, in the order they were recorded."""
        page = await info.context.use(MonitoringService).page(
            info.context.principal, "calibration", PageRequest.read(first, after), instrument_id=self.key
        )
        return Connection.of(page.map(Calibration.of))

    @classmethod
    def of(cls, record: domain.Instrument) -> Instrument:
        return build(cls, record, id=to_id("Instrument", record.id), key=record.id)


@object_type
class ParameterReading(Node):
    """A reading of a parameter."""

    parameter_id: strawberry.ID
    """The parameter, in the plan it was recorded under."""
    code: str
    """Code of the parameter."""
    day: date
    """Day."""
    batch: str
    """Batch; may be empty."""
    value: Decimal
    """Value, in the unit of the parameter."""
    weight: Decimal | None
    """Weight in the mean of the month: the amount received or consumed."""
    evidence: str
    """Evidence."""
    note: str
    """Note."""
    recorded_at: datetime | None
    """When it was recorded."""
    superseded_at: datetime | None
    """When it was superseded; null while it counts."""
    superseded_because: str | None
    """Why."""

    @classmethod
    def of(cls, record: kept.ParameterReading) -> ParameterReading:
        parameter = to_id("PlanParameter", record.parameter_id)
        return build(cls, record, id=to_id("ParameterReading", record.id), parameter_id=parameter)


@object_type
class MonitoringFinding:
    """Where readings fall short of the plan."""

    about: strawberry.Private[UUID]
    kind: FindingKind
    """In which way."""
    first_day: date
    """First day of the period."""
    last_day: date
    """Last day of the period."""
    value: Decimal | None
    """What was read; null when nothing was."""
    expected: Decimal | None
    """The limit, the cross-check, or the conservatively corrected value."""
    remedy_zh: str
    """What to do, in Chinese."""
    remedy_en: str
    """What to do, in English."""

    @batched
    async def parameter(parents: list[AFinding], info: Info) -> list[PlanParameter | None]:
        """The parameter."""
        found = await fetch_parameters(list({p.about for p in parents}), info)
        return [found.get(p.about) for p in parents]

    @classmethod
    def of(cls, found: Finding) -> MonitoringFinding:
        words = {"remedy_zh": TODO_ZH[found.kind], "remedy_en": TODO_EN[found.kind]}
        return build(cls, found, about=found.parameter_id, **words)


@input_type
class CreateInstrumentInput(MutationInput):
    """An instrument to add to an organisation."""

    organisation_id: strawberry.ID
    """The organisation."""
    code: str
    """Code, unique in the organisation."""
    name_zh: str
    """Name in Chinese."""
    name_en: str = ""
    """Name in English."""
    instrument_type: str
    """Type."""
    model: str = ""
    """Model."""
    serial: str = ""
    """Serial number."""
    point: str = ""
    """Where it measures."""
    required_error: Decimal
    """Accuracy asked of it, as a share: 0.005 for class 0.5."""

    def command(self) -> domain.Instrument:
        owner = key_of(self.organisation_id, "Organisation", "organisationId")
        return build(domain.Instrument, self, id=uuid7(), organisation_id=owner)


@object_type
class CreateInstrumentPayload(Payload):
    """The instrument as it was added."""

    instrument: Instrument | None = None
    """The new instrument."""


@input_type
class RecordCalibrationInput(MutationInput):
    """A calibration to record."""

    instrument_id: strawberry.ID
    """The instrument."""
    done_on: date
    """Day it was done."""
    valid_until: date
    """Last day it covers."""
    actual_error: Decimal
    """Error that was found, as a share."""
    certificate: str
    """Certificate: number or evidence."""


@object_type
class RecordCalibrationPayload(Payload):
    """The calibration as it was recorded."""

    calibration: Calibration | None = None
    """The calibration."""


@row_type
class ReadingInput:
    """A reading of a parameter of a plan in force."""

    parameter_id: strawberry.ID
    """The parameter; not one that is read from a stream."""
    day: date
    """Day."""
    batch: str = ""
    """Batch; one reading per day and batch."""
    value: Decimal
    """Value, in the unit of the parameter."""
    weight: Decimal | None = None
    """Weight in the mean of the month."""
    evidence: str = ""
    """Evidence."""
    note: str = ""
    """Note."""

    def command(self, *path: str) -> NewReading:
        return build(NewReading, self, parameter_id=key_of(self.parameter_id, "PlanParameter", *path, "parameterId"))


@input_type
class RecordReadingsInput(MutationInput):
    """Readings to record, at most 1000, all or none."""

    rows: list[ReadingInput]
    """The readings."""


@object_type
class RecordReadingsPayload(Payload):
    """The readings as they were recorded."""

    readings: list[ParameterReading]
    """One per row, in their order."""


@input_type
class SupersedeReadingInput(MutationInput):
    """A reading to withdraw or to correct."""

    id: strawberry.ID
    """The reading."""
    value: Decimal | None = None
    """The right value; withdrawn when not given."""
    reason: str
    """Why."""


@object_type
class SupersedeReadingPayload(Payload):
    """The reading in its place, or the withdrawn one."""

    reading: ParameterReading | None = None
    """The reading."""


@object_type
class ReadingQueries:
    """Instruments, readings and findings."""

    @query(requires(Permission.EMISSION_READ))
    async def instruments(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this organisation and all below it.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[Instrument]:
        """Instruments the caller may read, oldest first."""
        owner = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        page = await info.context.use(MonitoringService).page(
            info.context.principal, "instrument", PageRequest.read(first, after), organisation_id=owner
        )
        return Connection.of(page.map(Instrument.of))

    @query(requires(Permission.EMISSION_READ))
    async def monitoring_findings(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        from_: Annotated[date, strawberry.argument(name="from", description="First day.")],
        to: Annotated[date, strawberry.argument(description="Last day, at most 400 days on.")],
        kinds: Annotated[list[FindingKind] | None, strawberry.argument(description="Only these kinds.")] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[MonitoringFinding]:
        """Where readings fall short of the organisation's plans in force, by day and parameter."""
        owner = key_of(organisation_id, "Organisation", "organisationId")
        page = await info.context.use(MonitoringService).findings(
            info.context.principal, owner, (from_, to), kinds, PageRequest.read(first, after)
        )
        return Connection.of(page.map(MonitoringFinding.of))


@object_type
class ReadingMutations:
    """Changes to instruments and readings."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_instrument(self, info: Info, input: CreateInstrumentInput) -> CreateInstrumentPayload:
        """Add an instrument to an organisation."""
        done = await info.context.use(MonitoringService).add_instrument(info.context.actor(input), input.command())
        return CreateInstrumentPayload(errors=[], instrument=Instrument.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def record_calibration(self, info: Info, input: RecordCalibrationInput) -> RecordCalibrationPayload:
        """Record a calibration of an instrument."""
        key = key_of(input.instrument_id, "Instrument", "instrumentId")
        new = build(kept.Calibration, input, id=uuid7(), organisation_id=key, instrument_id=key)
        done = await info.context.use(MonitoringService).calibrate(info.context.actor(input), key, new)
        return RecordCalibrationPayload(errors=[], calibration=Calibration.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def record_readings(self, info: Info, input: RecordReadingsInput) -> RecordReadingsPayload:
        """Record readings of parameters of plans in force, all or none."""
        given = all_rows("rows", input.rows, ReadingInput.command)
        done = await info.context.use(MonitoringService).record(info.context.actor(input), given)
        readings = [ParameterReading.of(r) for r in done.value]
        return RecordReadingsPayload(errors=[], readings=readings, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def supersede_reading(self, info: Info, input: SupersedeReadingInput) -> SupersedeReadingPayload:
        """Withdraw a reading, or put the right value in its place."""
        key = key_of(input.id, "ParameterReading", "id")
        done = await info.context.use(MonitoringService).supersede(
            info.context.actor(input), key, input.value, input.reason
        )
        return SupersedeReadingPayload(errors=[], reading=ParameterReading.of(done.value), replayed=done.replayed)


async def fetch_instruments(keys: Sequence[UUID], info: Info) -> dict[UUID, Instrument]:
    found = await info.context.use(MonitoringService).by_ids(info.context.principal, "instrument", keys)
    return {key: Instrument.of(record) for key, record in found.items()}


async def fetch_calibrations(keys: Sequence[UUID], info: Info) -> dict[UUID, Calibration]:
    found = await info.context.use(MonitoringService).by_ids(info.context.principal, "calibration", keys)
    return {key: Calibration.of(record) for key, record in found.items()}


async def fetch_readings(keys: Sequence[UUID], info: Info) -> dict[UUID, ParameterReading]:
    found = await info.context.use(MonitoringService).by_ids(info.context.principal, "reading", keys)
    return {key: ParameterReading.of(record) for key, record in found.items()}


NODES = {
    "Instrument": (Instrument, fetch_instruments),
    "Calibration": (Calibration, fetch_calibrations),
    "ParameterReading": (ParameterReading, fetch_readings),
}
