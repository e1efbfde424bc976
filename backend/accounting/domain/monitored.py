"""What a monitoring plan expects, and where the readings fall short of it (8.2.4; rules of verification)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final
from uuid import UUID

from backend.accounting.domain.means import weighted_mean
from backend.accounting.domain.monitoring import Direction, Frequency, ParameterKind, PlanParameter
from backend.kit.errors import conflict, invalid, rule
from backend.kit.quantity import round_half_up

MOST_DAYS: Final = 400
_BY_DAY: Final = {Frequency.CONTINUOUS, Frequency.HOURLY, Frequency.DAILY}
DAY: Final = timedelta(days=1)


class FindingKind(StrEnum):
    """In which way readings fall short of the plan."""

    MISSING = "MISSING"
    """No reading came, and it is due (缺失)."""
    LATE = "LATE"
    """The first reading came after it was due (迟报)."""
    OUT_OF_RANGE = "OUT_OF_RANGE"
    """A reading lies outside the plausible range (超限)."""
    UNCALIBRATED = "UNCALIBRATED"
    """The instrument was out of calibration, or out of its class, on some days (未校准)."""
    DIVERGING = "DIVERGING"
    """A month differs from that of its cross-check by more than the tolerance (交叉校验偏差)."""


TODO_EN: Final = {
    FindingKind.MISSING: "Record the reading, or a conservative estimate with its reason.",
    FindingKind.LATE: "State why it came late; see that it comes in time.",
    FindingKind.OUT_OF_RANGE: "Check meter, unit and decimal point; correct the reading or give its proof.",
    FindingKind.UNCALIBRATED: "Calibrate the instrument; use the corrected value (`expected`) until then.",
    FindingKind.DIVERGING: "Compare invoice and meter line by line; correct the wrong one or explain it.",
}
TODO_ZH: Final = {
    FindingKind.MISSING: "补录读数，或说明理由后采用保守估计值。",
    FindingKind.LATE: "说明迟报原因，并确保按期记录。",
    FindingKind.OUT_OF_RANGE: "核对仪表、单位与小数点；更正读数或提供证明。",
    FindingKind.UNCALIBRATED: "校准该仪表；校准前采用修正值（expected）。",
    FindingKind.DIVERGING: "逐项比对结算凭证与计量记录；更正错误一方或说明原因。",
}
PERIOD_TOO_LONG = invalid(
    "PERIOD_TOO_LONG",
    en="Findings are listed for 1 to {most} days from `from`; {asked} were asked.",
    zh="一次可查询 1 至 {most} 天的监测发现，收到 {asked} 天。",
)
READING_TAKEN = conflict(
    "READING_TAKEN",
    en="{code} has a reading for {day} (batch '{batch}') already; supersede it.",
    zh="{code} 在 {day}（批次 '{batch}'）已有读数，请更正原读数。",
)
READING_OUTSIDE_PLAN = rule(
    "READING_OUTSIDE_PLAN",
    en="The plan of this parameter is {state} and not in force on {day}; readings belong to a plan in force.",
    zh="该参数的监测计划状态为 {state}，于 {day} 未生效；读数须属于生效的计划。",
)
READ_FROM_STREAM = rule(
    "READ_FROM_STREAM",
    en="{code} is read from the activity of its stream; record activity instead.",
    zh="{code} 取自排放流的活动数据，请录入活动数据。",
)
BAD_READING = invalid("BAD_READING", en="{reason}", zh="{reason_zh}")
READING_SUPERSEDED = conflict("READING_SUPERSEDED", en="The reading was superseded already.", zh="该读数已被更正。")


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibration of an instrument; `actual_error` as a share."""

    id: UUID
    organisation_id: UUID
    instrument_id: UUID
    done_on: date
    valid_until: date
    actual_error: Decimal
    certificate: str


