"""Energy bought and sold: electricity by series, year and region, heat, steam and hot water (8.2.5.5; MEE steel guide
annex E). What is exported is a negative quantity, or a stream that leaves.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from backend.accounting.domain.derivation import Step, StepKind, computed
from backend.accounting.domain.factors import Parameter
from backend.accounting.domain.methods.inputs import Inputs, constant
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import (
    ANY_FLOW,
    SHARE,
    Constant,
    FromLibrary,
    MethodSpec,
    ParameterSpec,
    within,
)
from backend.accounting.domain.sources import Category
from backend.kit.quantity import ELECTRICITY, HEAT, MASS

GRID: Final = "GRID_ELECTRICITY"
BOUGHT_HEAT: Final = "PURCHASED_HEAT"
_CATEGORIES: Final = frozenset({Category.IMPORTED_ENERGY})
_STEEL: Final = "CETS-AG-03.01-V01-2024"

WATER_ENTHALPY: Final = constant("83.74", "kJ/kg", "h0", "20 ℃ 水的焓值", "Enthalpy of water at 20 °C")
_WATER_TEMPERATURE: Final = constant("20", "°C", "T0", "基准水温", "Reference temperature of water")
SPECIFIC_HEAT: Final = constant("4.1868", "kJ/(kg*C)", "c", "水的比热容", "Specific heat of water")


def _electricity(inputs: Inputs) -> list[Step]:
    stream = inputs.context.stream
    if inputs.has("factor") or stream.material is None:
        return [inputs.step("factor")]
    factor = inputs.choose(stream.material, Parameter.EMISSION_FACTOR)
    return [Step(StepKind.EMISSION_FACTOR, str(factor.value), factor.unit, factor.id, symbol="EF")]


PURCHASED_ELECTRICITY: Final = MethodSpec(
    MethodKind.PURCHASED_ELECTRICITY,
    "购入电力",
    "Purchased electricity",
    "T/CIECCPA 061-2023 8.2.5.5, 9.1.1 a); MEE and NBS announcements",
    (
        ParameterSpec(
            "factor",
            "EF",
            "电力排放因子",
            "Electricity factor",
            (within("tCO2/MWh", "0", "2"),),
            StepKind.EMISSION_FACTOR,
            FromLibrary(Parameter.EMISSION_FACTOR, GRID),
        ),
    ),
    _electricity,
    units=(ELECTRICITY,),
    flows=ANY_FLOW,
    categories=_CATEGORIES,
)

_HEAT_FACTOR: Final = ParameterSpec(
    "factor",
    "EF",
    "热力排放因子",
    "Heat factor",
    (within("tCO2/GJ", "0", "0.3"),),
    StepKind.EMISSION_FACTOR,
    FromLibrary(Parameter.EMISSION_FACTOR, BOUGHT_HEAT),
)
_WASTE_HEAT: Final = ParameterSpec(
    "wasteHeat",
    "w",
    "余热回收占比",
    "Share from waste heat",
    SHARE,
    default=Constant("0", "%", "no waste heat unless stated; it counts 0"),
)


def _heat(inputs: Inputs) -> list[Step]:
    """The factor of the supplier, else the default; the share that is recovered waste heat counts nothing."""
    if not inputs.has("wasteHeat"):
        return [inputs.step("factor")]
    share = inputs.step("wasteHeat")
    left = computed(
        StepKind.COMPUTED, "1", "1-w", share, symbol="rest", label_zh="非余热占比", label_en="Not from waste heat"
    )
    return [inputs.step("factor"), left]


def _steam(inputs: Inputs) -> list[Step]:
    """(h − 83.74) × factor, kJ/kg being 10⁻³ GJ/t. Source: steel guide (E.2)."""
    heat = computed(
        StepKind.COMPUTED,
        "GJ/t",
        "h-h0",
        inputs.step("enthalpy"),
        WATER_ENTHALPY,
        symbol="q",
        label_zh="单位蒸汽热量",
        label_en="Heat of steam",
    )
    return [heat, *_heat(inputs)]


def _hot_water(inputs: Inputs) -> list[Step]:
    """(T − 20) × 4.1868 × factor. Source: steel guide (E.3)."""
    heat = computed(
        StepKind.COMPUTED,
        "GJ/t",
        "(T-T0)*c",
        inputs.step("temperature"),
        _WATER_TEMPERATURE,
        SPECIFIC_HEAT,
        symbol="q",
        label_zh="单位热水热量",
        label_en="Heat of hot water",
    )
    return [heat, *_heat(inputs)]


def steam_heat_gj(mass_t: Decimal, enthalpy_kj_per_kg: Decimal) -> Fraction:
    """GJ of a mass of steam above water of 20 °C. Source: steel guide (E.2)."""
    return Fraction(mass_t) * (Fraction(enthalpy_kj_per_kg) - Fraction(WATER_ENTHALPY.written)) / 1000


def hot_water_heat_gj(mass_t: Decimal, temperature_c: Decimal) -> Fraction:
    """GJ of a mass of hot water above 20 °C. Source: steel guide (E.3)."""
    return Fraction(mass_t) * (Fraction(temperature_c) - 20) * Fraction(SPECIFIC_HEAT.written) / 1000


PURCHASED_HEAT: Final = MethodSpec(
    MethodKind.PURCHASED_HEAT,
    "购入热力",
    "Purchased heat",
    "T/CIECCPA 061-2023 8.2.5.5; MEE supplementary tables",
    (_HEAT_FACTOR, _WASTE_HEAT),
    _heat,
    units=(HEAT,),
    flows=ANY_FLOW,
    categories=_CATEGORIES,
)
STEAM: Final = MethodSpec(
    MethodKind.STEAM,
    "购入蒸汽",
    "Steam by mass",
    f"{_STEEL} (E.2)",
    (
        ParameterSpec("enthalpy", "h", "蒸汽焓值", "Enthalpy of steam", (within("kJ/kg", "83.74", "4200"),)),
        _HEAT_FACTOR,
        _WASTE_HEAT,
    ),
    _steam,
    units=(MASS,),
    flows=ANY_FLOW,
    categories=_CATEGORIES,
)
HOT_WATER: Final = MethodSpec(
    MethodKind.HOT_WATER,
    "购入热水",
    "Hot water by mass",
    f"{_STEEL} (E.3)",
    (
        ParameterSpec("temperature", "T", "热水温度", "Temperature of the water", (within("°C", "20", "250"),)),
        _HEAT_FACTOR,
        _WASTE_HEAT,
    ),
    _hot_water,
    units=(MASS,),
    flows=ANY_FLOW,
    categories=_CATEGORIES,
)
METHODS: Final = (PURCHASED_ELECTRICITY, PURCHASED_HEAT, STEAM, HOT_WATER)
