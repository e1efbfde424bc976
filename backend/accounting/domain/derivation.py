"""How a coefficient came about: a tree of terms that can be kept, read again and recomputed to the last digit.

The terms at the top multiply to the coefficient, for each gas those that name it and those that name none. A computed
term keeps its formula, in the language of `expressions`, and its parts by symbol; every other term is a value as it was
written, with where it was read. Values meet in canonical units, so no hidden conversion stands between two terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import prod
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain.dimensions import GREENHOUSE_GAS, Bases, joined, shown, unit_of
from backend.accounting.domain.expressions.values import Value, evaluate
from backend.accounting.domain.factors import CO2, CO2E, DEFAULT_GWP_SET, Library
from backend.accounting.domain.methods.kinds import METHOD_OF, MethodKind
from backend.accounting.domain.records import Method, weigh
from backend.kit.errors import rule
from backend.kit.quantity import COEFFICIENT_DECIMALS, MASS, round_half_up
from tenants.domain import GwpSet

CARBON_TO_CO2: Final = "44/12"
_LARGEST: Final = Decimal(10) ** 15

COEFFICIENT_TOO_LARGE = rule(
    "COEFFICIENT_TOO_LARGE",
    en="The coefficient comes to {value} {unit}; below 10^15 can be kept. Check the units of the parameters.",
    zh="系数为 {value} {unit}；应小于 10^15。请核对各参数的单位。",
)
COEFFICIENT_UNIT = rule(
    "COEFFICIENT_UNIT",
    en="The terms of the coefficient multiply to {found}; they must come to a mass of gas per {unit}, the unit of the "
    "stream. Check the factor and the unit of the stream.",
    zh="系数各项相乘的单位为 {found}；应为每 {unit}（该流的单位）的气体质量。请核对因子与流的单位。",
)


class StepKind(StrEnum):
    """What one term of a coefficient stands for."""

    NCV = "NCV"
    """Net calorific value (低位发热量)."""
    CARBON_PER_HEAT = "CARBON_PER_HEAT"
    """Carbon per unit of heat (单位热值含碳量)."""
    CARBON_CONTENT = "CARBON_CONTENT"
    """Carbon per unit of material (含碳量)."""
    OXIDATION = "OXIDATION"
    """Carbon oxidation rate (碳氧化率)."""
    CARBON_TO_CO2 = "CARBON_TO_CO2"
    """Mass ratio of CO2 to carbon, exactly 44/12 (二氧化碳与碳的分子量之比)."""
    EMISSION_FACTOR = "EMISSION_FACTOR"
    """Emission factor of the library (排放因子)."""
    GAS_FACTOR = "GAS_FACTOR"
    """Mass of a gas per unit of activity (气体排放因子)."""
    EMBEDDED_CARBON = "EMBEDDED_CARBON"
    """CO2 equivalent of the carbon in a product (产品隐含碳)."""
    DEDUCTION = "DEDUCTION"
    """CO2 saved by an alternative raw material (扣减系数)."""
    OWN_FACTOR = "OWN_FACTOR"
    """Emission factor of the tenant's own (自有因子)."""
    SUBTRACTED = "SUBTRACTED"
    """The sign: what leaves is subtracted (扣减)."""
    MEASUREMENT = "MEASUREMENT"
    """A measured or analysed value (实测值)."""
    CONSTANT = "CONSTANT"
    """A constant of conversion or of chemistry (常数)."""
    COMPUTED = "COMPUTED"
    """Worked out from its parts by its formula (计算值)."""


