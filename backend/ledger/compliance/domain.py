"""Allocation and compliance in whole tonnes: what is allocated, what may be carried over, what is due when.

Formulas of the national market (T/CIECCPA 061-2023 8.3.1; allocation plans 2019 to 2026). The figures of a plan, its
shares, caps and days, come from the rulebook; benchmarks and outputs are handed in. Allowances are rounded down.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.kit.errors import conflict, invalid, rule
from backend.kit.words import members_in_chinese
from backend.ledger.domain import Obligation, SerialBlock
from backend.ledger.rulebook.domain import DueEvent, Rule
from backend.ledger.rulebook.judging import floor

ALLOCATED_ALREADY = conflict(
    "ALLOCATED_ALREADY",
    en="The stage {stage} of {year} in the market {market} is recorded already; each stage is recorded once.",
    zh="市场 {market} {year} 年度的 {stage} 阶段已登记；每个阶段只登记一次。",
)
CARRY_OVER_CLOSED = rule(
    "CARRY_OVER_CLOSED",
    en="Nothing can be carried over into {year} in the market {market} on {on}: no rule in force allows it.",
    zh="市场 {market} 在 {on} 不可结转至 {year} 年度：没有现行规则允许。",
)
CARRY_OVER_EXCEEDED = rule(
    "CARRY_OVER_EXCEEDED",
    en="At most {most} t may be carried over; {earlier} t were, {left} t are left, {asked} t were asked for. "
    "Rule {rule}: {source}.",
    zh="最大可结转量为 {most} 吨，已结转 {earlier} 吨，剩余 {left} 吨，请求 {asked} 吨。规则 {rule}：{source}。",
)
CARRY_OVER_VINTAGE = rule(
    "CARRY_OVER_VINTAGE",
    en="Lot {lot} of vintage {vintage} cannot be carried over; vintages {first} to {last} of one origin can. "
    "Rule {rule}: {source}.",
    zh="批次 {lot}（年份 {vintage}）不可结转；可结转 {first} 至 {last} 年份且来源相同的配额。规则 {rule}：{source}。",
)
CARRY_OVER_UNCLEARED = rule(
    "CARRY_OVER_UNCLEARED",
    en="Carrying over needs the years {years} cleared in full and in time, which they are not. Rule {rule}: {source}.",
    zh="结转须 {years} 年度均按时足额清缴，目前未满足。规则 {rule}：{source}。",
)
NO_APPROVED_INVENTORY = rule(
    "NO_APPROVED_INVENTORY",
    en="The organisation has no approved inventory for {year}; approve one, or set the obligation by its figure.",
    zh="该组织没有 {year} 年度已批准的排放清单；请先批准清单，或直接填报应清缴量。",
)
CLAW_BACK_EXCEEDED = rule(
    "CLAW_BACK_EXCEEDED",
    en="{quantity} t cannot be taken back for {year}: {left} t of what was allocated are left.",
    zh="{year} 年度不能收回 {quantity} 吨：已发放且未收回的仅 {left} 吨。",
)
CLAW_BACK_NEEDS_LEGS = invalid(
    "CLAW_BACK_NEEDS_LEGS",
    en="{need}.",
    zh="{need_zh}。",
)
STAGE_OUT_OF_ORDER = rule(
    "STAGE_OUT_OF_ORDER",
    en="The stage {stage} of {year} in the market {market} cannot follow {later}: stages go PRE, FINAL, CLAW_BACK.",
    zh="市场 {market} {year} 年度的 {stage} 阶段不能在 {later} 之后登记：顺序为 PRE、FINAL、CLAW_BACK。",
)
MISSING_FIGURE = invalid(
    "MISSING_FIGURE",
    en="The figure {what} must lie between {least} and {most}; got {value}.",
    zh="数值 {what} 须在 {least} 与 {most} 之间，收到 {value}。",
)


class Stage(StrEnum):
    """Which step of an allocation units came, or went back, in."""

    PRE = "PRE"
    """In advance, on last year's figures (预分配)."""
    FINAL = "FINAL"
    """What the final allocation adds (最终核定补发)."""
    CLAW_BACK = "CLAW_BACK"
    """What the final allocation takes back (核减收回)."""


members_in_chinese(Stage, {"PRE": "预分配", "FINAL": "最终核定补发", "CLAW_BACK": "核减收回"})


def check_order(new: NewAllocation, before: Iterable[Stage]) -> None:
    """Stages go in their order. Errors: STAGE_OUT_OF_ORDER."""
    order = list(Stage)
    later = [s for s in before if order.index(s) > order.index(new.stage)]
    if later:
        raise STAGE_OUT_OF_ORDER(path=("stage",), stage=new.stage, year=new.year, market=new.market, later=later[0])


# Power 2023/24: units below this load factor are compensated; F is a fraction, in the exponent too.
_FULL_LOAD: Final = Decimal("0.65")


@dataclass(frozen=True, slots=True)
class PowerUnit:
    """A unit's year: electricity (MWh) and heat (GJ) supplied, their benchmarks (tCO2/MWh, tCO2/GJ), load factor."""

    electricity_mwh: Decimal
    heat_gj: Decimal
    electricity_benchmark: Decimal
    heat_benchmark: Decimal
    load_factor: Decimal
    compensated: bool = True
    """Conventional coal only."""


