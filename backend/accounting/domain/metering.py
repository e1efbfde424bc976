"""Meters, their register readings, and what went through them in a month.

A reading stands for the end of its day. Between two readings what went through is spread evenly over the days; by the
rule MONTH_END a month is bounded by readings of exactly its last day and the last day of the month before. Registers
roll over at their number of digits. A meter counts from its installation to its removal; a replacement is a removal
and an installation on the same day. Uncovered days are corrected conservatively (verification guide, calibration):
what adds to emissions upwards, what takes from them downwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Final
from uuid import UUID

from backend.accounting.domain.measured import Cause, OfStream
from backend.accounting.domain.monitored import Covered, surcharge
from backend.accounting.domain.months import next_month
from backend.kit.errors import conflict, invalid, rule
from backend.kit.quantity import QUANTITY_DECIMALS, read_unit, round_half_up, trimmed

DAY: Final = timedelta(days=1)

BAD_METER = invalid("BAD_METER", en="{reason}", zh="{reason_zh}")
METER_COUNTS_BACK = rule(
    "METER_COUNTS_BACK",
    en="The register reads {value} on {day}, and {other} on {other_day}: it only counts up. Correct the reading, mark "
    "it as rolled over, or record the replacement of the meter.",
    zh="{day} 表底为 {value}，{other_day} 表底为 {other}：表底只增不减。请更正读数、标明翻转，或登记换表。",
)
METER_NOT_IN_SERVICE = rule(
    "METER_NOT_IN_SERVICE",
    en="The meter is in service from {since} to {until}; {day} lies outside. A reading is of a day in between.",
    zh="该表自 {since} 至 {until} 在用，{day} 不在其间。",
)
METER_READING_TAKEN = conflict(
    "METER_READING_TAKEN",
    en="The meter has a reading of {day} already; supersede that one.",
    zh="该表在 {day} 已有读数，请替换该读数。",
)
METER_READING_MISSING = rule(
    "METER_READING_MISSING",
    en="{meter} has no reading {needed}; record it, then settle the month.",
    zh="{meter} 缺少读数（{needed}）；请补录后再结算该月。",
)
FIRST_READING_STAYS = rule(
    "FIRST_READING_STAYS",
    en="The first reading of a meter is corrected by another value, not withdrawn.",
    zh="装表读数只能更正，不能撤回。",
)
NO_METER_IN_MONTH = rule(
    "NO_METER_IN_MONTH",
    en="No meter of the stream was in service in {month}.",
    zh="该流在 {month} 没有在用的计量表。",
)
MONTH_IS_SETTLED = conflict(
    "MONTH_IS_SETTLED",
    en="{month} is settled with {quantity} {unit} and would now be {now}; give a reason to settle it anew.",
    zh="{month} 已结算为 {quantity} {unit}，现应为 {now}；重新结算须填写理由。",
)


class MeterDirection(StrEnum):
    """Which way what goes through the meter counts."""

    IMPORT = "IMPORT"
    """Bought or consumed: counts as it is (输入)."""
    EXPORT = "EXPORT"
    """Sold on: counts as a negative quantity (输出)."""


class ReadingRule(StrEnum):
    """How months are cut out of readings."""

    MONTH_END = "MONTH_END"
    """By readings of exactly the last days of the months (月末抄表)."""
    PRO_RATA = "PRO_RATA"
    """By the days of the month between two readings (按日分摊)."""


class ReadingKind(StrEnum):
    """What a register reading marks."""

    INSTALLED = "INSTALLED"
    """The first one, when the meter was put in (装表)."""
    READ = "READ"
    """One in service (抄表)."""
    REMOVED = "REMOVED"
    """The last one, when the meter was taken out (拆表)."""


@dataclass(frozen=True, slots=True)
class NewMeter:
    """A meter to put in: an instrument of the site, at a stream. What went through = advance × multiplier, in `unit`.

    `multiplier` is that of current and voltage transformers (CT × PT); `digits` those of the register before the point.
    """

    instrument_id: UUID
    unit: str
    installed_on: date
    first_reading: Decimal
    multiplier: Decimal = Decimal(1)
    direction: MeterDirection = MeterDirection.IMPORT
    digits: int = 8
    reading_rule: ReadingRule = ReadingRule.PRO_RATA
    evidence: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter(OfStream):
    """A meter at a stream."""

    organisation_id: UUID
    instrument_id: UUID
    unit: str
    multiplier: Decimal
    direction: MeterDirection
    digits: int
    reading_rule: ReadingRule


@dataclass(frozen=True, slots=True)
class NewMeterReading:
    """A register reading to record."""

    meter_id: UUID
    day: date
    value: Decimal
    rolled_over: bool = False
    evidence: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading(OfStream):
    """What a register read at the end of a day."""

    meter_id: UUID
    day: date
    kind: ReadingKind
    value: Decimal
    rolled_over: bool = False


@dataclass(frozen=True, slots=True)
class MeterPart:
    """What one meter gave a month, in the canonical unit and signed: as measured, and as corrected.

    `from_day` (exclusive) to `to_day`; `uncovered_days` without a valid calibration, or worse than the class.
    """

    meter_id: UUID
    from_day: date
    to_day: date
    measured: Decimal
    corrected: Decimal
    uncovered_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterMonth(Cause):
    """A settled month of a stream's meters: `measured` as read, `quantity` as corrected and recorded."""

    measured: Decimal
    parts: tuple[MeterPart, ...]
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Metered:
    """A meter with everything its months follow from; readings by day."""

    meter: Meter
    name: str
    required_error: Decimal
    calibrations: tuple[Covered, ...]
    readings: tuple[MeterReading, ...]

    @property
    def since(self) -> date:
        return self.readings[0].day

    @property
    def until(self) -> date | None:
        last = self.readings[-1]
        return last.day if last.kind is ReadingKind.REMOVED else None


