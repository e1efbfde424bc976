"""The kinds of method, and the class of the standard each belongs to (8.2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from backend.accounting.domain.records import Method


class MethodKind(StrEnum):
    """A way to turn parameters into a coefficient."""

    LIBRARY = "LIBRARY"
    """The defaults of the factor library for the material of the stream (因子库缺省值)."""
    OWN_FACTOR = "OWN_FACTOR"
    """An emission factor of the tenant's own, with its source (自有排放因子)."""
    FUEL_COMBUSTION = "FUEL_COMBUSTION"
    """NCV × carbon per heat × oxidation rate × 44/12 (燃料燃烧)."""
    MEASURED_CARBON = "MEASURED_CARBON"
    """Analysed carbon of a fuel, brought to the as-received basis, × oxidation rate × 44/12 (实测元素碳)."""
    GAS_COMPOSITION = "GAS_COMPOSITION"
    """Carbon of a gas from its composition by volume × oxidation rate × 44/12 (气体组分法)."""
    MASS_BALANCE = "MASS_BALANCE"
    """Formula (1): carbon content × 44/12, in or out (物料平衡法)."""
    CLINKER_TYPE = "CLINKER_TYPE"
    """Process factor per kind of clinker, MEE cement guide (熟料过程排放，按熟料种类)."""
    CLINKER_COMPOSITION = "CLINKER_COMPOSITION"
    """CaO and MgO of clinker or kiln dust less what is not from carbonate, GB/T 32151.8 (熟料过程排放，按成分)."""
    RAW_MEAL_CARBON = "RAW_MEAL_CARBON"
    """Organic carbon of raw meal burnt in the kiln, GB/T 32151.8 (生料中非燃料碳煅烧)."""
    ALTERNATIVE_RAW_MATERIAL = "ALTERNATIVE_RAW_MATERIAL"
    """CO2 saved by a raw material that is no carbonate; subtracted, MEE cement guide (非碳酸盐替代原料)."""
    STEEL_MATERIAL = "STEEL_MATERIAL"
    """Carbonates, electrodes and carbonaceous materials bought for steelmaking (钢铁含碳原料与熔剂)."""
    EMBEDDED_CARBON = "EMBEDDED_CARBON"
    """Carbon leaving in a product; subtracted (产品隐含碳)."""
    ANODE_EFFECT = "ANODE_EFFECT"
    """CF4 and C2F6 of anode effects per tonne of aluminium (阳极效应)."""
    ANODE_CONSUMPTION = "ANODE_CONSUMPTION"
    """Net anode consumption × (1 − sulphur − ash) × 44/12 (炭阳极消耗)."""
    PURCHASED_ELECTRICITY = "PURCHASED_ELECTRICITY"
    """Electricity bought less sold × grid factor by series, year and region (购入电力)."""
    PURCHASED_HEAT = "PURCHASED_HEAT"
    """Heat in GJ × factor; waste heat 0 (购入热力)."""
    STEAM = "STEAM"
    """Steam by mass: enthalpy above water at 20 °C × factor of heat (购入蒸汽)."""
    HOT_WATER = "HOT_WATER"
    """Hot water by mass: temperature above 20 °C × 4.1868 × factor of heat (购入热水)."""
    TRANSPORT_WORK = "TRANSPORT_WORK"
    """Tonne-kilometres × factor per mode (运输周转量)."""
    REFRIGERANT_BALANCE = "REFRIGERANT_BALANCE"
    """What a stock balance of a gas lacks has escaped: 1 t per t (制冷剂、SF6 平衡法)."""
    LEAK_RATE = "LEAK_RATE"
    """Charge of a gas × share that leaks in a year (泄漏率法)."""
    PRODUCT_USE = "PRODUCT_USE"
    """Use and end of life of the organisation's products × factor (产品使用)."""
    PURCHASED_GOODS = "PURCHASED_GOODS"
    """Goods, waste and services used × factor of their footprint (外购产品和服务)."""
    OTHER_GAS = "OTHER_GAS"
    """Mass of a gas other than CO2 per unit of activity × GWP (其他气体因子)."""
    CONTINUOUS = "CONTINUOUS"
    """Continuous measurement: mass of a gas over dry flue gas in a month (在线监测)."""
    SAMPLED = "SAMPLED"
    """Off-site sampling: flow-weighted mean concentration in dry flue gas (采样监测)."""
    EXPRESSION = "EXPRESSION"
    """A formula of the tenant's own, in the language that `formula` describes (自定义公式)."""


METHOD_OF: Final[Mapping[MethodKind, Method]] = dict.fromkeys(MethodKind, Method.FACTOR) | {
    MethodKind.MASS_BALANCE: Method.MASS_BALANCE,
    MethodKind.CONTINUOUS: Method.MEASURED,
    MethodKind.SAMPLED: Method.MEASURED,
}
