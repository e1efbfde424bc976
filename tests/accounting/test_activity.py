"""Activity by the factor method, through the public door."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.fixtures.accounting import OUTCOME, RECORD, Works

OUTCOMES = f"outcomes {OUTCOME % RECORD}"
SUPERSEDED = "record { id month quantity evidence supersededAt supersededBecause history { id quantity } }"


async def test_a_month_of_natural_gas(works: Works) -> None:
    boiler = await works.fuel("天然气")
    record = await works.burn(boiler, "2024-05", "２１", "万立方米", evidence="发票 001")
    assert (record["quantity"], record["unit"]) == ("21", "1e4Nm3")
    assert (record["enteredQuantity"], record["enteredUnit"]) == ("21", "万立方米")
    (result,) = await works.results(boiler, 2024)
    assert result == {
        "firstMonth": "2024-05",
        "months": 1,
        "gas": "CO2",
        "origin": "ACTIVITY",
        "massT": "454.653191916",
        "co2eT": "454.653191916",
        "records": 1,
    }


async def test_quantities_add_up_before_they_are_multiplied(works: Works) -> None:
    power = await works.fuel("外购电力", unit="kWh", factorYear=2023, cadence="EVENT")
    for quantity, unit in (("1", "kWh"), ("0.5", "万kWh"), ("-0.000001", "MWh")):
        await works.burn(power, "2024-01", quantity, unit)
    (result,) = await works.results(power, 2024)
    assert Decimal(result["co2eT"]) == (Decimal("5.000999") * Decimal("0.5306")).quantize(Decimal("1e-9"))
    assert result["records"] == 3


async def test_net_export_is_negative(works: Works) -> None:
    heat = await works.fuel("购入热力", code="heat", cadence="EVENT")
    await works.burn(heat, "2024-01", "100", "GJ")
    await works.burn(heat, "2024-01", "-1.5", "TJ", note="外供")
    (result,) = await works.results(heat, 2024)
    assert Decimal(result["co2eT"]) == Decimal(-154)


@pytest.mark.parametrize(
    ("source", "stream"),
    [
        ({"directKind": "PROCESS"}, {"material": "石灰石"}),
        ({"directKind": "FUGITIVE"}, {}),
        ({"category": "TRANSPORT", "directKind": None}, {}),
        ({"category": "PRODUCTS_USED", "directKind": None}, {}),
        ({"category": "OTHER", "directKind": None}, {}),
        ({}, {"flow": "LEAVING"}),
    ],
)
async def test_what_cannot_be_less_than_nothing(works: Works, source: dict[str, Any], stream: dict[str, Any]) -> None:
    own = {} if "material" in stream else {"ownFactor": {"value": "1", "unit": "t", "source": "测试"}}
    key = await works.source("N", {"code": "a", **own, **stream}, **source)
    row = {"sourceId": key, "month": "2024-01", "quantity": "-1", "unit": "t"}
    (refused,) = (await works.monitor.do("recordActivity", {"rows": [row]}, OUTCOMES))["outcomes"]
    assert (refused["error"]["code"], refused["error"]["path"]) == ("NEGATIVE_QUANTITY", ["rows", "0", "quantity"])
    assert "without a sign" in refused["error"]["message"]
    record = await works.burn(key, "2024-01", "1", "t")
    given = {"id": record["id"], "reason": "更正", "change": {"quantity": "-1"}}
    changed = await works.monitor.attempt("supersedeActivity", given, "record { id }")
    assert changed["errors"][0]["code"] == "NEGATIVE_QUANTITY"


async def test_a_fuel_may_be_sold_on(works: Works) -> None:
    truck = await works.source("T", {"code": "a", "material": "柴油", "cadence": "EVENT"}, directKind="MOBILE")
    assert (await works.burn(truck, "2024-01", "-1", "t", note="外售"))["quantity"] == "-1"


async def test_a_coefficient_explains_itself(works: Works) -> None:
    boiler = await works.fuel("烟煤")
    record = await works.burn(boiler, "2024-05", "10", "t")
    query = """query Q($id: ID!) { node(id: $id) { ... on ActivityRecord { stream { code } source { nameZh
      organisation { code } } coefficient { value unit gas steps { kind label written value unit
      factor { code value unit provenance source year set { code } region { code } } } } } } }"""
    answer = (await works.engineer.ask(query, id=record["id"]))["node"]
    steps = answer["coefficient"]["steps"]
    assert [(s["kind"], s["written"], s["unit"]) for s in steps] == [
        ("NCV", "23.736", "GJ/t"),
        ("CARBON_PER_HEAT", "0.02618", "tC/GJ"),
        ("OXIDATION", "0.99", "1"),
        ("CARBON_TO_CO2", "44/12", "tCO2/tC"),
    ]
    assert steps[0]["label"] == "Net calorific value"
    assert steps[0]["factor"]["provenance"] == "OFFICIAL_COPY"
    assert steps[0]["factor"]["set"]["code"] == "MEE-STEEL-2024"
    assert steps[3]["factor"] is None
    assert answer["coefficient"]["value"] == "2.255712782400000000"
    assert answer["source"]["organisation"]["code"] == "S1"


async def test_a_stream_explains_what_it_would_use(works: Works) -> None:
    source = await works.fuel("外购电力", region="山东")
    query = """query Q($id: ID!, $year: Int!) { node(id: $id) { ... on EmissionSource { streams {
      coefficient(year: $year) { value steps { label factor { year } } } } } } }"""
    made = (await works.engineer.ask(query, id=source, year=2024))["node"]["streams"][0]["coefficient"]
    assert made == {"value": "0.619100000000000000", "steps": [{"label": "Emission factor", "factor": {"year": 2023}}]}
    none = (await works.engineer.ask(query, id=source, year=2001))["node"]["streams"][0]["coefficient"]
    assert none is None


BAD_ROWS: list[tuple[dict[str, Any], str, str]] = [
    ({"unit": "桶"}, "UNKNOWN_UNIT", "unit"),
    ({"unit": "GJ"}, "UNIT_DOES_NOT_FIT", "unit"),
    ({"quantity": "1,000"}, "NUMBER_HAS_SEPARATORS", "quantity"),
    ({"quantity": "很多"}, "BAD_NUMBER", "quantity"),
    ({"quantity": "NaN"}, "BAD_NUMBER", "quantity"),
    ({"quantity": "9" * 40}, "NUMBER_OUT_OF_RANGE", "quantity"),
    ({"month": "2099-01"}, "MONTH_OUT_OF_RANGE", "month"),
    ({"month": "1989-12"}, "MONTH_OUT_OF_RANGE", "month"),
    ({"month": "2019-01"}, "FACTOR_NOT_FOUND", "stream"),
    ({"stream": "b"}, "UNKNOWN_STREAM", "stream"),
    ({"quantity": "2"}, "MONTH_ALREADY_RECORDED", "month"),
    ({"occurredOn": "2024-02-01"}, "DAY_NOT_OF_MONTH", "occurredOn"),
]


async def test_each_bad_row_is_refused_alone(works: Works) -> None:
    boiler = await works.fuel("烟煤")
    good = {"sourceId": boiler, "month": "2024-01", "quantity": "1000", "unit": "kg"}
    rows = [good, *({**good, **bad} for bad, _, _ in BAD_ROWS)]
    done = await works.monitor.do("recordActivity", {"rows": rows}, OUTCOMES)
    first, *others = done["outcomes"]
    assert first["record"]["quantity"] == "1"
    for i, (outcome, (_, code, field)) in enumerate(zip(others, BAD_ROWS, strict=True), start=1):
        assert outcome["record"] is None
        assert (outcome["error"]["code"], outcome["error"]["path"]) == (code, ["rows", str(i), field])
    (result,) = await works.results(boiler, 2024)
    assert result["records"] == 1


async def test_a_month_that_is_taken_names_what_took_it(works: Works) -> None:
    boiler = await works.fuel("烟煤")
    record = await works.burn(boiler, "2024-01", "1", "t")
    row = {"sourceId": boiler, "month": "2024-01", "quantity": "2", "unit": "t"}
    rows = [row, {**row, "month": "2024-02"}, {**row, "month": "2024-02"}]
    outcomes = (await works.monitor.do("recordActivity", {"rows": rows}, OUTCOMES))["outcomes"]
    assert f"has a record: {record['id']}." in outcomes[0]["error"]["message"]
    assert "has a record: row 2 of this call." in outcomes[2]["error"]["message"]
    change = {"id": record["id"], "reason": "更正", "change": {"quantity": "2"}}
    assert (await works.monitor.do("supersedeActivity", change, "record { quantity }"))["record"]["quantity"] == "2"


@pytest.mark.parametrize("written", ["2024年3月", "2024/3", "2024-3", "2024.03"])
async def test_a_month_is_read_as_files_write_it(works: Works, written: str) -> None:
    assert (await works.burn(await works.fuel("烟煤"), written, "1", "t"))["month"] == "2024-03"


async def test_a_wrong_id_stops_no_other_row(works: Works) -> None:
    row = {"sourceId": await works.fuel("烟煤"), "month": "2024-01", "quantity": "1", "unit": "t"}
    rows = [{**row, "sourceId": works.site_id}, row]
    wrong, right = (await works.monitor.do("recordActivity", {"rows": rows}, OUTCOMES))["outcomes"]
    assert (wrong["error"]["code"], wrong["error"]["path"]) == ("INVALID_ID", ["rows", "0", "sourceId"])
    assert right["record"]["quantity"] == "1"


async def test_all_or_nothing(works: Works) -> None:
    boiler = await works.fuel("烟煤")
    good = {"sourceId": boiler, "month": "2024-01", "quantity": "1", "unit": "t"}
    call = {"rows": [good, {**good, "unit": "桶"}], "allOrNothing": True, "idempotencyKey": "k"}
    done = await works.monitor.do("recordActivity", call, OUTCOMES)
    assert [bool(o["record"]) for o in done["outcomes"]] == [False, False]
    assert done["outcomes"][1]["error"]["code"] == "UNKNOWN_UNIT"
    assert await works.results(boiler, 2024) == []
    # The key was not spent on a call that did nothing.
    call["rows"] = [good]
    assert (await works.monitor.do("recordActivity", call, OUTCOMES))["replayed"] is False


async def test_replay_and_rehearsal(works: Works) -> None:
    boiler = await works.fuel("烟煤")
    row = {"sourceId": boiler, "month": "2024-01", "quantity": "1", "unit": "t"}
    call = {"rows": [row, {**row, "unit": "GJ"}], "idempotencyKey": "k"}
    rehearsal = await works.monitor.do("recordActivity", {**call, "dryRun": True}, OUTCOMES)
    assert rehearsal["outcomes"][0]["record"]["quantity"] == "1"
    assert await works.results(boiler, 2024) == []
    first = await works.monitor.do("recordActivity", call, OUTCOMES)
    again = await works.monitor.do("recordActivity", call, OUTCOMES)
    assert again == {**first, "replayed": True}
    (result,) = await works.results(boiler, 2024)
    assert result["records"] == 1
    other = await works.monitor.attempt("recordActivity", {**call, "rows": [row]})
    assert other["errors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize("count", [0, 1001])
async def test_batch_size(works: Works, count: int) -> None:
    boiler = await works.fuel("烟煤")
    row = {"sourceId": boiler, "month": "2024-01", "quantity": "1", "unit": "t"}
    answer = await works.monitor.attempt("recordActivity", {"rows": [row] * count}, OUTCOMES)
    assert answer["errors"][0]["code"] == "BATCH_SIZE"


async def test_a_record_is_superseded_not_edited(works: Works) -> None:
    boiler = await works.fuel("烟煤")
    first = await works.burn(boiler, "2024-01", "100", "t", evidence="磅单 7")
    change = {"id": first["id"], "reason": "磅单复核", "change": {"quantity": "90", "month": "2024-02"}}
    done = await works.monitor.do("supersedeActivity", change, SUPERSEDED)
    second = done["record"]
    assert (second["quantity"], second["month"], second["evidence"]) == ("90", "2024-02", "磅单 7")
    assert [v["quantity"] for v in second["history"]] == ["100", "90"]
    assert [r["firstMonth"] for r in await works.results(boiler, 2024)] == ["2024-02"]
    again = await works.monitor.attempt("supersedeActivity", change)
    assert again["errors"][0]["code"] == "ALREADY_SUPERSEDED"
    mute = await works.monitor.attempt("supersedeActivity", {"id": second["id"], "reason": " "})
    assert mute["errors"][0]["code"] == "REASON_MISSING"
    gone = await works.monitor.do("supersedeActivity", {"id": second["id"], "reason": "误报"}, SUPERSEDED)
    assert gone["record"]["supersededBecause"] == "误报"
    assert await works.results(boiler, 2024) == []


async def test_as_known_at(works: Works) -> None:
    boiler = await works.fuel("烟煤")
    first = await works.burn(boiler, "2024-01", "100", "t")
    change = {"id": first["id"], "reason": "复核", "change": {"quantity": "90"}}
    second = await works.monitor.do("supersedeActivity", change, "record { id recordedAt }")
    query = """query Q($f: EmissionRecordFilter) { activityRecords(filter: $f) { nodes {
      quantity recordedAt supersededAt } } }"""

    async def known(**narrowed: object) -> list[dict[str, Any]]:
        answer = await works.engineer.ask(query, f={"sourceId": boiler, **narrowed})
        return list(answer["activityRecords"]["nodes"])

    assert [r["quantity"] for r in await known()] == ["90"]
    both = await known(superseded=True)
    assert [r["quantity"] for r in both] == ["100", "90"]
    assert both[0]["supersededAt"] == both[1]["recordedAt"] == second["record"]["recordedAt"]
    assert [r["quantity"] for r in await known(knownAt=both[0]["recordedAt"])] == ["100"]
    assert [r["quantity"] for r in await known(knownAt=both[1]["recordedAt"])] == ["90"]
    assert await known(knownAt="2020-01-01T00:00:00Z") == []
    assert await known(fromMonth="2024-02") == []


async def test_records_page_by_page(works: Works) -> None:
    boiler = await works.fuel("烟煤", cadence="EVENT")
    rows = [{"sourceId": boiler, "month": "2024-01", "quantity": str(i), "unit": "t"} for i in range(25)]
    await works.monitor.do("recordActivity", {"rows": rows}, OUTCOMES)
    query = """query Q($after: String) { activityRecords(first: 10, after: $after) {
      nodes { quantity } pageInfo { hasNextPage endCursor } } }"""
    seen: list[str] = []
    page: dict[str, Any] = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
    while page["pageInfo"]["hasNextPage"]:
        page = (await works.engineer.ask(query, after=page["pageInfo"]["endCursor"]))["activityRecords"]
        seen += [n["quantity"] for n in page["nodes"]]
    assert seen == [str(i) for i in range(25)]
