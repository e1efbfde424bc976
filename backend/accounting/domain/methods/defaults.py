"""What a stream is accounted by when no method was chosen for it: the values of the library, or its own factor."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from typing import Final

from backend.accounting.domain.derivation import Step, StepKind
from backend.accounting.domain.factors import CO2E, Factor, Parameter
from backend.accounting.domain.methods.fuels import FUEL_COMBUSTION
from backend.accounting.domain.methods.inputs import MINUS, Inputs, from_factor
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import ANY_FLOW, MethodSpec, ParameterSpec, within
from backend.accounting.domain.sources import Category, Flow
from backend.kit.errors import rule
from backend.kit.quantity import CANONICAL_UNITS, ELECTRICITY, HEAT, read_unit


def subtracted_by(offered: Iterable[Factor]) -> Factor | None:
    """The value by which a material is subtracted that leaves: its embedded carbon; of electricity and heat, which are
    bought less sold (rules 2.9), the emission factor.
    """
    found = {f.parameter: f for f in offered}
    energy = found.get(Parameter.EMISSION_FACTOR)
    if energy is not None and read_unit(energy.unit.rpartition("/")[2]).canonical not in {ELECTRICITY, HEAT}:
        energy = None
    return found.get(Parameter.EMBEDDED_CARBON) or energy


def _library(inputs: Inputs) -> list[Step]:
    """Of a fuel NCV × CC × OF × 44/12, of another material its factor; what leaves by its embedded carbon, or as
    energy that was bought.
    """
    stream = inputs.context.stream
    material = stream.material or ""
    factors = inputs.context.library.offered(material, stream.factor_set)
    offered = {f.parameter for f in factors}
    if stream.flow is Flow.LEAVING:
        leaving = subtracted_by(factors)
        return [from_factor(inputs.choose(material, leaving.parameter if leaving else Parameter.EMBEDDED_CARBON))]
    if {Parameter.NCV, Parameter.CARBON_PER_HEAT} <= offered:
        return list(FUEL_COMBUSTION.derive(Inputs(FUEL_COMBUSTION, {}, inputs.context)))
    if Parameter.EMISSION_FACTOR in offered:
        return [from_factor(inputs.choose(material, Parameter.EMISSION_FACTOR))]
    return [from_factor(inputs.choose(material, Parameter.DEDUCTION)), MINUS]


LIBRARY: Final = MethodSpec(
    MethodKind.LIBRARY,
    "因子库缺省值",
    "Defaults of the library",
    "T/CIECCPA 061-2023 8.2.5.3 note 5",
    (),
    _library,
    flows=ANY_FLOW,
    categories=frozenset(Category),
    needs_material=True,
)

_FACTOR: Final = ParameterSpec(
    "factor",
    "EF",
    "排放因子",
    "Emission factor",
    tuple(within(f"tCO2e/{unit}") for unit in CANONICAL_UNITS),
    StepKind.OWN_FACTOR,
    per_unit=True,
)


NEGATIVE_LEAVING = rule(
    "NEGATIVE_FACTOR_LEAVING",
    en="What leaves is subtracted already: the factor {value} of a stream whose carbon is LEAVING is written without "
    "its sign.",
    zh="碳流向为 LEAVING 的流已作扣减：其因子 {value} 请不带负号填写。",
)


def check_sign(value: Fraction | Decimal, flow: Flow, *path: str) -> None:
    """A factor is subtracted once: by its sign, or by the flow. Errors: NEGATIVE_FACTOR_LEAVING."""
    if value < 0 and flow is Flow.LEAVING:
        raise NEGATIVE_LEAVING(path=path, value=value)


def _own(inputs: Inputs) -> list[Step]:
    """The factor given, else the one the stream was defined with. Errors: NEGATIVE_FACTOR_LEAVING."""
    stream = inputs.context.stream
    if inputs.has("factor") or stream.own_factor is None:
        factor = inputs.step("factor")
    else:
        unit = f"tCO2e/{stream.unit}"
        factor = Step(StepKind.OWN_FACTOR, str(stream.own_factor), unit, source=stream.own_factor_source)
    check_sign(factor.value, stream.flow, "parameters", "factor")
    return [factor]


OWN_FACTOR: Final = MethodSpec(
    MethodKind.OWN_FACTOR,
    "自有排放因子",
    "Own emission factor",
    "T/CIECCPA 061-2023 8.2.5.3 note 5",
    (_FACTOR,),
    _own,
    flows=ANY_FLOW,
    categories=frozenset(Category),
    gas=CO2E,
)

METHODS: Final = (LIBRARY, OWN_FACTOR)
