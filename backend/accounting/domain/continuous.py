"""Continuous measurement: hours of concentration and flow, brought to dry gas at 0 °C and 101.325 kPa, gaps filled by a
stated rule, and added up to a month (8.2.5.1; form C.8 of the steel guide).

E = Σ C·Q·10⁻⁶ in tonnes, C in g/m3 and Q in m3 an hour. Nothing is rounded before the month is handed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from backend.accounting.domain.methods.spec import GivenParameter
from backend.kit.errors import invalid, rule
from backend.kit.quantity import EMISSION_DECIMALS, QUANTITY_DECIMALS, round_half_up

CO2_DENSITY_G_PER_M3: Final = Fraction(4401, 100) / Fraction(22414, 1000) * 1000
_ZERO_CELSIUS_K: Final = Fraction("273.15")
_NORMAL_KPA: Final = Fraction("101.325")
HOUR: Final = timedelta(hours=1)

BAD_HOUR = invalid(
    "BAD_HOUR",
    en="{hour} is not an hour of {month}; write its beginning, such as {month}-01T00:00, and each hour once.",
    zh="{hour} 不是 {month} 内的整点小时；请填写小时起点（如 {month}-01T00:00），且每小时一条。",
)
BAD_MEASUREMENT = invalid(
    "BAD_MEASUREMENT",
    en="{hour}: {what} cannot be {value}; {need}.",
    zh="{hour}：{what} 不能为 {value}；{need_zh}。",
)
NOTHING_MEASURED = rule(
    "NOTHING_MEASURED",
    en="No hour of {month} has a measured {what}, and the gap rule has no default for it: record the month by another "
    "method, or give a default.",
    zh="{month} 没有任何小时测得 {what}，且缺失规则未设缺省值：请改用其他方法，或给出缺省值。",
)


class What(StrEnum):
    """The two measured quantities."""

    CONCENTRATION = "CONCENTRATION"
    """Mass of the gas per cubic metre (浓度)."""
    FLOW = "FLOW"
    """Flue gas per hour (流量)."""


class Fill(StrEnum):
    """Where the value of an hour comes from."""

    MEASURED = "MEASURED"
    """It was measured (实测)."""
    NEIGHBOURS = "NEIGHBOURS"
    """Mean of the hours before and after a short gap (前后均值)."""
    HIGHEST = "HIGHEST"
    """The highest of the month: emissions are not understated (当月最大值)."""
    DEFAULT = "DEFAULT"
    """The default of the monitoring plan (缺省值)."""


@dataclass(frozen=True, slots=True)
class Basis:
    """In which state the instruments report: by volume (percent) or mass (g/m3), wet or dry, actual or normal."""

    by_volume: bool = False
    wet_concentration: bool = False
    wet_flow: bool = False
    actual_flow: bool = False


@dataclass(frozen=True, slots=True)
class HourlyReading:
    """What the instruments said in an hour; None: nothing valid. Flow in m3/h, pressure absolute, moisture a share."""

    hour: datetime
    concentration: Decimal | None
    flow: Decimal | None
    temperature_c: Decimal | None = None
    pressure_kpa: Decimal | None = None
    moisture: Decimal | None = None
    operating: bool = True


@dataclass(frozen=True, slots=True)
class GapRule:
    """How a gap is filled: up to `neighbour_hours` by the mean of its neighbours, longer ones by `then`.

    `defaults` are in g/m3 and m3/h, dry and normal. The rule stands in the monitoring plan (rules 5).
    """

    neighbour_hours: int = 24
    then: Fill = Fill.HIGHEST
    defaults: Mapping[What, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class FilledHour:
    """An hour in dry normal state: g/m3 and m3, and where each came from."""

    hour: datetime
    concentration: Fraction
    flow: Fraction
    concentration_from: Fill
    flow_from: Fill

    @property
    def mass_t(self) -> Fraction:
        return self.concentration * self.flow / 10**6

    @property
    def measured(self) -> bool:
        return self.concentration_from is Fill.MEASURED and self.flow_from is Fill.MEASURED


@dataclass(frozen=True, slots=True)
class MeasuredMonth:
    """A month of hours: the mass of the gas in t, the dry flue gas in 10⁴ Nm3, and the share that was measured."""

    first_day: date
    hours: tuple[FilledHour, ...]

    @property
    def mass_t(self) -> Fraction:
        return sum((h.mass_t for h in self.hours), Fraction(0))

    @property
    def flow_1e4nm3(self) -> Fraction:
        return sum((h.flow for h in self.hours), Fraction(0)) / 10**4

    @property
    def validity(self) -> Fraction:
        """The share of operating hours that were measured; 1 when nothing ran."""
        return Fraction(sum(h.measured for h in self.hours), len(self.hours)) if self.hours else Fraction(1)

    def filled(self) -> dict[Fill, int]:
        """How many hours took a value of each origin, for concentration or flow."""
        return {f: sum(f in {h.concentration_from, h.flow_from} for h in self.hours) for f in Fill}

    def by_day(self) -> dict[date, tuple[Fraction, Fraction]]:
        """Per day, as form C.8 has it: dry flue gas in 10⁴ Nm3 and mass in t."""
        days: dict[date, tuple[Fraction, Fraction]] = {}
        for h in self.hours:
            flow, mass = days.get(h.hour.date(), (Fraction(0), Fraction(0)))
            days[h.hour.date()] = flow + h.flow / 10**4, mass + h.mass_t
        return days

    def parameters(self, source: str) -> dict[str, GivenParameter]:
        """What the method CONTINUOUS takes: the mass to 9 and the flow to 12 decimals. The flow is also the quantity
        of the stream, so that quantity × coefficient is the mass.
        """
        return {
            "mass": GivenParameter(round_half_up(self.mass_t, EMISSION_DECIMALS), "t", source),
            "dryFlow": GivenParameter(round_half_up(self.flow_1e4nm3, QUANTITY_DECIMALS), "1e4Nm3", source),
        }


def mass_concentration(volume_percent: Decimal) -> Fraction:
    """g/m3 of CO2 at 0 °C and 101.325 kPa of a share by volume: vol% / 100 × 44.01/22.414 × 1000."""
    return Fraction(volume_percent) / 100 * CO2_DENSITY_G_PER_M3


def normal_flow(flow_m3: Decimal, temperature_c: Decimal, pressure_kpa: Decimal) -> Fraction:
    """Nm3 of a volume at its temperature and absolute pressure: Q × 273.15/(273.15 + T) × P/101.325."""
    return (
        Fraction(flow_m3)
        * _ZERO_CELSIUS_K
        / (_ZERO_CELSIUS_K + Fraction(temperature_c))
        * (Fraction(pressure_kpa) / _NORMAL_KPA)
    )


def daily_mass_t(dry_flow_1e4nm3: Decimal, concentration_g_m3: Decimal) -> Fraction:
    """10⁴ Nm3 a day × g/m3 × 0.01: tonnes a day. Source: steel guide, form C.8."""
    return Fraction(dry_flow_1e4nm3) * Fraction(concentration_g_m3) / 100


def month(first_day: date, readings: Iterable[HourlyReading], basis: Basis, gaps: GapRule) -> MeasuredMonth:
    """A month of hours, every operating one with a value. An hour nobody recorded is a gap, as one without value is.

    Errors: BAD_HOUR, BAD_MEASUREMENT, NOTHING_MEASURED.
    """
    read = _by_hour(first_day, readings)
    hours = [h for h in _hours(first_day) if h not in read or read[h].operating]
    states = [_state(read[h], basis) if h in read else {} for h in hours]
    columns = {what: _filled([s.get(what) for s in states], what, first_day, gaps) for what in What}
    made = zip(hours, columns[What.CONCENTRATION], columns[What.FLOW], strict=True)
    return MeasuredMonth(first_day, tuple(FilledHour(h, c, q, c_from, q_from) for h, (c, c_from), (q, q_from) in made))


def _hours(first_day: date) -> list[datetime]:
    start = datetime(first_day.year, first_day.month, 1)  # noqa: DTZ001 - hours of the site's own clock
    end = (start + timedelta(days=31)).replace(day=1)
    return [start + n * HOUR for n in range((end - start) // HOUR)]


def _by_hour(first_day: date, readings: Iterable[HourlyReading]) -> dict[datetime, HourlyReading]:
    known = set(_hours(first_day))
    read: dict[datetime, HourlyReading] = {}
    for reading in readings:
        hour = reading.hour.replace(tzinfo=None)
        if hour not in known or hour in read:
            raise BAD_HOUR(path=("hours",), hour=f"{reading.hour:%Y-%m-%dT%H:%M}", month=f"{first_day:%Y-%m}")
        read[hour] = reading
    return read


def _state(reading: HourlyReading, basis: Basis) -> dict[What, Fraction]:
    """The hour in dry normal state, as far as its readings go. Without the temperature, pressure or moisture that a
    conversion needs, the value counts as missing.
    """
    _check(reading)
    state: dict[What, Fraction] = {}
    dry = None if reading.moisture is None else 1 - Fraction(reading.moisture)
    if reading.concentration is not None:
        value = mass_concentration(reading.concentration) if basis.by_volume else Fraction(reading.concentration)
        if not basis.wet_concentration:
            state[What.CONCENTRATION] = value
        elif dry is not None:
            state[What.CONCENTRATION] = value / dry
    if reading.flow is not None and (normal := _normal(reading, reading.flow, basis)) is not None:
        if not basis.wet_flow:
            state[What.FLOW] = normal
        elif dry is not None:
            state[What.FLOW] = normal * dry
    return state


def _normal(reading: HourlyReading, flow: Decimal, basis: Basis) -> Fraction | None:
    if not basis.actual_flow:
        return Fraction(flow)
    if reading.temperature_c is None or reading.pressure_kpa is None:
        return None
    return normal_flow(flow, reading.temperature_c, reading.pressure_kpa)


def _check(reading: HourlyReading) -> None:
    checks = (
        ("concentration", reading.concentration, Decimal(0), None, "it is not negative", "不能为负"),
        ("flow", reading.flow, Decimal(0), None, "it is not negative", "不能为负"),
        (
            "temperature",
            reading.temperature_c,
            Decimal(-100),
            Decimal(2000),
            "-100 to 2000 °C is",
            "应在 -100 至 2000 ℃",
        ),
        (
            "pressure",
            reading.pressure_kpa,
            Decimal(1),
            Decimal(1000),
            "absolute, 1 to 1000 kPa is",
            "绝对压力 1 至 1000 kPa",
        ),
        (
            "moisture",
            reading.moisture,
            Decimal(0),
            Decimal("0.95"),
            "a share from 0 to 0.95 is",
            "应为 0 至 0.95 的比例",
        ),
    )
    for what, value, low, high, need, need_zh in checks:
        if value is None:
            continue
        if not value.is_finite() or value < low or (high is not None and value > high):
            hour = f"{reading.hour:%Y-%m-%dT%H:%M}"
            raise BAD_MEASUREMENT(path=("hours",), hour=hour, what=what, value=value, need=need, need_zh=need_zh)


def _filled(
    values: Sequence[Fraction | None], what: What, first_day: date, gaps: GapRule
) -> list[tuple[Fraction, Fill]]:
    filled: list[tuple[Fraction, Fill]] = []
    measured = [v for v in values if v is not None]
    at = 0
    while at < len(values):
        value = values[at]
        if value is not None:
            filled.append((value, Fill.MEASURED))
            at += 1
            continue
        end = next((i for i in range(at, len(values)) if values[i] is not None), len(values))
        before, after = values[at - 1] if at else None, values[end] if end < len(values) else None
        if before is not None and after is not None and end - at <= gaps.neighbour_hours:
            gap = ((before + after) / 2, Fill.NEIGHBOURS)
        else:
            gap = _conservative(measured, what, first_day, gaps)
        filled += [gap] * (end - at)
        at = end
    return filled


def _conservative(measured: Sequence[Fraction], what: What, first_day: date, gaps: GapRule) -> tuple[Fraction, Fill]:
    default = (gaps.defaults or {}).get(what)
    if default is not None and (gaps.then is Fill.DEFAULT or not measured):
        return Fraction(default), Fill.DEFAULT
    if not measured:
        raise NOTHING_MEASURED(path=("hours",), month=f"{first_day:%Y-%m}", what=what)
    return max(measured), Fill.HIGHEST
