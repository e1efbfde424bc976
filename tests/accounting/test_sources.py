"""Sources and streams, through the public door."""

from __future__ import annotations

import re

import pytest

from tests.fixtures.accounting import OUTCOME, SOURCE, Works

OUTCOMES = f"outcomes {OUTCOME % SOURCE}"


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"directKind": None}, "DIRECT_KIND_MISMATCH", ["directKind"]),
        ({"category": "TRANSPORT"}, "DIRECT_KIND_MISMATCH", ["directKind"]),
        ({"code": " "}, "BAD_EMISSION_CODE", ["code"]),
        ({"code": "长" * 61}, "BAD_EMISSION_CODE", ["code"]),
        ({"nameZh": " "}, "NAME_MISSING", ["nameZh"]),
        ({"streams": [{"code": "a", "material": "仙气"}]}, "UNKNOWN_MATERIAL", ["streams", "0", "material"]),
        ({"streams": [{"code": "a"}]}, "FACTOR_OR_MATERIAL", ["streams", "0", "material"]),
        (
            {"streams": [{"code": "a", "material": "烟煤"}, {"code": "ａ", "material": "焦炭"}]},
            "STREAM_CODE_TAKEN",
            ["streams", "1", "code"],
        ),
        (
            {"streams": [{"code": "a", "material": "外购电力", "region": "火星"}]},
            "UNKNOWN_REGION",
            ["streams", "0", "region"],
        ),
    ],
)
async def test_what_is_no_source(works: Works, fields: dict[str, object], code: str, path: list[str]) -> None:
    answer = await works.engineer.attempt("createEmissionSource", works.source_input("A") | fields, SOURCE)
    assert [(e["code"], e["path"]) for e in answer["errors"]] == [(code, path)]
    assert answer["source"] is None


async def test_what_is_near_is_told_with_names_and_years_in_order(works: Works) -> None:
    def power(**stream: object) -> dict[str, object]:
        return works.source_input("A", {"code": "a", "material": "外购电力", **stream})

    (near,) = (await works.engineer.attempt("createEmissionSource", power(region="Shandon"), SOURCE))["errors"]
    assert "Near: " in near["message"]
    assert "CN-SD Shandong" in near["message"]
    source = (await works.engineer.do("createEmissionSource", power(factorYear=1999), SOURCE))["source"]["id"]
    row = {"sourceId": source, "month": "2024-01", "quantity": "1", "unit": "MWh"}
    (refused,) = (await works.monitor.do("recordActivity", {"rows": [row]}, "outcomes { error { code message } }"))[
        "outcomes"
    ]
    assert refused["error"]["code"] == "FACTOR_NOT_FOUND"
    years = re.findall(r"CN (\d{4})", refused["error"]["message"].partition("it has:")[2])
    assert len(years) > 1
    assert years == sorted(years)


async def test_many_at_once(works: Works) -> None:
    await works.source("A")
    rows = [
        works.source_input("A"),
        works.source_input("B", {"code": "1", "material": "天然气"}, {"code": "2", "material": "烟煤", "unit": "GJ"}),
        works.source_input("B"),
        works.source_input("Ｃ"),
        works.source_input("D", directKind=None),
        works.source_input("E", category="IMPORTED_ENERGY", directKind=None),
    ]
    done = await works.engineer.do("createEmissionSources", {"rows": rows}, OUTCOMES)
    codes = [o["error"] and (o["error"]["code"], *o["error"]["path"]) for o in done["outcomes"]]
    assert codes == [
        ("SOURCE_CODE_TAKEN", "rows", "0", "code"),
        None,
        ("SOURCE_CODE_TAKEN", "rows", "2", "code"),
        None,
        ("DIRECT_KIND_MISMATCH", "rows", "4", "directKind"),
        None,
    ]
    assert [s["unit"] for s in done["outcomes"][1]["source"]["streams"]] == ["1e4Nm3", "GJ"]
    assert done["outcomes"][3]["source"]["code"] == "C"
    listed = await works.engineer.ask("{ emissionSources { nodes { code } } }")
    assert [n["code"] for n in listed["emissionSources"]["nodes"]] == ["A", "B", "C", "E"]


async def test_all_or_nothing(works: Works) -> None:
    call = {"rows": [works.source_input("A"), works.source_input("B", directKind=None)], "allOrNothing": True}
    done = await works.engineer.do("createEmissionSources", call, OUTCOMES)
    assert [o["source"] for o in done["outcomes"]] == [None, None]
    assert (await works.engineer.ask("{ emissionSources { nodes { code } } }"))["emissionSources"]["nodes"] == []


async def test_a_thousand(works: Works) -> None:
    rows = [works.source_input(f"S{i:04}", {"code": "1", "material": "烟煤"}) for i in range(1000)]
    done = await works.engineer.do(
        "createEmissionSources", {"rows": rows, "idempotencyKey": "k"}, "outcomes { source { id } }"
    )
    ids = [o["source"]["id"] for o in done["outcomes"]]
    quantities = [{"sourceId": i, "month": "2024-01", "quantity": "1", "unit": "t"} for i in ids]
    recorded = await works.monitor.do("recordActivity", {"rows": quantities}, "outcomes { error { code } }")
    assert [o["error"] for o in recorded["outcomes"]] == [None] * 1000
    masses = [{"sourceId": i, "firstMonth": "2024-01", "gas": "CH4", "massT": "1", "method": "MEASURED"} for i in ids]
    declared = await works.monitor.do("recordDeclaredResults", {"rows": masses}, "outcomes { error { code } }")
    assert [o["error"] for o in declared["outcomes"]] == [None] * 1000


async def test_a_stream_is_added_later(works: Works) -> None:
    source = await works.fuel("烟煤")
    stream = {"code": "b", "material": "焦炭", "programme": "MEE_STEEL", "nameZh": "外购焦炭"}
    call = {"sourceId": source, "stream": stream}
    selection = "stream { id code material unit programme coefficient(year: 2024) { steps { kind } } }"
    done = await works.engineer.do("createEmissionStream", call, selection)
    kinds = [s["kind"] for s in done["stream"]["coefficient"]["steps"]]
    assert kinds == ["NCV", "CARBON_PER_HEAT", "CARBON_TO_CO2"]
    again = await works.engineer.attempt("createEmissionStream", call)
    assert again["errors"][0]["code"] == "STREAM_CODE_TAKEN"
    row = {"sourceId": source, "month": "2024-01", "quantity": "1", "unit": "t"}
    unnamed = await works.monitor.do("recordActivity", {"rows": [row]}, "outcomes { error { code message } }")
    assert "a, b" in unnamed["outcomes"][0]["error"]["message"]


async def test_own_factor(works: Works) -> None:
    own = {"value": "0.85", "unit": "万吨公里", "source": "承运商 2024 年报告"}
    freight = await works.source("T", {"code": "road", "ownFactor": own}, category="TRANSPORT", directKind=None)
    await works.burn(freight, "2024-01", "2", "万吨公里")
    (result,) = await works.results(freight, 2024)
    assert (result["gas"], result["co2eT"]) == ("CO2E", "1.700000000")
