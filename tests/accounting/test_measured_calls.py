"""Every call on measurements can be rehearsed, which leaves nothing, and repeated, which answers the same."""

from __future__ import annotations

from typing import Any

from tests.fixtures.accounting import Works
from tests.fixtures.measurements import own_stream, stock, stream_of
from tests.fixtures.world import Caller

TABLES = (
    "stock_row", "meter", "meter_reading", "meter_month", "material_batch", "quality_result", "stack_monitor",
    "stack_month", "quality_score", "stream_uncertainty", "allocation", "allocation_product", "activity_batch",
    "audit_event", "stream_basis",
)  # fmt: skip


async def counts(works: Works) -> list[int]:
    async with works.world.owner.read(works.world.tenant_id) as session:
        return [await session.scalar(f"SELECT count(*) FROM {table}") for table in TABLES]


async def thrice(works: Works, caller: Caller, mutation: str, given: dict[str, Any], selection: str) -> dict[str, Any]:
    """Rehearse it, do it, repeat it; its payload."""
    before = await counts(works)
    rehearsed = await caller.do(mutation, {**given, "dryRun": True}, selection)
    assert rehearsed["replayed"] is False
    assert await counts(works) == before, mutation
    keyed = {**given, "idempotencyKey": mutation}
    done = await caller.do(mutation, keyed, selection)
    after = await counts(works)
    assert after != before, mutation
    again = await caller.do(mutation, keyed, selection)
    assert (again["replayed"], {**again, "replayed": False}) == (True, done), mutation
    assert await counts(works) == after, mutation
    return done


async def test_rehearse_and_repeat(works: Works) -> None:
    monitor, engineer = works.monitor, works.engineer
    book = await own_stream(works, "BOOK", "t")
    rows = {"rows": [stock(book, "2024-03", opening="9", closing="2.5")]}
    made = await thrice(works, monitor, "recordStocks", rows, "outcomes { row { id quantity month } error { code } }")
    change = {"id": made["outcomes"][0]["row"]["id"], "reason": "更正", "change": {"parts": {"opening": "7"}}}
    await thrice(works, monitor, "supersedeStock", change, "row { id quantity consumption }")

    results = [{"parameter": "NCV", "value": "20.5", "unit": "GJ/t"}]
    batch = {"streamId": book, "day": "2024-03-01", "code": "A", "quantity": "1", "unit": "t", "results": results}
    selection = "outcomes { batch { id quantity results { parameter value unit } } error { code } }"
    await thrice(works, monitor, "recordMaterialBatches", {"rows": [batch]}, selection)
    scores = dict.fromkeys(("representative", "fair", "complete", "accurate", "applicable"), 3)
    judged = {"streamId": book, "year": 2024, "reason": "说明"}
    await thrice(works, engineer, "setQualityScore", {**judged, **scores}, "score { id fair }")
    width = {**judged, "subject": "ACTIVITY", "halfWidth": "0.05"}
    await thrice(works, engineer, "setStreamUncertainty", width, "uncertainty { id halfWidth subject }")


async def test_rehearse_and_repeat_what_instruments_say(works: Works) -> None:
    monitor, engineer = works.monitor, works.engineer
    read = await own_stream(works, "METER", "MWh")
    given = {"organisationId": works.site_id, "code": "M", "nameZh": "电表", "instrumentType": "电表"}
    made = await engineer.do("createInstrument", {**given, "requiredError": "0.005"}, "instrument { id }")
    new = {"instrumentId": made["instrument"]["id"], "unit": "MWh", "installedOn": "2023-12-31"}
    created = await thrice(works, engineer, "createMeter", {"streamId": read, "meter": new}, "meter { id digits }")
    key = created["meter"]["id"]
    row = {"meterId": key, "day": "2024-01-31", "value": "100"}
    await thrice(works, monitor, "recordMeterReadings", {"rows": [row]}, "outcomes { reading { id value } }")
    months = "months { id month measured quantity parts { fromDay corrected } }"
    await thrice(works, monitor, "settleMeters", {"streamId": read, "firstMonth": "2024-01"}, months)
    removal = {"meterId": key, "day": "2024-02-10", "value": "120"}
    await thrice(works, engineer, "removeMeter", removal, "meter { id }")

    source = await works.source("STACK", {"code": "gas", "unit": "1e4Nm3"})
    stack = {"streamId": await stream_of(works, source), "code": "C", "kind": "SAMPLED"}
    set_up = await thrice(works, engineer, "setStackMonitor", stack, "monitor { id kind gapHours }")
    hours = {"monitorId": set_up["monitor"]["id"], "month": "2024-01"}
    hours |= {"rows": [{"day": 3, "concentration": "200.5", "flow": "1000", "hours": "24"}]}
    selection = "month { id quantity massT concentration validity rows { day flow } }"
    await thrice(works, monitor, "recordStackHours", hours, selection)
    products = [{"name": name, "quantityT": "1.5", "heatGjPerT": "2"} for name in ("甲", "乙")]
    shared = {"sourceId": source, "year": 2024, "basis": "ENERGY", "products": products, "statement": "按能量"}
    await thrice(works, engineer, "setAllocation", shared, "allocation { id basis products { name share co2eT } }")
