"""GraphQL of meters, their readings and their settled months."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import metering as domain
from backend.accounting.domain.metering import MeterDirection, ReadingKind, ReadingRule
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
from backend.accounting.graphql.meter_inputs import (
    CreateMeterInput,
    MeterReadingInput,
    RecordMeterReadingsInput,
    RemoveMeterInput,
    SettleMetersInput,
    SupersedeMeterMonthInput,
    SupersedeMeterReadingInput,
)
from backend.accounting.graphql.readings import Instrument, fetch_instruments
from backend.accounting.graphql.rows import read_rows
from backend.accounting.service.measurements import MeasurementReader
from backend.accounting.service.meters import MeterService, ReadingOutcome
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import Payload, UserError, user_error
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, enum_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(ReadingKind, name="MeterReadingKind")

AMeter = Annotated["Meter", strawberry.lazy("backend.accounting.graphql.meters")]


@object_type
class MeterReading(StreamRecord):
    """What a register read at the end of a day."""

    meter_id: strawberry.ID
    """The meter."""
    day: date
    """The day, at whose end it was read."""
    kind: ReadingKind
    """First, in service, or last."""
    value: Decimal
    """What the register showed."""
    rolled_over: bool
    """Whether the register passed its highest number since the reading before."""

    @classmethod
    def of(cls, record: domain.MeterReading) -> MeterReading:
        return shown(cls, record, meter_id=to_id("Meter", record.meter_id))


@object_type
class Meter(StreamRecord):
    """An instrument of a site that measures a stream by a register (计量表)."""

    key: strawberry.Private[UUID]
    instrument_key: strawberry.Private[UUID]
    unit: str
    """Unit of its register times the multiplier."""
    multiplier: Decimal
    """Ratio of its transformers, CT × PT (倍率)."""
    direction: MeterDirection
    """Whether it counts for the stream or against it."""
    digits: int
    """Digits of the register before the point; it rolls over behind them."""
    reading_rule: ReadingRule
    """How months are cut out of its readings."""

    @batched
    async def instrument(parents: list[AMeter], info: Info) -> list[Instrument | None]:
        """The instrument."""
        found = await fetch_instruments(list({p.instrument_key for p in parents}), info)
        return [found.get(p.instrument_key) for p in parents]

    @strawberry.field
    async def readings(
        self, info: Info, superseded: Superseded = False, first: First = None, after: After = None
    ) -> Connection[MeterReading]:
        """Its readings, in the order they were recorded."""
        page = await info.context.use(MeasurementReader).page(
            info.context.principal, domain.MeterReading, PageRequest.read(first, after), superseded=superseded,
            meter_id=self.key,
        )  # fmt: skip
        return Connection.of(page.map(MeterReading.of))

    @classmethod
    def of(cls, record: domain.Meter) -> Meter:
        return shown(cls, record, key=record.id, instrument_key=record.instrument_id)


@object_type
class MeterPart:
    """What one meter gave a month, in the canonical unit and signed."""

    meter_id: strawberry.ID
    """The meter."""
    from_day: date
    """It counts from the end of this day."""
    to_day: date
    """It counts to the end of this day."""
    measured: Decimal
    """As its readings say."""
    corrected: Decimal
    """Corrected for the days without a valid calibration, or worse than its class."""
    uncovered_days: int
    """How many such days."""

    @classmethod
    def of(cls, part: domain.MeterPart) -> MeterPart:
        return build(cls, part, meter_id=to_id("Meter", part.meter_id))


@object_type
class MeterMonth(CauseRecord):
    """A settled month of the meters of a stream: what was read, what was corrected, and why."""

    month: Month
    """The month."""
    measured: Decimal
    """What went through, imports less exports, as read."""
    quantity: Decimal
    """The same as corrected: the activity."""
    explanation: str
    """What was corrected and why; empty when nothing was."""
    parts: list[MeterPart]
    """Meter by meter."""

    @classmethod
    def of(cls, record: domain.MeterMonth) -> MeterMonth:
        return shown(cls, record, parts=[MeterPart.of(p) for p in record.parts])


@object_type
class MeterPayload(Payload):
    """The meter."""

    meter: Meter | None = None
    """The meter."""


@object_type
class CreateMeterPayload(MeterPayload):
    """The meter as it was put in."""


@object_type
class RemoveMeterPayload(MeterPayload):
    """The successor; without one, the meter that was taken out."""


@object_type
class MeterReadingOutcome:
    """What became of one row."""

    reading: MeterReading | None
    """The reading; null when the row was refused."""
    error: UserError | None
    """Why the row was refused."""

    @classmethod
    def of(cls, outcome: ReadingOutcome, info: Info) -> MeterReadingOutcome:
        reading, refusal = outcome.reading, outcome.refusal
        return cls(
            reading=MeterReading.of(reading) if reading else None,
            error=user_error(refusal.error(), info.context.locale) if refusal else None,
        )


@object_type
class RecordMeterReadingsPayload(Payload):
    """What became of each row."""

    outcomes: list[MeterReadingOutcome]
    """One per row, in their order."""


@object_type
class SupersedeMeterReadingPayload(Payload):
    """The reading as it now stands."""

    reading: MeterReading | None = None
    """The new version, or the withdrawn reading."""


@object_type
class SettleMetersPayload(Payload):
    """The months as they are settled."""

    months: list[MeterMonth]
    """One for each month asked."""


@object_type
class SupersedeMeterMonthPayload(Payload):
    """The withdrawn month."""

    month: MeterMonth | None = None
    """The month."""


@object_type
class MeterQueries:
    """Meters."""

    @query(requires(Permission.EMISSION_READ))
    async def meters(
        self, info: Info, organisation_id: AtOrganisation = None, stream_id: OfOneStream = None, first: First = None,
        after: After = None,
    ) -> Connection[Meter]:  # fmt: skip
        """Meters the caller may read, oldest first; those that were taken out too."""
        return await listed(
            info, domain.Meter, Meter.of, PageRequest.read(first, after), organisation_id=organisation_id,
            stream_id=stream_id,
        )  # fmt: skip

    @query(requires(Permission.EMISSION_READ))
    async def meter_months(
        self, info: Info, organisation_id: AtOrganisation = None, stream_id: OfOneStream = None,
        superseded: Superseded = False, first: First = None, after: After = None,
    ) -> Connection[MeterMonth]:  # fmt: skip
        """Settled months the caller may read, in the order they were settled."""
        return await listed(
            info, domain.MeterMonth, MeterMonth.of, PageRequest.read(first, after), organisation_id=organisation_id,
            stream_id=stream_id, superseded=superseded,
        )  # fmt: skip


@object_type
class MeterMutations:
    """Changes to meters."""

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def create_meter(self, info: Info, input: CreateMeterInput) -> CreateMeterPayload:
        """Put a meter in at a stream, with its first reading."""
        stream = key_of(input.stream_id, "EmissionStream", "streamId")
        done = await info.context.use(MeterService).install(info.context.actor(input), stream, input.meter.command())
        return CreateMeterPayload(errors=[], meter=Meter.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_MANAGE))
    async def remove_meter(self, info: Info, input: RemoveMeterInput) -> RemoveMeterPayload:
        """Take a meter out with its last reading, and put its successor in on the same day."""
        done = await info.context.use(MeterService).remove(info.context.actor(input), input.command())
        return RemoveMeterPayload(errors=[], meter=Meter.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def record_meter_readings(self, info: Info, input: RecordMeterReadingsInput) -> RecordMeterReadingsPayload:
        """Record up to 1000 readings, each judged on its own; months settled by them are settled anew."""
        rows = read_rows(input.rows, MeterReadingInput.command)
        done = await info.context.use(MeterService).read(
            info.context.actor(input), rows, all_or_nothing=input.all_or_nothing
        )
        outcomes = [MeterReadingOutcome.of(o, info) for o in done.value.outcomes]
        return RecordMeterReadingsPayload(errors=[], outcomes=outcomes, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def supersede_meter_reading(
        self, info: Info, input: SupersedeMeterReadingInput
    ) -> SupersedeMeterReadingPayload:
        """Put the right value in the place of a reading, or withdraw it; settled months follow."""
        key = key_of(input.id, "MeterReading", "id")
        done = await info.context.use(MeterService).supersede_reading(
            info.context.actor(input), key, input.reason, input.value, rolled_over=input.rolled_over
        )
        return SupersedeMeterReadingPayload(errors=[], reading=MeterReading.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def settle_meters(self, info: Info, input: SettleMetersInput) -> SettleMetersPayload:
        """Settle months of the meters of a stream into activity, corrected where calibration asks for it."""
        stream = key_of(input.stream_id, "EmissionStream", "streamId")
        done = await info.context.use(MeterService).settle(
            info.context.actor(input), stream, input.first_month, input.months, input.reason
        )
        return SettleMetersPayload(errors=[], months=[MeterMonth.of(m) for m in done.value], replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def supersede_meter_month(self, info: Info, input: SupersedeMeterMonthInput) -> SupersedeMeterMonthPayload:
        """Withdraw a settled month and its activity record."""
        key = key_of(input.id, "MeterMonth", "id")
        done = await info.context.use(MeterService).withdraw(info.context.actor(input), key, input.reason)
        return SupersedeMeterMonthPayload(errors=[], month=MeterMonth.of(done.value), replayed=done.replayed)


NODES = {
    "Meter": (Meter, fetcher(domain.Meter, Meter.of)),
    "MeterReading": (MeterReading, fetcher(domain.MeterReading, MeterReading.of)),
    "MeterMonth": (MeterMonth, fetcher(domain.MeterMonth, MeterMonth.of)),
}
