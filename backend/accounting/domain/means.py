"""Means with the right weights, and rounding for display (Table 3; steel guide 6.2.2.3).

Solid fuels: a month is weighted by the batches received, a year by what each month consumed. Gases and liquids:
several tests of a month count alike, a year is weighted by consumption. A month that consumed nothing drops out.
Rounding is for display only: nothing is computed from a displayed figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import floor
from typing import Final

from backend.accounting.domain.sources import Programme
from backend.kit.errors import invalid, rule
from backend.kit.quantity import round_half_up

Number = Decimal | Fraction

NEGATIVE_WEIGHT = invalid(
    "NEGATIVE_WEIGHT",
    en="A mean cannot be weighted by {weight}; a weight is a quantity from 0.",
    zh="加权平均的权重不能为 {weight}；权重须为不小于 0 的数量。",
)
MEAN_MISSING = rule(
    "MEAN_MISSING",
    en="{month} consumed {consumption} but has no tested value; test it, or use the default for that month.",
    zh="{month} 消耗 {consumption}，但没有检测值；请补充检测，或该月采用缺省值。",
)


class State(StrEnum):
    """How the tests of a month count."""

    SOLID = "SOLID"
    """By the quantity of the batch each was taken from (固体：按批次接收量加权)."""
    FLUID = "FLUID"
    """Alike (气体、液体：算术平均)."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A tested value, the quantity of its batch, and its mix (clinker, raw meal) if there are several."""

    value: Decimal
    quantity: Decimal = Decimal(1)
    mix: str = ""


@dataclass(frozen=True, slots=True)
class MonthMean:
    """A month: its mean if there was a test, and what was consumed."""

    month: date
    value: Number | None
    consumption: Decimal


def weighted_mean(pairs: Iterable[tuple[Number, Number]]) -> Fraction | None:
    """Σ value·weight / Σ weight, exactly; None when nothing weighs. Errors: NEGATIVE_WEIGHT."""
    above = below = Fraction(0)
    for value, weight in pairs:
        if weight < 0:
            raise NEGATIVE_WEIGHT(path=("quantity",), weight=weight)
        above += Fraction(value) * Fraction(weight)
        below += Fraction(weight)
    return above / below if below else None


def month_mean(state: State, samples: Sequence[Sample]) -> Fraction | None:
    """The mean of a month's tests; None without any."""
    return weighted_mean((s.value, s.quantity if state is State.SOLID else Decimal(1)) for s in samples)


def year_mean(months: Iterable[MonthMean]) -> Fraction | None:
    """Weighted by consumption; a month that consumed nothing drops out. Errors: MEAN_MISSING."""
    pairs: list[tuple[Number, Number]] = []
    for m in months:
        if m.consumption == 0:
            continue
        if m.value is None:
            raise MEAN_MISSING(path=("months",), month=f"{m.month:%Y-%m}", consumption=m.consumption)
        pairs.append((m.value, m.consumption))
    return weighted_mean(pairs)


def means_per_mix(samples: Iterable[Sample]) -> dict[str, Fraction]:
    """CaO, MgO or loss on ignition per mix, weighted by the quantity of each (Table 3, rows 1 to 3)."""
    by_mix: dict[str, list[tuple[Number, Number]]] = {}
    for s in samples:
        by_mix.setdefault(s.mix, []).append((s.value, s.quantity))
    means = {mix: weighted_mean(pairs) for mix, pairs in by_mix.items()}
    return {mix: mean for mix, mean in means.items() if mean is not None}


class Displayed(StrEnum):
    """What a displayed figure is."""

    QUANTITY = "QUANTITY"
    """Activity data (活动数据)."""
    NCV = "NCV"
    """Net calorific value (低位发热量)."""
    CARBON = "CARBON"
    """Carbon content or carbon per heat (含碳量)."""
    EMISSION = "EMISSION"
    """Emissions of a part (排放量)."""
    INTENSITY = "INTENSITY"
    """Emissions per unit of product (排放强度)."""
    ENTERPRISE_TOTAL = "ENTERPRISE_TOTAL"
    """Emissions of an enterprise: whole tonnes (企业排放总量)."""
    ALLOWANCE = "ALLOWANCE"
    """Allowances: whole, never up (配额)."""
    LOAD_FACTOR = "LOAD_FACTOR"
    """Load correction factor (负荷系数修正系数)."""
    SHORTFALL_RATE = "SHORTFALL_RATE"
    """Shortfall of allowances, percent (缺口率)."""


_DECIMALS: Final[Mapping[Displayed, int]] = {
    Displayed.QUANTITY: 2,
    Displayed.NCV: 3,
    Displayed.CARBON: 5,
    Displayed.EMISSION: 2,
    Displayed.INTENSITY: 4,
    Displayed.ENTERPRISE_TOTAL: 0,
    Displayed.ALLOWANCE: 0,
    Displayed.LOAD_FACTOR: 6,
    Displayed.SHORTFALL_RATE: 2,
}
DECIMALS: Final[Mapping[Programme, Mapping[Displayed, int]]] = dict.fromkeys(Programme, _DECIMALS)
"""Per programme; all follow the table of the steel guide until one says otherwise."""


def display(value: Number, what: Displayed, programme: Programme = Programme.GENERAL) -> Decimal:
    """A figure as the programme shows it: half-up, allowances down."""
    decimals = DECIMALS[programme][what]
    if what is Displayed.ALLOWANCE:
        return Decimal(floor(Fraction(value)))
    return round_half_up(value, decimals)
