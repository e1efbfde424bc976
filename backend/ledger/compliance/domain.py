"""Allocation and compliance in whole tonnes: the stages of an allocation, what may be carried over, what is due when.

The figures of a plan, its years, shares and days, come from the rulebook (T/CIECCPA 061-2023 8.3.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from backend.kit.errors import CodedError, conflict, invalid, rule
from backend.kit.words import members_in_chinese
from backend.ledger.domain.lots import SerialBlock
from backend.ledger.domain.obligations import Obligation
from backend.ledger.domain.refusals import Refusal
from backend.ledger.domain.transfers import LegOrder
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
STAGE_TOO_EARLY = rule(
    "STAGE_TOO_EARLY",
    en="The stage {stage} of {year} cannot take effect on {on}: {earlier} before it took effect on {day}.",
    zh="{year} 年度的{stage_zh}不能自 {on} 起生效：此前的{earlier_zh}于 {day} 生效。",
)
YEAR_NOT_ALLOCATED = rule(
    "YEAR_NOT_ALLOCATED",
    en="In the market {market} no allowances are allocated for {year}, as far as the rulebook knows; it knows {known}. "
    "Rule {rule}: {source}.",
    zh="规则库中市场 {market} 没有 {year} 年度的配额分配；已知年度：{known}。规则 {rule}：{source}。",
)
ALLOCATION_YEAR_DRAFT = rule(
    "ALLOCATION_YEAR_DRAFT",
    en="That allowances are allocated for {year} rests on a draft; check the notice. Rule {rule}: {source}.",
    zh="{year} 年度的配额分配目前仅见于征求意见稿；请核对通知。规则 {rule}：{source}。",
)
ALLOCATION_YEAR_UNKNOWN = rule(
    "ALLOCATION_YEAR_UNKNOWN",
    en="The rulebook does not hold for which years the market {market} allocates; {year} was not judged.",
    zh="规则库未收录市场 {market} 的配额年度；{year} 年度是否分配配额未作判断。",
)
CARRY_OVER_TOO_EARLY = rule(
    "CARRY_OVER_TOO_EARLY",
    en="What may be carried over is counted at the end of {day}; {on} is not after it. Rule {rule}: {source}.",
    zh="最大可结转量以 {day} 日终为准；{on} 不晚于该日。规则 {rule}：{source}。",
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


def check_order(new: NewAllocation, on: date, before: Mapping[Stage, date]) -> None:
    """Stages go in their order, and so do the days they take effect on. Errors: STAGE_OUT_OF_ORDER, STAGE_TOO_EARLY."""
    order = list(Stage)
    said: dict[str, object] = {"stage": new.stage, "year": new.year}
    for other, day in before.items():
        if order.index(other) > order.index(new.stage):
            raise STAGE_OUT_OF_ORDER(path=("stage",), market=new.market, later=other, **said)
        if order.index(other) < order.index(new.stage) and on < day:
            raise STAGE_TOO_EARLY(path=("effectiveOn",), on=on, earlier=other, day=day, **said)


def year_remarks(market: str, year: int, known: Sequence[Rule], *path: str) -> tuple[CodedError, ...]:
    """What there is to say of a year that allowances are allocated for, by the rules that name such years (`known`).

    A market that names years names them all, so another is a slip of the pen. One that names none cannot be judged.
    Errors: YEAR_NOT_ALLOCATED.
    """
    path = path or ("year",)
    if not known:
        return (ALLOCATION_YEAR_UNKNOWN(path=path, market=market, year=year, rule="", source=""),)
    found = [r for r in known if r.years[0] <= year <= r.years[1]]
    if not found:
        spans = ", ".join(str(r.years[0]) if r.years[0] == r.years[1] else "-".join(map(str, r.years)) for r in known)
        last = max(known, key=lambda r: r.years[1])
        raise YEAR_NOT_ALLOCATED(path=path, market=market, year=year, known=spans, rule=last.code, source=last.source)
    drafts = () if any(r.must for r in found) else found[:1]
    return tuple(ALLOCATION_YEAR_DRAFT(path=path, year=year, rule=r.code, source=r.source) for r in drafts)


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
    effective_on: date | None = None
    """Today when not said."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """An allocation as recorded: the lot that came, or the transfer that took units back. `moved_by`: the transfer that
    brought or took them, which the remarks are kept with.
    """

    id: UUID
    organisation_id: UUID
    market: str
    year: int
    stage: Stage
    quantity_t: int
    evidence: str
    effective_on: date
    moved_by: UUID
    lot_id: UUID | None = None
    transfer_id: UUID | None = None
    recorded_at: datetime | None = None
    remarks: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class NewCarryOver:
    """Old units of an organisation to carry over into a year of a market; today when no day is said."""

    organisation_id: UUID
    market: str
    year: int
    legs: tuple[LegOrder, ...]
    evidence: str
    effective_on: date | None = None


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
    effective_on: date
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
