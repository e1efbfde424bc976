"""An entitlement step by step: every figure with the formula it came by, the rule and where that is written. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from backend.ledger.entitlements.domain import (
    MISSING_FIGURE,
    MOST,
    MOST_PARTS,
    WRONG_PARTS,
    PowerUnit,
    deducted,
    differentiated,
    intensity_share,
    power_allowance,
    shortfall_relief,
)
from backend.ledger.rulebook.domain import Method, Rule, Sector
from backend.ledger.rulebook.judging import floor


class FigureCode(StrEnum):
    """What a figure on the way to an entitlement is."""

    ELECTRICITY_BENCHMARK = "ELECTRICITY_BENCHMARK"
    """Be, the benchmark of electricity (供电基准值)."""
    HEAT_BENCHMARK = "HEAT_BENCHMARK"
    """Bh, the benchmark of heat (供热基准值)."""
    LOAD_CORRECTION = "LOAD_CORRECTION"
    """Ff, the correction for a low load (负荷率修正系数)."""
    ELECTRICITY = "ELECTRICITY"
    """Ae, allowances for electricity (供电配额)."""
    HEAT = "HEAT"
    """Ah, allowances for heat (供热配额)."""
    GAS_TOP_UP = "GAS_TOP_UP"
    """What tops a gas unit up to its verified emissions (燃气机组补足量)."""
    LEAD = "LEAD"
    """X, by how much the intensity lies below the balance point (强度优于平衡点的比例)."""
    ALPHA = "ALPHA"
    """α, the share that is added or taken (调整系数)."""
    PART = "PART"
    """Allowances of a unit or line (机组或生产线配额)."""
    INITIAL = "INITIAL"
    """Allowances of all units or lines (初始配额)."""
    LEAST = "LEAST"
    """The least there is, by the cap on the shortfall (缺口上限对应的最低配额)."""
    SHORTFALL_TOP_UP = "SHORTFALL_TOP_UP"
    """What tops the entity up to it (缺口补足量)."""
    SHORTFALL_RATE = "SHORTFALL_RATE"
    """The shortfall that stays, as a share of the verified emissions (缺口率)."""
    FINAL = "FINAL"
    """The entitlement (最终核定配额)."""
    PRE_ALLOCATION = "PRE_ALLOCATION"
    """What is allocated in advance (预分配配额)."""
    ADJUSTMENT = "ADJUSTMENT"
    """What the final stage adds; negative: takes back (多退少补量)."""
    PRE_DEDUCTED = "PRE_DEDUCTED"
    """What is taken off the pre-allocation for earlier years (预分配扣减量)."""
    PRE_ISSUED = "PRE_ISSUED"
    """What is left of the pre-allocation (预分配发放量)."""
    DEDUCTION_RETURNED = "DEDUCTION_RETURNED"
    """What was taken off too much (退回的扣减量)."""
    FINAL_ISSUED = "FINAL_ISSUED"
    """What the final stage still gives (最终发放量)."""
    DEDUCTION_LEFT = "DEDUCTION_LEFT"
    """What is still owed from earlier years (剩余待扣减量)."""
    TO_ACCOUNT = "TO_ACCOUNT"
    """What goes to the account of an entity at risk (发放至账户的数量)."""
    LACKING = "LACKING"
    """What it lacks of what is due (应清缴不足量)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its measure. `part`: of which unit or line, empty for the entity; `rule`: of the rulebook, or the
    value's name in the factor library.
    """

    code: FigureCode
    value: Decimal
    measure: str
    formula: str
    rule: str
    source: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark of the library (tCO2/MWh or tCO2/GJ), its name there and its source."""

    value: Decimal
    measure: str
    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Line:
    """A production line's year: verified emissions (t), its intensity and the balance point in one measure; `special`:
    one that gets its verified emissions whatever its intensity.
    """

    name: str
    verified_t: Decimal
    intensity: Decimal | None = None
    balance_point: Decimal | None = None
    special: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose entitlement: units or lines of an entity, its verified emissions of the year and of the one before, what it
    owes from earlier years, what is due of an entity at risk; all t.
    """

    market: str
    sector: Sector
    year: int
    units: tuple[PowerUnit, ...] = ()
    lines: tuple[Line, ...] = ()
    verified_t: Decimal | None = None
    previous_t: Decimal | None = None
    owed_t: int | None = None
    due_t: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the rulebook says for a sector and year, as far as it is asked for, and the benchmarks by name."""

    on: date
    allocation: Rule
    cap: Rule | None = None
    pre: Rule | None = None
    deduction: Rule | None = None
    retention: Rule | None = None
    benchmarks: Mapping[str, Benchmark] = field(default_factory=dict)

    @property
    def rules(self) -> tuple[Rule, ...]:
        every = (self.allocation, self.cap, self.pre, self.deduction, self.retention)
        return tuple(r for r in every if r is not None)


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The entitlement, what is allocated in advance (None: not asked for), and every figure on the way, in order."""

    asked: Asked
    plan: Plan
    final_t: int
    pre_t: int | None
    figures: tuple[Figure, ...]


def check(asked: Asked, method: Method) -> None:
    """Refuse what cannot be reckoned from. Errors: WRONG_PARTS, MISSING_FIGURE."""
    need = "powerUnits" if method is Method.BENCHMARK else "lines"
    given, others = (asked.units, asked.lines) if method is Method.BENCHMARK else (asked.lines, asked.units)
    if others or not 1 <= len(given) <= MOST_PARTS:
        raise WRONG_PARTS(
            path=(need,), sector=asked.sector, year=asked.year, method=method,
            need=need, most=MOST_PARTS,
        )  # fmt: skip
    for i, unit in enumerate(asked.units):
        at = ("powerUnits", str(i))
        _within(unit.electricity_mwh, MOST, *at, "electricity")
        _within(unit.heat_gj, MOST, *at, "heat")
        if unit.kind.compensated:
            _within(unit.load_factor, Decimal(1), *at, "loadFactor")
        if unit.verified_t is not None:
            _within(unit.verified_t, MOST, *at, "verified")
    for i, line in enumerate(asked.lines):
        at = ("lines", str(i))
        _within(line.verified_t, MOST, *at, "verified")
        if method is Method.INTENSITY and not line.special:
            _within(line.intensity, MOST, *at, "intensity")
            _within(line.balance_point, MOST, *at, "balancePoint", above_zero=True)
    optional = {"verified": asked.verified_t, "previousVerified": asked.previous_t, "deductionOwed": asked.owed_t}
    for what, value in (optional | {"due": asked.due_t}).items():
        if value is not None:
            _within(Decimal(value), MOST, what)


def _within(value: Decimal | None, most: Decimal, *path: str, above_zero: bool = False) -> None:
    if value is None or not 0 <= value <= most or (above_zero and value == 0):
        least = "above 0" if above_zero else "0"
        raise MISSING_FIGURE(path=path, what=path[-1], least=least, most=most, value="-" if value is None else value)


def reckoned(asked: Asked, plan: Plan) -> Entitlement:
    """The entitlement of checked figures by a plan that has every rule it needs."""
    figures: list[Figure] = []
    parts = [list(_unit(u, plan)) for u in asked.units] + [list(_line(x, plan.allocation)) for x in asked.lines]
    for part in parts:
        figures += part
    final = initial = sum(int(part[-1].value) for part in parts)
    figures.append(_by(plan.allocation, FigureCode.INITIAL, initial, "ΣA"))
    formula = "INITIAL"
    if plan.cap is not None and asked.verified_t is not None:
        assert plan.cap.share is not None, "a cap has its share"
        relief = shortfall_relief(initial, asked.verified_t, plan.cap.share)
        final, formula = relief.final_t, "INITIAL+SHORTFALL_TOP_UP"
        figures += [
            _by(plan.cap, FigureCode.LEAST, relief.least_t, f"⌊E·(1-{plan.cap.share})⌋"),
            _by(plan.cap, FigureCode.SHORTFALL_TOP_UP, relief.top_up_t, "max(LEAST-INITIAL, 0)"),
            _by(plan.cap, FigureCode.SHORTFALL_RATE, relief.rate, "max(E-FINAL, 0)/E", "1"),
        ]
    figures.append(_by(plan.allocation, FigureCode.FINAL, final, formula))
    pre = None
    if plan.pre is not None and asked.previous_t is not None:
        assert plan.pre.share is not None, "a pre-allocation has its share"
        pre = floor(asked.previous_t * plan.pre.share)
        figures.append(_by(plan.pre, FigureCode.PRE_ALLOCATION, pre, f"⌊E'·{plan.pre.share}⌋"))
        figures.append(_by(plan.pre, FigureCode.ADJUSTMENT, final - pre, "FINAL-PRE_ALLOCATION"))
    figures += _issued(asked, plan, pre or 0, final)
    return Entitlement(asked, plan, final, pre, tuple(figures))


def _unit(unit: PowerUnit, plan: Plan) -> Iterator[Figure]:
    electricity, heat = plan.benchmarks[unit.kind], plan.benchmarks[unit.kind.heat]
    for code, found in ((FigureCode.ELECTRICITY_BENCHMARK, electricity), (FigureCode.HEAT_BENCHMARK, heat)):
        yield Figure(code, found.value, found.measure, "", found.name, found.source, unit.name)
    rule, numbers = plan.allocation, plan.allocation.figures
    made = power_allowance(unit, (electricity.value, heat.value), numbers)
    bent = f"{numbers['load_base']}^({numbers['load_from']}-{numbers['load_slope']}F), F<{numbers['full_load']}"
    yield _by(rule, FigureCode.LOAD_CORRECTION, made.load_correction, bent, "1", unit.name)
    yield _by(rule, FigureCode.ELECTRICITY, made.electricity_t, "⌊Qe·Be·Ff⌋", part=unit.name)
    yield _by(rule, FigureCode.HEAT, made.heat_t, "⌊Qh·Bh⌋", part=unit.name)
    total, formula = made.total_t, "Ae+Ah"
    if unit.kind.heat == "GAS_HEAT" and unit.verified_t is not None:
        more = max(floor(unit.verified_t) - total, 0)
        yield _by(rule, FigureCode.GAS_TOP_UP, more, "max(⌊E⌋-Ae-Ah, 0)", part=unit.name)
        total, formula = total + more, "Ae+Ah+GAS_TOP_UP"
    yield _by(rule, FigureCode.PART, total, formula, part=unit.name)


def _line(line: Line, rule: Rule) -> Iterator[Figure]:
    if rule.method is Method.VERIFIED or line.special:
        yield _by(rule, FigureCode.PART, floor(line.verified_t), "⌊E⌋", part=line.name)
        return
    assert line.balance_point is not None, "checked"
    assert line.intensity is not None, "checked"
    lead = (line.balance_point - line.intensity) / line.balance_point
    alpha = intensity_share(lead, rule.figures)
    yield _by(rule, FigureCode.LEAD, lead, "(BP-I)/BP", "1", line.name)
    bent = f"{rule.figures['slope']}X, at most ±{rule.figures['most']}"
    yield _by(rule, FigureCode.ALPHA, alpha, bent, "1", line.name)
    yield _by(rule, FigureCode.PART, floor(line.verified_t * (1 + alpha)), "⌊E·(1+α)⌋", part=line.name)


def _issued(asked: Asked, plan: Plan, pre: int, final: int) -> Iterator[Figure]:
    """What of it comes to the entity: less what is owed from earlier years, less what is kept back."""
    issued = final
    if plan.deduction is not None and asked.owed_t is not None:
        found = deducted(pre, final, asked.owed_t)
        issued = final - (asked.owed_t - found.remaining)
        for code, value, formula in (
            (FigureCode.PRE_DEDUCTED, found.pre_deducted, "min(PRE_ALLOCATION, owed)"),
            (FigureCode.PRE_ISSUED, found.pre_issued, "PRE_ALLOCATION-PRE_DEDUCTED"),
            (FigureCode.DEDUCTION_RETURNED, found.returned, "max(-ADJUSTMENT-PRE_ISSUED, 0)"),
            (FigureCode.FINAL_ISSUED, found.final_issued, "max(ADJUSTMENT-(owed-PRE_DEDUCTED), 0)"),
            (FigureCode.DEDUCTION_LEFT, found.remaining, "owed-taken+DEDUCTION_RETURNED"),
        ):
            yield _by(plan.deduction, code, value, formula)
    if plan.retention is not None and asked.due_t is not None:
        to_account, lacking = differentiated(issued, asked.due_t)
        yield _by(plan.retention, FigureCode.TO_ACCOUNT, to_account, "max(issued-due, 0)")
        yield _by(plan.retention, FigureCode.LACKING, lacking, "max(due-issued, 0)")


def _by(rule: Rule, code: FigureCode, value: Decimal | int, formula: str, measure: str = "t", part: str = "") -> Figure:
    return Figure(code, Decimal(value), measure, formula, rule.code, rule.source, part)


def known(rules: Sequence[Rule]) -> str:
    """What a rulebook holds, as a refusal names it."""
    named = (f"{', '.join(r.sectors) or '*'} {r.years[0]}-{r.years[1]} ({r.code})" for r in rules)
    return "; ".join(named) or "-"