def checked_meter(new: NewMeter, path: str = "") -> NewMeter:
    """Errors: BAD_METER."""
    within = ((new.multiplier > 0 and new.multiplier < 10**9, "multiplier"), (1 <= new.digits <= 15, "digits"))
    for fits, field in (*within, (_fits(new.first_reading, new.digits), "firstReading")):
        if not fits:
            raise BAD_METER(
                path=(path, field) if path else (field,),
                reason="A multiplier lies between 0 and 1e9, a register has 1 to 15 digits, its readings 12 decimals.",
                reason_zh="倍率须大于 0 且小于 1e9，表底位数为 1 至 15，读数至多 12 位小数。",
            )
    return new


def check_reading(reading: MeterReading, meter: Meter, known: Sequence[MeterReading]) -> None:
    """Hold a reading against the others of its meter (by day, without it).

    Errors: BAD_METER, METER_READING_TAKEN, METER_NOT_IN_SERVICE, METER_COUNTS_BACK.
    """
    if not _fits(reading.value, meter.digits):
        most = f"{10**meter.digits - 1}"
        raise BAD_METER(
            path=("value",),
            reason=f"A reading of this register lies between 0 and {most}, with at most 12 decimals.",
            reason_zh=f"该表读数须在 0 与 {most} 之间，至多 12 位小数。",
        )
    if any(r.day == reading.day for r in known):
        raise METER_READING_TAKEN(path=("day",), day=reading.day)
    since = next((r.day for r in known if r.kind is ReadingKind.INSTALLED), None)
    until = next((r.day for r in known if r.kind is ReadingKind.REMOVED), None)
    outside = (since is not None and reading.day < since) or (until is not None and reading.day > until)
    if outside:
        raise METER_NOT_IN_SERVICE(path=("day",), since=since, until=until or "-", day=reading.day, source="9.1.1 b")
    check_order([*known, reading])


def check_order(readings: Sequence[MeterReading]) -> None:
    """The readings of a meter count up, but where they rolled over. Errors: METER_COUNTS_BACK."""
    for before, after in pairwise(sorted(readings, key=lambda r: r.day)):
        if after.rolled_over != (after.value < before.value):
            raise METER_COUNTS_BACK(
                path=("value",),
                value=after.value,
                day=after.day,
                other=before.value,
                other_day=before.day,
                source="9.1.1 b",
            )


