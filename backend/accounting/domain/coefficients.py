"""A coefficient: tonnes of gas per canonical unit of a stream in a year, with the steps it was derived by.

Formula (2), clause 8.2.5.3: E = AD × EF; for fuels EF = NCV × CC × OF × 44/12 (9.1.1 a, GB/T 32151), OF where the
programme has it. Steps are exact rationals; the coefficient is their product, kept to 18 decimals, half-up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import prod
from typing import Final
from uuid import UUID

from backend.accounting.domain.factors import CO2, CO2E, Factor, Library, Parameter
from backend.accounting.domain.sources import Flow, NewStream, Stream
from backend.kit.errors import invalid
from backend.kit.quantity import COEFFICIENT_DECIMALS, HEAT, read_unit, round_half_up

CARBON_TO_CO2: Final = "44/12"


class StepKind(StrEnum):
    """What one term of a coefficient stands for."""

    NCV = "NCV"
    """Net calorific value (低位发热量)."""
    CARBON_PER_HEAT = "CARBON_PER_HEAT"
    """Carbon per unit of heat (单位热值含碳量)."""
    OXIDATION = "OXIDATION"
    """Carbon oxidation rate (碳氧化率)."""
    CARBON_TO_CO2 = "CARBON_TO_CO2"
    """Mass ratio of CO2 to carbon, exactly 44/12 (二氧化碳与碳的分子量之比)."""
    EMISSION_FACTOR = "EMISSION_FACTOR"
    """Emission factor of the library (排放因子)."""
    EMBEDDED_CARBON = "EMBEDDED_CARBON"
    """CO2 equivalent of the carbon in a product (产品隐含碳)."""
    DEDUCTION = "DEDUCTION"
    """CO2 saved by an alternative raw material (扣减系数)."""
    OWN_FACTOR = "OWN_FACTOR"
    """Emission factor of the tenant's own (自有因子)."""
    SUBTRACTED = "SUBTRACTED"
    """The sign: what leaves is subtracted (扣减)."""


STEP_NAMES_ZH: Final = {
    StepKind.NCV: "低位发热量",
    StepKind.CARBON_PER_HEAT: "单位热值含碳量",
    StepKind.OXIDATION: "碳氧化率",
    StepKind.CARBON_TO_CO2: "二氧化碳与碳的分子量之比",
    StepKind.EMISSION_FACTOR: "排放因子",
    StepKind.EMBEDDED_CARBON: "产品隐含碳",
    StepKind.DEDUCTION: "扣减系数",
    StepKind.OWN_FACTOR: "自有因子",
    StepKind.SUBTRACTED: "扣减（取负）",
}
STEP_NAMES_EN: Final = {
    StepKind.NCV: "Net calorific value",
    StepKind.CARBON_PER_HEAT: "Carbon per heat",
    StepKind.OXIDATION: "Oxidation rate",
    StepKind.CARBON_TO_CO2: "CO2 to carbon mass ratio",
    StepKind.EMISSION_FACTOR: "Emission factor",
    StepKind.EMBEDDED_CARBON: "Embedded carbon",
    StepKind.DEDUCTION: "Deduction",
    StepKind.OWN_FACTOR: "Own factor",
    StepKind.SUBTRACTED: "Subtracted",
}

NO_COEFFICIENT = invalid(
    "NO_COEFFICIENT",
    en="'{material}' has no factor that fits a stream whose carbon is {flow}; it has: {known}.",
    zh="'{material}' 没有适用于碳流向 {flow} 的因子；现有：{known}。",
)
STREAM_UNIT = invalid(
    "STREAM_UNIT_DOES_NOT_FIT",
    en="'{material}' is accounted in {fitting}, not in '{unit}'.",
    zh="'{material}' 以 {fitting} 计量，不能用 '{unit}'。",
)
FACTOR_OR_MATERIAL = invalid(
    "FACTOR_OR_MATERIAL",
    en="A stream names either a material of the library or an own factor with value, unit and source.",
    zh="流须指明因子库物料，或给出自有因子（数值、单位、来源），二者择一。",
)


@dataclass(frozen=True, slots=True)
class Step:
    """One term: its value as written (a decimal, or the ratio 44/12), its unit, and the factor it was read from."""

    kind: StepKind
    written: str
    unit: str
    factor_id: UUID | None = None

    @property
    def value(self) -> Fraction:
        return Fraction(self.written)

    @property
    def shown(self) -> Decimal:
        """As a decimal; a ratio that does not end is kept to 18 decimals."""
        return Decimal(self.written) if "/" not in self.written else round_half_up(self.value, COEFFICIENT_DECIMALS)


