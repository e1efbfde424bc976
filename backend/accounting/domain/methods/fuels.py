"""Fuels: default or measured heat value and carbon, analysed carbon, gas composition (8.2.5.3; 9.1.1 a; rules of the
MEE power and steel guides).
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Final

from backend.accounting.domain.derivation import Step, StepKind, computed
from backend.accounting.domain.factors import BIOGENIC_CO2, Parameter
from backend.accounting.domain.methods.inputs import CARBON, Inputs, constant, oxidation
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import (
    BURNT,
    SHARE,
    FromLibrary,
    MethodSpec,
    ParameterSpec,
    within,
)
from backend.accounting.domain.sources import Category, Programme
from backend.kit.errors import rule
from backend.kit.quantity import GAS, HEAT, MASS, round_half_up

NCV: Final = ParameterSpec(
    "ncv",
    "NCV",
    "低位发热量",
    "Net calorific value",
    (within("GJ/t", "0.5", "130"), within("GJ/1e4Nm3", "5", "1300")),
    StepKind.NCV,
    FromLibrary(Parameter.NCV),
    per_unit=True,
)
CARBON_PER_HEAT: Final = ParameterSpec(
    "carbonPerHeat",
    "CC",
    "单位热值含碳量",
    "Carbon per heat",
    (within("tC/GJ", "0", "0.3"),),
    StepKind.CARBON_PER_HEAT,
    FromLibrary(Parameter.CARBON_PER_HEAT),
)
OXIDATION: Final = ParameterSpec(
    "oxidation",
    "OF",
    "碳氧化率",
    "Oxidation rate",
    (within("%", "50", "100"),),
    StepKind.OXIDATION,
    FromLibrary(Parameter.OXIDATION),
)
_CATEGORIES: Final = frozenset({Category.DIRECT, Category.TRANSPORT})


NCV_BY_DEFAULT: Final = frozenset({"COKE"})
NCV_IS_DEFAULT = rule(
    "NCV_IS_DEFAULT",
    en="Under the steel guide the heat value of {material} is always the default; leave ncv out.",
    zh="按钢铁行业指南，{material} 的低位发热量一律采用缺省值；请省略 ncv。",
)
_BIOGENIC: Final = ParameterSpec("biogenicShare", "b", "生物质碳占比", "Share of biogenic carbon", SHARE, optional=True)
_METHANE: Final = ParameterSpec(
    "methane",
    "CH4",
    "CH4 排放因子",
    "CH4 of burning",
    (within("kgCH4/TJ", "0", "2000"),),
    StepKind.GAS_FACTOR,
    optional=True,
)
_NITROUS_OXIDE: Final = ParameterSpec(
    "nitrousOxide",
    "N2O",
    "N2O 排放因子",
    "N2O of burning",
    (within("kgN2O/TJ", "0", "500"),),
    StepKind.GAS_FACTOR,
    optional=True,
)


def _combustion(inputs: Inputs) -> list[Step]:
    """NCV × CC × OF × 44/12; by heat the NCV falls away, under the steel guide the oxidation rate.

    CH4 and N2O come beside CO2 when their factors are given; of a partly biogenic fuel, the biogenic CO2 is a gas of
    its own (never in the total), CH4 and N2O count in full. Source: rules 2.1, 2.6, 2.14.
    """
    stream = inputs.context.stream
    if inputs.has("ncv") and stream.programme is Programme.MEE_STEEL and stream.material in NCV_BY_DEFAULT:
        raise NCV_IS_DEFAULT(path=("parameters", "ncv"), material=stream.material)
    heat = [] if inputs.unit == HEAT else [inputs.step("ncv")]
    burnt = [inputs.step("carbonPerHeat"), *oxidation(inputs), CARBON]
    others = [replace(inputs.step(n), gas=g) for n, g in (("methane", "CH4"), ("nitrousOxide", "N2O")) if inputs.has(n)]
    if inputs.has("biogenicShare"):
        share = inputs.step("biogenicShare")
        fossil = computed(
            StepKind.COMPUTED, "1", "1-b", share, symbol="f", label_zh="化石碳占比", label_en="Fossil share"
        )
        return [*heat, *_of("CO2", [*burnt, fossil]), *_of(BIOGENIC_CO2, [*burnt, share]), *others]
    return [*heat, *(_of("CO2", burnt) if others else burnt), *others]


def _of(gas: str, steps: list[Step]) -> list[Step]:
    return [replace(s, gas=gas) for s in steps]


FUEL_COMBUSTION: Final = MethodSpec(
    MethodKind.FUEL_COMBUSTION,
    "燃料燃烧",
    "Fuel combustion",
    "T/CIECCPA 061-2023 8.2.5.3, 9.1.1 a); GB/T 32151; CETS-AG-03.01-V01-2024",
    (NCV, CARBON_PER_HEAT, OXIDATION, _BIOGENIC, _METHANE, _NITROUS_OXIDE),
    _combustion,
    units=(MASS, GAS, HEAT),
    categories=_CATEGORIES,
    direct_kinds=BURNT,
)

TWO_BASES = rule(
    "TWO_BASES_GIVEN",
    en="Carbon is given on one basis: as received, air-dried or dry; here are {given}.",
    zh="元素碳含量只能给出一种基准（收到基、空气干燥基或干燥基）；收到：{given}。",
)
MOISTURE_BELOW_AIR_DRIED = rule(
    "MOISTURE_BELOW_AIR_DRIED",
    en="Total moisture {total} is below the moisture of the air-dried sample {air_dried}; check which is which.",
    zh="全水分 {total} 低于空气干燥基水分 {air_dried}；请核对两者。",
)
_CARBON: Final = (within("tC/t", "0", "1"),)
_CARBON_OF_GAS: Final = within("tC/1e4Nm3", "0", "60")
_AS_RECEIVED, _AIR_DRIED, _DRY = "carbonAsReceived", "carbonAirDried", "carbonDry"


def carbon_as_received(inputs: Inputs) -> Step:
    """Carbon on the basis the quantity is weighed on.

    C_ar = C_ad·(1−M_ar)/(1−M_ad); C_ar = C_d·(1−M_ar). M_ad comes with the analysis, M_ar from the total moisture of
    the same coal: quantity and quality are in one state. Errors: TWO_BASES_GIVEN, MOISTURE_BELOW_AIR_DRIED.
    """
    if inputs.unit == GAS:
        return inputs.step(_AS_RECEIVED)
    bases = [n for n in (_AS_RECEIVED, _AIR_DRIED, _DRY) if inputs.has(n)]
    if len(bases) > 1:
        raise TWO_BASES(path=("parameters", bases[1]), given=", ".join(bases))
    if not bases or bases == [_AS_RECEIVED]:
        return inputs.step(_AS_RECEIVED)
    carbon, moisture = inputs.step(bases[0]), inputs.step("totalMoisture")
    if bases == [_DRY]:
        return _converted("C_d*(1-M_ar)", carbon, moisture)
    air_dried = inputs.step("airDriedMoisture")
    if moisture.value < air_dried.value:
        raise MOISTURE_BELOW_AIR_DRIED(
            path=("parameters", "totalMoisture"),
            total=f"{moisture.written} {moisture.unit}",
            air_dried=f"{air_dried.written} {air_dried.unit}",
        )
    return _converted("C_ad*(1-M_ar)/(1-M_ad)", carbon, moisture, air_dried)


def _converted(formula: str, *parts: Step) -> Step:
    return computed(
        StepKind.CARBON_CONTENT,
        "tC/t",
        formula,
        *parts,
        symbol="C_ar",
        label_zh="收到基元素碳含量",
        label_en="Carbon, as received",
    )


def _measured_carbon(inputs: Inputs) -> list[Step]:
    return [carbon_as_received(inputs), *oxidation(inputs), CARBON]


MEASURED_CARBON: Final = MethodSpec(
    MethodKind.MEASURED_CARBON,
    "实测元素碳",
    "Measured carbon",
    "MEE power guide; GB/T 32151.1; rules on one state of quantity and quality",
    (
        ParameterSpec(
            _AS_RECEIVED,
            "C_ar",
            "元素碳含量（固体为收到基）",
            "Carbon (of solids as received)",
            (*_CARBON, _CARBON_OF_GAS),
            StepKind.CARBON_CONTENT,
            per_unit=True,
            optional=True,
        ),
        ParameterSpec(
            _AIR_DRIED,
            "C_ad",
            "空气干燥基元素碳含量",
            "Carbon, air-dried",
            _CARBON,
            StepKind.CARBON_CONTENT,
            optional=True,
        ),
        ParameterSpec(_DRY, "C_d", "干燥基元素碳含量", "Carbon, dry", _CARBON, StepKind.CARBON_CONTENT, optional=True),
        ParameterSpec("totalMoisture", "M_ar", "全水分", "Total moisture", (within("%", "0", "80"),), optional=True),
        ParameterSpec(
            "airDriedMoisture",
            "M_ad",
            "空气干燥基水分",
            "Moisture, air-dried",
            (within("%", "0", "60"),),
            optional=True,
        ),
        OXIDATION,
    ),
    _measured_carbon,
    units=(MASS, GAS),
    direct_kinds=BURNT,
)

SHARES_ABOVE_WHOLE = rule(
    "SHARES_ABOVE_WHOLE",
    en="The shares of the composition add up to {total} %; at most 100 % (and 0.1 % of rounding) can.",
    zh="各组分之和为 {total} %；至多为 100 %（允许 0.1 % 的修约差）。",
)
_COMPONENTS: Final = (
    ("methane", "CH4", 1, "甲烷"),
    ("ethane", "C2H6", 2, "乙烷"),
    ("propane", "C3H8", 3, "丙烷"),
    ("butane", "C4H10", 4, "丁烷"),
    ("pentane", "C5H12", 5, "戊烷及以上"),
    ("ethylene", "C2H4", 2, "乙烯"),
    ("propylene", "C3H6", 3, "丙烯"),
    ("carbonMonoxide", "CO", 1, "一氧化碳"),
    ("carbonDioxide", "CO2", 1, "二氧化碳"),
    ("hydrogen", "H2", 0, "氢气"),
    ("nitrogen", "N2", 0, "氮气"),
    ("oxygen", "O2", 0, "氧气"),
)
_CARBON_OF_VOLUME: Final = constant(
    "75/14", "tC/1e4Nm3", "c", "每个碳原子的碳质量（12/22.4×10）", "Carbon of one atom per molecule, 12/22.4 × 10"
)


def carbon_of_composition(inputs: Inputs) -> Step:
    """TC per 10⁴ Nm3: Σ n·φ·12/22.4·10, at 0 °C and 101.325 kPa. Errors: SHARES_ABOVE_WHOLE."""
    present = [(symbol, atoms, inputs.step(name)) for name, symbol, atoms, _ in _COMPONENTS if inputs.has(name)]
    total = sum((step.value for _, _, step in present), Fraction(0))
    if total > Fraction(1001, 1000):
        raise SHARES_ABOVE_WHOLE(path=("parameters",), total=round_half_up(total * 100, 4))
    carbonaceous = [(symbol, atoms, step) for symbol, atoms, step in present if atoms]
    if not carbonaceous:
        return inputs.step("methane")
    formula = "+".join(f"{atoms}*{symbol}" for symbol, atoms, _ in carbonaceous)
    return computed(
        StepKind.CARBON_CONTENT,
        "tC/1e4Nm3",
        f"({formula})*c",
        *(step for _, _, step in carbonaceous),
        _CARBON_OF_VOLUME,
    )


def _gas_composition(inputs: Inputs) -> list[Step]:
    return [carbon_of_composition(inputs), *oxidation(inputs), CARBON]


GAS_COMPOSITION: Final = MethodSpec(
    MethodKind.GAS_COMPOSITION,
    "气体组分法",
    "Carbon of a gas from its composition",
    "GB/T 32151, gaseous fuels; rules 2.3",
    (*(ParameterSpec(n, s, z, s, SHARE, optional=True) for n, s, _, z in _COMPONENTS), OXIDATION),
    _gas_composition,
    units=(GAS,),
)

METHODS: Final = (FUEL_COMBUSTION, MEASURED_CARBON, GAS_COMPOSITION)