@dataclass(frozen=True, slots=True)
class ParameterReading:
    """A reading of a quality or quantity parameter, in the unit of the parameter."""

    id: UUID
    organisation_id: UUID
    parameter_id: UUID
    code: str
    day: date
    batch: str
    value: Decimal
    weight: Decimal | None
    evidence: str
    note: str
    recorded_at: datetime | None = None
    superseded_at: datetime | None = None
    superseded_because: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A value of a day or batch, when it came, and its weight for the mean if it has one."""

    day: date
    value: Decimal
    recorded_on: date
    weight: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Covered:
    """A calibration: its validity, and the error that was found, as a share."""

    done_on: date
    valid_until: date
    actual_error: Decimal


@dataclass(frozen=True, slots=True)
class Watched:
    """A parameter with its readings, the days its plan is in force, and what measures it."""

    parameter: PlanParameter
    starts_on: date
    ends_on: date | None
    readings: tuple[Reading, ...]
    required_error: Decimal | None = None
    calibrations: tuple[Covered, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One shortfall. `value` is what was read, `expected` what it is held against, or the corrected value."""

    kind: FindingKind
    parameter_id: UUID
    code: str
    first_day: date
    last_day: date
    value: Decimal | None
    expected: Decimal | None

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.first_day.isoformat(), self.code, self.kind.value, str(self.parameter_id))


def period_of(frequency: Frequency, day: date) -> tuple[date, date]:
    """First and last day of the period in which one reading is expected."""
    if frequency in _BY_DAY:
        return day, day
    if frequency is Frequency.WEEKLY:
        first = day - day.weekday() * DAY
        return first, first + 6 * DAY
    if frequency is Frequency.YEARLY:
        return date(day.year, 1, 1), date(day.year, 12, 31)
    first = day.replace(day=1)
    return first, (first + 31 * DAY).replace(day=1) - DAY


def periods(frequency: Frequency, first: date, last: date) -> Iterator[tuple[date, date]]:
    """The periods that end between two days."""
    while first <= last:
        start, end = period_of(frequency, first)
        if end <= last:
            yield start, end
        first = end + DAY


def month_value(kind: ParameterKind, readings: Iterable[Reading]) -> Decimal | None:
    """The month made of its readings: their sum, or their mean by weight (arithmetic when a weight is missing).

    12 decimals, half-up. Source: Table 3, requirements; MEE guides weight solids by the amount received.
    """
    given = list(readings)
    if not given:
        return None
    if kind is ParameterKind.QUANTITY:
        return round_half_up(sum((Fraction(r.value) for r in given), Fraction(0)), 12)
    known = all(r.weight is not None for r in given)
    mean = weighted_mean((r.value, r.weight if known and r.weight is not None else Decimal(1)) for r in given)
    return None if mean is None else round_half_up(mean, 12)


def surcharge(day: date, required: Decimal, calibrations: Sequence[Covered]) -> Fraction:
    """The share by which a reading of a day is corrected: 0 in time and in class, what exceeds the class, or the class.

    Source: the verification guide, calibration rule: only the days that are not covered are corrected.
    """
    covering = [c for c in calibrations if c.done_on <= day <= c.valid_until]
    if not covering:
        return Fraction(required)
    latest = max(covering, key=lambda c: c.done_on)
    return max(Fraction(0), Fraction(latest.actual_error) - Fraction(required))


def findings(watched: Sequence[Watched], first: date, last: date, today: date) -> list[Finding]:
    """Every shortfall between two days, in the order of day, code and kind. Errors: PERIOD_TOO_LONG."""
    days = (last - first).days + 1
    if not 1 <= days <= MOST_DAYS:
        raise PERIOD_TOO_LONG(path=("from",), most=MOST_DAYS, asked=days)
    found: list[Finding] = []
    for item in watched:
        start = max(first, item.starts_on)
        end = min(last, item.ends_on - DAY) if item.ends_on else last
        if start > end:
            continue
        found += _expected(item, start, end, today)
        found += _out_of_range(item, start, end)
        found += _uncalibrated(item, start, end)
        found += _diverging(item, watched, start, end)
    return sorted(found, key=lambda f: f.key)


