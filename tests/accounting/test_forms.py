"""Every form of equation with other fuels, regions, years, gases, bases and units: through the API, against fractions.

All cases go in together, a source each; what came out otherwise is listed by name. Figures of the guides are written
here again; products are worked out in fractions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import pytest

from backend.accounting.domain.methods.kinds import MethodKind
from tests.fixtures.accounting import OUTCOME, RECORD, SOURCE, Works
from tests.fixtures.methods import method

STATIONARY: Final = {"category": "DIRECT", "directKind": "STATIONARY"}
MOBILE: Final = {"category": "DIRECT", "directKind": "MOBILE"}
PROCESS: Final = {"category": "DIRECT", "directKind": "PROCESS"}
FUGITIVE: Final = {"category": "DIRECT", "directKind": "FUGITIVE"}
ENERGY: Final = {"category": "IMPORTED_ENERGY", "directKind": None}
TRANSPORT: Final = {"category": "TRANSPORT", "directKind": None}
GOODS: Final = {"category": "PRODUCTS_USED", "directKind": None}
NEAR: Final = Fraction(1, 10**9)
K: Final = Fraction(44, 12)


@dataclass(frozen=True)
class Form:
    """What is recorded of one stream in a month, and the tCO2e by hand."""

    name: str
    term: dict[str, Any]
    stream: dict[str, Any]
    quantity: str
    unit: str
    tonnes: Fraction
    month: str = "2024-06"
    day: str | None = None


def product(*factors: str) -> Fraction:
    found = Fraction(1)
    for factor in factors:
        found *= Fraction(factor)
    return found


def fuel(name: str, heat: str, carbon: str, oxidation: str = "1", **more: Any) -> tuple[dict[str, Any], Fraction]:
    """A fuel of the library, and its tonnes per unit."""
    return {"material": name, **more}, product(heat, carbon, oxidation) * K


def by(kind: str, unit: str, /, **given: str) -> dict[str, Any]:
    return {"unit": unit, "method": method(kind, **given)}


def fuels() -> Iterator[Form]:
    for name, heat, carbon, share in (
        ("无烟煤", "25.024", "0.02749", "0.99"),
        ("褐煤", "15.250", "0.02797", "0.99"),
        ("焦炭", "28.435", "0.02942", "0.99"),
        ("液化天然气", "51.498", "0.01720", "0.98"),
        ("液化石油气", "50.179", "0.01720", "0.98"),
    ):
        stream, each = fuel(name, heat, carbon, share)
        yield Form(name, STATIONARY, stream, "1234.567", "t", each * Fraction("1234.567"))
    stream, each = fuel("汽油", "43.070", "0.01890", "0.98")
    yield Form("petrol of vehicles, kg", MOBILE, stream, "2500", "kg", each * Fraction("2.5"))
    stream, each = fuel("柴油", "42.652", "0.02020", "0.98")
    yield Form("diesel of vehicles, 万吨", MOBILE, stream, "0.0003", "万吨", each * 3)
    stream, each = fuel("天然气", "389.31", "0.01532", "0.99")
    yield Form("gas, 万Nm3", STATIONARY, stream, "35", "万Nm3", each * 35)
    yield Form("gas, m3 in full-width digits", STATIONARY, stream, "１２００００", "m3", each * 12)
    yield Form("gas, 亿立方米", STATIONARY, stream, "0.001", "亿立方米", each * 10)
    stream, each = fuel("焦炭", "28.435", "0.02942", programme="MEE_STEEL")
    yield Form("coke under the steel guide", STATIONARY, stream, "100", "t", each * 100)
    stream = {"material": "烟煤", "unit": "GJ"}
    yield Form("coal by heat, TJ", STATIONARY, stream, "1.5", "TJ", product("1500", "0.02618", "0.99") * K)
    each = product("0.02618", "0.99") * K
    yield Form("coal by standard coal", STATIONARY, stream, "2", "吨标准煤", each * 2 * Fraction("29.3076"))
    stream = {"material": "无烟煤"}
    yield Form("nothing burnt", STATIONARY, stream, "0", "t", Fraction(0))
    each = product("25.024", "0.02749", "0.99") * K
    leap = {"material": "无烟煤", "cadence": "EVENT"}
    yield Form("on 29 February", STATIONARY, leap, "7", "t", each * 7, "2024-02", "2024-02-29")


def fuels_of_ones_own() -> Iterator[Form]:
    own = {"ncv": "21.5 GJ/t", "carbonPerHeat": "0.0267 tC/GJ", "oxidation": "97.3 %"}
    each = product("21.5", "0.0267", "0.973") * K
    yield Form(
        "own heat, carbon, oxidation",
        STATIONARY,
        by("FUEL_COMBUSTION", "t", **own),
        "333.3",
        "t",
        each * Fraction("333.3"),
    )
    biogenic = by("FUEL_COMBUSTION", "t", **own, biogenicShare="30 %")
    yield Form("three tenths biogenic", STATIONARY, biogenic, "100", "t", each * 70)
    others = by("FUEL_COMBUSTION", "t", **own, methane="1 kgCH4/TJ", nitrousOxide="1.5 kgN2O/TJ")
    beside = product("21.5", "0.000001") * 28 + product("21.5", "0.0000015") * 265
    yield Form("CH4 and N2O beside", STATIONARY, others, "100", "t", (each + beside) * 100)
    for name, given, carbon in (
        ("as received", {"carbonAsReceived": "0.5512 tC/t"}, Fraction("0.5512")),
        ("air-dried", {"carbonAirDried": "0.62 tC/t", "totalMoisture": "8.4 %", "airDriedMoisture": "2.1 %"},
         Fraction("0.62") * Fraction("0.916") / Fraction("0.979")),
        ("dry", {"carbonDry": "0.68 tC/t", "totalMoisture": "12.5 %"}, Fraction("0.68") * Fraction("0.875")),
        ("dry, no moisture", {"carbonDry": "0.68 tC/t", "totalMoisture": "0 %"}, Fraction("0.68")),
        ("dry, sludge of 80 %", {"carbonDry": "0.3 tC/t", "totalMoisture": "80 %"}, Fraction("0.06")),
    ):  # fmt: skip
        stream = by("MEASURED_CARBON", "t", **given, oxidation="99 %")
        yield Form(
            f"carbon {name}", STATIONARY, stream, "421.7", "t", carbon * Fraction("0.99") * K * Fraction("421.7")
        )
    mixed = by(
        "GAS_COMPOSITION",
        "1e4Nm3",
        methane="92 %",
        ethane="4 %",
        propane="1.5 %",
        carbonDioxide="2 %",
        oxidation="100 %",
    )
    atoms = product("0.92") + 2 * product("0.04") + 3 * product("0.015") + product("0.02")
    yield Form("gas by composition", STATIONARY, mixed, "10", "1e4Nm3", atoms * 120 / Fraction("22.4") * K * 10)


def balances() -> Iterator[Form]:
    solid = by("MASS_BALANCE", "t", carbonContent="0.0425 tC/t")
    yield Form("balance in", PROCESS, solid, "50", "t", product("50", "0.0425") * K)
    yield Form(
        "balance out is negative", PROCESS, {**solid, "flow": "LEAVING"}, "50", "t", -product("50", "0.0425") * K
    )
    yield Form("given back", STATIONARY, solid, "-12.5", "t", -product("12.5", "0.0425") * K)
    gas = by("MASS_BALANCE", "1e4Nm3", carbonContent="1.7 tC/1e4Nm3")
    yield Form("balance of a gas", PROCESS, {**gas, "flow": "LEAVING"}, "300", "万Nm3", -product("300", "1.7") * K)


def industry() -> Iterator[Form]:
    for name, factor in (
        ("白色硅酸盐水泥熟料", "0.550"),
        ("硫（铁）铝酸盐水泥熟料", "0.413"),
        ("铝酸盐水泥熟料", "0.292"),
        ("石灰石", "0.440"),
        ("生铁", "0.172"),
    ):
        yield Form(name, PROCESS, {"material": name}, "8000", "t", product("8000", factor))
    for name, factor in (("磷石膏", "0.245"), ("钢渣", "0.215")):
        yield Form(name, PROCESS, {"material": name}, "400", "t", -product("400", factor))
    iron = {"material": "生铁", "flow": "LEAVING", "programme": "MEE_STEEL"}
    yield Form("pig iron sold", PROCESS, iron, "1000", "t", -product("1000", "0.172"))
    clinker = by(
        "CLINKER_COMPOSITION", "t", cao="65.2 %", caoNotCarbonate="1.1 %", mgo="2.3 %", mgoNotCarbonate="0.4 %"
    )
    each = Fraction("0.641") * Fraction(44, 56) + Fraction("0.019") * Fraction(44, 40)
    yield Form("clinker by composition", PROCESS, clinker, "1000", "t", each * 1000)
    meal = by("RAW_MEAL_CARBON", "t", organicCarbon="0.003 tC/t")
    yield Form("raw meal with gangue", PROCESS, meal, "1500", "t", product("1500", "0.003") * K)
    pots = by("ANODE_EFFECT", "t", anodeEffect="0.35 min/cell/day")
    cf4 = product("0.143", "0.35") / 1000
    yield Form("anode effects", PROCESS, pots, "1000", "t", (cf4 * 6630 + cf4 / 10 * 11100) * 1000)
    anodes = by("ANODE_CONSUMPTION", "t", netConsumption="0.415 tC/tAl", sulphur="1.8 %", ash="0.5 %")
    yield Form("anodes", PROCESS, anodes, "1000", "t", product("0.415", "0.977", "1000") * K)


def energy() -> Iterator[Form]:
    power = {"material": "外购电力"}
    for region, month, factor, pinned in (
        ("山东", "2022-12", "0.6410", None),
        ("山东", "2023-01", "0.6191", None),
        ("CN-SC", "2024-06", "0.1564", None),
        ("宁夏", "2023-06", "0.6546", 2021),
        ("CN", "2023-06", "0.5306", None),
    ):
        stream = {**power, "region": region, "factorYear": pinned}
        name = f"power {region} {month} {pinned or ''}"
        yield Form(name, ENERGY, stream, "12.5", "万kWh", product("125", factor), month)
    yield Form(
        "power sold", ENERGY, {**power, "region": "上海", "flow": "LEAVING"}, "10", "MWh", -product("10", "0.5737")
    )
    yield Form(
        "heat given on", ENERGY, {"material": "购入热力", "flow": "LEAVING"}, "100", "吉焦", -product("100", "0.11")
    )
    waste = by("PURCHASED_HEAT", "GJ", factor="0.09 tCO2/GJ", wasteHeat="40 %")
    yield Form("heat, two fifths waste", ENERGY, waste, "1000", "GJ", product("1000", "0.09", "0.6"))
    steam = by("STEAM", "t", enthalpy="2748.5 kJ/kg", factor="0.1 tCO2/GJ")
    yield Form("steam", ENERGY, steam, "10", "t", product("10", "2664.76", "0.001", "0.1"))
    water = by("HOT_WATER", "t", temperature="95 °C")
    yield Form("hot water", ENERGY, water, "1000", "t", product("1000", "75", "0.0041868", "0.11"))


def gases_and_services() -> Iterator[Form]:
    for gas, potential in (("HFC-134a", 1300), ("HFC-32", 677), ("SF6", 23500), ("HFC-23", 12400)):
        escaped = by("REFRIGERANT_BALANCE", "t") | {"method": method("REFRIGERANT_BALANCE", gas=gas)}
        yield Form(f"{gas} that escaped", FUGITIVE, escaped, "12.5", "kg", Fraction("0.0125") * potential)
    leak = by("LEAK_RATE", "t", gas="SF6", leakRate="0.5 %")
    yield Form("SF6 by leak rate", FUGITIVE, leak, "840", "kg", product("0.84", "0.005", "23500"))
    acid = by("OTHER_GAS", "t", gas="N2O", factor="7 kgN2O/t", abatement="85 %", abatementUse="90 %")
    yield Form("N2O of nitric acid", PROCESS, acid, "5000", "t", product("35", "0.235", "265"))
    etched = by("OTHER_GAS", "t", gas="NF3", factor="20 kgNF3/t")
    yield Form("NF3", PROCESS, etched, "2", "t", product("0.04", "16100"))
    mine = by("OTHER_GAS", "1e4Nm3", gas="CH4", factor="6.7 tCH4/1e4Nm3")
    yield Form("methane of a mine, m3", FUGITIVE, mine, "5000", "m3", product("0.5", "6.7", "28"))
    rail = by("TRANSPORT_WORK", "t*km", factor="0.022 kgCO2e/t*km")
    yield Form("rail, 万吨公里", TRANSPORT, rail, "35", "万吨公里", product("350000", "0.000022"))
    road = by("TRANSPORT_WORK", "t*km", factor="0.074 kgCO2e/t*km", emptyRuns="35 %")
    yield Form("road with empty runs", TRANSPORT, road, "12000", "t*km", product("12000", "0.000074", "1.35"))
    goods = by("PURCHASED_GOODS", "t", factor="1.9 tCO2e/t", allocation="62.5 %")
    yield Form("goods, allocated", GOODS, goods, "40", "t", product("40", "1.9", "0.625"))
    sampled = by("SAMPLED", "1e4Nm3", concentration="231 g/m3", moisture="11 %")
    wet = Fraction(231, 100) / Fraction("0.89")
    yield Form("stack, sampled wet", STATIONARY, sampled, "120.5", "1e4Nm3", wet * Fraction("120.5"))
    by_volume = by("SAMPLED", "1e4Nm3", volumeShare="11.4 %")
    each = product("0.114", "44.01") / Fraction("22.414") * 10
    yield Form("stack, by volume", STATIONARY, by_volume, "120.5", "1e4Nm3", each * Fraction("120.5"))


FORMS: Final = (*fuels(), *fuels_of_ones_own(), *balances(), *industry(), *energy(), *gases_and_services())


async def test_every_form_agrees_with_fractions(works: Works) -> None:
    rows = [works.source_input(f"F{i}", {"code": "a", **f.stream}, **f.term) for i, f in enumerate(FORMS)]
    done = await works.engineer.do("createEmissionSources", {"rows": rows}, f"outcomes {OUTCOME % SOURCE}")
    wrong = {f.name: o["error"] for f, o in zip(FORMS, done["outcomes"], strict=True) if o["error"]}
    made = {f.name: o["source"]["id"] for f, o in zip(FORMS, done["outcomes"], strict=True) if not o["error"]}
    kept = [f for f in FORMS if f.name in made]
    lines = [
        {"sourceId": made[f.name], "month": f.month, "quantity": f.quantity, "unit": f.unit, "occurredOn": f.day}
        for f in kept
    ]
    done = await works.monitor.do("recordActivity", {"rows": lines}, f"outcomes {OUTCOME % RECORD}")
    wrong |= {f.name: o["error"] for f, o in zip(kept, done["outcomes"], strict=True) if o["error"]}
    query = """query Q($ids: [ID!]!) { nodes(ids: $ids) { ... on EmissionSource {
      y2022: monthlyResults(year: 2022) { firstMonth co2eT } y2023: monthlyResults(year: 2023) { firstMonth co2eT }
      y2024: monthlyResults(year: 2024) { firstMonth co2eT } } } }"""
    answer = await works.engineer.ask(query, ids=list(made.values()))
    for form, source in zip(kept, answer["nodes"], strict=True):
        results = [r for year in source.values() for r in year]
        found = sum((Fraction(r["co2eT"]) for r in results), Fraction(0))
        if {r["firstMonth"] for r in results} != {form.month} or abs(found - form.tonnes) >= NEAR:
            wrong.setdefault(form.name, f"{float(found)} in {results}, not {float(form.tonnes)}")
    assert wrong == {}
    assert len({f.name for f in FORMS}) == len(FORMS) >= 55


def test_the_forms_are_of_almost_every_kind() -> None:
    """Those left out need files or years of their own, and have their own tests."""
    tried = {f.stream["method"]["kind"] for f in FORMS if "method" in f.stream}
    beside = {"LIBRARY", "OWN_FACTOR", "CONTINUOUS", "EXPRESSION", "PRODUCT_USE"}
    by_material = {
        "PURCHASED_ELECTRICITY",
        "CLINKER_TYPE",
        "STEEL_MATERIAL",
        "ALTERNATIVE_RAW_MATERIAL",
        "EMBEDDED_CARBON",
    }
    assert {kind.value for kind in MethodKind} == tried | beside | by_material


WET: Final = by("MEASURED_CARBON", "t", carbonDry="0.5 tC/t", totalMoisture="100 %")


@pytest.mark.parametrize(
    ("stream", "quantity", "unit", "code", "said"),
    [
        (WET, "1", "t", "PARAMETER_OUT_OF_RANGE", "80"),
        (by("MASS_BALANCE", "t", carbonContent="1.2 tC/t"), "1", "t", "PARAMETER_OUT_OF_RANGE", "1"),
        ({"material": "烟煤", "unit": "GJ"}, "1", "toe", "UNKNOWN_UNIT", "GJ"),
        ({"material": "烟煤"}, "1", "GJ", "UNIT_DOES_NOT_FIT", "万吨"),
        ({"material": "烟煤"}, "1,000", "t", "NUMBER_HAS_SEPARATORS", "1000"),
        ({"material": "烟煤"}, "1", "mt", "UNKNOWN_UNIT", "t"),
    ],
)  # fmt: skip
async def test_what_cannot_be_meant_is_refused_with_what_can(
    works: Works, stream: dict[str, Any], quantity: str, unit: str, code: str, said: str
) -> None:
    """What is refused says what would do: the unit that fits, the plain number, the range."""
    row = works.source_input("X", {"code": "a", **stream})
    done = await works.engineer.do("createEmissionSources", {"rows": [row]}, f"outcomes {OUTCOME % SOURCE}")
    (outcome,) = done["outcomes"]
    if outcome["error"] is None:
        line = {"sourceId": outcome["source"]["id"], "month": "2024-06", "quantity": quantity, "unit": unit}
        done = await works.monitor.do("recordActivity", {"rows": [line]}, f"outcomes {OUTCOME % RECORD}")
        (outcome,) = done["outcomes"]
    assert outcome["error"]["code"] == code, outcome
    assert said in outcome["error"]["message"]
