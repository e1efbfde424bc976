"""Methods through the public door: each kind reproduces its published figure; what does not fit is refused."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

import pytest

from tenants.access import Role
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.methods import method, set_method, streams

PROCESS = {"directKind": "PROCESS"}
FUGITIVE = {"directKind": "FUGITIVE"}
NOTHING: Final[Mapping[str, Any]] = {}
HEAT = {"category": "IMPORTED_ENERGY", "directKind": None}


class Case(NamedTuple):
    """A stream with a method, a quantity of a month, and the tCO2e it comes to."""

    name: str
    quantity: str
    unit: str
    method: dict[str, Any]
    tonnes: str
    source: Mapping[str, Any] = NOTHING
    stream: Mapping[str, Any] = NOTHING


CASES = (
    Case("steel-mee-coal-noOF, given", "1000", "t",
         method("FUEL_COMBUSTION", ncv="23.736 GJ/t", carbonPerHeat="0.02618 tC/GJ"), "2278.49776",
         stream={"material": "烟煤", "programme": "MEE_STEEL"}),
    Case("the same with oxidation", "1000", "t",
         method("FUEL_COMBUSTION", ncv="23.736 GJ/t", carbonPerHeat="0.02618 tC/GJ", oxidation="99 %"), "2255.7127824"),
    Case("measured carbon, air-dried to as received", "100", "t",
         method("MEASURED_CARBON", carbonAirDried="0.6 tC/t", totalMoisture="10 %", airDriedMoisture="4 %",
                oxidation="100 %"), "206.25"),
    Case("cement-mee-process", "1000000", "t", method("CLINKER_TYPE", factor="0.535 tCO2/t"), "535000", PROCESS),
    Case("carbide slag", "50000", "t", method("ALTERNATIVE_RAW_MATERIAL", deduction="0.48 tCO2/t"), "-24000", PROCESS),
    Case("clinker by composition", "1000", "t",
         method("CLINKER_COMPOSITION", cao="65 %", caoNotCarbonate="1 %", mgo="2 %"), "524.857142857", PROCESS),
    Case("al-pfc-default", "100000", "t", method("ANODE_EFFECT"), "26316", PROCESS),
    Case("steam-heat", "10000", "t", method("STEAM", enthalpy="2800 kJ/kg", factor="0.11 tCO2/GJ"), "2987.886", HEAT),
    Case("cems-day", "2400", "1e4Nm3", method("CONTINUOUS", mass="5760 t", dryFlow="2400 1e4Nm3"), "5760"),
    Case("cems-volpct", "1", "1e4Nm3", method("SAMPLED", volumeShare="12 %"), "2.356205943"),
    Case("mass balance, in", "100", "t", method("MASS_BALANCE", carbonContent="0.5 tC/t"), "183.333333333"),
    Case("mass balance, out", "100", "t", method("MASS_BALANCE", carbonContent="0.5 tC/t"), "-183.333333333",
         stream={"flow": "LEAVING"}),
    Case("SF6 that escaped", "12", "kg", method("REFRIGERANT_BALANCE", gas="SF6"), "282", FUGITIVE),
    Case("methane per tonne", "1000", "t", method("OTHER_GAS", gas="CH4", factor="0.01 tCH4/t"), "280", FUGITIVE),
    Case("own formula", "10", "t",
         method("EXPRESSION", formula="燃料 × 碳 × k × (1 − 留存)", 燃料="0.5 t/t", 碳="0.8 tC/t", 留存="25 %"), "11"),
)  # fmt: skip
CEMS = method("CONTINUOUS", mass="5760 t", dryFlow="2400 1e4Nm3")


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
async def test_each_kind_reproduces_its_figure(works: Works, case: Case) -> None:
    stream = {"code": "a", "unit": case.unit, "method": case.method, **case.stream}
    source = await works.source("V", stream, **case.source)
    await works.burn(source, "2024-06", case.quantity, case.unit)
    assert sum(Decimal(r["co2eT"]) for r in await works.results(source, 2024)) == Decimal(case.tonnes)


async def test_carbon_that_was_not_made_co2_is_told_how(works: Works) -> None:
    own = method("EXPRESSION", formula="碳 × (1 − 损失)", 碳="0.8 tC/t", 损失="25 %")
    given = works.source_input("V", {"code": "a", "unit": "t", "method": own})
    (error,) = (await works.engineer.attempt("createEmissionSource", given, "source { id }"))["errors"]
    assert (error["code"], "by k (44/12 tCO2/tC)" in error["message"]) == ("EXPRESSION_RESULT", True)


async def test_steel_cement_and_the_like_add_up_within_a_source(works: Works) -> None:
    """Inputs and outputs of a mass balance, the balance negative: nothing is clamped at 0."""
    source = await works.source(
        "BOF",
        {"code": "in", "unit": "t", "method": method("MASS_BALANCE", carbonContent="0.042 tC/t")},
        {"code": "out", "unit": "t", "flow": "LEAVING", "method": method("MASS_BALANCE", carbonContent="0.05 tC/t")},
        **PROCESS,
    )
    await works.burn(source, "2024-06", "100", "t", stream="in")
    await works.burn(source, "2024-06", "100", "t", stream="out")
    (result,) = await works.results(source, 2024)
    assert Decimal(result["co2eT"]) == Decimal("15.4") - Decimal("18.333333333")


GASES = """query Q($id: ID!) { node(id: $id) { ... on EmissionSource { monthlyResults(year: 2024) {
  gas massT co2eT ar4: co2e(gwpSet: AR4) ar5: co2e(gwpSet: AR5) ar6: co2e(gwpSet: AR6) } } } }"""


async def test_masses_by_gas_are_kept_and_restated_by_another_set(works: Works) -> None:
    smelter = await works.source("AL", {"code": "a", "unit": "t", "method": method("ANODE_EFFECT")}, **PROCESS)
    await works.burn(smelter, "2024-06", "100000", "t")
    switch = {"code": "a", "unit": "t", "method": method("REFRIGERANT_BALANCE", gas="SF6")}
    breaker = await works.source("SF6", switch, **FUGITIVE)
    await works.burn(breaker, "2024-06", "1", "t")
    mixed = await works.source("MIX", {"code": "a", "ownFactor": {"value": "2", "unit": "t", "source": "x"}})
    await works.burn(mixed, "2024-06", "1", "t")
    c2f6, cf4 = (await works.engineer.ask(GASES, id=smelter))["node"]["monthlyResults"]
    assert (cf4["gas"], Decimal(cf4["massT"]), Decimal(cf4["co2eT"])) == ("CF4", Decimal("3.4"), Decimal(22542))
    assert (c2f6["gas"], Decimal(c2f6["massT"]), Decimal(c2f6["co2eT"])) == ("C2F6", Decimal("0.34"), Decimal(3774))
    (sf6,) = (await works.engineer.ask(GASES, id=breaker))["node"]["monthlyResults"]
    assert [Decimal(sf6[s]) for s in ("co2eT", "ar4", "ar5", "ar6")] == [23500, 22800, 23500, 25200]
    (unknown,) = (await works.engineer.ask(GASES, id=mixed))["node"]["monthlyResults"]
    assert (unknown["gas"], unknown["ar4"]) == ("CO2E", None)


async def test_the_set_of_the_boundary_is_applied(works: Works) -> None:
    admin = await works.world.caller(Role.TENANT_ADMINISTRATOR)
    boundary = {"organisationId": works.group_id, "value": {"gwpSet": "AR6"}, "validFrom": "2015-01-01", "reason": "x"}
    await admin.do("setBoundary", boundary, "setting { id }")
    switch = {"code": "a", "unit": "t", "method": method("REFRIGERANT_BALANCE", gas="SF6")}
    breaker = await works.source("SF6", switch, **FUGITIVE)
    await works.burn(breaker, "2024-06", "1", "t")
    assert [Decimal(r["co2eT"]) for r in await works.results(breaker, 2024)] == [25200]


REFUSED: Final[tuple[tuple[str, str, dict[str, Any], dict[str, Any]], ...]] = (
    ("METHOD_NOT_ALLOWED", "t", method("MASS_BALANCE", carbonContent="0.5 tC/t"), FUGITIVE),
    ("METHOD_NOT_ALLOWED", "1e4Nm3", method("CONTINUOUS", mass="1 t", dryFlow="1 1e4Nm3"), HEAT),
    ("METHOD_TERM_DOES_NOT_FIT", "t", method("STEAM", enthalpy="2800 kJ/kg"), {}),
    ("METHOD_TERM_DOES_NOT_FIT", "t", method("ANODE_EFFECT"), {}),
    ("METHOD_UNIT_DOES_NOT_FIT", "MWh", method("ANODE_EFFECT"), PROCESS),
    ("UNKNOWN_PARAMETER", "t", method("MASS_BALANCE", carbon="0.5 tC/t"), {}),
    ("PARAMETER_MISSING", "t", method("MASS_BALANCE"), {}),
    ("PARAMETER_UNIT_DOES_NOT_FIT", "t", method("MASS_BALANCE", carbonContent="0.5 GJ/t"), {}),
    ("PARAMETER_OUT_OF_RANGE", "t", method("MASS_BALANCE", carbonContent="50 tC/t"), {}),
    ("METHOD_TEXT", "t", method("REFRIGERANT_BALANCE"), FUGITIVE),
    ("UNKNOWN_GAS", "t", method("REFRIGERANT_BALANCE", gas="XY"), FUGITIVE),
    ("BAD_MONTHS", "t", method("MASS_BALANCE", ("2024-02", "2024-01"), carbonContent="0.5 tC/t"), {}),
)


@pytest.mark.parametrize(("code", "unit", "given", "source"), REFUSED, ids=lambda v: v if isinstance(v, str) else "")
async def test_what_does_not_fit_is_refused(
    works: Works, code: str, unit: str, given: dict[str, Any], source: dict[str, Any]
) -> None:
    """At creation with the path into the streams, and on a stream that exists; nothing is half-written."""
    made = works.source_input("V", {"code": "a", "unit": unit, "method": given}, **source)
    payload = await works.engineer.attempt("createEmissionSource", made, "source { id }")
    (error,) = payload["errors"]
    assert (error["code"], error["path"][:3]) == (code, ["streams", "0", "method"])
    own = {"code": "a", "ownFactor": {"value": "1", "unit": unit, "source": "x"}}
    there = await works.source("W", own, **source)
    (stream,) = (await streams(works, there)).values()
    payload = await works.engineer.attempt("setStreamMethod", {"streamId": stream, "method": given}, "basis { id }")
    assert [e["code"] for e in payload["errors"]] == [code]
    bases = await works.engineer.ask(
        "query Q($id: ID!) { node(id: $id) { ... on EmissionStream { bases(history: true) { id } } } }", id=stream
    )
    assert bases["node"]["bases"] == []


async def test_a_stream_is_added_with_its_method(works: Works) -> None:
    """To a source that exists; what counted before goes on counting until another class is chosen."""
    source = await works.fuel("烟煤")
    document = {"sourceId": source, "stream": {"code": "gas", "unit": "1e4Nm3", "method": CEMS}}
    made = await works.engineer.do("createEmissionStream", document, "stream { code bases { kind method } }")
    assert made["stream"] == {"code": "gas", "bases": [{"kind": "CONTINUOUS", "method": "MEASURED"}]}
    await works.burn(source, "2024-06", "2400", "1e4Nm3", stream="gas")
    assert await works.results(source, 2024) == []
    bad = {"sourceId": source, "stream": {"code": "b", "unit": "t", "method": CEMS}}
    (error,) = (await works.engineer.attempt("createEmissionStream", bad))["errors"]
    assert error["code"] == "METHOD_UNIT_DOES_NOT_FIT"


async def test_a_parameter_twice_is_refused(works: Works) -> None:
    twice = method("MASS_BALANCE", carbonContent="0.5 tC/t")
    twice["parameters"] *= 2
    made = works.source_input("V", {"code": "a", "unit": "t", "method": twice})
    payload = await works.engineer.attempt("createEmissionSource", made, "source { id }")
    assert [e["code"] for e in payload["errors"]] == ["PARAMETER_TWICE"]


async def test_a_stream_without_material_needs_its_unit(works: Works) -> None:
    made = works.source_input("V", {"code": "a", "method": method("MASS_BALANCE", carbonContent="0.5 tC/t")})
    payload = await works.engineer.attempt("createEmissionSource", made, "source { id }")
    assert [e["code"] for e in payload["errors"]] == ["STREAM_UNIT_MISSING"]


DERIVATION = """query Q($id: ID!) { node(id: $id) { ... on EmissionStream {
  coefficient(year: 2024) { value kind method gwpSet gases { gas value gwp }
    steps { kind written unit parent } derivation { number parent symbol label written unit formula source parameter } }
  coefficients(year: 2024) { method firstMonth lastMonth coefficient { value } }
  bases { kind firstMonth lastMonth parameters { name value unit source } } } } }"""


async def test_a_coefficient_shows_its_tree(works: Works) -> None:
    source = await works.source(
        "V", {"code": "a", "unit": "t", "method": method("STEAM", enthalpy="2800 kJ/kg", factor="0.11 tCO2/GJ")}, **HEAT
    )
    (stream,) = (await streams(works, source)).values()
    shown = (await works.engineer.ask(DERIVATION, id=stream))["node"]
    made = shown["coefficient"]
    assert (Decimal(made["value"]), made["kind"], made["method"]) == (Decimal("0.2987886"), "STEAM", "FACTOR")
    tree = made["derivation"]
    heat = next(s for s in tree if s["formula"])
    assert heat["formula"] == "h-h0"
    parts = {s["symbol"]: (s["written"], s["unit"], s["source"]) for s in tree if s["parent"] == heat["number"]}
    assert parts["h"] == ("2800", "kJ/kg", "检测报告 1")
    assert parts["h0"][:2] == ("83.74", "kJ/kg")
    assert [s["parent"] for s in made["steps"]] == [None] * len(made["steps"])


async def test_a_basis_of_one_month_and_the_default_of_the_others(works: Works) -> None:
    """Measured carbon of March; the other months keep the library's value, and so does what was recorded before."""
    source = await works.fuel("烟煤")
    for month in ("2024-02", "2024-03", "2024-04"):
        await works.burn(source, month, "100", "t")
    before = {r["firstMonth"]: Decimal(r["co2eT"]) for r in await works.results(source, 2024)}
    (stream,) = (await streams(works, source)).values()
    measured = method("MEASURED_CARBON", ("2024-03", "2024-03"), carbonAsReceived="0.6 tC/t", reason="三月实测")
    done = await set_method(works, stream, measured)
    after = {r["firstMonth"]: Decimal(r["co2eT"]) for r in await works.results(source, 2024)}
    assert after["2024-03"] == Decimal("217.8")  # 100 × 0.6 × 0.99 × 44/12
    assert {m: t for m, t in after.items() if m != "2024-03"} == {m: t for m, t in before.items() if m != "2024-03"}
    assert [(c["month"], Decimal(c["newT"])) for c in done["changes"]["months"]] == [("2024-03", Decimal("217.8"))]
    shown = (await works.engineer.ask(DERIVATION, id=stream))["node"]["coefficients"]
    spans = [(c["firstMonth"], c["lastMonth"]) for c in shown]
    assert spans == [("2024-01", "2024-02"), ("2024-03", "2024-03"), ("2024-04", "2024-12")]
    # Taken away again, which only an approver may, the library's value comes back to the last digit.
    gone = {"id": done["basis"]["id"], "reason": "样品作废"}
    refused = await works.engineer.attempt("withdrawStreamMethod", gone, "changes { newT }")
    assert [e["code"] for e in refused["errors"]] == ["MEASURED_STAYS_MEASURED"]
    lead = await works.world.member((Role.OVERALL_LEAD, uuid_of(works.group_id)))
    await lead.do("withdrawStreamMethod", gone, "changes { newT }")
    assert {r["firstMonth"]: Decimal(r["co2eT"]) for r in await works.results(source, 2024)} == before
    again = await works.engineer.attempt("withdrawStreamMethod", gone, "changes { newT }")
    assert [e["code"] for e in again["errors"]] == ["ALREADY_SUPERSEDED"]


