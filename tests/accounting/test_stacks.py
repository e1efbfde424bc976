"""Stacks measured by the hour or by sample: dry flue gas, gaps, activity and the measured coefficient."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from backend.accounting.domain.stack_months import month_of
from backend.accounting.domain.stacks import ConcentrationUnit, RowStatus, StackKind, StackMonitor, StackRow
from backend.accounting.service.results import ResultService
from backend.kit.ids import uuid7
from tests.fixtures.accounting import Works
from tests.fixtures.measurements import activity, stream_of

MONTH = (
    "month { id expected valid validity concentration massT quantity "
    "filled { day hour status concentration flow rule } "
    "activityRecord { quantity unit origin followsFromId } supersededBecause }"
)


class Stack:
    """A source whose flue gas is measured, and its monitor."""

    def __init__(self, works: Works, source: str, stream: str, monitor: str) -> None:
        self.works, self.source, self.stream, self.monitor = works, source, stream, monitor

    @classmethod
    async def create(cls, works: Works, **fields: Any) -> Stack:
        source = await works.source("STACK", {"code": "gas", "unit": "1e4Nm3"})
        stream = await stream_of(works, source)
        given = {"organisationId": works.site_id, "code": "CEMS", "nameZh": "烟气在线监测", "instrumentType": "CEMS"}
        made = await works.engineer.do("createInstrument", {**given, "requiredError": "0.025"}, "instrument { id }")
        monitor = {"streamId": stream, "code": "CEMS-1", "kind": "CONTINUOUS", "instrumentId": made["instrument"]["id"]}
        set_up = await works.engineer.do("setStackMonitor", {**monitor, **fields}, "monitor { id }")
        return cls(works, source, stream, str(set_up["monitor"]["id"]))

    async def attempt(self, month: str, rows: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        given = {"monitorId": self.monitor, "month": month, "rows": rows, **fields}
        return await self.works.monitor.attempt("recordStackHours", given, MONTH)

    async def record(self, month: str, rows: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
        done = await self.attempt(month, rows, **fields)
        assert not done["errors"], done["errors"]
        return dict(done["month"])

    async def count(self) -> None:
        """Let what is measured count for the source."""
        chosen = {"sourceId": self.source, "method": "MEASURED", "reason": "在线监测"}
        await self.works.engineer.do("chooseSourceMethod", chosen, "changes { newT }")

    async def emitted(self, month: str) -> Decimal:
        results = await self.works.results(self.source, int(month[:4]))
        return sum((Decimal(r["co2eT"]) for r in results if r["firstMonth"] == month), Decimal(0))


def hours(days: int, skip: set[int] = frozenset(), **fields: Any) -> list[dict[str, Any]]:  # type: ignore[assignment]
    """Every hour of the first days of a month, but for some positions."""
    same = {"concentration": "200", "flow": "100000", **fields}
    positions = [p for p in range(24 * days) if p not in skip]
    return [{"day": p // 24 + 1, "hour": p % 24, **same} for p in positions]


async def test_a_day_of_samples(works: Works) -> None:
    """vectors.json, cems-day: 2400 × 10⁴ Nm3/d at 240 g/m3 are 5760 t/d."""
    stack = await Stack.create(works, kind="SAMPLED")
    month = await stack.record("2024-01", [{"day": 5, "concentration": "240", "flow": "1000000", "hours": "24"}])
    assert (month["quantity"], month["concentration"], month["massT"]) == ("2400", "240", "5760")
    assert month["activityRecord"] == {
        "quantity": "2400", "unit": "1e4Nm3", "origin": "MONITOR", "followsFromId": month["id"],
    }  # fmt: skip
    assert await stack.emitted("2024-01") == 0  # until measurement is what counts
    await stack.count()
    assert await stack.emitted("2024-01") == 5760


async def test_volume_percent(works: Works) -> None:
    """vectors.json, cems-volpct: 12 % by volume are 235.618 g/m3."""
    stack = await Stack.create(works, kind="SAMPLED", concentrationUnit="VOLUME_PERCENT")
    month = await stack.record("2024-01", [{"day": 1, "concentration": "12", "flow": "10000"}])
    assert abs(Decimal(month["concentration"]) - Decimal("235.618")) < Decimal("0.01")


async def test_a_whole_month_by_the_hour_counts_as_measured(works: Works) -> None:
    stack = await Stack.create(works)
    month = await stack.record("2024-01", hours(31))
    assert (month["expected"], month["valid"], month["validity"], month["filled"]) == (744, 744, "1.0000", [])
    # 744 h × 100,000 m3/h × 200 g/m3
    assert (month["quantity"], month["massT"]) == ("7440", "14880")
    await stack.count()
    assert await stack.emitted("2024-01") == 14880
    await stack.record("2024-02", hours(29))
    assert await stack.emitted("2024-02") == 13920


async def test_short_gaps_take_the_mean_and_long_ones_the_highest(works: Works) -> None:
    stack = await Stack.create(works, gapHours=2)
    rows = hours(31, skip={10, 11, *range(100, 104)})
    rows[9] |= {"concentration": "100"}  # before the short gap
    rows[700] |= {"concentration": "300", "flow": "200000"}  # the highest of the month
    month = await stack.record("2024-01", rows)
    assert (month["valid"], len(month["filled"]), month["validity"]) == (738, 6, "0.9919")
    short = {"concentration": "150", "flow": "100000", "rule": "MEAN_OF_NEIGHBOURS"}
    assert month["filled"][0] == {"day": 1, "hour": 10, "status": "FAULT", **short}
    long = {"concentration": "300", "flow": "200000", "rule": "HIGHEST_OF_MONTH"}
    assert month["filled"][2] == {"day": 5, "hour": 4, "status": "FAULT", **long}
    plain = 736 * 200 * 100_000 + 100 * 100_000 + 300 * 200_000
    filled = 2 * 150 * 100_000 + 4 * 300 * 200_000
    assert Decimal(month["massT"]) * 1_000_000 == plain + filled


async def test_wet_gas_at_actual_conditions(works: Works) -> None:
    stack = await Stack.create(
        works, kind="SAMPLED", concentrationUnit="MG_PER_M3", concentrationWet=True, flowWet=True, flowActual=True
    )
    row = {"day": 1, "concentration": "180000", "flow": "200000", "moisture": "10", "temperature": "136.575"}
    row |= {"pressure": "101.325", "hours": "10"}
    month = await stack.record("2024-01", [row])
    # 180 / 0.9 = 200 g/m3; 200000 × 0.9 × 273.15/409.725 = 120000 m3/h
    assert (month["concentration"], month["quantity"], month["massT"]) == ("200", "120", "240")


async def test_hours_come_day_by_day_and_are_replaced_with_a_reason(works: Works) -> None:
    stack = await Stack.create(works)
    first = await stack.record("2024-01", hours(1))
    assert (first["valid"], len(first["filled"])) == (24, 720)
    second = await stack.record("2024-01", [r | {"day": 2} for r in hours(1)])
    assert second["valid"] == 48
    await stack.count()
    twice = await stack.attempt("2024-01", hours(1, flow="1"))
    assert twice["errors"][0]["code"] == "HOURS_ALREADY_RECORDED"
    last = await stack.record("2024-01", hours(31, flow="50000"), reason="平台数据更正")
    assert last["quantity"] == "3720"
    assert await stack.emitted("2024-01") == 7440
    records = await activity(works, stack.stream, superseded=True)
    reasons = ["补充数据 more data", "平台数据更正", None]
    assert [r["supersededBecause"] for r in records] == reasons
    months = "query M { stackMonths(superseded: true) { nodes { supersededBecause rows { day hour flow } } } }"
    kept = (await works.engineer.ask(months))["stackMonths"]["nodes"]
    assert [(m["supersededBecause"], len(m["rows"])) for m in kept] == list(zip(reasons, (24, 48, 744), strict=True))


async def test_a_withdrawn_month_leaves_nothing(works: Works) -> None:
    stack = await Stack.create(works)
    month = await stack.record("2024-01", hours(31))
    given = {"id": month["id"], "reason": "重复接入"}
    gone = await works.monitor.do("supersedeStackMonth", given, MONTH)
    assert gone["month"]["supersededBecause"] == "重复接入"
    assert await activity(works, stack.stream) == []
    query = "query Q($id: ID!) { node(id: $id) { ... on EmissionStream { bases { kind } } } }"
    assert (await works.engineer.ask(query, id=stack.stream))["node"]["bases"] == []


async def test_a_table_in_chinese(works: Works) -> None:
    stack = await Stack.create(works)
    lines = [f"{p // 24 + 1},{p % 24},200,100000,{'停运' if p < 24 else '正常'}" for p in range(744)]
    table = "\ufeff日,时,浓度(g/m3),流量(m3/h),状态\r\n" + "\r\n".join(lines)
    month = await stack.record("2024-01", [], csv=table)
    assert (month["valid"], month["quantity"]) == (744, "7200")


@pytest.mark.parametrize(
    ("table", "code", "path"),
    [
        ("浓度,流量\n1,2", "BAD_STACK_CSV", ["csv"]),
        ("", "BATCH_SIZE", ["rows"]),
        ("日,时,浓度,流量\n1,0,200,1\n1,24,200,1", "NO_SUCH_HOUR", ["csv", "3", "hour"]),
        ("日,时,浓度,流量\n1,30,200,1", "NO_SUCH_HOUR", ["csv", "2", "hour"]),
        ("日,时,浓度,流量\n1,0,=1+1,1", "BAD_NUMBER", ["csv", "2", "quantity"]),
        ("日,时,浓度,流量,状态\n1,0,200,1,?", "BAD_STACK_CSV", ["csv", "2", "csv"]),
    ],
)
async def test_what_is_no_table(works: Works, table: str, code: str, path: list[str]) -> None:
    stack = await Stack.create(works)
    refused = await stack.attempt("2024-01", [], csv=table)
    assert (refused["errors"][0]["code"], refused["errors"][0]["path"]) == (code, path)


@pytest.mark.parametrize(
    ("row", "code", "path"),
    [
        ({"concentration": "-1"}, "BAD_STACK_VALUE", ["rows", "0", "concentration"]),
        ({"flow": "1e10"}, "BAD_STACK_VALUE", ["rows", "0", "flow"]),
        ({"flow": None}, "STACK_VALUE_MISSING", ["rows", "0", "flow"]),
        ({"day": 30}, "NO_SUCH_HOUR", ["rows", "0", "hour"]),
        ({"status": "FAULT"}, "NOTHING_VALID", ["rows"]),
    ],
)
async def test_what_is_no_hour(works: Works, row: dict[str, Any], code: str, path: list[str]) -> None:
    stack = await Stack.create(works)
    refused = await stack.attempt("2024-02", [{**hours(1)[0], **row}])
    assert (refused["errors"][0]["code"], refused["errors"][0]["path"]) == (code, path)
    assert await activity(works, stack.stream) == []


async def test_the_same_hour_twice_in_one_call(works: Works) -> None:
    stack = await Stack.create(works)
    refused = await stack.attempt("2024-01", [*hours(1), hours(1)[3]])
    assert refused["errors"][0]["code"] == "HOUR_TWICE"


async def test_a_stack_of_something_else_than_gas(works: Works) -> None:
    source = await works.fuel("烟煤")
    given = {"streamId": await stream_of(works, source), "code": "C", "kind": "SAMPLED"}
    refused = await works.engineer.attempt("setStackMonitor", given, "monitor { id }")
    assert refused["errors"][0]["code"] == "STACK_UNIT"


async def test_another_monitor_needs_a_reason(works: Works) -> None:
    stack = await Stack.create(works)
    given = {"streamId": stack.stream, "code": "C", "kind": "SAMPLED"}
    refused = await works.engineer.attempt("setStackMonitor", given, "monitor { id }")
    assert refused["errors"][0]["code"] == "MONITOR_TAKEN"
    await works.engineer.do("setStackMonitor", {**given, "reason": "设备更换"}, "monitor { id }")
    old = await stack.attempt("2024-01", hours(1))
    assert old["errors"][0]["code"] == "ALREADY_SUPERSEDED"


async def test_two_writers_of_one_month_lose_nothing(works: Works) -> None:
    stack = await Stack.create(works)
    days = [[r | {"day": n} for r in hours(1)] for n in (1, 2)]
    both = await asyncio.gather(*(stack.attempt("2024-01", rows) for rows in days))
    assert [b["errors"] for b in both] == [[], []]
    assert max(b["month"]["valid"] for b in both) == 48
    assert len(await activity(works, stack.stream)) == 1


async def test_a_rebuild_gives_the_same_bits(works: Works) -> None:
    stack = await Stack.create(works)
    await stack.record("2024-01", hours(31, skip={3}, concentration="199.7", flow="100000.3"))
    await stack.count()
    before = await works.results(stack.source, 2024)
    await works.world.services.get(ResultService).rebuild(works.world.tenant_id)
    assert await works.results(stack.source, 2024) == before
    assert Decimal(before[0]["co2eT"]) > 0


def test_a_month_without_valid_hours_takes_the_defaults() -> None:
    monitor = StackMonitor(
        id=uuid7(), stream_id=uuid7(), organisation_id=uuid7(), instrument_id=uuid7(), code="C",
        kind=StackKind.CONTINUOUS, concentration_unit=ConcentrationUnit.G_PER_M3, concentration_wet=False,
        flow_wet=False, flow_actual=False, gap_hours=3, default_concentration=Decimal(250),
        default_flow=Decimal(1000),
    )  # fmt: skip
    made = month_of(monitor, date(2024, 2, 1), [StackRow(0, status=RowStatus.FAULT)], 696)
    assert (made.valid, len(made.filled), made.mass_t) == (0, 696, Decimal("0.174") * 1000)