STEP_NAMES_ZH: Final = {
    StepKind.NCV: "低位发热量",
    StepKind.CARBON_PER_HEAT: "单位热值含碳量",
    StepKind.CARBON_CONTENT: "含碳量",
    StepKind.OXIDATION: "碳氧化率",
    StepKind.CARBON_TO_CO2: "二氧化碳与碳的分子量之比",
    StepKind.EMISSION_FACTOR: "排放因子",
    StepKind.GAS_FACTOR: "气体排放因子",
    StepKind.EMBEDDED_CARBON: "产品隐含碳",
    StepKind.DEDUCTION: "扣减系数",
    StepKind.OWN_FACTOR: "自有因子",
    StepKind.SUBTRACTED: "扣减（取负）",
    StepKind.MEASUREMENT: "实测值",
    StepKind.CONSTANT: "常数",
    StepKind.COMPUTED: "计算值",
}
STEP_NAMES_EN: Final = {
    StepKind.NCV: "Net calorific value",
    StepKind.CARBON_PER_HEAT: "Carbon per heat",
    StepKind.CARBON_CONTENT: "Carbon content",
    StepKind.OXIDATION: "Oxidation rate",
    StepKind.CARBON_TO_CO2: "CO2 to carbon mass ratio",
    StepKind.EMISSION_FACTOR: "Emission factor",
    StepKind.GAS_FACTOR: "Gas emission factor",
    StepKind.EMBEDDED_CARBON: "Embedded carbon",
    StepKind.DEDUCTION: "Deduction",
    StepKind.OWN_FACTOR: "Own factor",
    StepKind.SUBTRACTED: "Subtracted",
    StepKind.MEASUREMENT: "Measured value",
    StepKind.CONSTANT: "Constant",
    StepKind.COMPUTED: "Computed",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One term: its value as written (a decimal, or a ratio such as 44/12), its unit, and where it was read.

    `factor_id` names the factor, `parameter` and `source` a value somebody gave. A computed term has `formula` and
    `parts`, which the formula names by their `symbol`. `gas`: the one it concerns, at the top of a tree; empty for all.
    """

    kind: StepKind
    written: str
    unit: str
    factor_id: UUID | None = None
    symbol: str = ""
    label_zh: str = ""
    label_en: str = ""
    parameter: str = ""
    source: str = ""
    formula: str = ""
    parts: tuple[Step, ...] = ()
    gas: str = ""

    @property
    def value(self) -> Fraction:
        """In canonical units: 99 % is 0.99, and 240 g/m3 is 2.4 t per 1e4Nm3."""
        return Fraction(self.written) * unit_of(self.unit).scale

    @property
    def bases(self) -> Bases:
        return unit_of(self.unit).bases

    @property
    def shown(self) -> Decimal:
        """As a decimal; a ratio that does not end is kept to 18 decimals."""
        if "/" not in self.written:
            return Decimal(self.written)
        return round_half_up(Fraction(self.written), COEFFICIENT_DECIMALS)

    def label(self, locale: str) -> str:
        """Its name in the language asked for."""
        if locale == "zh-CN":
            return self.label_zh or STEP_NAMES_ZH[self.kind]
        return self.label_en or STEP_NAMES_EN[self.kind]


@dataclass(frozen=True, slots=True)
class GasTerm:
    """Tonnes of one gas per unit of activity, 18 decimals, and the potential it is weighed by (0: biogenic CO2)."""

    gas: str
    value: Decimal
    gwp: Decimal
    gwp_factor_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Coefficient:
    """tCO2e per canonical unit of a stream, of which gases, and how it came about."""

    co2e_per_unit: Decimal
    unit: str
    gases: tuple[GasTerm, ...]
    gwp_set: GwpSet
    method: Method
    kind: MethodKind
    steps: tuple[Step, ...]

    @property
    def value(self) -> Decimal:
        return self.co2e_per_unit

    @property
    def gas(self) -> str:
        """The gas it yields: the only one, or CO2E for several."""
        return self.gases[0].gas if len(self.gases) == 1 else CO2E


def written(value: Fraction) -> str:
    """A rational without loss: as a decimal where it ends within 60 digits, else as a ratio."""
    below, twos, fives = value.denominator, 0, 0
    while below % 2 == 0:
        below, twos = below // 2, twos + 1
    while below % 5 == 0:
        below, fives = below // 5, fives + 1
    places = max(twos, fives)
    if below != 1 or places > 60:
        return f"{value.numerator}/{value.denominator}"
    digits = f"{abs(value.numerator) * 10**places // value.denominator:0{places + 1}d}"
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[: len(digits) - places]}.{digits[len(digits) - places :]}" if places else f"{sign}{digits}"


def computed(
    kind: StepKind,
    unit: str,
    formula: str,
    *parts: Step,
    symbol: str = "",
    label_zh: str = "",
    label_en: str = "",
    gas: str = "",
) -> Step:
    """A term worked out from others. Errors: those of an expression; its unit must come to `unit`."""
    made = evaluate(formula, {p.symbol: Value(p.value, p.bases) for p in parts})
    wanted = unit_of(unit)
    assert made.bases == wanted.bases, f"{formula} does not come to {unit}"
    return Step(
        kind,
        written(made.value / wanted.scale),
        unit,
        symbol=symbol,
        label_zh=label_zh,
        label_en=label_en,
        formula=formula,
        parts=parts,
        gas=gas,
    )


def exact(quantity: Decimal, steps: Sequence[Step], gwps: Mapping[str, Decimal] | None = None) -> Fraction:
    """Quantity × coefficient without any rounding, every computed term worked out anew from its leaves: the reference
    that Python and SQL are held against. `gwps`: the potential per gas, 1 where it is not named.
    """
    potentials = gwps or {}
    per_unit = sum((Fraction(potentials.get(gas, 1)) * _product(steps, gas) for gas in gases_of(steps)), Fraction(0))
    return Fraction(quantity) * per_unit


def recomputed(step: Step) -> Fraction:
    """The value of a term from its leaves, in canonical units."""
    if not step.formula:
        return step.value
    return evaluate(step.formula, {p.symbol: Value(recomputed(p), p.bases) for p in step.parts}).value


def gases_of(steps: Iterable[Step]) -> tuple[str, ...]:
    """The gases a tree names, in order; one nameless gas when it names none."""
    return tuple(dict.fromkeys(s.gas for s in steps if s.gas)) or ("",)


def _product(steps: Iterable[Step], gas: str) -> Fraction:
    return prod((recomputed(s) for s in steps if s.gas in {"", gas}), start=Fraction(1))


def coefficient(
    steps: Sequence[Step],
    *,
    unit: str,
    gas: str,
    library: Library,
    kind: MethodKind,
    gwp_set: GwpSet = DEFAULT_GWP_SET,
) -> Coefficient:
    """The product of the steps, per gas; `gas` is what steps that name none yield.

    Each gas is kept to 18 decimals, half-up; tCO2e is the sum of what was kept × GWP, kept likewise. Errors:
    UNKNOWN_GAS, COEFFICIENT_UNIT, COEFFICIENT_TOO_LARGE.
    """
    terms = []
    for named in gases_of(steps):
        weighed = weigh(named or gas, Decimal(1), gwp_set, library)
        _check_unit(steps, named, weighed.gas, unit)
        value = round_half_up(_product(steps, named), COEFFICIENT_DECIMALS)
        terms.append(GasTerm(weighed.gas, value, weighed.gwp, weighed.factor_id))
    total = sum((Fraction(t.value) * Fraction(t.gwp) for t in terms), Fraction(0))
    mass = "tCO2" if all(t.gas == CO2 for t in terms) else "tCO2e"
    kept = round_half_up(total, COEFFICIENT_DECIMALS)
    if max(abs(kept), *(abs(t.value) for t in terms)) >= _LARGEST:
        raise COEFFICIENT_TOO_LARGE(path=("method",), value=f"{kept:.3e}", unit=f"{mass}/{unit}")
    return Coefficient(kept, f"{mass}/{unit}", tuple(terms), gwp_set, METHOD_OF[kind], kind, tuple(steps))


def _check_unit(steps: Sequence[Step], named: str, gas: str, unit: str) -> None:
    """A mass of the gas, named or plain, per unit of the stream."""
    found: Bases = ()
    for step in steps:
        if step.gas in {"", named}:
            found = joined(found, step.bases)
    mass = joined(found, unit_of(unit).bases)
    if mass not in {((MASS, 1),), ((GREENHOUSE_GAS, 1),), ((f"t{gas}", 1),)}:
        raise COEFFICIENT_UNIT(path=("method",), found=shown(found), unit=unit)


_TEXTS: Final = ("symbol", "label_zh", "label_en", "parameter", "source", "formula", "gas")


def as_json(step: Step) -> dict[str, Any]:
    """A term as JSON keeps it; what is empty is left out."""
    kept: dict[str, Any] = {"kind": step.kind.value, "written": step.written, "unit": step.unit}
    if step.factor_id is not None:
        kept["factor_id"] = str(step.factor_id)
    kept |= {name: text for name in _TEXTS if (text := getattr(step, name))}
    if step.parts:
        kept["parts"] = [as_json(p) for p in step.parts]
    return kept


def from_json(kept: Mapping[str, Any]) -> Step:
    """The term that `as_json` wrote, and those kept before there were trees."""
    return Step(
        StepKind(kept["kind"]),
        kept["written"],
        kept["unit"],
        UUID(kept["factor_id"]) if kept.get("factor_id") else None,
        parts=tuple(from_json(p) for p in kept.get("parts", ())),
        **{name: kept.get(name, "") for name in _TEXTS},
    )
