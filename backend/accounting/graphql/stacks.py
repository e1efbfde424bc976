"""GraphQL of measured stacks: monitors, and the months made of their hours and samples."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import strawberry

from backend.accounting.domain import stacks as domain
from backend.accounting.domain.stack_months import GapRule, fillings
from backend.accounting.domain.stacks import (
    ConcentrationUnit,
    NewMonitor,
    RowStatus,
    StackKind,
    StackRow,
    position_of,
)
from backend.accounting.files.stack_hours import read_hours
from backend.accounting.graphql.measured import (
    After,
    AtOrganisation,
    CauseRecord,
    First,
    OfOneStream,
    StreamRecord,
    Superseded,
    fetcher,
    listed,
    shown,
)
from backend.accounting.service.measurements import MeasurementReader
from backend.accounting.service.stacks import StackService
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.rows import all_rows, row_type
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from backend.kit.quantity import round_half_up
from tenants.access import Permission
from tenants.context import Info, requires

AMonth = Annotated["StackMonth", strawberry.lazy("backend.accounting.graphql.stacks")]

enum_type(GapRule, name="StackGapRule")
enum_type(StackKind, name="StackMonitorKind")
enum_type(ConcentrationUnit)
enum_type(RowStatus, name="StackHourStatus")


@object_type
class StackMonitor(StreamRecord):
    """What measures a stack (8.2.5.1): its flue gas is the stream."""

    code: str
    """Code."""
    kind: StackKind
    """Continuously, or by samples."""
    instrument_id: strawberry.ID | None
    """The instrument."""
    concentration_unit: ConcentrationUnit
    """What concentrations are read in; by mass: of gas at 0 °C and 101.325 kPa."""
    concentration_wet: bool
    """Whether concentrations are of wet gas."""
    flow_wet: bool
    """Whether flow is of wet gas."""
    flow_actual: bool
    """Whether flow is at actual temperature and pressure, not at 0 °C and 101.325 kPa."""
    gap_hours: int
    """Gaps up to so many hours take the mean of their neighbours; longer ones the highest of the month."""
    default_concentration: Decimal | None
    """Dry g/m³ for a month without any valid hour."""
    default_flow: Decimal | None
    """Dry m³/h at 0 °C and 101.325 kPa for a month without any valid hour."""

    @classmethod
    def of(cls, record: domain.StackMonitor) -> StackMonitor:
        key = record.instrument_id
        return shown(cls, record, instrument_id=to_id("Instrument", key) if key else None)


@object_type
class StackHour:
    """An hour (or a sample) as it was recorded."""

    day: int
    """Day of the month."""
    hour: int
    """Hour of the day, 0 to 23."""
    concentration: Decimal | None
    """Concentration, in the unit and state of the monitor."""
    flow: Decimal | None
    """Flow, m³/h in the state of the monitor."""
    temperature: Decimal | None
    """Temperature, °C."""
    pressure: Decimal | None
    """Absolute pressure, kPa."""
    moisture: Decimal | None
    """Moisture, %."""
    oxygen: Decimal | None
    """Oxygen, %."""
    hours: Decimal
    """Hours of operation it stands for."""
    status: RowStatus
    """What it is worth."""

    @classmethod
    def of(cls, row: StackRow) -> StackHour:
        return build(cls, row, day=row.position // 24 + 1, hour=row.position % 24)


@object_type
class FilledHour:
    """An hour that a gap rule filled, with what was put in."""

    day: int
    """Day of the month."""
    hour: int
    """Hour of the day, 0 to 23."""
    status: RowStatus
    """What was recorded of it; FAULT when nothing was."""
    concentration: Decimal
    """The concentration put in, dry g/m³ at 0 °C and 101.325 kPa."""
    flow: Decimal
    """The flow put in, dry m³/h at 0 °C and 101.325 kPa."""
    rule: GapRule
    """What it was filled by."""


@object_type
class StackMonth(CauseRecord):
    """A month of a stack: dry flue gas, mean concentration and mass, and how complete it is."""

    record: strawberry.Private[domain.StackMonth]
    monitor_id: strawberry.ID
    """The monitor."""
    month: Month
    """The month."""
    expected: int
    """Hours (samples) that were expected."""
    valid: int
    """How many of them are valid; stopped hours are."""
    concentration: Decimal
    """Mean concentration weighted by flow, g/m³ of dry gas."""
    mass_t: Decimal
    """Mass emitted, tonnes: Σ concentration × flow."""
    quantity: Decimal
    """Dry flue gas at 0 °C and 101.325 kPa, 1e4Nm3: the activity."""

    @strawberry.field
    def validity(self) -> Decimal:
        """Share of valid hours, 4 decimals."""
        return round_half_up(Decimal(self.valid) / self.expected, 4)

    @batched
    async def filled(parents: list[AMonth], info: Info) -> list[list[FilledHour]]:
        """The hours that a gap rule filled, with what was put in."""
        wanted = list({p.record.monitor_id for p in parents})
        found = await info.context.use(MeasurementReader).by_ids(info.context.principal, domain.StackMonitor, wanted)
        return [_filled(p.record, found[p.record.monitor_id]) for p in parents]

    @strawberry.field
    def rows(self) -> list[StackHour]:
        """The hours or samples as they were recorded."""
        return [StackHour.of(row) for row in self.record.rows]

    @classmethod
    def of(cls, record: domain.StackMonth) -> StackMonth:
        return shown(cls, record, record=record, monitor_id=to_id("StackMonitor", record.monitor_id))


def _filled(record: domain.StackMonth, monitor: domain.StackMonitor) -> list[FilledHour]:
    status = {row.position: row.status for row in record.rows}
    filled = fillings(monitor, record.month, record.rows, record.expected)
    return [
        FilledHour(
            day=at // 24 + 1, hour=at % 24, status=status.get(at, RowStatus.FAULT), concentration=filling.concentration,
            flow=filling.flow, rule=filling.rule,
        )
        for at, filling in sorted(filled.items())
    ]  # fmt: skip


@input_type
class SetStackMonitorInput(MutationInput):
    """A monitor to set up at a stream of flue gas."""

    stream_id: strawberry.ID
    """The stream, in 1e4Nm3."""
    code: str
    """Code."""
    kind: StackKind
    """Continuously, or by samples."""
    instrument_id: strawberry.ID | None = None
    """The instrument; a continuous monitor has one."""
    concentration_unit: ConcentrationUnit = ConcentrationUnit.G_PER_M3
    """What concentrations are read in."""
    concentration_wet: bool = False
    """Whether concentrations are of wet gas."""
    flow_wet: bool = False
    """Whether flow is of wet gas."""
    flow_actual: bool = False
    """Whether flow is at actual temperature and pressure."""
    gap_hours: int = 3
    """Gaps up to so many hours take the mean of their neighbours."""
    default_concentration: Decimal | None = None
    """Dry g/m³ for a month without any valid hour."""
    default_flow: Decimal | None = None
    """Dry m³/h at 0 °C and 101.325 kPa for a month without any valid hour."""
    evidence: str = ""
    """Reference of the evidence."""
    note: str = ""
    """Remark."""
    reason: str = ""
    """Why it takes the place of the monitor the stream has."""

    def command(self) -> NewMonitor:
        stream = key_of(self.stream_id, "EmissionStream", "streamId")
        instrument = key_of(self.instrument_id, "Instrument", "instrumentId") if self.instrument_id else None
        return build(NewMonitor, self, stream_id=stream, instrument_id=instrument)


@object_type
class SetStackMonitorPayload(Payload):
    """The monitor."""

    monitor: StackMonitor | None = None
    """The monitor as it now stands."""


@row_type
class StackHourInput:
    """An hour, or a sample."""

    day: int
    """Day of the month."""
    hour: int = 0
    """Hour of the day, 0 to 23."""
    concentration: Decimal | None = None
    """Concentration, in the unit and state of the monitor."""
    flow: Decimal | None = None
    """Flow, m³/h in the state of the monitor."""
    temperature: Decimal | None = None
    """Temperature, °C; needed when flow is at actual conditions."""
    pressure: Decimal | None = None
    """Absolute pressure, kPa; needed when flow is at actual conditions."""
    moisture: Decimal | None = None
    """Moisture, %; needed when something is read in wet gas."""
    oxygen: Decimal | None = None
    """Oxygen, %; kept for the record."""
    hours: Decimal = Decimal(1)
    """Hours of operation a sample stands for; 1 for an hour."""
    status: RowStatus = RowStatus.NORMAL
    """What it is worth."""

    def command(self, month: Month) -> StackRow:
        return build(StackRow, self, position=position_of(month, self.day, self.hour))


@input_type
class RecordStackHoursInput(MutationInput):
    """Hours (or samples) of a month to record, at most 744: as rows, or as the text of a CSV table."""

    monitor_id: strawberry.ID
    """The monitor."""
    month: Month
    """The month."""
    rows: list[StackHourInput] = strawberry.field(default_factory=list)
    """The hours."""
    csv: str = ""
    """The hours as a table with headings (日/day, 时/hour, 浓度/concentration, 流量/flow, …)."""
    reason: str = ""
    """Why hours that are recorded already are replaced."""

    def command(self) -> list[StackRow]:
        given = all_rows("rows", self.rows, lambda row: row.command(self.month))
        return given + (read_hours(self.csv, self.month) if self.csv else [])


@object_type
class RecordStackHoursPayload(Payload):
    """The month as it now stands."""

    month: StackMonth | None = None
    """The month."""


@input_type
class SupersedeStackMonthInput(MutationInput):
    """A month of a stack to withdraw."""

    id: strawberry.ID
    """The month that stands."""
    reason: str
    """Why."""


@object_type
class SupersedeStackMonthPayload(Payload):
    """The withdrawn month."""

    month: StackMonth | None = None
    """The month."""


@object_type
class StackQueries:
    """Measured stacks."""

    @query(requires(Permission.EMISSION_READ))
    async def stack_monitors(
        self, info: Info, organisation_id: AtOrganisation = None, stream_id: OfOneStream = None,
        superseded: Superseded = False, first: First = None, after: After = None,
    ) -> Connection[StackMonitor]:  # fmt: skip
        """Monitors of stacks the caller may read, oldest first."""
        return await listed(
            info, domain.StackMonitor, StackMonitor.of, PageRequest.read(first, after),
            organisation_id=organisation_id, stream_id=stream_id, superseded=superseded,
        )  # fmt: skip

    @query(requires(Permission.EMISSION_READ))
    async def stack_months(
        self, info: Info, organisation_id: AtOrganisation = None, stream_id: OfOneStream = None,
        superseded: Superseded = False, first: First = None, after: After = None,
    ) -> Connection[StackMonth]:  # fmt: skip
        """Months of stacks the caller may read, in the order they were recorded."""
        return await listed(
            info, domain.StackMonth, StackMonth.of, PageRequest.read(first, after),
            organisation_id=organisation_id, stream_id=stream_id, superseded=superseded,
        )  # fmt: skip


@object_type
class StackMutations:
    """Changes to measured stacks."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def set_stack_monitor(self, info: Info, input: SetStackMonitorInput) -> SetStackMonitorPayload:
        """Set a monitor up at a stream of flue gas, or put another in its place."""
        done = await info.context.use(StackService).set_up(info.context.actor(input), input.command(), input.reason)
        return SetStackMonitorPayload(errors=[], monitor=StackMonitor.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def record_stack_hours(self, info: Info, input: RecordStackHoursInput) -> RecordStackHoursPayload:
        """Record hours or samples of a month; its activity record and its measured coefficient follow."""
        monitor = key_of(input.monitor_id, "StackMonitor", "monitorId")
        done = await info.context.use(StackService).record(
            info.context.actor(input), monitor, input.month, input.command(), input.reason
        )
        return RecordStackHoursPayload(errors=[], month=StackMonth.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def supersede_stack_month(self, info: Info, input: SupersedeStackMonthInput) -> SupersedeStackMonthPayload:
        """Withdraw a month of a stack with its activity record and its coefficient."""
        key = key_of(input.id, "StackMonth", "id")
        done = await info.context.use(StackService).withdraw(info.context.actor(input), key, input.reason)
        return SupersedeStackMonthPayload(errors=[], month=StackMonth.of(done.value), replayed=done.replayed)


NODES = {
    "StackMonitor": (StackMonitor, fetcher(domain.StackMonitor, StackMonitor.of)),
    "StackMonth": (StackMonth, fetcher(domain.StackMonth, StackMonth.of)),
}
