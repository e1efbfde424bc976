"""The ledger of purchases, stock and sales, and the activity that follows from it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from backend.accounting.service.results import ResultService
from tenants.access import Role
from tests.fixtures.accounting import Works
from tests.fixtures.measurements import ERROR, STOCK, activity, fuel_stream, own_stream, record_stocks, stock

# vectors.json, stock-change
VECTOR = {"opening": "12000", "purchased": "100000", "closing": "15000", "sold": "2000"}


async def made(works: Works, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    outcomes = await record_stocks(works, *rows)
    assert [o["error"] for o in outcomes] == [None] * len(rows)
    return [o["row"] for o in outcomes]


async def test_consumption_becomes_the_activity(works: Works) -> None:
    stream = await fuel_stream(works)
    (row,) = await made(works, stock(stream, "2024-03", **VECTOR))
    assert (row["consumption"], row["quantity"]) == ("95000", "95000")
    (record,) = await activity(works, stream)
    assert (record["quantity"], record["origin"], record["followsFromId"]) == ("95000", "STOCK", row["id"])
    assert row["activityRecord"]["id"] == record["id"]
    again = await works.engineer.ask(
        "query N($id: ID!) { node(id: $id) { ... on StockRow { opening } } }", id=row["id"]
    )
    assert again["node"]["opening"] == "12000"


async def test_parts_are_kept_in_the_unit_they_were_entered_in(works: Works) -> None:
    stream = await fuel_stream(works)
    parts = {"opening": "1", "purchased": "2.5", "produced": "1", "closing": "0.5", "otherUse": "0.25", "losses": "0.1"}
    (row,) = await made(works, stock(stream, "2024-03", "kt", **parts))
    assert (row["consumption"], row["quantity"]) == ("3.65", "3650")


async def test_a_correction_takes_its_record_along(works: Works) -> None:
    stream = await fuel_stream(works)
    (row,) = await made(works, stock(stream, "2024-03", **VECTOR))
    change = {"parts": {**VECTOR, "closing": "14000"}}
    given = {"id": row["id"], "reason": "盘点更正", "change": change}
    new = (await works.monitor.do("supersedeStock", given, STOCK))["row"]
    assert new["quantity"] == "96000"
    records = await activity(works, stream, superseded=True)
    assert [(r["quantity"], r["supersededBecause"]) for r in records] == [("95000", "盘点更正"), ("96000", None)]
    late = await works.monitor.attempt("supersedeStock", given, STOCK)
    assert late["errors"][0]["code"] == "ALREADY_SUPERSEDED"
    gone = (await works.monitor.do("supersedeStock", {"id": new["id"], "reason": "重复"}, STOCK))["row"]
    assert gone["supersededBecause"] == "重复"
    assert await activity(works, stream) == []
    await made(works, stock(stream, "2024-03", **VECTOR))
    assert [r["quantity"] for r in await activity(works, stream)] == ["95000"]


async def test_the_record_cannot_go_alone(works: Works) -> None:
    stream = await fuel_stream(works)
    (row,) = await made(works, stock(stream, "2024-03", **VECTOR))
    given = {"id": row["activityRecord"]["id"], "reason": "更正", "change": {"quantity": "1"}}
    refused = await works.monitor.attempt("supersedeActivity", given, "record { id }")
    assert refused["errors"][0]["code"] == "RECORD_IS_DERIVED"
    assert [r["quantity"] for r in await activity(works, stream)] == ["95000"]


async def test_a_ledger_below_zero_is_told_in_chinese(works: Works) -> None:
    given = {"rows": [stock(await fuel_stream(works), "2024-03", opening="1", sold="5")]}
    chinese = replace(works.monitor, locale="zh-CN")
    (outcome,) = (await chinese.do("recordStocks", given, f"outcomes {{ {ERROR} }}"))["outcomes"]
    assert outcome["error"]["message"].startswith("+ 期初 1 - 外售 5，消费量为 -4 t")


async def test_nothing_is_counted_beside_it(works: Works) -> None:
    stream = await own_stream(works, "E", "t", cadence="EVENT")
    await made(works, stock(stream, "2024-03", **VECTOR))
    (source,) = (await works.engineer.ask("{ emissionSources { nodes { id } } }"))["emissionSources"]["nodes"]
    row = {"sourceId": source["id"], "month": "2024-03", "quantity": "1", "unit": "t"}
    done = await works.monitor.do("recordActivity", {"rows": [row]}, f"outcomes {{ {ERROR} }}")
    assert done["outcomes"][0]["error"]["code"] == "MONTH_IS_DERIVED"
    assert "stock ledger (supersedeStock)" in done["outcomes"][0]["error"]["message"]
    await works.burn(source["id"], "2024-04", "1", "t")
    (refused,) = await record_stocks(works, stock(stream, "2024-04", opening="15000"))
    assert refused["error"]["code"] == "MONTH_ALREADY_RECORDED"


@pytest.mark.parametrize(
    ("parts", "more", "code", "path"),
    [
        ({"opening": "-1"}, {}, "BAD_STOCK_PART", "opening"),
        ({"otherUse": "1e-13"}, {}, "BAD_STOCK_PART", "otherUse"),
        ({"purchased": "1000000000000000"}, {}, "BAD_STOCK_PART", "purchased"),
        ({"opening": "10", "sold": "11"}, {}, "STOCK_BELOW_ZERO", "explanation"),
        ({"opening": "10"}, {"unit": "GJ"}, "UNIT_DOES_NOT_FIT", "unit"),
        ({"opening": "10"}, {"unit": "桶"}, "UNKNOWN_UNIT", "unit"),
        ({"opening": "10"}, {"month": "1989-12"}, "MONTH_OUT_OF_RANGE", "month"),
        ({"opening": "14999"}, {"month": "2024-04"}, "STOCK_NOT_CONTINUOUS", "opening"),
        ({"closing": "11999", "opening": "20000"}, {"month": "2024-02"}, "STOCK_NOT_CONTINUOUS", "closing"),
        ({"opening": "1"}, {"month": "2024-03"}, "STOCK_MONTH_TAKEN", "month"),
    ],
)
async def test_what_is_refused(works: Works, parts: dict[str, str], more: dict[str, Any], code: str, path: str) -> None:
    stream = await fuel_stream(works)
    good = stock(stream, "2024-03", **VECTOR)
    await made(works, good)
    (refused,) = await record_stocks(works, {**stock(stream, "2024-08", **parts), **more})
    assert (refused["error"]["code"], refused["error"]["path"]) == (code, ["rows", "0", path])
    assert len(await activity(works, stream)) == 1


async def test_what_is_explained_is_let_through_and_listed(works: Works) -> None:
    stream = await fuel_stream(works)
    await made(
        works,
        stock(stream, "2024-03", **VECTOR),
        stock(stream, "2024-04", explanation="年中盘盈", opening="15010", closing="0"),
        stock(stream, "2024-05", explanation="净外售", sold="5"),
    )
    query = """query G($at: ID!) { stockGaps(organisationId: $at, year: 2024) {
      nodes { month closed opens difference unit explanation } } }"""
    gaps = (await works.engineer.ask(query, at=works.site_id))["stockGaps"]["nodes"]
    assert gaps == [
        {"month": "2024-04", "closed": "15000", "opens": "15010", "difference": "10", "unit": "t",
         "explanation": "年中盘盈"}
    ]  # fmt: skip
    assert [r["quantity"] for r in await activity(works, stream)] == ["95000", "15010", "-5"]


async def test_a_year_in_one_call_is_continuous_in_itself(works: Works) -> None:
    stream = await fuel_stream(works)
    rows = [stock(stream, f"2024-{m:02}", opening=str(m), purchased="10", closing=str(m + 1)) for m in range(12, 0, -1)]
    await made(works, *rows)
    assert sum(int(r["quantity"]) for r in await activity(works, stream)) == 12 * 9


async def test_two_writers_of_one_month(works: Works) -> None:
    stream = await fuel_stream(works)
    both = await asyncio.gather(*(
        works.monitor.attempt("recordStocks", {"rows": [stock(stream, "2024-03", **VECTOR)]}, f"outcomes {{ {ERROR} }}")
        for _ in range(2)
    ))  # fmt: skip
    said = sorted(str(e and e["code"]) for b in both for e in [*b["errors"], *(o["error"] for o in b["outcomes"])])
    assert said[0] in {"MONTH_ALREADY_RECORDED", "STOCK_MONTH_TAKEN"}, both
    assert len(await activity(works, stream)) == 1


async def test_two_correctors_of_one_row(works: Works) -> None:
    stream = await fuel_stream(works)
    (row,) = await made(works, stock(stream, "2024-03", **VECTOR))
    changes = [{"parts": {**VECTOR, "closing": str(n)}} for n in (1, 2)]
    both = await asyncio.gather(
        *(works.monitor.attempt("supersedeStock", {"id": row["id"], "reason": "更正", "change": c}) for c in changes)
    )
    codes = sorted(e["code"] for b in both for e in b["errors"])
    assert codes == ["ALREADY_SUPERSEDED"]
    assert len(await activity(works, stream)) == 1


async def test_a_rebuild_gives_the_same_bits(works: Works) -> None:
    stream = await fuel_stream(works)
    (row, _) = await made(works, stock(stream, "2024-03", **VECTOR), stock(stream, "2024-04", opening="15000"))
    await works.monitor.do("supersedeStock", {"id": row["id"], "reason": "撤回"}, "row { id }")
    months = "SELECT to_jsonb(m) - 'last_recorded_at' AS row FROM stream_month m ORDER BY month"

    async def kept() -> list[Any]:
        async with works.world.owner.read(works.world.tenant_id) as session:
            return [r.row for r in await session.rows(months)]

    before = await kept()
    assert len(before) == 1
    await works.world.services.get(ResultService).rebuild(works.world.tenant_id)
    assert await kept() == before


async def test_a_frozen_month_refuses(works: Works) -> None:
    stream = await fuel_stream(works)
    (row,) = await made(works, stock(stream, "2024-03", **VECTOR))
    given = {"organisationId": works.site_id, "firstMonth": "2024-01", "months": 12}
    inventory = (await works.engineer.do("createInventory", given, "inventory { id }"))["inventory"]["id"]
    await works.engineer.do("submitInventory", {"id": inventory}, "inventory { id }")
    (refused,) = await record_stocks(works, stock(stream, "2024-04", opening="15000"))
    assert refused["error"]["code"] == "PERIOD_LOCKED"
    withdrawn = await works.monitor.attempt("supersedeStock", {"id": row["id"], "reason": "更正"}, "row { id }")
    assert withdrawn["errors"][0]["code"] == "PERIOD_LOCKED"
    assert len(await activity(works, stream)) == 1


async def test_who_may_not(works: Works) -> None:
    stream = await fuel_stream(works)
    reader = await works.world.caller(Role.TOP_MANAGEMENT)
    given = {"rows": [stock(stream, "2024-03", **VECTOR)]}
    refused = await reader.attempt("recordStocks", given, f"outcomes {{ {ERROR} }}")
    codes = [e["code"] for e in refused["errors"]] + [o["error"]["code"] for o in refused["outcomes"]]
    assert codes == ["FORBIDDEN"]
