"""Process emissions of cement: clinker by its kind less alternative raw materials (MEE guide CETS-AG-02.01), or by its
CaO and MgO (NDRC 2013, GB/T 32151.8), with kiln dust and the organic carbon of raw meal.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Final

from backend.accounting.domain.derivation import Step, StepKind, computed
from backend.accounting.domain.factors import Parameter
from backend.accounting.domain.methods.inputs import CARBON, MINUS, Inputs, constant
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import (
    SHARE,
    Constant,
    FromLibrary,
    MethodSpec,
    ParameterSpec,
    within,
)
from backend.accounting.domain.sources import DirectKind
from backend.kit.errors import rule
from backend.kit.quantity import MASS

_PROCESS: Final = frozenset({DirectKind.PROCESS})
_MEE: Final = "CETS-AG-02.01-V01-2024"
_GBT: Final = "GB/T 32151.8-2015; NDRC 2013"

MORE_THAN_TOTAL = rule(
    "OXIDE_BEYOND_TOTAL",
    en="{part} is more than {whole}: what does not come from carbonate is a part of all of that oxide.",
    zh="{part} 大于 {whole}：非碳酸盐来源的氧化物不能超过该氧化物总量。",
)

CLINKER_TYPE: Final = MethodSpec(
    MethodKind.CLINKER_TYPE,
    "熟料过程排放（按熟料种类）",
    "Clinker by kind",
    _MEE,
    (
        ParameterSpec(
            "factor",
            "EF",
            "熟料排放因子",
            "Process factor of clinker",
            (within("tCO2/t", "0", "0.8"),),
            StepKind.EMISSION_FACTOR,
            FromLibrary(Parameter.EMISSION_FACTOR),
        ),
    ),
    lambda inputs: [inputs.step("factor")],
    units=(MASS,),
    direct_kinds=_PROCESS,
)
ALTERNATIVE_RAW_MATERIAL: Final = MethodSpec(
    MethodKind.ALTERNATIVE_RAW_MATERIAL,
    "非碳酸盐替代原料扣减",
    "Alternative raw material",
    _MEE,
    (
        ParameterSpec(
            "deduction",
            "D",
            "扣减系数",
            "Deduction",
            (within("tCO2/t", "0", "0.8"),),
            StepKind.DEDUCTION,
            FromLibrary(Parameter.DEDUCTION),
        ),
    ),
    lambda inputs: [inputs.step("deduction"), MINUS],
    units=(MASS,),
    direct_kinds=_PROCESS,
)


def substitution_rate(slag_t: Decimal, deduction: Decimal, clinker_t: Decimal, factor: Decimal) -> Fraction:
    """The share of clinker's process CO2 that a slag replaced. Source: note 5 of table 2-3 of the allocation draft."""
    return Fraction(slag_t) * Fraction(deduction) / (Fraction(clinker_t) * Fraction(factor))


_CAO: Final = constant("44/56", "tCO2/tCaO", "a", "CO2 与 CaO 的质量比 44/56", "CO2 per CaO, 44/56")
_MGO: Final = constant("44/40", "tCO2/tMgO", "b", "CO2 与 MgO 的质量比 44/40", "CO2 per MgO, 44/40")
_NONE: Final = Constant("0", "%", "all taken as carbonate: emissions are not understated")


def _composition(inputs: Inputs) -> list[Step]:
    """(FR1 − FR10)·44/56 + (FR2 − FR20)·44/40; kiln dust is a stream of its own with the same composition."""
    parts = [inputs.step(p.name) for p in inputs.spec.parameters]
    for whole, part in ((parts[0], parts[1]), (parts[2], parts[3])):
        if part.value > whole.value:
            raise MORE_THAN_TOTAL(path=("parameters", part.parameter), part=part.parameter, whole=whole.parameter)
    formula = "(FR1-FR10)*a+(FR2-FR20)*b"
    return [computed(StepKind.COMPUTED, "tCO2/t", formula, *parts, _CAO, _MGO, symbol="EF")]


CLINKER_COMPOSITION: Final = MethodSpec(
    MethodKind.CLINKER_COMPOSITION,
    "熟料过程排放（按成分）",
    "Clinker by its composition",
    _GBT,
    (
        ParameterSpec("cao", "FR1", "熟料氧化钙含量", "CaO of clinker", (within("%", "0", "75"),)),
        ParameterSpec("caoNotCarbonate", "FR10", "非碳酸盐氧化钙含量", "CaO not from carbonate", SHARE, default=_NONE),
        ParameterSpec("mgo", "FR2", "熟料氧化镁含量", "MgO of clinker", (within("%", "0", "20"),)),
        ParameterSpec("mgoNotCarbonate", "FR20", "非碳酸盐氧化镁含量", "MgO not from carbonate", SHARE, default=_NONE),
    ),
    _composition,
    units=(MASS,),
    direct_kinds=_PROCESS,
)

RAW_MEAL_CARBON: Final = MethodSpec(
    MethodKind.RAW_MEAL_CARBON,
    "生料中非燃料碳煅烧",
    "Organic carbon of raw meal",
    _GBT,
    (
        ParameterSpec(
            "organicCarbon",
            "FR0",
            "生料非燃料碳含量",
            "Organic carbon of raw meal",
            (within("tC/t", "0", "0.05"),),
            StepKind.CARBON_CONTENT,
            Constant("0.001", "tC/t", f"{_GBT}: 0.1 %; 0.3 % with gangue or high-carbon ash"),
        ),
    ),
    lambda inputs: [inputs.step("organicCarbon"), CARBON],
    units=(MASS,),
    direct_kinds=_PROCESS,
)
METHODS: Final = (CLINKER_TYPE, CLINKER_COMPOSITION, RAW_MEAL_CARBON, ALTERNATIVE_RAW_MATERIAL)
