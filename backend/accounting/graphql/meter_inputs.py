"""GraphQL inputs of meters."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import strawberry

from backend.accounting.domain.metering import MeterDirection, NewMeter, NewMeterReading, ReadingRule
from backend.accounting.service.meters import Removal
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.payloads import MutationInput
from backend.kit.graphql.rows import row_type
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, enum_type, input_type

enum_type(MeterDirection)
enum_type(ReadingRule, name="MeterReadingRule")


@input_type
class NewMeterInput:
    """A meter to put in."""

    instrument_id: strawberry.ID
    """The instrument, of the site of the stream."""
    unit: str
    """Unit of the register times the multiplier; one that fits the stream."""
    multiplier: Decimal = Decimal(1)
    """Ratio of its transformers, CT × PT."""
    direction: MeterDirection = MeterDirection.IMPORT
    """EXPORT for what is sold on: it counts against the stream."""
    digits: int = 8
    """Digits of the register before the point."""
    reading_rule: ReadingRule = ReadingRule.PRO_RATA
    """How months are cut out of its readings."""
    installed_on: date
    """The day, at whose end it begins to count; of a successor, the day the other was taken out."""
    first_reading: Decimal = Decimal(0)
    """What the register showed then."""
    evidence: str = ""
    """Reference of the evidence."""
    note: str = ""
    """Remark."""

    def command(self, *path: str) -> NewMeter:
        instrument = key_of(self.instrument_id, "Instrument", *path, "instrumentId")
        return build(NewMeter, self, instrument_id=instrument)


@input_type
class CreateMeterInput(MutationInput):
    """A meter to put in at a stream."""

    stream_id: strawberry.ID
    """The stream."""
    meter: NewMeterInput
    """The meter."""


@input_type
class RemoveMeterInput(MutationInput):
    """A meter to take out, and what comes in its place."""

    meter_id: strawberry.ID
    """The meter."""
    day: date
    """The day, at whose end it ceases to count."""
    value: Decimal
    """What its register showed then."""
    rolled_over: bool = False
    """Whether the register passed its highest number since the reading before."""
    successor: NewMeterInput | None = None
    """The meter that takes its place."""
    evidence: str = ""
    """Reference of the evidence."""
    note: str = ""
    """Remark."""

    def command(self) -> Removal:
        successor = self.successor.command("successor") if self.successor else None
        return build(Removal, self, meter_id=key_of(self.meter_id, "Meter", "meterId"), successor=successor)


@row_type
class MeterReadingInput:
    """A register reading."""

    meter_id: strawberry.ID
    """The meter."""
    day: date
    """The day, at whose end it was read."""
    value: Decimal
    """What the register showed."""
    rolled_over: bool = False
    """Whether the register passed its highest number since the reading before."""
    evidence: str = ""
    """Reference of the evidence."""
    note: str = ""
    """Remark."""

    def command(self, *path: str) -> NewMeterReading:
        return build(NewMeterReading, self, meter_id=key_of(self.meter_id, "Meter", *path, "meterId"))


@input_type
class RecordMeterReadingsInput(MutationInput):
    """Register readings to record, at most 1000."""

    rows: list[MeterReadingInput]
    """The readings."""
    all_or_nothing: bool = False
    """Record none when any row is refused."""


@input_type
class SupersedeMeterReadingInput(MutationInput):
    """A reading to withdraw or to correct."""

    id: strawberry.ID
    """The reading that stands."""
    reason: str
    """Why."""
    value: Decimal | None = None
    """The right value; withdrawn when not given."""
    rolled_over: bool = False
    """Whether the register passed its highest number since the reading before."""


@input_type
class SettleMetersInput(MutationInput):
    """Months of the meters of a stream to settle."""

    stream_id: strawberry.ID
    """The stream."""
    first_month: Month
    """The first month."""
    months: int = 1
    """How many, 1 to 12."""
    reason: str = ""
    """Why a month is settled anew, when it was settled before and has changed."""


@input_type
class SupersedeMeterMonthInput(MutationInput):
    """A settled month to withdraw."""

    id: strawberry.ID
    """The month that stands."""
    reason: str
    """Why."""
