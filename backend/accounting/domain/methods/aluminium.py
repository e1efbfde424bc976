"""Aluminium smelting: perfluorocarbons of anode effects, and carbon anodes (MEE guide 2024; GB/T 32151.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from backend.accounting.domain.derivation import Step, StepKind, computed
from backend.accounting.domain.factors import CO2E, Parameter
from backend.accounting.domain.methods.inputs import CARBON, Inputs, constant
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import Constant, FromLibrary, MethodSpec, ParameterSpec, within
from backend.accounting.domain.sources import DirectKind
from backend.kit.quantity import MASS

_SOURCE: Final = "MEE aluminium guide 2024"
_PROCESS: Final = frozenset({DirectKind.PROCESS})
_TENTH: Final = constant("0.1", "tC2F6/tCF4", "r", "C2F6 与 CF4 之比", "C2F6 per CF4")


def _anode_effect(inputs: Inputs) -> list[Step]:
    """CF4 = slope × minutes per cell-day and C2F6 a tenth of it; without minutes, the default factors."""
    if not inputs.has("anodeEffect"):
        cf4, c2f6 = inputs.step("cf4Factor"), inputs.step("c2f6Factor")
        return [replace(cf4, gas="CF4"), replace(c2f6, gas="C2F6")]
    slope, minutes = inputs.step("slope"), inputs.step("anodeEffect")
    cf4 = computed(StepKind.GAS_FACTOR, "kgCF4/tAl", "s*AE", slope, minutes, symbol="CF4", gas="CF4")
    nested = replace(cf4, gas="")
    return [cf4, computed(StepKind.GAS_FACTOR, "kgC2F6/tAl", "CF4*r", nested, _TENTH, symbol="C2F6", gas="C2F6")]


def _factor(name: str, symbol: str, zh: str, en: str, unit: str, highest: str, code: str) -> ParameterSpec:
    default = FromLibrary(Parameter.GAS_FACTOR, code)
    return ParameterSpec(name, symbol, zh, en, (within(unit, "0", highest),), StepKind.GAS_FACTOR, default)


ANODE_EFFECT: Final = MethodSpec(
    MethodKind.ANODE_EFFECT,
    "阳极效应",
    "Anode effect",
    _SOURCE,
    (
        ParameterSpec(
            "anodeEffect",
            "AE",
            "平均每日每槽阳极效应持续时间",
            "Anode effect minutes per cell-day",
            (within("min/cell/day", "0", "60"),),
            optional=True,
        ),
        _factor("slope", "s", "CF4 斜率", "CF4 slope", "kgCF4/(tAl*min/cell/day)", "1", "CF4_SLOPE"),
        _factor("cf4Factor", "CF4", "CF4 排放因子", "CF4 factor", "kgCF4/tAl", "5", "ANODE_EFFECT_CF4"),
        _factor("c2f6Factor", "C2F6", "C2F6 排放因子", "C2F6 factor", "kgC2F6/tAl", "1", "ANODE_EFFECT_C2F6"),
    ),
    _anode_effect,
    units=(MASS,),
    direct_kinds=_PROCESS,
    gas=CO2E,
)


def _anode(inputs: Inputs) -> list[Step]:
    """NC·(1 − S − A)·44/12 per tonne of aluminium."""
    parts = [inputs.step(name) for name in ("netConsumption", "sulphur", "ash")]
    return [computed(StepKind.CARBON_CONTENT, "tC/tAl", "NC*(1-S-A)", *parts, symbol="C"), CARBON]


_RECALLED: Final = "GB/T 32151.4-2015 (recalled, unverified)"
ANODE_CONSUMPTION: Final = MethodSpec(
    MethodKind.ANODE_CONSUMPTION,
    "炭阳极消耗",
    "Anode consumption",
    _SOURCE,
    (
        ParameterSpec(
            "netConsumption",
            "NC",
            "炭阳极净耗",
            "Net anode consumption",
            (within("tC/tAl", "0.2", "0.8"),),
            StepKind.CARBON_CONTENT,
            Constant("0.42", "tC/tAl", _RECALLED),
        ),
        ParameterSpec(
            "sulphur",
            "S",
            "阳极含硫量",
            "Sulphur of anodes",
            (within("%", "0", "10"),),
            default=Constant("2", "%", _RECALLED),
        ),
        ParameterSpec(
            "ash", "A", "阳极灰分", "Ash of anodes", (within("%", "0", "10"),), default=Constant("0.4", "%", _RECALLED)
        ),
    ),
    _anode,
    units=(MASS,),
    direct_kinds=_PROCESS,
)
METHODS: Final = (ANODE_EFFECT, ANODE_CONSUMPTION)