NCV_OF_MARCH = method("FUEL_COMBUSTION", ("2024-03", "2024-05"), ncv="22 GJ/t", reason="实测")
LATER = ("2024-06", "2024-06")


@pytest.mark.parametrize(
    ("later", "refused"),
    [
        (method("FUEL_COMBUSTION", LATER, reason="缺省"), True),
        (method("FUEL_COMBUSTION", LATER, carbonPerHeat="0.026 tC/GJ", reason="缺省"), True),
        (method("LIBRARY", ("2024-04", "2024-04"), reason="缺省"), True),
        (method("FUEL_COMBUSTION", LATER, ncv="26.7 GJ/t", reason="缺测，惩罚性缺省"), False),
        (method("MEASURED_CARBON", LATER, carbonAsReceived="0.6 tC/t", reason="元素碳"), False),
        (method("FUEL_COMBUSTION", ("2024-02", "2024-02"), carbonPerHeat="0.026 tC/GJ", reason="之前"), False),
        (method("FUEL_COMBUSTION", ("2025-01", None), carbonPerHeat="0.026 tC/GJ", reason="次年"), False),
        (method("MASS_BALANCE", LATER, carbonContent="0.5 tC/t", reason="平衡"), False),
    ],
)
async def test_what_was_measured_stays_measured_in_its_year(
    works: Works,
    later: dict[str, Any],
    refused: bool,
) -> None:
    source = await works.fuel("烟煤")
    (stream,) = (await streams(works, source)).values()
    await set_method(works, stream, NCV_OF_MARCH)
    given = {"streamId": stream, "method": later}
    done = await works.engineer.attempt("setStreamMethod", given, "basis { id }")
    assert [e["code"] for e in done["errors"]] == ["MEASURED_STAYS_MEASURED"] * refused
    if refused:
        (error,) = done["errors"]
        assert "2024-03" in error["message"]
        lead = await works.world.member((Role.OVERALL_LEAD, uuid_of(works.group_id)))
        assert (await lead.attempt("setStreamMethod", given, "basis { id }"))["errors"] == []


