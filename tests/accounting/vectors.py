"""Published and derived figures that accounting must reproduce, in the form the tests feed to the public API.

Where they come from (each was transcribed from the document named, with the tolerance its rounding leaves):
- steel-jsl: verification report of 湖北金盛兰冶金科技有限公司 2020-2023 (94-02), as transcribed in a public data file;
- steel-anon: twelve months of an anonymous integrated steel works in public software demonstration data;
- ng, scope2: public software demonstration data and a report template;
- steel-mee, coal tar, steam: MEE steel guide CETS-AG-03.01-V01-2024, formulas (1), E.2, Annex A;
- cement-mee: MEE cement guide 2024 (secondary); al-pfc: MEE aluminium guide 2024 (secondary);
- ghgrp: US EPA Greenhouse Gas Reporting Program, data of 2013 to 2023 (public domain), AR4 potentials;
- epa: US EPA greenhouse gas equivalencies;
- calib: MEE verification guide for power 2026; weighted-ncv, stock-change, cems: steel guide; uncert: IPCC 2006.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Stream(NamedTuple):
    """One stream of a source, and what it did in a month."""

    quantity: str
    unit: str
    definition: dict[str, object]


class ActivityVector(NamedTuple):
    """Streams of one source in one month, and the tonnes they add up to."""

    name: str
    month: str
    streams: tuple[Stream, ...]
    tonnes: str
    tolerance: str


class PureVector(NamedTuple):
    """Figures that are computed, not recorded: inputs, what comes out, and how near."""

    name: str
    inputs: dict[str, str]
    expected: dict[str, str]
    tolerance: str


class DeclaredVector(NamedTuple):
    """Declared results (gas, tonnes) of a facility in a year, and the tCO2e they add up to."""

    name: str
    year: int
    gwp_set: str
    masses: tuple[tuple[str, str], ...]
    tonnes: str
    tolerance: str


def _steel(material: str, quantity: str, **fields: object) -> Stream:
    return Stream(quantity, "t", {"material": material, "programme": "MEE_STEEL", **fields})


ACTIVITY: Final = (
    ActivityVector("ng-21-1e4Nm3", "2024-06", (Stream("21", "1e4Nm3", {"material": "天然气"}),), "454.6532", "0.0001"),
    ActivityVector(
        "power-scope2-5280MWh",
        "2022-12",
        (Stream("5280000", "kWh", {"material": "外购电力"}),),
        "2833.248",
        "0.000000001",
    ),
    ActivityVector("steel-mee-coal-noOF", "2024-01", (_steel("烟煤", "1000"),), "2278.5", "0.01"),
    ActivityVector(
        "the same coal with oxidation", "2024-01", (Stream("1000", "t", {"material": "烟煤"}),), "2255.71", "0.01"
    ),
    ActivityVector(
        "steel-mee-full",
        "2024-12",
        (
            _steel("洗精煤", "600000"),
            _steel("烟煤", "150000"),
            _steel("石灰石", "200000"),
            _steel("白云石", "60000"),
            _steel("电极", "500"),
            _steel("废钢", "100000"),
            _steel("粗钢", "1000000", flow="LEAVING"),
            _steel("焦油", "20000", flow="LEAVING"),
            _steel("粗苯", "5000", flow="LEAVING"),
        ),
        "1828658.45",
        "0.02",
    ),
    ActivityVector("steel-guide-coaltar", "2024-03", (_steel("焦油", "1", flow="LEAVING"),), "-2.699", "0.0005"),
    ActivityVector("coal tar by its carbon", "2024-03", (_steel("COAL_TAR", "1"),), "2.698542", "0.000001"),
    ActivityVector(
        "cement-mee-process",
        "2024-12",
        (
            Stream("1000000", "t", {"material": "硅酸盐水泥熟料"}),
            Stream("50000", "t", {"material": "电石渣"}),
        ),
        "511000",
        "0.000000001",
    ),
    ActivityVector(
        "steam-heat", "2024-12", (Stream("27162.6", "GJ", {"material": "购入热力"}),), "2987.886", "0.000000001"
    ),
)

DECLARED: Final = (
    DeclaredVector("al-pfc-default", 2024, "AR5", (("CF4", "3.4"), ("C2F6", "0.34")), "26316", "0.000000001"),
    DeclaredVector(
        "ghgrp-1002308",
        2023,
        "AR4",
        (("CO2", "1811024.5"), ("CH4", "71.17"), ("N2O", "13.773"), ("CO2_BIOGENIC", "134137.0")),
        "1816908.104",
        "0.01",
    ),
    DeclaredVector(
        "ghgrp-1007227",
        2023,
        "AR4",
        (("CO2", "16428570.8"), ("CH4", "1899.31"), ("N2O", "276.266")),
        "16558380.818",
        "0.01",
    ),
    DeclaredVector(
        "ghgrp-1000418",
        2023,
        "AR4",
        (("CO2", "10812591.6"), ("CH4", "4571.79"), ("N2O", "6.476")),
        "10928816.198",
        "0.01",
    ),
    DeclaredVector(
        "ghgrp-1006666",
        2023,
        "AR4",
        (("CO2", "409334.7"), ("CH4", "1.18"), ("N2O", "0.118"), ("CO2E", "154942.03")),
        "564341.394",
        "0.01",
    ),
    DeclaredVector("ghgrp-adipic-1001781-2023", 2023, "AR4", (("N2O", "1407.915"),), "419559", "1.5"),
    DeclaredVector("the same by AR5", 2023, "AR5", (("N2O", "1407.915"),), "373097.5", "0.1"),
    DeclaredVector("the same by AR6", 2023, "AR6", (("N2O", "1407.915"),), "384360.8", "0.1"),
    DeclaredVector("ghgrp-adipic-1004962-2022", 2022, "AR4", (("N2O", "6171.69"),), "1839164", "1.5"),
    DeclaredVector("ghgrp-adipic-1001781-2022", 2022, "AR4", (("N2O", "1710.589"),), "509756", "1.5"),
    DeclaredVector("ghgrp-adipic-1004962-2018", 2018, "AR4", (("N2O", "33045.55"),), "9847574", "1.5"),
    DeclaredVector("ghgrp-adipic-1001781-2013", 2013, "AR4", (("N2O", "1617.0"),), "481866", "1.5"),
)

ROLL_UPS: Final = {
    "steel-jsl-2020 (1e4 t)": (("518.43", "63.53", "29.1", "-4.8"), "606.26", "0.02"),
    "steel-jsl-2021 (1e4 t)": (("699.66", "71.34", "29.19", "-28.34"), "771.85", "0.02"),
    "steel-jsl-process-2021 (1e4 t)": (
        ("69.16", "83.1", "8.47", "210.3", "-68.2", "24.7", "96.89", "73.2"),
        "497.64",
        "0.02",
    ),
    "ghgrp-sodaash-tata-2022": (("167057", "182467"), "349524", "0"),
    "ghgrp-sodaash-genesis-2022": (("56689", "81738", "202144"), "340571", "0"),
}
"""Parts of one enterprise that must add up, negative ones included."""

STEEL_ANON: Final = {
    "fossil": "641128.7 551701.8 725216.4 877698.9 972821.7 893147.4 873880.1 951481.7 952006.1 920070.1 767932.7 "
    "499076.19",
    "process": "40053.67 27802.79 45775.44 66979.3 68060.87 62496.83 64599.76 59817.75 53821.17 56307.11 51144.99 "
    "40574.38",
    "net_power": "35893.68 36951.99 56340.69 62160.65 66955.66 57967.74 54665.1 50284 47230.3 55103.3 64128.29 "
    "67845.31",
    "net_heat": "-17417.6 -14128.08 -8511.56 -2505.08 -2411.82 -2101.9 -2172.67 -2516.79 -2517.77 -2586.88 -5657.32 "
    "-14686.65",
    "embedded": "-5564.81 -4733.38 -5725 -6783.02 -7828.49 -6743.89 -6607.86 -7398.01 -7160.85 -7185.02 -6042.16 "
    "-3702.22",
}
STEEL_ANON_MONTHS: Final = "694094 597595 813096 997551 1097598 1004766 984364 1051669 1043379 1021709 871507 589107"
STEEL_ANON_YEAR: Final = "10766433.73"
STEEL_ANON_YEAR_OF_ROUNDED: Final = "10766435"

PURE: Final = (
    PureVector(
        "ng-21-1e4Nm3",
        {"FC_1e4Nm3": "21", "NCV": "389.31", "CC": "0.01532", "OF": "0.99"},
        {"heat_GJ": "8175.51", "unrounded_tCO2": "454.6532", "published_with_CC_rounded_to_5.96": "454.33"},
        "0.01",
    ),
    PureVector(
        "epa-coal-lb",
        {"mmbtu_per_t": "21.11", "kgC_per_mmbtu": "26.05", "lb_per_t": "2204.6"},
        {"tCO2_per_lb": "0.000915", "unrounded": "0.0009146134597"},
        "0.0000005",
    ),
    PureVector(
        "epa-crude-bbl",
        {"mmbtu_per_bbl": "5.8", "kgC_per_mmbtu": "20.31"},
        {"tCO2_per_bbl": "0.43", "unrounded": "0.431926"},
        "0.005",
    ),
    PureVector(
        "stock-change",
        {"opening": "12000", "purchased": "100000", "closing": "15000", "sold": "2000"},
        {"consumption": "95000"},
        "0",
    ),
    PureVector("calib-fuel-late", {"reading": "100000", "required_accuracy": "0.005"}, {"used": "100500"}, "0.001"),
    PureVector(
        "calib-fuel-out", {"reading": "100000", "calibrated": "0.008", "required": "0.005"}, {"used": "100300"}, "0.001"
    ),
    PureVector("cems-day", {"dry_flow_1e4Nm3_per_d": "2400", "conc_g_per_m3": "240"}, {"t_per_d": "5760"}, "0.001"),
    PureVector("cems-volpct", {"vol_pct": "12"}, {"g_per_m3": "235.618"}, "0.01"),
    PureVector("uncert-product", {"U_AD": "0.05", "U_EF": "0.1"}, {"U": "0.111803"}, "0.00001"),
)
WEIGHTED_NCV: Final = ((("10000", "23.1"), ("0", "0"), ("5000", "20.4")), "22.200", "14.5")
"""weighted-ncv: quantity and heat value of three months, the mean of the year, and the simple mean that is wrong."""


def transcribed() -> frozenset[str]:
    """The ids of every vector that stands in this file."""
    listed = [v.name for v in (*ACTIVITY, *DECLARED, *PURE)] + [name.partition(" ")[0] for name in ROLL_UPS]
    return frozenset([*listed, "steel-anon-monthly", "weighted-ncv"])
