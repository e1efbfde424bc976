"""What the rows of a month of a stack make: dry flue gas, mean concentration and mass, exactly.

Concentrations by mass are of flue gas at 0 °C and 101.325 kPa; % by volume is × 44.01/22.414 (CO2) × 10 g/m³. Wet
gas is brought to dry: C ÷ (1 − moisture), Q × (1 − moisture); flow at actual conditions × 273.15/(273.15 + T) ×
P/101.325. Gaps: up to `gap_hours` between two valid hours take the mean of both; longer ones, and those at the ends,
the highest concentration and the highest flow of the month; without any valid hour, the defaults of the monitor.
Never is less counted for want of data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import groupby
from typing import Final

from backend.accounting.domain.stacks import (
    NOTHING_VALID,
    ConcentrationUnit,
    RowStatus,
    StackKind,
    StackMonitor,
    StackRow,
)
from backend.kit.quantity import COEFFICIENT_DECIMALS, EMISSION_DECIMALS, QUANTITY_DECIMALS, round_half_up, trimmed

_PER_VOLUME: Final = Fraction("44.01") / Fraction("22.414") * 10
_KELVIN: Final = Fraction("273.15")
_NORMAL_KPA: Final = Fraction("101.325")


@dataclass(frozen=True, slots=True)
class Reduced:
    """A row in dry flue gas at 0 °C and 101.325 kPa: g/m³, m³/h, and the hours it stands for."""

    concentration: Fraction
    flow: Fraction
    hours: Fraction = Fraction(1)


class GapRule(StrEnum):
    """What a gap was filled by."""

    MEAN_OF_NEIGHBOURS = "MEAN_OF_NEIGHBOURS"
    """A short gap: the mean of the valid hours before and after it (前后有效值均值)."""
    HIGHEST_OF_MONTH = "HIGHEST_OF_MONTH"
    """A longer gap, or one at an end: the highest concentration and the highest flow of the month (当月最大值)."""
    MONITOR_DEFAULT = "MONITOR_DEFAULT"
    """No valid hour in the month: the defaults of the monitor (监测点缺省值)."""


@dataclass(frozen=True, slots=True)
class Filling:
    """What was put in for an hour, in dry gas, and by which rule."""

    value: Reduced
    rule: GapRule

    @property
    def concentration(self) -> Decimal:
        """g/m³, 12 decimals."""
        return trimmed(round_half_up(self.value.concentration, QUANTITY_DECIMALS))

    @property
    def flow(self) -> Decimal:
        """m³/h, 12 decimals."""
        return trimmed(round_half_up(self.value.flow, QUANTITY_DECIMALS))


@dataclass(frozen=True, slots=True)
class Made:
    """What a month makes: dry flue gas (10⁴ Nm3), mean concentration (g/m³), mass (t), and how it was filled."""

    quantity: Decimal
    concentration: Decimal
    mass_t: Decimal
    expected: int
    valid: int
    filled: tuple[int, ...]


def reduced(row: StackRow, monitor: StackMonitor) -> Reduced:
    """A valid row brought to dry gas at normal conditions; a stopped source emits nothing."""
    hours = Fraction(row.hours)
    if row.status is RowStatus.STOPPED:
        return Reduced(Fraction(0), Fraction(0), hours)
    assert row.concentration is not None
    assert row.flow is not None
    concentration, flow = Fraction(row.concentration), Fraction(row.flow)
    if monitor.concentration_unit is ConcentrationUnit.VOLUME_PERCENT:
        concentration *= _PER_VOLUME
    elif monitor.concentration_unit is ConcentrationUnit.MG_PER_M3:
        concentration /= 1000
    dry = 1 - Fraction(row.moisture or 0) / 100
    if monitor.concentration_wet:
        concentration /= dry
    if monitor.flow_wet:
        flow *= dry
    if monitor.flow_actual:
        assert row.temperature is not None
        assert row.pressure is not None
        flow *= _KELVIN / (_KELVIN + Fraction(row.temperature)) * Fraction(row.pressure) / _NORMAL_KPA
    return Reduced(concentration, flow, hours)


@dataclass(frozen=True, slots=True)
class Brought:
    """The rows of a month in dry gas at normal conditions, by position: valid ones, and those a gap rule filled."""

    valid: Mapping[int, Reduced]
    filled: Mapping[int, Filling]
    expected: int

    @property
    def hours(self) -> dict[int, Reduced]:
        """All of them as they count, by position."""
        return {**self.valid, **{position: filling.value for position, filling in self.filled.items()}}


def brought(monitor: StackMonitor, month: date, rows: Sequence[StackRow], expected: int) -> Brought:
    """Each row of a month as it counts; `expected` hours of a continuous monitor. Errors: NOTHING_VALID."""
    running = {r.position: reduced(r, monitor) for r in rows if r.status is RowStatus.NORMAL}
    stopped = {r.position: reduced(r, monitor) for r in rows if r.status is RowStatus.STOPPED}
    filled = fillings(monitor, month, rows, expected)
    if monitor.kind is not StackKind.CONTINUOUS:
        expected = len(rows)
        if not running and not stopped:
            raise _nothing(month)
    return Brought(running | stopped, filled, expected)


def month_of(monitor: StackMonitor, month: date, rows: Sequence[StackRow], expected: int) -> Made:
    """What a month makes of its rows. Errors: NOTHING_VALID."""
    all_ = brought(monitor, month, rows, expected)
    return _made([*all_.hours.values()], all_.expected, len(all_.valid), tuple(sorted(all_.filled)))


def fillings(monitor: StackMonitor, month: date, rows: Sequence[StackRow], expected: int) -> dict[int, Filling]:
    """What stands in for the hours a continuous monitor lacks, by position. Errors: NOTHING_VALID."""
    if monitor.kind is not StackKind.CONTINUOUS:
        return {}
    running = {r.position: reduced(r, monitor) for r in rows if r.status is RowStatus.NORMAL}
    there = {r.position for r in rows if r.status in {RowStatus.NORMAL, RowStatus.STOPPED}}
    return _filled(monitor, month, running, (p for p in range(expected) if p not in there))


def _filled(
    monitor: StackMonitor, month: date, running: Mapping[int, Reduced], gaps: Iterable[int]
) -> dict[int, Filling]:
    found: dict[int, Filling] = {}
    for _, run in groupby(enumerate(gaps), lambda pair: pair[1] - pair[0]):
        positions = [position for _, position in run]
        before, after = running.get(positions[0] - 1), running.get(positions[-1] + 1)
        if before is not None and after is not None and len(positions) <= monitor.gap_hours:
            mean = Reduced((before.concentration + after.concentration) / 2, (before.flow + after.flow) / 2)
            filling = Filling(mean, GapRule.MEAN_OF_NEIGHBOURS)
        else:
            filling = _highest(monitor, month, running)
        found |= dict.fromkeys(positions, filling)
    return found


def _highest(monitor: StackMonitor, month: date, running: Mapping[int, Reduced]) -> Filling:
    if running:
        highest = Reduced(max(r.concentration for r in running.values()), max(r.flow for r in running.values()))
        return Filling(highest, GapRule.HIGHEST_OF_MONTH)
    if monitor.default_concentration is None or monitor.default_flow is None:
        raise _nothing(month)
    default = Reduced(Fraction(monitor.default_concentration), Fraction(monitor.default_flow))
    return Filling(default, GapRule.MONITOR_DEFAULT)


def _nothing(month: date) -> Exception:
    return NOTHING_VALID(path=("rows",), month=f"{month:%Y-%m}", source="8.2.5.1")


def _made(rows: Sequence[Reduced], expected: int, valid: int, filled: tuple[int, ...]) -> Made:
    flow = sum((r.flow * r.hours for r in rows), Fraction(0))
    grams = sum((r.concentration * r.flow * r.hours for r in rows), Fraction(0))
    mean = grams / flow if flow else Fraction(0)
    return Made(
        trimmed(round_half_up(flow / 10_000, QUANTITY_DECIMALS)),
        trimmed(round_half_up(mean, COEFFICIENT_DECIMALS)),
        trimmed(round_half_up(grams / 1_000_000, EMISSION_DECIMALS)),
        expected,
        valid,
        filled,
    )