def touched(readings: Sequence[MeterReading], day: date) -> tuple[date, date]:
    """First and last day on which what went through follows from a reading of `day`: up to its neighbours."""
    earlier = [r.day for r in readings if r.day < day]
    later = [r.day for r in readings if r.day > day]
    return max(earlier, default=day) + DAY, min(later, default=day)


def _fits(value: Decimal, digits: int) -> bool:
    return value.is_finite() and 0 <= value < 10**digits and round_half_up(value, QUANTITY_DECIMALS) == value


def part_of(metered: Metered, month: date, *, upwards: bool) -> MeterPart | None:
    """What a meter gave a month; None when it was not in service. `upwards`: whether its quantity adds to emissions.

    Months that follow one another add up to what their readings span, exactly. Errors: METER_READING_MISSING.
    """
    first, last = month - DAY, next_month(month) - DAY
    start = max(first, metered.since)
    end = min(last, metered.until or last)
    if start >= end:
        return None
    measured = _total_at(metered, end) - _total_at(metered, start)
    shares = {d: surcharge(d, metered.required_error, metered.calibrations) for d in _days(start, end)}
    more = round_half_up(sum((_day(metered, d) * s for d, s in shares.items() if s), Fraction(0)), QUANTITY_DECIMALS)
    corrected = measured + more if upwards else measured - more
    sign = 1 if metered.meter.direction is MeterDirection.IMPORT else -1
    uncovered = sum(1 for share in shares.values() if share)
    return MeterPart(metered.meter.id, start, end, trimmed(sign * measured), trimmed(sign * corrected), uncovered)


def _days(after: date, last: date) -> Iterator[date]:
    return (after + n * DAY for n in range(1, (last - after).days + 1))


def _advances(metered: Metered) -> Iterator[tuple[MeterReading, MeterReading, Fraction]]:
    """Neighbouring readings, and what went through between them in the canonical unit."""
    factor = Fraction(metered.meter.multiplier) * Fraction(read_unit(metered.meter.unit).factor)
    for before, after in pairwise(metered.readings):
        rolled = Fraction(10**metered.meter.digits) if after.rolled_over else Fraction(0)
        yield before, after, (Fraction(after.value) + rolled - Fraction(before.value)) * factor


def _total_at(metered: Metered, day: date) -> Decimal:
    """What went through from the installation to the end of a day. Errors: METER_READING_MISSING."""
    exact = metered.meter.reading_rule is ReadingRule.MONTH_END
    total = Fraction(0)
    if day == metered.since:
        return Decimal(0)
    for before, after, advance in _advances(metered):
        if day >= after.day:
            total += advance
            if day == after.day:
                return round_half_up(total, QUANTITY_DECIMALS)
        elif not exact:
            share = Fraction((day - before.day).days, (after.day - before.day).days)
            return round_half_up(total + advance * share, QUANTITY_DECIMALS)
        else:
            break
    needed = f"= {day}" if exact else f">= {day}"
    raise METER_READING_MISSING(path=("month",), meter=metered.name, needed=needed, source="9.1.1 b")


def _day(metered: Metered, day: date) -> Fraction:
    """What went through on a day."""
    for before, after, advance in _advances(metered):
        if before.day < day <= after.day:
            return advance / (after.day - before.day).days
    return Fraction(0)


CORRECTED: Final = "校准修正 calibration correction: "
"""What the words for a correction begin with, as they are kept."""


def settled(parts: Sequence[MeterPart], names: dict[UUID, str], month: date) -> tuple[Decimal, Decimal, str]:
    """Measured, corrected, and the words for the difference. Errors: NO_METER_IN_MONTH."""
    if not parts:
        raise NO_METER_IN_MONTH(path=("month",), month=f"{month:%Y-%m}", source="9.1.1 b")
    measured = trimmed(sum((p.measured for p in parts), Decimal(0)))
    corrected = trimmed(sum((p.corrected for p in parts), Decimal(0)))
    words = [
        f"{names[p.meter_id]} {trimmed(p.corrected - p.measured):+f} ({p.uncovered_days} d)"
        for p in parts
        if p.corrected != p.measured
    ]
    return measured, corrected, CORRECTED + "; ".join(words) if words else ""
