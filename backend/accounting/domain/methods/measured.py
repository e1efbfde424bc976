"""Measured emissions (8.2.5.1): a month of continuous measurement, or samples taken off site.

The activity is dry flue gas in 10⁴ Nm3 at 0 °C and 101.325 kPa; the coefficient is the flow-weighted mean
concentration, so that quantity × coefficient is Σ C·Q.
"""

from __future__ import annotations

from typing import Final

from backend.accounting.domain.derivation import Step, StepKind, computed
from backend.accounting.domain.factors import CO2
from backend.accounting.domain.methods.inputs import Inputs, constant
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import MethodSpec, ParameterSpec, within
from backend.kit.errors import rule
from backend.kit.quantity import GAS

CO2_DENSITY: Final = constant(
    "44010/22414", "kg/m3", "rho", "标准状态下 CO2 密度 44.01/22.414", "Density of CO2 at 0 °C, 44.01/22.414"
)
MEASURED_TWICE = rule(
    "CONCENTRATION_TWICE",
    en="Give the concentration by mass or by volume, not both.",
    zh="浓度只能以质量浓度或体积分数之一给出。",
)
VOLUME_OF_CO2_ONLY = rule(
    "VOLUME_SHARE_OF_CO2_ONLY",
    en="A share by volume is read for CO2 only; give {gas} by mass, in g/m3.",
    zh="体积分数仅适用于 CO2；{gas} 请以质量浓度 g/m3 给出。",
)


def _month(inputs: Inputs) -> list[Step]:
    """The mass of the gas over the dry flue gas of the month."""
    return [
        computed(
            StepKind.MEASUREMENT,
            "g/m3",
            "M/V",
            inputs.step("mass"),
            inputs.step("dryFlow"),
            symbol="C",
            label_zh="流量加权平均浓度",
            label_en="Flow-weighted mean concentration",
        )
    ]


CONTINUOUS: Final = MethodSpec(
    MethodKind.CONTINUOUS,
    "在线监测",
    "Continuous measurement",
    "T/CIECCPA 061-2023 8.2.5.1; CETS-AG-03.01-V01-2024 C.8",
    (
        ParameterSpec("mass", "M", "当月气体排放质量", "Mass of the gas in the month", (within("t", "0"),)),
        ParameterSpec("dryFlow", "V", "当月干烟气量", "Dry flue gas of the month", (within("1e4Nm3", "0.000001"),)),
    ),
    _month,
    units=(GAS,),
    gas=CO2,
    takes_gas=True,
)


def _sampled(inputs: Inputs) -> list[Step]:
    """The mean concentration, dry; one read in wet gas is brought to dry."""
    if inputs.has("volumeShare") and inputs.has("concentration"):
        raise MEASURED_TWICE(path=("parameters", "volumeShare"))
    if not inputs.has("volumeShare"):
        return [inputs.step("concentration"), *_dried(inputs)]
    if inputs.context.gas not in {None, CO2}:
        raise VOLUME_OF_CO2_ONLY(path=("parameters", "volumeShare"), gas=inputs.context.gas)
    by_mass = computed(
        StepKind.MEASUREMENT,
        "g/m3",
        "X*rho",
        inputs.step("volumeShare"),
        CO2_DENSITY,
        symbol="C",
        label_zh="质量浓度",
        label_en="Concentration by mass",
    )
    return [by_mass, *_dried(inputs)]


def _dried(inputs: Inputs) -> list[Step]:
    """Wet gas holds less per cubic metre than dry: ÷ (1 − moisture)."""
    if not inputs.has("moisture"):
        return []
    return [
        computed(
            StepKind.COMPUTED,
            "1",
            "1/(1-w)",
            inputs.step("moisture"),
            symbol="dry",
            label_zh="湿基换算为干基",
            label_en="From wet to dry gas",
        )
    ]


SAMPLED: Final = MethodSpec(
    MethodKind.SAMPLED,
    "采样监测",
    "Off-site sampling",
    "T/CIECCPA 061-2023 8.2.5.1",
    (
        ParameterSpec(
            "concentration", "C", "质量浓度", "Concentration by mass", (within("g/m3", "0", "2000"),), optional=True
        ),
        ParameterSpec("volumeShare", "X", "体积分数", "Share by volume", (within("%", "0", "100"),), optional=True),
        ParameterSpec(
            "moisture", "w", "烟气含湿量", "Moisture of the sample", (within("%", "0", "60"),), optional=True
        ),
    ),
    _sampled,
    units=(GAS,),
    gas=CO2,
    takes_gas=True,
)
METHODS: Final = (CONTINUOUS, SAMPLED)
