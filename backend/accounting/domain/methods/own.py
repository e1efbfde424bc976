"""A formula of the tenant's own for the coefficient, in named parameters with units; checked, exact, never executed.

Beside what is given, `k` is 44/12 tCO2/tC, and NCV, CC, OF and EF are the library's values of the stream's material.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backend.accounting.domain.derivation import Step, StepKind, written
from backend.accounting.domain.dimensions import joined, shown, unit_of
from backend.accounting.domain.expressions.parser import FUNCTIONS, Name, names, parse
from backend.accounting.domain.expressions.values import EXPRESSION_NAME, Value, evaluate
from backend.accounting.domain.factors import BIOGENIC_CO2, CO2E, Parameter
from backend.accounting.domain.methods.inputs import (
    CARBON,
    PARAMETER_SOURCE,
    UNKNOWN_PARAMETER,
    Inputs,
    from_factor,
    read_unit_of,
    usable,
)
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import ANY_FLOW, GivenParameter, MethodSpec
from backend.accounting.domain.sources import Category
from backend.kit.errors import CodedError, invalid
from backend.kit.text import clean, tidy

_LIBRARY: Final[Mapping[str, Parameter]] = {
    "NCV": Parameter.NCV,
    "CC": Parameter.CARBON_PER_HEAT,
    "OF": Parameter.OXIDATION,
    "EF": Parameter.EMISSION_FACTOR,
}

EXPRESSION_RESULT = invalid(
    "EXPRESSION_RESULT",
    en="The formula comes to {found}; the coefficient of this stream must come to {wanted}. {remedy}",
    zh="公式结果的单位为 {found}；该流的系数须为 {wanted}。{remedy_zh}",
)
PARAMETER_NAME = invalid(
    "PARAMETER_NAME",
    en="'{name}' cannot name a parameter of a formula: a letter or Chinese character first, then letters, digits and "
    "_; not {reserved}.",
    zh="'{name}' 不能作为公式参数名：须以字母或汉字开头，其后为字母、数字或下划线；且不能为 {reserved}。",
)


def _expression(inputs: Inputs) -> list[Step]:
    """Errors: those of an expression; PARAMETER_NAME, UNKNOWN_PARAMETER (one the formula does not use),
    EXPRESSION_RESULT.
    """
    formula = inputs.context.formula or ""
    used = list(dict.fromkeys(names(parse(formula))))
    given = {_named(name): (name, p) for name, p in inputs.given.items()}
    for folded, (name, _) in given.items():
        if folded not in used:
            known = ", ".join(used) or "-"
            raise UNKNOWN_PARAMETER(
                path=("parameters", name[:60]), method=inputs.spec.kind, name=name[:60], known=known[:400]
            )
    parts = tuple(_part(inputs, name, given) for name in used)
    made = evaluate(formula, {p.symbol: Value(p.value, p.bases) for p in parts})
    unit = _result_unit(inputs, made)
    return [Step(StepKind.COMPUTED, written(made.value), unit, symbol="EF", formula=formula, parts=parts)]


def _named(name: str) -> str:
    """A name as the formula spells it. Errors: PARAMETER_NAME."""
    folded = clean(name)
    try:
        tree = parse(folded)
    except CodedError:
        tree = None
    if len(folded) > 60 or not isinstance(tree, Name) or folded.casefold() in {"k", *FUNCTIONS}:
        reserved = ", ".join(("k", *FUNCTIONS))
        raise PARAMETER_NAME(path=("parameters", name[:60]), name=name[:60], reserved=reserved)
    return tree.name


def _part(inputs: Inputs, name: str, given: Mapping[str, tuple[str, GivenParameter]]) -> Step:
    if name in given:
        return _given(name, *given[name])
    if name == CARBON.symbol:
        return CARBON
    material = inputs.context.stream.material
    if name in _LIBRARY and material:
        return from_factor(inputs.choose(material, _LIBRARY[name]), symbol=name)
    known = ", ".join([*given, CARBON.symbol, *(_LIBRARY if material else ())])
    raise EXPRESSION_NAME(
        path=("formula",),
        position=(inputs.context.formula or "").find(name) + 1,
        name=name[:40],
        known=known[:400],
    )


def _given(symbol: str, name: str, parameter: GivenParameter) -> Step:
    value = usable(name, parameter.value)
    if not tidy(parameter.source) and parameter.factor_id is None:
        raise PARAMETER_SOURCE(path=("parameters", name), name=name)
    read_unit_of(name, parameter.unit)
    return Step(
        StepKind.MEASUREMENT,
        str(value),
        parameter.unit,
        parameter.factor_id,
        symbol,
        symbol,
        symbol,
        name,
        tidy(parameter.source),
    )


def _result_unit(inputs: Inputs, made: Value) -> str:
    """tCO2e per unit of activity; where a gas is named, a mass of it."""
    gas = inputs.context.gas
    masses = ("tCO2e",) if gas in {None, CO2E, BIOGENIC_CO2, "CO2"} else ("t", f"t{gas}")
    for mass in masses:
        try:
            bases = joined(unit_of(mass).bases, unit_of(inputs.unit).bases, -1)
        except CodedError:
            continue
        if bases == made.bases:
            return f"{mass}/{inputs.unit}"
    carbon = made.bases == joined(unit_of("tC").bases, unit_of(inputs.unit).bases, -1)
    raise EXPRESSION_RESULT(
        path=("formula",),
        found=shown(made.bases),
        wanted=f"{masses[0]}/{inputs.unit}",
        remedy="Multiply it by k (44/12 tCO2/tC): carbon is not yet CO2."
        if carbon
        else "Check the units of the parameters; a tonne of carbon becomes CO2 by k (44/12 tCO2/tC).",
        remedy_zh="请将含碳量乘以 k（44/12 tCO2/tC）。"
        if carbon
        else "请核对各参数单位；碳量须乘以 k（44/12 tCO2/tC）换算为 CO2。",
    )


EXPRESSION: Final = MethodSpec(
    MethodKind.EXPRESSION,
    "自定义公式",
    "Own formula",
    "T/CIECCPA 061-2023 8.2.5.3",
    (),
    _expression,
    flows=ANY_FLOW,
    categories=frozenset(Category),
    gas=CO2E,
    takes_gas=True,
    takes_formula=True,
)