@dataclass(frozen=True, slots=True)
class PowerAllowance:
    """What a unit gets: the load correction (6 decimals) and allowances for electricity and heat, each rounded down."""

    load_correction: Decimal
    electricity_t: int
    heat_t: int

    @property
    def total_t(self) -> int:
        return self.electricity_t + self.heat_t


def load_correction(unit: PowerUnit) -> Decimal:
    """Ff = 1.015^(16 - 20 F) below a load factor of 65 %, else 1; six decimals, half up."""
    if not unit.compensated or unit.load_factor >= _FULL_LOAD:
        return Decimal(1)
    with localcontext(prec=34):
        factor = Decimal("1.015") ** (16 - 20 * unit.load_factor)
    return factor.quantize(Decimal("0.000001"), ROUND_HALF_UP)


def power_allowance(unit: PowerUnit) -> PowerAllowance:
    """A = Qe·Be·Ff + Qh·Bh (plan 2023/24, annex 2 and 3)."""
    correction = load_correction(unit)
    return PowerAllowance(
        correction,
        floor(unit.electricity_mwh * unit.electricity_benchmark * correction),
        floor(unit.heat_gj * unit.heat_benchmark),
    )


def intensity_allowance(emissions_t: Decimal, lead: Decimal) -> tuple[Decimal, int]:
    """Steel, cement, aluminium: α and A = E·(1 + α), α = 0.15·X and ±0.03 from |X| = 20 % on; X = (BP - I)/BP."""
    most = Decimal("0.03")
    alpha = min(max(Decimal("0.15") * lead, -most), most)
    return alpha, floor(emissions_t * (1 + alpha))


@dataclass(frozen=True, slots=True)
class ShortfallRelief:
    """The shortfall as a share of the emissions (2 decimals), what is topped up, and the allocation then."""

    rate: Decimal
    top_up_t: int
    final_t: int


def shortfall_relief(initial_t: int, verified_t: int, cap: Decimal) -> ShortfallRelief:
    """Tops an allocation up to (1 - cap) of the verified emissions, rounded down (五（三）2)."""
    top_up = max(floor(verified_t * (1 - cap)) - initial_t, 0)
    final = initial_t + top_up
    rate = Decimal(max(verified_t - final, 0)) / verified_t if verified_t else Decimal(0)
    return ShortfallRelief(rate.quantize(Decimal("0.01"), ROUND_HALF_UP), top_up, final)


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


def offsets_for(due_t: Decimal, available_t: int, share: Decimal) -> tuple[int, int]:
    """The most offsets that may serve, rounded down, and the allowances needed beside them."""
    most = min(floor(due_t * share), available_t)
    return most, ceiling(due_t) - most


def ceiling(value: Decimal) -> int:
    """What is due is met by whole units: a fraction takes one more."""
    return -floor(-value)


@dataclass(frozen=True, slots=True)
class CarryOverBase:
    """Sold, bought and held (t) of the vintages and days a carry-over rule names."""

    sold_t: int
    bought_t: int
    held_t: int

    @property
    def net_sold_t(self) -> int:
        return max(self.sold_t - self.bought_t, 0)


def most_carried_over(base: CarryOverBase, found: Rule) -> int:
    """T = min(⌊B + R·NS⌋, what is held at the end of the window) (annex 5)."""
    assert found.amount is not None, "a carry-over has its base amount"
    assert found.factor is not None, "a carry-over has its factor"
    return min(floor(found.amount + found.factor * base.net_sold_t), base.held_t)


def offshore_wind(
    export_mwh: Decimal, import_mwh: Decimal, meter_class: Decimal, margins: tuple[Decimal, Decimal],
    weights: tuple[Decimal, Decimal],
) -> tuple[Decimal, Decimal, Decimal]:  # fmt: skip
    """Net electricity (MWh), combined margin and reduction (tCO2) with meters calibrated late (CCER-01-002-V01).

    Conservative: exports are lowered by the class of the meter, imports raised. EF_CM is the weighted sum of the
    operating and the build margin.
    """
    net = export_mwh * (1 - meter_class) - import_mwh * (1 + meter_class)
    margin = sum((m * w for m, w in zip(margins, weights, strict=True)), Decimal(0))
    return net, margin, net * margin


@dataclass(frozen=True, slots=True)
class NewAllocation:
    """Units that an authority allocates, or takes back, in one stage of a year."""

    organisation_id: UUID
    market: str
    year: int
    stage: Stage
    quantity_t: int
    evidence: str
    scheme: str = ""
    issue_reference: str = ""
    serial: SerialBlock | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """An allocation as recorded: the lot that came, or the transfer that took units back."""

    id: UUID
    organisation_id: UUID
    market: str
    year: int
    stage: Stage
    quantity_t: int
    evidence: str
    lot_id: UUID | None = None
    transfer_id: UUID | None = None
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CarryOver:
    """Units carried over: the most there was, what had been before, and the transfer and lot it came to."""

    id: UUID
    organisation_id: UUID
    market: str
    year: int
    sold_t: int
    bought_t: int
    held_t: int
    most_t: int
    earlier_t: int
    quantity_t: int
    rule: str
    evidence: str
    transfer_id: UUID
    lot_id: UUID
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """Something that falls due, and how many days are left (negative: late)."""

    organisation_id: UUID | None
    market: str
    year: int
    event: DueEvent
    day: date
    days_left: int
    open_t: Decimal | None
    rule: Rule
    obligation: Obligation | None = None
    """What is owed; None when it concerns every entity of the market."""