async def test_changing_results_or_a_basis_needs_a_reason(works: Works) -> None:
    source = await works.fuel("烟煤")
    await works.burn(source, "2024-03", "100", "t")
    (stream,) = (await streams(works, source)).values()
    silent = method("MEASURED_CARBON", carbonAsReceived="0.6 tC/t")
    document = {"streamId": stream, "method": silent}
    refused = await works.engineer.attempt("setStreamMethod", document, "basis { id }")
    assert [e["code"] for e in refused["errors"]] == ["RESTATEMENT_NEEDS_REASON"]
    await set_method(works, stream, {**silent, "firstMonth": "2025-01"})
    replaced = {"streamId": stream, "method": {**silent, "firstMonth": "2025-06"}}
    refused = await works.engineer.attempt("setStreamMethod", replaced, "basis { id }")
    assert [e["code"] for e in refused["errors"]] == ["BASIS_OVERLAPS"]


async def test_the_registry_describes_every_method(works: Works) -> None:
    query = """{ methodKinds { kind method nameZh nameEn source units flows categories directKinds takesGas needsGas
      takesFormula parameters { name symbol nameZh nameEn required default units { unit lowest highest } } } }"""
    kinds = (await works.engineer.ask(query))["methodKinds"]
    assert {"CONTINUOUS", "MASS_BALANCE", "FUEL_COMBUSTION", "EXPRESSION"} <= {k["kind"] for k in kinds}
    assert all(k["nameZh"] and k["nameEn"] and k["source"] and k["units"] for k in kinds)
    steam = next(k for k in kinds if k["kind"] == "STEAM")
    enthalpy = next(p for p in steam["parameters"] if p["name"] == "enthalpy")
    assert enthalpy["required"]
    assert enthalpy["units"] == [{"unit": "kJ/kg", "lowest": "83.74", "highest": "4200"}]
