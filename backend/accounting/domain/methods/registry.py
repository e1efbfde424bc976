"""Every method, and the one way to derive a coefficient by one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from backend.accounting.domain.derivation import Coefficient, coefficient
from backend.accounting.domain.methods import (
    aluminium,
    balance,
    cement,
    defaults,
    energy,
    fuels,
    gases,
    measured,
    own,
    steel,
)
from backend.accounting.domain.methods.inputs import MINUS, UNKNOWN_PARAMETER, Inputs
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import Context, Given, MethodSpec
from backend.accounting.domain.records import weigh
from backend.accounting.domain.sources import Flow
from backend.kit.errors import invalid, rule

METHODS: Final[Mapping[MethodKind, MethodSpec]] = {
    spec.kind: spec
    for spec in (
        *defaults.METHODS,
        *fuels.METHODS,
        balance.MASS_BALANCE,
        *cement.METHODS,
        *steel.METHODS,
        *aluminium.METHODS,
        *energy.METHODS,
        *gases.METHODS,
        *measured.METHODS,
        own.EXPRESSION,
    )
}

METHOD_UNIT = rule(
    "METHOD_UNIT_DOES_NOT_FIT",
    en="The method {method} accounts activity in {fitting}; the stream is in '{unit}'.",
    zh="方法 {method} 适用的活动数据单位为 {fitting}；该流的单位为 '{unit}'。",
)
METHOD_FLOW = rule(
    "METHOD_FLOW_DOES_NOT_FIT",
    en="The method {method} is for streams whose carbon is {fitting}; this one's is {flow}.",
    zh="方法 {method} 适用于碳流向为 {fitting} 的流；该流为 {flow}。",
)
METHOD_TEXT = invalid(
    "METHOD_TEXT",
    en="The method {method} {need}.",
    zh="方法 {method} {need_zh}。",
)


def derive(kind: MethodKind, given: Given, context: Context) -> Coefficient:
    """The coefficient of a stream by a method, from the parameters given and the defaults for the others.

    Errors: UNKNOWN_PARAMETER, PARAMETER_UNUSED, METHOD_UNIT_DOES_NOT_FIT, METHOD_FLOW_DOES_NOT_FIT, METHOD_TEXT,
    those of `Inputs.step`, COEFFICIENT_UNIT, COEFFICIENT_TOO_LARGE, UNKNOWN_GAS, those of an expression, and those
    the module of the method names.
    """
    spec = METHODS[kind]
    _check(spec, given, context)
    context = replace(context, gas=_spelled(context))
    inputs = Inputs(spec, given, context)
    steps = list(spec.derive(inputs))
    if not spec.takes_formula:
        inputs.check_all_used()
    if context.stream.flow is Flow.LEAVING:
        steps.append(MINUS)
    return coefficient(
        steps,
        unit=context.stream.unit,
        gas=context.gas or spec.gas,
        library=context.library,
        kind=kind,
        gwp_set=context.gwp_set,
    )


def _spelled(context: Context) -> str | None:
    """The gas as the library spells it. Errors: UNKNOWN_GAS."""
    if not context.gas:
        return None
    return weigh(context.gas, Decimal(1), context.gwp_set, context.library).gas


def _check(spec: MethodSpec, given: Given, context: Context) -> None:
    known = [p.name for p in spec.parameters]
    for name in given:
        if name not in known and not spec.takes_formula:
            raise UNKNOWN_PARAMETER(
                path=("parameters", name[:60]), method=spec.kind, name=name[:60], known=", ".join(known) or "-"
            )
    stream = context.stream
    if stream.unit not in spec.units:
        raise METHOD_UNIT(path=("method",), method=spec.kind, fitting=" / ".join(spec.units), unit=stream.unit)
    if stream.flow not in spec.flows:
        raise METHOD_FLOW(path=("method",), method=spec.kind, fitting=tuple(spec.flows), flow=stream.flow)
    wanted = (
        (spec.needs_gas, context.gas, "needs the gas it accounts", "须指明气体"),
        (spec.takes_formula, context.formula, "needs a formula", "须给出公式"),
        (spec.needs_material, stream.material, "needs a material of the library on the stream", "要求流指定因子库物料"),
    )
    for needs, text, need, need_zh in wanted:
        if needs and not (text or "").strip():
            raise METHOD_TEXT(path=("method",), method=spec.kind, need=need, need_zh=need_zh)
    for takes, text, need, need_zh in (
        (spec.takes_gas, context.gas, "takes no gas; leave it out", "不接受气体，请省略"),
        (spec.takes_formula, context.formula, "takes no formula; leave it out", "不接受公式，请省略"),
    ):
        if text and not takes:
            raise METHOD_TEXT(path=("method",), method=spec.kind, need=need, need_zh=need_zh)
