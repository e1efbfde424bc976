"""Explanations below a record: ledger rows, meters, stacks; and batches beside a coefficient."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tenants.access import Role
from tests.accounting.test_material_batches import batch, coal, record
from tests.accounting.test_meters import calibrate, good, instrument, meter, settle
from tests.accounting.test_stacks import Stack, hours
from tests.fixtures.accounting import Works
from tests.fixtures.explain import NODE, children
from tests.fixtures.measurements import record_stocks, stock, stream_of
from tests.fixtures.world import Caller

RECORDS = f"""query Q($s: ExplainSubject!, $first: Int) {{ explain(subject: $s) {{ children {{ nodes {{ {NODE}
  grounds {{ {NODE} grounds {{ {NODE} children(first: $first) {{ nodes {{ {NODE} grounds {{ {NODE} }} }} }} }} }}
  children {{ nodes {{ {NODE} grounds {{ {NODE} grounds {{ {NODE} }}
    children(first: $first) {{ nodes {{ {NODE} grounds {{ {NODE} }} }} pageInfo {{ hasNextPage endCursor }} }}
  }} }} }} }} }} }} }}"""


async def month_of(works: Works, source: str, year: int = 2024, first: int = 50, who: Caller | None = None) -> Any:
    subject = {"source": {"sourceId": source, "year": year}}
    answer = await (who or works.engineer).ask(RECORDS, s=subject, first=first)
    return answer["explain"]["children"]["nodes"][0]


async def cause_of(works: Works, source: str, kind: str, first: int = 50) -> Any:
    """What the only record of a month follows from."""
    month = await month_of(works, source, first=first)
    (record,) = month["children"]["nodes"]
    (found,) = [g for g in record["grounds"] if g["kind"] == kind]
    return found


async def test_a_ledger_row_opens_to_its_parts(works: Works) -> None:
    source = await works.fuel("烟煤")
    stream = await stream_of(works, source)
    parts = {"opening": "100", "purchased": "2000.5", "closing": "300", "sold": "50", "losses": "0.5"}
    (done,) = await record_stocks(works, stock(stream, "2024-03", **parts))
    assert done["error"] is None
    row = await cause_of(works, source, "STOCK_ROW")
    assert (row["subjectId"], row["value"], row["unit"]) == (done["row"]["id"], "1750", "t")
    values = {n["label"]: n["value"] for n in row["children"]["nodes"]}
    assert values == {
        "opening stock": "100", "purchased": "2000.5", "closing stock": "-300", "sold": "-50", "losses": "-0.5",
    }  # fmt: skip
    works.engineer.locale = "zh-CN"
    again = await cause_of(works, source, "STOCK_ROW")
    assert again["children"]["nodes"][0]["label"] == "期初库存"


async def test_a_settled_month_opens_to_its_meters_and_readings(works: Works) -> None:
    source = await works.fuel("烟煤")
    stream = await stream_of(works, source)
    key = await instrument(works)
    await calibrate(works, key, "2024-01-16", "2026-12-31")
    device = await meter(works, stream, key, multiplier="10")
    await good(works, device, ("2024-01-20", "60"), ("2024-02-10", "120"))
    (month,) = await settle(works, stream, "2024-01")
    settled = await cause_of(works, source, "METER_MONTH")
    assert (settled["subjectId"], settled["value"]) == (month["id"], month["quantity"])
    assert f"measured {month['measured']} t" in settled["detail"]
    (part,) = settled["children"]["nodes"]
    assert part["value"] == month["quantity"]
    assert "(15 days)" in part["detail"]
    kinds = [g["kind"] for g in part["grounds"]]
    assert kinds == ["INSTRUMENT", "METER_READING", "METER_READING", "METER_READING"]
    assert "2024-01-16 … 2026-12-31 0.4 %" in part["grounds"][0]["detail"]
    assert [g["value"] for g in part["grounds"][1:]] == ["0", "60", "120"]


async def test_a_stack_month_opens_to_its_hours_page_by_page(works: Works) -> None:
    stack = await Stack.create(works)
    month = await stack.record("2024-02", hours(29, {5, 100, 101, 102, 103}, flow="99999.9", concentration="199.7"))
    found = await cause_of(works, stack.source, "STACK_MONTH", first=7)
    assert (found["subjectId"], found["value"], found["unit"]) == (month["id"], month["quantity"], "1e4Nm3")
    assert "valid 691 of 696 (99.28 %), filled by the gap rule 5" in found["detail"]
    assert [g["kind"] for g in found["grounds"]] == ["INSTRUMENT"]
    assert len(found["children"]["nodes"]) == 7
    every = await children(works.engineer, found["id"]) or []
    assert len(every) == 696
    assert sum(Decimal(n["value"]) for n in every) == Decimal(month["quantity"])
    filled = [n["label"] for n in every if n["detail"].startswith("filled")]
    assert filled == ["2024-02-01 05:00", *(f"2024-02-05 {h:02}:00" for h in (4, 5, 6, 7))]


async def test_a_mean_opens_to_its_batches_with_what_the_laboratory_found(works: Works) -> None:
    source, stream = await coal(works, ("2024-01", "1300"))
    lab = {"laboratory": "中心化验室", "report": "HY-1", "evidence": "磅单 7"}
    kept = await record(
        works,
        batch(stream, "2024-01-03", "1000", "B1", NCV="22.1 GJ/t", **lab),
        batch(stream, "2024-01-20", "333", "B2", NCV="21300 kJ/kg"),
    )
    given = {"streamId": stream, "month": "2024-01", "parameter": "NCV", "reason": "化验"}
    await works.engineer.do("applyQualityMeans", given, "mean { value }")

    async def mean() -> Any:
        month = await month_of(works, source)
        (coefficient,) = [g for g in month["grounds"] if g["kind"] == "COEFFICIENT"]
        return next((g for g in coefficient["grounds"] if g["kind"] == "QUALITY_MEAN"), None)

    found = await mean()
    first, second = found["children"]["nodes"]
    assert [first["label"], second["label"]] == ["2024-01-03 B1", "2024-01-20 B2"]
    assert Decimal(first["value"]) + Decimal(second["value"]) == Decimal(found["value"])
    assert "22.1 GJ/t × 1000 中心化验室 HY-1" in first["detail"]
    assert first["subjectId"] == kept[0]["id"]
    assert [(g["kind"], g["label"], g["value"]) for g in second["grounds"]] == [("LAB_VALUE", "NCV", "21300")]
    assert [g["label"] for g in first["grounds"]] == ["NCV", "磅单 7"]
    assert len(await children(works.engineer, found["id"], 1) or []) == 2
    # What is found out later does not change what the basis was made of.
    gone = {"id": second["subjectId"], "reason": "误录"}
    await works.monitor.do("supersedeMaterialBatch", gone, "batch { id }")
    assert (await mean())["children"]["nodes"] == found["children"]["nodes"]


async def test_what_stands_behind_is_out_of_reach_as_records_are(works: Works) -> None:
    stack = await Stack.create(works, kind="SAMPLED")
    await stack.record("2024-01", [{"day": 5, "concentration": "240", "flow": "1000000", "hours": "24"}])
    found = await cause_of(works, stack.source, "STACK_MONTH")
    viewer = await works.world.caller(Role.GROUP_TOTALS_VIEWER)
    answer = await viewer.run("query Q($s: ExplainSubject!) { explain(subject: $s) { id } }", s={"node": found["id"]})
    assert "NOT_FOUND" in str(answer.errors) or "FORBIDDEN" in str(answer.errors)
