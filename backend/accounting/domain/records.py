"""Records of what happened: activity (quantities of a stream) and declared results (tonnes of a gas).

A record is never edited. A correction is a new version of the same line (`line_id`), the old one keeps the moment and
the reason of its replacement; so what was known on any day can be asked of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.accounting.domain.factors import BIOGENIC_CO2, CO2E, Factor, Library
from backend.kit.errors import REASON_MISSING, conflict, invalid
from backend.kit.quantity import MASS, storable, times
from backend.kit.text import clean, tidy
from backend.kit.words import in_chinese
from tenants.domain import GwpSet

EARLIEST: Final = date(1990, 1, 1)

MONTH_OUT_OF_RANGE = invalid(
    "MONTH_OUT_OF_RANGE",
    en="{month} cannot be recorded: months from 1990-01 to the present one, {latest}, can.",
    zh="{month} 不能填报：可填报 1990-01 至当月 {latest}。",
)
BAD_PERIOD = invalid(
    "BAD_PERIOD",
    en="A result covers 1 to 12 months of one calendar year; {months} months from {first} do not.",
    zh="一项结果须为同一自然年内的 1 至 12 个月；自 {first} 起 {months} 个月不符合。",
)
NEGATIVE_MEASUREMENT = invalid(
    "NEGATIVE_MEASUREMENT",
    en="A measured mass is not negative; got {mass}. Only a mass balance or a factor result may be.",
    zh="监测所得质量不能为负，收到 {mass}。仅物料平衡或因子法结果可为负。",
)
ALREADY_SUPERSEDED = conflict(
    "ALREADY_SUPERSEDED",
    en="The record was superseded at {at}; supersede its latest version.",
    zh="该记录已于 {at_zh} 被替换；请对其最新版本操作。",
)
in_chinese({"DECLARED": "申报结果", "ACTIVITY": "活动数据"})
RESULT_OVERLAPS = conflict(
    "RESULT_OVERLAPS",
    en="The source already has a result for {gas} in this time: {earlier}. Supersede it, or use another source.",
    zh="该排放源在此期间已有 {gas_zh} 的结果：{earlier_zh}。请替换该结果，或使用其他排放源。",
)


DAY_NOT_OF_MONTH = invalid(
    "DAY_NOT_OF_MONTH",
    en="{day} is not a day of {month}; leave the day out, or write one of that month.",
    zh="{day} 不在 {month} 内；请省略日期，或填写该月的日期。",
)


def when_superseded(moment: datetime | None) -> dict[str, str]:
    """When a record was superseded, for the texts of ALREADY_SUPERSEDED; None: by somebody else in this moment."""
    return {"at": str(moment or "just now"), "at_zh": str(moment or "刚才")}


class BatchOrigin(StrEnum):
    """How lines came in."""

    ENTRY = "ENTRY"
    """Entered, one by one or many at a time."""
    IMPORT = "IMPORT"
    """Read from a file."""
    STOCK = "STOCK"
    """Follows from a stock ledger: opening + purchased − closing − sold."""
    METER = "METER"
    """Follows from meter readings."""
    MONITOR = "MONITOR"
    """Follows from continuous measurement or sampling of a stack."""


DERIVED: Final = frozenset({BatchOrigin.STOCK, BatchOrigin.METER, BatchOrigin.MONITOR})
"""Origins whose records follow from something else that is kept, and come and go with it."""


class Method(StrEnum):
    """How a declared result was obtained (8.2.5)."""

    MEASURED = "MEASURED"
    """Continuous or sampled measurement, 8.2.5.1 (监测法)."""
    MASS_BALANCE = "MASS_BALANCE"
    """Formula (1), 8.2.5.2 (物料平衡法)."""
    FACTOR = "FACTOR"
    """Formula (2), 8.2.5.3 (排放因子法)."""


@dataclass(frozen=True, slots=True)
class Period:
    """Whole months of one calendar year, so that an annual figure stays an annual figure."""

    first_month: date
    months: int = 1

    @property
    def last_month(self) -> date:
        return self.first_month.replace(month=self.first_month.month + self.months - 1)

    def __str__(self) -> str:
        first, last = f"{self.first_month:%Y-%m}", f"{self.last_month:%Y-%m}"
        return first if first == last else f"{first}/{last}"


def checked_month(month: date, today: date, *path: str) -> date:
    """Errors: MONTH_OUT_OF_RANGE."""
    if not EARLIEST <= month <= today:
        raise MONTH_OUT_OF_RANGE(path=path, month=f"{month:%Y-%m}", latest=f"{today:%Y-%m}")
    return month


def checked_period(period: Period, today: date) -> Period:
    """Errors: BAD_PERIOD, MONTH_OUT_OF_RANGE."""
    if not 1 <= period.months <= 13 - period.first_month.month:
        raise BAD_PERIOD(path=("months",), months=period.months, first=f"{period.first_month:%Y-%m}")
    checked_month(period.first_month, today, "firstMonth")
    checked_month(period.last_month, today, "months")
    return period


def checked_reason(written: str) -> str:
    """Errors: REASON_MISSING."""
    reason = tidy(written)
    if not reason:
        raise REASON_MISSING(path=("reason",))
    return reason


@dataclass(frozen=True, slots=True)
class NewActivity:
    """A quantity to record, as somebody wrote it. `stream` may be left out where the source has only one."""

    source_id: UUID
    month: date
    quantity: str
    unit: str
    stream: str | None = None
    evidence: str = ""
    note: str = ""
    occurred_on: date | None = None

    @property
    def day(self) -> date:
        """The day it counts on: the one it names, or the first of its month. Errors: DAY_NOT_OF_MONTH."""
        if self.occurred_on is None:
            return self.month
        if self.occurred_on.replace(day=1) != self.month:
            raise DAY_NOT_OF_MONTH(path=("occurredOn",), day=self.occurred_on, month=f"{self.month:%Y-%m}")
        return self.occurred_on


@dataclass(frozen=True, slots=True)
class ActivityRecord:
    """A recorded quantity: canonical, and as it was entered. Negative where something is exported or sold on."""

    id: UUID
    line_id: UUID
    stream_id: UUID
    source_id: UUID
    month: date
    occurred_on: date
    quantity: Decimal
    unit: str
    entered_quantity: Decimal
    entered_unit: str
    evidence: str
    note: str
    recorded_at: datetime
    superseded_at: datetime | None
    superseded_because: str | None
    origin: BatchOrigin = BatchOrigin.ENTRY


@dataclass(frozen=True, slots=True)
class ActivityChange:
    """What a new version of an activity record changes; what is None stays."""

    month: date | None = None
    quantity: str | None = None
    unit: str | None = None
    evidence: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class NewDeclaredResult:
    """A result that was worked out elsewhere: a mass of one gas over a period, in tonnes."""

    source_id: UUID
    first_month: date
    gas: str
    mass_t: Decimal
    method: Method
    months: int = 1
    evidence: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class DeclaredResult:
    """A declared result with the CO2 equivalent it was given, and the potential used (None for CO2E, biogenic)."""

    id: UUID
    line_id: UUID
    source_id: UUID
    first_month: date
    months: int
    gas: str
    mass_t: Decimal
    method: Method
    gwp_set: GwpSet
    gwp: Decimal
    gwp_factor_id: UUID | None
    co2e_t: Decimal
    evidence: str
    note: str
    recorded_at: datetime
    superseded_at: datetime | None
    superseded_because: str | None


@dataclass(frozen=True, slots=True)
class ResultChange:
    """What a new version of a declared result changes; what is None stays. The gas stays: withdraw it instead."""

    first_month: date | None = None
    months: int | None = None
    mass_t: Decimal | None = None
    method: Method | None = None
    evidence: str | None = None
    note: str | None = None
    gwp_set: GwpSet | None = None


@dataclass(frozen=True, slots=True)
class Weighed:
    """A gas in its library spelling, the potential applied, and the CO2 equivalent in tonnes."""

    gas: str
    gwp: Decimal
    factor_id: UUID | None
    co2e_t: Decimal


def weigh(gas: str, mass_t: Decimal, gwp_set: GwpSet, library: Library) -> Weighed:
    """Turn a mass of gas into CO2 equivalent, kept to 9 decimals.

    CO2E is taken as it is. Biogenic CO2 weighs nothing: it is reported beside the total, never in it (rules 2.14).
    Errors: UNKNOWN_GAS.
    """
    named = clean(gas).upper()
    if named == CO2E:
        return Weighed(CO2E, Decimal(1), None, times(mass_t, Decimal(1)))
    if named == BIOGENIC_CO2:
        return Weighed(BIOGENIC_CO2, Decimal(0), None, times(mass_t, Decimal(0)))
    factor: Factor = library.gwp(gas, gwp_set)
    return Weighed(factor.code, factor.value, factor.id, times(mass_t, factor.value))


def checked_result(new: NewDeclaredResult, today: date) -> NewDeclaredResult:
    """Errors: BAD_PERIOD, MONTH_OUT_OF_RANGE, NUMBER_OUT_OF_RANGE, NEGATIVE_MEASUREMENT."""
    checked_period(Period(new.first_month, new.months), today)
    if new.method is Method.MEASURED and new.mass_t < 0:
        raise NEGATIVE_MEASUREMENT(path=("massT",), mass=new.mass_t)
    return replace(new, mass_t=storable(new.mass_t, MASS), evidence=tidy(new.evidence), note=tidy(new.note))


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records to list. Without `known_at` the current ones; with it those that were current at that moment;
    `superseded` lists all versions.
    """

    organisation_id: UUID | None = None
    source_id: UUID | None = None
    from_month: date | None = None
    to_month: date | None = None
    known_at: datetime | None = None
    superseded: bool = False
