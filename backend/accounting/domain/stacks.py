"""Stacks that are measured: what a monitor shows hour by hour (or a sample now and then), and what a month makes of it.

Flue gas is counted dry, at 0 °C and 101.325 kPa; E = Σ C·Q. The month is one activity record, its dry flue gas in
10⁴ Nm3, and one basis of the class MEASURED, the mass over that flow, so that quantity × coefficient is Σ C·Q.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.accounting.domain.measured import Cause, OfStream
from backend.accounting.domain.months import next_month
from backend.kit.errors import conflict, invalid, rule
from backend.kit.quantity import QUANTITY_DECIMALS, round_half_up
from backend.kit.words import in_chinese

MOST_ROWS: Final = 744

in_chinese({
    "concentration": "浓度", "flow": "流量", "temperature": "温度", "pressure": "压力", "moisture": "湿度",
    "oxygen": "含氧量", "hours": "小时数", "gapHours": "缺测填补小时数", "defaultFlow": "缺省流量",
    "defaultConcentration": "缺省浓度", "instrumentId": "计量器具",
})  # fmt: skip
BAD_STACK_VALUE = invalid(
    "BAD_STACK_VALUE",
    en="{name} is {given}; it lies between {lowest} and {highest}, with at most 12 decimals.",
    zh="{name_zh}为 {given}；应在 {lowest} 与 {highest} 之间，至多 12 位小数。",
)
STACK_VALUE_MISSING = invalid(
    "STACK_VALUE_MISSING",
    en="A valid row of this monitor gives {names}; give them, or a status that says why it is not valid.",
    zh="该监测点的有效数据须给出 {names}；请补充，或以状态说明其无效原因。",
)
NO_SUCH_HOUR = invalid(
    "NO_SUCH_HOUR",
    en="Day {day} hour {hour} is none of {month} (days 1 to {days}, hours 0 to 23).",
    zh="{month} 没有 {day} 日 {hour} 时（日为 1 至 {days}，时为 0 至 23）。",
)
HOUR_TWICE = invalid(
    "HOUR_TWICE",
    en="Day {day} hour {hour} stands twice in this call; give it once.",
    zh="{day} 日 {hour} 时在本次调用中出现两次，请只给一次。",
)
HOURS_ALREADY_RECORDED = conflict(
    "HOURS_ALREADY_RECORDED",
    en="{count} of these hours of {month} are recorded already, the first on day {day}; give a reason to replace them.",
    zh="{month} 中有 {count} 个时段已有记录（首个为 {day} 日）；替换须填写理由。",
)
NOTHING_VALID = rule(
    "NOTHING_VALID",
    en="No row of {month} is valid, and the monitor has no default values to fill the gaps with.",
    zh="{month} 没有有效数据，且监测点未设置用于填补的缺省值。",
)
MONITOR_TAKEN = conflict(
    "MONITOR_TAKEN",
    en="The stream has a monitor already; supersede that one.",
    zh="该流已有监测点，请先替换。",
)
BAD_STACK_CSV = invalid(
    "BAD_STACK_CSV",
    en="The table cannot be read: {reason}. It has a line of headings; known ones: {known}.",
    zh="无法读取该表：{reason_zh}。首行为表头，可用表头：{known}。",
)
STACK_UNIT = rule(
    "STACK_UNIT",
    en="A stack is measured in flue gas: its stream counts in 1e4Nm3, this one in {unit}.",
    zh="烟气监测的流须以 1e4Nm3 计量，该流以 {unit} 计量。",
)


class StackKind(StrEnum):
    """How a stack is measured (8.2.5.1)."""

    CONTINUOUS = "CONTINUOUS"
    """Continuously on site, hour by hour (在线监测)."""
    SAMPLED = "SAMPLED"
    """By samples analysed off site, each for hours of operation (非现场取样监测)."""


class ConcentrationUnit(StrEnum):
    """What concentrations are read in."""

    G_PER_M3 = "G_PER_M3"
    """g/m³."""
    MG_PER_M3 = "MG_PER_M3"
    """mg/m³."""
    VOLUME_PERCENT = "VOLUME_PERCENT"
    """% by volume."""


class RowStatus(StrEnum):
    """What a row is worth."""

    NORMAL = "NORMAL"
    """Valid (正常)."""
    STOPPED = "STOPPED"
    """The source did not run: valid, nothing was emitted (停运)."""
    FAULT = "FAULT"
    """The monitor failed: filled by the gap rule (故障)."""
    CALIBRATING = "CALIBRATING"
    """The monitor was calibrated or serviced: filled by the gap rule (校准维护)."""


@dataclass(frozen=True, slots=True)
class NewMonitor:
    """A monitor to set up. Gaps of up to `gap_hours` are filled by their neighbours, longer ones by the highest value
    of the month; without any valid value by the defaults.
    """

    stream_id: UUID
    code: str
    kind: StackKind
    instrument_id: UUID | None = None
    concentration_unit: ConcentrationUnit = ConcentrationUnit.G_PER_M3
    concentration_wet: bool = False
    flow_wet: bool = False
    flow_actual: bool = False
    gap_hours: int = 3
    default_concentration: Decimal | None = None
    default_flow: Decimal | None = None
    evidence: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackMonitor(OfStream):
    """What measures a stack, and in which state it reads."""

    organisation_id: UUID
    instrument_id: UUID | None
    code: str
    kind: StackKind
    concentration_unit: ConcentrationUnit
    concentration_wet: bool
    flow_wet: bool
    flow_actual: bool
    gap_hours: int
    default_concentration: Decimal | None
    default_flow: Decimal | None


@dataclass(frozen=True, slots=True)
class StackRow:
    """One hour, or one sample. Concentration in the unit of the monitor, flow in m³/h, temperature in °C, pressure in
    kPa (absolute), moisture and oxygen in %; `hours` of operation that it stands for.
    """

    position: int
    concentration: Decimal | None = None
    flow: Decimal | None = None
    temperature: Decimal | None = None
    pressure: Decimal | None = None
    moisture: Decimal | None = None
    oxygen: Decimal | None = None
    hours: Decimal = Decimal(1)
    status: RowStatus = RowStatus.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class StackMonth(Cause):
    """A month of a stack: its rows column by column, and what they make.

    `concentration` g/m³ dry, weighted by flow; `mass_t` Σ C·Q; `quantity` dry flue gas in 10⁴ Nm3; `filled` the
    positions that a gap rule filled; `valid` of `expected` rows were valid.
    """

    monitor_id: UUID
    positions: tuple[int, ...]
    concentrations: tuple[Decimal | None, ...]
    flows: tuple[Decimal | None, ...]
    temperatures: tuple[Decimal | None, ...]
    pressures: tuple[Decimal | None, ...]
    moistures: tuple[Decimal | None, ...]
    oxygen: tuple[Decimal | None, ...]
    hours: tuple[Decimal, ...]
    statuses: tuple[RowStatus, ...]
    expected: int
    valid: int
    filled: tuple[int, ...]
    concentration: Decimal
    mass_t: Decimal

    @property
    def rows(self) -> tuple[StackRow, ...]:
        columns = (
            self.positions, self.concentrations, self.flows, self.temperatures, self.pressures, self.moistures,
            self.oxygen, self.hours, self.statuses,
        )  # fmt: skip
        return tuple(StackRow(*row) for row in zip(*columns, strict=True))


COLUMNS: Final = {
    "positions": "position",
    "concentrations": "concentration",
    "flows": "flow",
    "temperatures": "temperature",
    "pressures": "pressure",
    "moistures": "moisture",
    "oxygen": "oxygen",
    "hours": "hours",
    "statuses": "status",
}
"""The columns of a month, and the fields of a row they hold."""
_RANGES: Final[Mapping[str, tuple[Decimal, Decimal]]] = {
    "concentration": (Decimal(0), Decimal(10) ** 9),
    "flow": (Decimal(0), Decimal(10) ** 9),
    "temperature": (Decimal(-60), Decimal(1500)),
    "pressure": (Decimal(50), Decimal(150)),
    "moisture": (Decimal(0), Decimal(90)),
    "oxygen": (Decimal(0), Decimal(25)),
    "hours": (Decimal(0), Decimal(744)),
}


def hours_of(month: date) -> int:
    """How many hours a month has."""
    return 24 * (next_month(month) - month).days


def position_of(month: date, day: int, hour: int) -> int:
    """The place of an hour in its month, from 0. Errors: NO_SUCH_HOUR."""
    days = hours_of(month) // 24
    if not (1 <= day <= days and 0 <= hour <= 23):
        raise NO_SUCH_HOUR(path=("hour",), day=day, hour=hour, month=f"{month:%Y-%m}", days=days)
    return (day - 1) * 24 + hour


def checked_row(row: StackRow, monitor: StackMonitor) -> StackRow:
    """A row whose numbers are plausible and, when valid, complete. Errors: BAD_STACK_VALUE, STACK_VALUE_MISSING."""
    for name, (lowest, highest) in _RANGES.items():
        given: Decimal | None = getattr(row, name)
        if given is not None and not _plausible(given, lowest, highest):
            raise BAD_STACK_VALUE(path=(name,), name=name, given=str(given)[:60], lowest=lowest, highest=highest)
    if monitor.concentration_unit is ConcentrationUnit.VOLUME_PERCENT and (row.concentration or 0) > 100:
        raise BAD_STACK_VALUE(
            path=("concentration",), name="concentration", given=row.concentration, lowest=0, highest=100
        )
    missing = [n for n in _needed(monitor) if getattr(row, n) is None] if row.status is RowStatus.NORMAL else []
    if missing:
        raise STACK_VALUE_MISSING(path=(missing[0],), names=tuple(missing))
    return row


def _plausible(given: Decimal, lowest: Decimal, highest: Decimal) -> bool:
    return given.is_finite() and lowest <= given <= highest and round_half_up(given, QUANTITY_DECIMALS) == given


def _needed(monitor: StackMonitor) -> Iterable[str]:
    yield from ("concentration", "flow")
    if monitor.concentration_wet or monitor.flow_wet:
        yield "moisture"
    if monitor.flow_actual:
        yield from ("temperature", "pressure")


def together(
    month: date, known: Sequence[StackRow], new: Sequence[StackRow], *, replacing: bool
) -> tuple[StackRow, ...]:
    """The rows of a month, old and new, by position. Errors: HOUR_TWICE, HOURS_ALREADY_RECORDED."""
    rows = {row.position: row for row in known}
    both = [row.position for row in new if row.position in rows]
    if both and not replacing:
        raise HOURS_ALREADY_RECORDED(path=("reason",), count=len(both), month=f"{month:%Y-%m}", day=min(both) // 24 + 1)
    seen: set[int] = set()
    for row in new:
        if row.position in seen:
            raise HOUR_TWICE(path=("rows",), day=row.position // 24 + 1, hour=row.position % 24)
        seen.add(row.position)
        rows[row.position] = row
    return tuple(rows[position] for position in sorted(rows))


def checked_monitor(new: NewMonitor) -> NewMonitor:
    """Errors: BAD_STACK_VALUE."""
    defaults = (("default_concentration", new.default_concentration), ("default_flow", new.default_flow))
    for name, given in defaults:
        if given is not None and not (given > 0 and _plausible(given, Decimal(0), Decimal(10) ** 8)):
            path = "defaultFlow" if name == "default_flow" else "defaultConcentration"
            raise BAD_STACK_VALUE(path=(path,), name=path, given=str(given)[:60], lowest="> 0", highest="1e8")
    if not 0 <= new.gap_hours <= 72:
        raise BAD_STACK_VALUE(path=("gapHours",), name="gapHours", given=new.gap_hours, lowest=0, highest=72)
    if new.kind is StackKind.CONTINUOUS and new.instrument_id is None:
        raise STACK_VALUE_MISSING(path=("instrumentId",), names=("instrumentId",))
    return new
