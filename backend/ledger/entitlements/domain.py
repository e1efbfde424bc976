"""The formulas of allocation plans in whole tonnes (8.3.1.1). Their numbers come from the rulebook, benchmarks from the
factor library; allowances are rounded down, always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from enum import StrEnum
from typing import Final

from backend.kit.errors import invalid, rule
from backend.ledger.rulebook.judging import floor

MOST_PARTS: Final = 500
MOST: Final = Decimal(10**12)
"""Of a year's output or emissions: what is above is a slip of the pen."""

NO_ALLOCATION_DATA = rule(
    "NO_ALLOCATION_DATA",
    en="The rulebook holds no {kind} for {sector} and {year} in the market {market} that is in force on {on}; it "
    "holds: {known}.",
    zh="规则库中没有市场 {market} 的{sector_zh}行业 {year} 年度在 {on} 有效的 {kind} 数据；现有：{known}。",
)
MISSING_FIGURE = invalid(
    "MISSING_FIGURE",
    en="The figure {what} must lie between {least} and {most}; got {value}.",
    zh="数值 {what} 须在 {least} 与 {most} 之间，收到 {value}。",
)
WRONG_PARTS = invalid(
    "WRONG_PARTS",
    en="For {sector} and {year} allowances are reckoned by {method}: give 1 to {most} of `{need}`, and no others.",
    zh="{sector_zh}行业 {year} 年度按 {method} 核定：请填写 1 至 {most} 个 {need}，不填其他。",
)


class PowerUnitKind(StrEnum):
    """What kind of unit makes power: its benchmarks in the library are of the same name."""

    COAL_ABOVE_300MW = "COAL_ABOVE_300MW"
    """Conventional coal above the 300 MW class: from 400 MW on, in spite of the name (300MW等级以上常规燃煤)."""
    COAL_UP_TO_300MW = "COAL_UP_TO_300MW"
    """Conventional coal up to the 300 MW class, below 400 MW (300MW等级及以下常规燃煤)."""
    UNCONVENTIONAL_COAL = "UNCONVENTIONAL_COAL"
    """Unconventional coal, circulating fluidised beds too (非常规燃煤)."""
    GAS = "GAS"
    """Gas (燃气)."""

    @property
    def heat(self) -> str:
        """What the benchmark of its heat is called."""
        return "GAS_HEAT" if self is PowerUnitKind.GAS else "COAL_HEAT"

    @property
    def compensated(self) -> bool:
        """Whether a low load is made up for: conventional coal only."""
        return self in {PowerUnitKind.COAL_ABOVE_300MW, PowerUnitKind.COAL_UP_TO_300MW}


@dataclass(frozen=True, slots=True)
class PowerUnit:
    """A unit's year: electricity (MWh) and heat (GJ) supplied, load factor (a fraction), verified emissions (t)."""

    name: str
    kind: PowerUnitKind
    electricity_mwh: Decimal
    heat_gj: Decimal = Decimal(0)
    load_factor: Decimal | None = None
    verified_t: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PowerAllowance:
    """What a unit gets: the load correction (6 decimals) and allowances for electricity and heat, each rounded down."""

    load_correction: Decimal
    electricity_t: int
    heat_t: int

    @property
    def total_t(self) -> int:
        return self.electricity_t + self.heat_t


def load_correction(unit: PowerUnit, figures: Mapping[str, Decimal]) -> Decimal:
    """Ff = 1.015^(16 - 20 F) below a load factor F of 65 %, a fraction in the exponent too, else 1; six decimals."""
    if not unit.kind.compensated or unit.load_factor is None or unit.load_factor >= figures["full_load"]:
        return Decimal(1)
    with localcontext(prec=34):
        factor = figures["load_base"] ** (figures["load_from"] - figures["load_slope"] * unit.load_factor)
    return factor.quantize(Decimal("0.000001"), ROUND_HALF_UP)


def power_allowance(
    unit: PowerUnit, benchmarks: tuple[Decimal, Decimal], figures: Mapping[str, Decimal]
) -> PowerAllowance:
    """A = Qe·Be·Ff + Qh·Bh (plan 2023/24, annex 2 and 3); the benchmarks in tCO2/MWh and tCO2/GJ."""
    correction = load_correction(unit, figures)
    return PowerAllowance(
        correction,
        floor(unit.electricity_mwh * benchmarks[0] * correction),
        floor(unit.heat_gj * benchmarks[1]),
    )


def intensity_share(lead: Decimal, figures: Mapping[str, Decimal]) -> Decimal:
    """α = 0.15·X, and ±0.03 from |X| = 20 % on, where the two meet."""
    return min(max(figures["slope"] * lead, -figures["most"]), figures["most"])


@dataclass(frozen=True, slots=True)
class ShortfallRelief:
    """The least that is allocated, what is topped up to it, the allocation then, and the shortfall that stays, as a
    share of the emissions (2 decimals).
    """

    least_t: int
    top_up_t: int
    final_t: int
    rate: Decimal


def shortfall_relief(initial_t: int, verified_t: Decimal, cap: Decimal) -> ShortfallRelief:
    """Tops an allocation up to (1 - cap) of the verified emissions, rounded down (五（三）2)."""
    least = floor(verified_t * (1 - cap))
    top_up = max(least - initial_t, 0)
    final = initial_t + top_up
    rate = max(verified_t - final, Decimal(0)) / verified_t if verified_t else Decimal(0)
    return ShortfallRelief(least, top_up, final, rate.quantize(Decimal("0.01"), ROUND_HALF_UP))


@dataclass(frozen=True, slots=True)
class Deducted:
    """How a deduction owed from earlier years meets the two stages of an allocation; all in one unit."""

    pre_deducted: int
    pre_issued: int
    returned: int
    final_issued: int
    remaining: int


def deducted(pre: int, final: int, owed: int) -> Deducted:
    """Takes what is owed from the pre-allocation first; a final below it gives the excess deduction back."""
    pre_deducted = min(pre, owed)
    pre_issued = pre - pre_deducted
    more = final - pre
    if more >= 0:
        taken = min(more, owed - pre_deducted)
        return Deducted(pre_deducted, pre_issued, 0, more - taken, owed - pre_deducted - taken)
    # The pre-allocation was too high: units in the account go back first, the rest of it was only ever deducted.
    returned = max(-more - pre_issued, 0)
    return Deducted(pre_deducted, pre_issued, returned, 0, owed - pre_deducted + returned)


def differentiated(issued: int, due: int) -> tuple[int, int]:
    """An entity at risk: what is due is kept back, the rest goes to its account; and what is lacking."""
    return max(issued - due, 0), max(due - issued, 0)
