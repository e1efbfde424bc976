"""Factors of other gases and of whole products: CH4 and N2O, refrigerants and SF6, transport, goods, product use.

(8.2.5.4 fugitive, 8.2.5.5 the indirect terms, all by formula (2).)
"""

from __future__ import annotations

from typing import Final

from backend.accounting.domain.derivation import Step, StepKind, computed
from backend.accounting.domain.factors import CO2E
from backend.accounting.domain.methods.inputs import Inputs
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.spec import (
    SHARE,
    MethodSpec,
    ParameterSpec,
    per_activity,
    within,
)
from backend.accounting.domain.sources import Category, DirectKind
from backend.kit.quantity import CANONICAL_UNITS, MASS, TRANSPORT

_STANDARD: Final = "T/CIECCPA 061-2023 8.2.5.3"
_FUGITIVE: Final = frozenset({DirectKind.FUGITIVE})


def _abated(inputs: Inputs) -> list[Step]:
    """The factor, less what an abatement destroys in the share of time it runs: EF·(1 − A·U), U 1 when not given.

    Source: IPCC 2006 V3, equations 3.6 and 3.8 (recalled).
    """
    factor = inputs.step("factor")
    if not inputs.has("abatement"):
        return [factor]
    parts = [inputs.step(n) for n in ("abatement", "abatementUse") if inputs.has(n)]
    formula = "1-A*U" if len(parts) == 2 else "1-A"
    labels = {"label_zh": "未被销毁的比例", "label_en": "Share not destroyed"}
    return [factor, computed(StepKind.COMPUTED, "1", formula, *parts, symbol="rest", **labels)]


# A tonne holds at most a tonne of the gas; 10⁴ Nm3 of the heaviest, SF6, weigh 65 t.
_MASS_PER_UNIT: Final = (
    within("t/t", "0", "1"),
    within("t/1e4Nm3", "0", "70"),
    within("t/GJ", "0", "1"),
    within("t/MWh", "0", "1"),
    within("t/t*km", "0", "1"),
)
OTHER_GAS: Final = MethodSpec(
    MethodKind.OTHER_GAS,
    "其他气体因子",
    "Factor of another gas",
    f"{_STANDARD}; IPCC 2006",
    (
        ParameterSpec(
            "factor",
            "EF",
            "气体排放因子",
            "Mass of gas per unit",
            _MASS_PER_UNIT,
            StepKind.GAS_FACTOR,
            per_unit=True,
        ),
        ParameterSpec("abatement", "A", "销毁去除率", "Share destroyed", SHARE, optional=True),
        ParameterSpec("abatementUse", "U", "销毁设施使用率", "Share of time abated", SHARE, optional=True),
    ),
    _abated,
    units=tuple(u for u in CANONICAL_UNITS if u != "tCO2e"),
    categories=frozenset(Category),
    gas=CO2E,
    takes_gas=True,
    needs_gas=True,
)
_ESCAPED: Final = Step(
    StepKind.CONSTANT, "1", "t/t", symbol="one", label_zh="缺额即逸散", label_en="What is missing has escaped"
)
REFRIGERANT_BALANCE: Final = MethodSpec(
    MethodKind.REFRIGERANT_BALANCE,
    "制冷剂、SF6 平衡法",
    "Balance of a refrigerant or SF6",
    "IPCC 2006 V3 ch. 7, 8; rules 2.11",
    (),
    lambda _inputs: [_ESCAPED],
    units=(MASS,),
    direct_kinds=_FUGITIVE,
    gas=CO2E,
    takes_gas=True,
    needs_gas=True,
)
LEAK_RATE: Final = MethodSpec(
    MethodKind.LEAK_RATE,
    "泄漏率法",
    "Leak rate of a charge",
    "IPCC 2006 V3 ch. 7; rules 2.11",
    (
        ParameterSpec(
            "leakRate",
            "L",
            "记录期内泄漏率",
            "Share that leaks in the time a record covers",
            SHARE,
            StepKind.GAS_FACTOR,
        ),
    ),
    lambda inputs: [inputs.step("leakRate")],
    units=(MASS,),
    direct_kinds=_FUGITIVE,
    gas=CO2E,
    takes_gas=True,
    needs_gas=True,
)


def _co2e_factor(name_zh: str, name_en: str) -> ParameterSpec:
    return ParameterSpec(
        "factor", "EF", name_zh, name_en, per_activity("tCO2e"), StepKind.EMISSION_FACTOR, per_unit=True
    )


def _with_surcharge(inputs: Inputs) -> list[Step]:
    if not inputs.has("emptyRuns"):
        return [inputs.step("factor")]
    more = computed(StepKind.COMPUTED, "1", "1+m", inputs.step("emptyRuns"), symbol="surcharge")
    return [inputs.step("factor"), more]


TRANSPORT_WORK: Final = MethodSpec(
    MethodKind.TRANSPORT_WORK,
    "运输周转量",
    "Transport work",
    "T/CIECCPA 061-2023 8.2.2.3, 8.2.5.5",
    (
        _co2e_factor("单位周转量排放因子", "Factor per tonne-kilometre"),
        ParameterSpec(
            "emptyRuns", "m", "空驶附加率", "Surcharge for empty runs", (within("%", "0", "100"),), optional=True
        ),
    ),
    _with_surcharge,
    units=(TRANSPORT,),
    categories=frozenset({Category.TRANSPORT}),
    gas=CO2E,
)


def _allocated(inputs: Inputs) -> list[Step]:
    """The factor, and the share of it that a co-product allocation assigns (8.2.5.3 note 4)."""
    share = [inputs.step("allocation")] if inputs.has("allocation") else []
    return [inputs.step("factor"), *share]


_ALLOCATION: Final = ParameterSpec("allocation", "s", "共生产品分配比例", "Share by allocation", SHARE, optional=True)
PRODUCT_USE: Final = MethodSpec(
    MethodKind.PRODUCT_USE,
    "产品使用",
    "Use of products",
    "T/CIECCPA 061-2023 8.2.2.5, 8.2.5.5",
    (_co2e_factor("产品使用排放因子", "Factor of use"), _ALLOCATION),
    _allocated,
    categories=frozenset({Category.USE_OF_OWN_PRODUCTS, Category.OTHER}),
    gas=CO2E,
)
PURCHASED_GOODS: Final = MethodSpec(
    MethodKind.PURCHASED_GOODS,
    "外购产品和服务",
    "Purchased goods and services",
    "T/CIECCPA 061-2023 8.2.2.4, 8.2.5.5",
    (_co2e_factor("产品碳足迹因子", "Footprint factor"), _ALLOCATION),
    _allocated,
    categories=frozenset({Category.PRODUCTS_USED, Category.OTHER}),
    gas=CO2E,
)
METHODS: Final = (OTHER_GAS, REFRIGERANT_BALANCE, LEAK_RATE, TRANSPORT_WORK, PRODUCT_USE, PURCHASED_GOODS)
