"""Rows that GraphQL cannot read: coded, in their place, and no other row is lost with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backend.kit.errors import Locale
from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from tests.fixtures.accounting import Works

STREAM, SOURCE, METER = (to_id(kind, uuid7()) for kind in ("EmissionStream", "EmissionSource", "Meter"))
ORGANISATION, PARAMETER = (to_id(kind, uuid7()) for kind in ("Organisation", "PlanParameter"))

ACTIVITY: dict[str, Any] = {"sourceId": SOURCE, "month": "2024-01", "quantity": "1", "unit": "t"}
DECLARED: dict[str, Any] = {
    "sourceId": SOURCE, "firstMonth": "2024-01", "gas": "CO2", "massT": "1", "method": "MEASURED",
}  # fmt: skip
STOCK: dict[str, Any] = {"streamId": STREAM, "month": "2024-01", "unit": "t", "parts": {"opening": "1"}}
READING: dict[str, Any] = {"meterId": METER, "day": "2024-01-31", "value": "1"}
BATCH: dict[str, Any] = {
    "streamId": STREAM, "day": "2024-01-31", "code": "B1", "quantity": "1", "unit": "t",
    "results": [{"parameter": "NCV", "value": "20", "unit": "GJ/t"}],
}  # fmt: skip
NEW_SOURCE: dict[str, Any] = {
    "organisationId": ORGANISATION, "code": "x", "nameZh": "锅炉", "category": "DIRECT", "directKind": "STATIONARY",
}  # fmt: skip

BULK = [
    ("recordActivity", ACTIVITY, "sourceId", {"month": "2024-13"}, ("month",)),
    ("recordActivity", ACTIVITY, "sourceId", {"quantity": 5}, ("quantity",)),
    ("recordDeclaredResults", DECLARED, "sourceId", {"massT": "1,000"}, ("massT",)),
    ("recordDeclaredResults", DECLARED, "sourceId", {"method": "GUESSED"}, ("method",)),
    ("recordStocks", STOCK, "streamId", {"parts": {"opening": "1", "closing": 1.5}}, ("parts", "closing")),
    ("recordStocks", STOCK, "streamId", {"month": None}, ("month",)),
    ("recordMeterReadings", READING, "meterId", {"day": "2024-02-30"}, ("day",)),
    (
        "recordMaterialBatches", BATCH, "streamId",
        {"results": [*BATCH["results"], {"parameter": "CARBON", "value": "x", "unit": "%"}]}, ("results", "1", "value"),
    ),
    ("createEmissionSources", NEW_SOURCE, "organisationId", {"category": "SMOKE"}, ("category",)),
    ("createEmissionSources", NEW_SOURCE, "organisationId", {"colour": "red"}, ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "field", "wrong", "path"), BULK)
async def test_each_row_is_answered_for_itself(
    works: Works, name: str, row: dict[str, Any], field: str, wrong: dict[str, Any], path: tuple[str, ...]
) -> None:
    rows = [{**row, **wrong}, {**row, field: "no-id"}, row]
    caller = works.engineer if name == "createEmissionSources" else works.monitor
    done = await caller.do(name, {"rows": rows}, "outcomes { error { code path message } }")
    malformed, no_id, absent = (outcome["error"] for outcome in done["outcomes"])
    assert (malformed["code"], malformed["path"]) == ("INVALID_VALUE", ["rows", "0", *path])
    assert (no_id["code"], no_id["path"]) == ("INVALID_ID", ["rows", "1", field])
    assert (absent["code"], absent["path"]) == ("NOT_FOUND", ["rows", "2", field])


async def test_the_other_rows_are_recorded_and_a_repeat_answers_the_same(works: Works) -> None:
    row = {**ACTIVITY, "sourceId": await works.fuel("烟煤")}
    given = {"rows": [row, {**row, "month": "二月"}, {**row, "month": "2024-03"}], "idempotencyKey": "rows-1"}
    selection = "outcomes { record { id month } error { code message } }"
    first = await works.monitor.do("recordActivity", given, selection)
    assert [o["record"] and o["record"]["month"] for o in first["outcomes"]] == ["2024-01", None, "2024-03"]
    assert '"二月" cannot be read: a Month is written "YYYY-MM"' in first["outcomes"][1]["error"]["message"]
    again = await works.monitor.do("recordActivity", given, selection)
    assert again["replayed"]
    assert again["outcomes"] == first["outcomes"]


async def test_all_or_nothing_stops_for_a_row_that_cannot_be_read(works: Works) -> None:
    row = {**ACTIVITY, "sourceId": await works.fuel("烟煤")}
    given = {"rows": [row, {**row, "month": "x"}], "allOrNothing": True}
    done = await works.monitor.do("recordActivity", given, "outcomes { record { id } error { code } }")
    assert [o["error"] and o["error"]["code"] for o in done["outcomes"]] == [None, "INVALID_VALUE"]
    assert not await works.results(row["sourceId"], 2024)


@pytest.mark.parametrize(
    ("name", "row", "key"),
    [
        (
            "recordProductOutputs",
            {"organisationId": ORGANISATION, "product": "熟料", "month": "2024-01", "quantity": "1", "unit": "t"},
            "quantity",
        ),
        ("recordReadings", {"parameterId": PARAMETER, "day": "2024-01-02", "value": "1"}, "value"),
    ],
)
async def test_calls_of_all_or_none_name_every_row(works: Works, name: str, row: dict[str, Any], key: str) -> None:
    rows = [row, {**row, key: "many"}, {**row, key: 1.5}]
    done = await works.monitor.attempt(name, {"rows": rows})
    assert [(e["code"], e["path"]) for e in done["errors"]] == [
        ("INVALID_VALUE", ["rows", "1", key]),
        ("INVALID_VALUE", ["rows", "2", key]),
    ]


async def test_rows_may_stand_in_a_variable_of_their_own(works: Works) -> None:
    row = {**ACTIVITY, "sourceId": await works.fuel("烟煤")}
    document = """mutation M($rows: [NewActivityInput!]!) {
      recordActivity(input: {rows: $rows}) { outcomes { record { month } error { code path } } } }"""
    answer = await works.monitor.ask(document, rows=[{**row, "month": "?"}, row])
    wrong, right = answer["recordActivity"]["outcomes"]
    assert wrong["error"] == {"code": "INVALID_VALUE", "path": ["rows", "0", "month"]}
    assert right["record"]["month"] == "2024-01"


async def test_what_is_wrong_outside_of_rows_is_said_with_its_way_in_the_callers_language(works: Works) -> None:
    row = {**ACTIVITY, "sourceId": await works.fuel("烟煤"), "month": "x"}
    document = "mutation M($input: RecordActivityInput!) { recordActivity(input: $input) { replayed } }"
    both: tuple[tuple[Locale, str], ...] = (
        ("zh-CN", "此处须为 true 或 false，收到 'yes'。"),
        ("en", "non boolean value: 'yes'"),
    )
    for locale, said in both:
        caller = replace(works.monitor, locale=locale)
        response = await caller.run(document, input={"rows": [row], "dryRun": "yes"})
        month, dry = sorted(response.errors, key=lambda e: len(e["extensions"]["path"]), reverse=True)
        assert dry["extensions"]["path"] == ["dryRun"]
        assert month["extensions"]["path"] == ["rows", "0", "month"]
        assert {e["extensions"]["code"] for e in response.errors} == {"INVALID_VALUE"}
        assert said in dry["message"]
        assert ("月份" in month["message"]) == (locale == "zh-CN")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{ viewr { id } }", "类型 Query 没有字段 viewr。"),
        ("{ organisations { nodes { id } ", "语法错误"),
        ("query Q($x: ID!) { __typename }", "变量 $x 已声明但未使用。"),
        ("{ __type { name } }", "缺少必填参数"),
        ("{ activityRecords(filter: {fromMonth: 13}) { totalCount } }", "月份（Month）写作"),
        ("{ activityRecords(first: 1.5) { totalCount } }", "此处须为整数，收到 1.5"),
        ("{ activityRecords(filter: {colour: 1}) { totalCount } }", "没有字段 colour"),
        ("{ activityRecords }", "须选取子字段"),
        ("query Q($x: ID!) { node(id: $x) { id } }", "变量 $x 的值有误：须给出类型为 ID! 的值。"),
    ],
)
async def test_documents_that_are_wrong_are_refused_in_chinese(works: Works, document: str, said: str) -> None:
    response = await replace(works.monitor, locale="zh-CN").run(document)
    assert any(said in error["message"] for error in response.errors), response.errors