@dataclass(frozen=True, slots=True)
class Coefficient:
    """Tonnes of `gas` per unit, and how it came about: the product of its steps."""

    value: Decimal
    unit: str
    gas: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Basis:
    """What a new stream is accounted by, once its names have been understood."""

    material: str | None
    unit: str
    gas: str
    factor_set: str | None
    region: str | None


def basis_of(new: NewStream, library: Library) -> Basis:
    """Understand the names of a new stream. Errors: FACTOR_OR_MATERIAL, UNKNOWN_MATERIAL, UNKNOWN_REGION,
    UNKNOWN_FACTOR_SET, UNKNOWN_UNIT, NO_COEFFICIENT, STREAM_UNIT_DOES_NOT_FIT.
    """
    own = new.own_factor
    if (own is None) == (new.material is None) or (own is not None and not own.source.strip()):
        raise FACTOR_OR_MATERIAL(path=("material",))
    if own is not None:
        return Basis(None, read_unit(own.unit).canonical, CO2E, None, None)
    material = library.material(new.material or "")
    factor_set = library.inventory_set(new.factor_set) if new.factor_set else None
    region = library.region(new.region) if new.region else None
    units = _units(library.offered(material, factor_set), new.flow)
    if not units:
        known = ", ".join(sorted({f.parameter for f in library.offered(material, factor_set)})) or "-"
        raise NO_COEFFICIENT(path=("material",), material=material, flow=new.flow, known=known)
    unit = units[0] if new.unit is None else read_unit(new.unit).canonical
    if unit not in units:
        raise STREAM_UNIT(path=("unit",), material=material, fitting=" / ".join(units), unit=(new.unit or "")[:40])
    return Basis(material, unit, CO2, factor_set, region)


def _units(offered: list[Factor], flow: Flow) -> list[str]:
    """The canonical units a material can be accounted in; a fuel also by its heat."""
    found = {f.parameter: f for f in offered}
    if flow is Flow.LEAVING:
        leaving = found.get(Parameter.EMBEDDED_CARBON)
        return [_per(leaving)] if leaving else []
    if Parameter.NCV in found and Parameter.CARBON_PER_HEAT in found:
        return [_per(found[Parameter.NCV]), HEAT]
    direct = found.get(Parameter.EMISSION_FACTOR) or found.get(Parameter.DEDUCTION)
    return [_per(direct)] if direct else []


def _per(factor: Factor) -> str:
    """The unit a factor is per: `t` of `GJ/t`."""
    return read_unit(factor.unit.rpartition("/")[2]).canonical


def derive(stream: Stream, year: int, library: Library) -> Coefficient:
    """The coefficient of a stream for activity of a year.

    Errors: FACTOR_NOT_FOUND. Source: formula (2); rules of the programme for oxidation; clause 8.2.5.3 note 5.
    """
    if stream.own_factor is not None:
        steps: list[Step] = [Step(StepKind.OWN_FACTOR, str(stream.own_factor), f"tCO2e/{stream.unit}")]
    else:
        steps = _steps(stream, year, library)
    value = round_half_up(Fraction(prod(s.value for s in steps)), COEFFICIENT_DECIMALS)
    gas_unit = "tCO2e" if stream.gas == CO2E else "tCO2"
    return Coefficient(value, f"{gas_unit}/{stream.unit}", stream.gas, tuple(steps))


def _steps(stream: Stream, year: int, library: Library) -> list[Step]:
    assert stream.material is not None
    offered = {f.parameter for f in library.offered(stream.material, stream.factor_set)}

    def step(parameter: Parameter) -> Step:
        chosen = library.choose(
            stream.material or "",
            parameter,
            year,
            set_code=stream.factor_set,
            region=stream.region,
            factor_year=stream.factor_year,
        )
        return Step(StepKind(parameter), str(chosen.value), chosen.unit, chosen.id)

    if stream.flow is Flow.LEAVING:
        return [step(Parameter.EMBEDDED_CARBON), _MINUS]
    if {Parameter.NCV, Parameter.CARBON_PER_HEAT} <= offered:
        return _combustion(stream, step)
    if Parameter.EMISSION_FACTOR in offered:
        return [step(Parameter.EMISSION_FACTOR)]
    return [step(Parameter.DEDUCTION), _MINUS]


_MINUS: Final = Step(StepKind.SUBTRACTED, "-1", "1")


def _combustion(stream: Stream, step: Callable[[Parameter], Step]) -> list[Step]:
    """NCV × CC × OF × 44/12; by heat the NCV falls away, under the steel guide the oxidation rate."""
    steps = [] if stream.unit == HEAT else [step(Parameter.NCV)]
    steps.append(step(Parameter.CARBON_PER_HEAT))
    if stream.programme.oxidises:
        steps.append(step(Parameter.OXIDATION))
    return [*steps, Step(StepKind.CARBON_TO_CO2, CARBON_TO_CO2, "tCO2/tC")]