def _finding(
    item: Watched, kind: FindingKind, span: tuple[date, date], value: Decimal | None, expected: Decimal | None
) -> Finding:
    return Finding(kind, item.parameter.id, item.parameter.code, span[0], span[1], value, expected)


def _between(item: Watched, first: date, last: date) -> list[Reading]:
    return [r for r in item.readings if first <= r.day <= last]


def _expected(item: Watched, start: date, end: date, today: date) -> Iterator[Finding]:
    came: dict[date, list[Reading]] = {}
    for reading in item.readings:
        came.setdefault(period_of(item.parameter.frequency, reading.day)[0], []).append(reading)
    for span in periods(item.parameter.frequency, start, end):
        due = span[1] + item.parameter.due_days * DAY
        there = came.get(span[0], [])
        if not there and today > due:
            yield _finding(item, FindingKind.MISSING, span, None, None)
        elif there and min(r.recorded_on for r in there) > due:
            yield _finding(item, FindingKind.LATE, span, there[0].value, None)


def _out_of_range(item: Watched, start: date, end: date) -> Iterator[Finding]:
    low, high = item.parameter.lowest, item.parameter.highest
    for reading in _between(item, start, end):
        if low is not None and reading.value < low:
            yield _finding(item, FindingKind.OUT_OF_RANGE, (reading.day, reading.day), reading.value, low)
        if high is not None and reading.value > high:
            yield _finding(item, FindingKind.OUT_OF_RANGE, (reading.day, reading.day), reading.value, high)


def _uncalibrated(item: Watched, start: date, end: date) -> Iterator[Finding]:
    """Month by month; a reading that stands for a whole period is corrected by its share of uncovered days."""
    if item.required_error is None:
        return
    shares = {day: surcharge(day, item.required_error, item.calibrations) for day in _days(start, end)}
    sign = 1 if item.parameter.direction is Direction.INPUT else -1
    for first, last in sorted({period_of(Frequency.MONTHLY, day) for day, share in shares.items() if share}):
        readings = _between(item, max(first, start), min(last, end))
        value = month_value(item.parameter.kind, readings)
        uncovered = [d for d in _days(max(first, start), min(last, end)) if shares[d]]
        corrected = None
        if value is not None and item.parameter.kind is ParameterKind.QUANTITY:
            more = sum((Fraction(r.value) * _share(item, r, shares) for r in readings), Fraction(0))
            corrected = round_half_up(Fraction(value) + sign * abs(more), 12)
        yield _finding(item, FindingKind.UNCALIBRATED, (uncovered[0], uncovered[-1]), value, corrected)


def _share(item: Watched, reading: Reading, shares: dict[date, Fraction]) -> Fraction:
    first, last = period_of(item.parameter.frequency, reading.day)
    return sum((shares.get(d, Fraction(0)) for d in _days(first, last)), Fraction(0)) / ((last - first).days + 1)


def _diverging(item: Watched, watched: Sequence[Watched], start: date, end: date) -> Iterator[Finding]:
    mine = item.parameter
    if mine.partner_code is None or mine.tolerance is None:
        return
    other = next(
        (w for w in watched if (w.parameter.plan_id, w.parameter.code) == (mine.plan_id, mine.partner_code)), None
    )
    if other is None:
        return
    for first, last in periods(Frequency.MONTHLY, start.replace(day=1), end):
        value = month_value(mine.kind, _between(item, first, last))
        expected = month_value(other.parameter.kind, _between(other, first, last))
        if value is not None and expected is not None and abs(value - expected) > mine.tolerance * abs(expected):
            yield _finding(item, FindingKind.DIVERGING, (first, last), value, expected)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + n * DAY for n in range((last - first).days + 1))
