"""Declared results, through the public door."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.fixtures.accounting import OUTCOME, RESULT, Works
from tests.fixtures.methods import comparison, method

OUTCOMES = f"outcomes {OUTCOME % RESULT}"


async def test_an_annual_figure_stays_annual(works: Works) -> None:
    kiln = await works.source("K")
    made = await works.declare(sourceId=kiln, firstMonth="2023-01", months=12, gas="CH4", massT="2.5")
    assert (made["gwp"], made["co2eT"], made["gwpSet"]) == ("28", "70.000000000", "AR5")
    (result,) = await works.results(kiln, 2023)
    assert (result["firstMonth"], result["months"], result["massT"]) == ("2023-01", 12, "2.5")
    assert result["origin"] == "DECLARED"


async def test_biogenic_co2_is_beside_the_total(works: Works) -> None:
    kiln = await works.source("K")
    await works.declare(sourceId=kiln, gas="CO2", massT="10")
    await works.declare(sourceId=kiln, gas="CO2_BIOGENIC", massT="7")
    results = {r["gas"]: (r["massT"], Decimal(r["co2eT"])) for r in await works.results(kiln, 2023)}
    assert results == {"CO2": ("10", Decimal(10)), "CO2_BIOGENIC": ("7", Decimal(0))}


async def test_each_bad_row_is_refused_alone(works: Works) -> None:
    kiln, other = await works.source("K"), await works.fuel("烟煤")
    await works.burn(other, "2024-03", "1", "t")
    good: dict[str, Any] = {
        "sourceId": kiln,
        "firstMonth": "2023-01",
        "months": 3,
        "gas": "CO2",
        "massT": "1",
        "method": "MEASURED",
    }
    bad: list[tuple[dict[str, Any], str, str]] = [
        ({"months": 0}, "BAD_PERIOD", "months"),
        ({"months": 13}, "BAD_PERIOD", "months"),
        ({"firstMonth": "2022-11"}, "BAD_PERIOD", "months"),
        ({"firstMonth": "2090-01"}, "MONTH_OUT_OF_RANGE", "firstMonth"),
        ({"gas": "瓦斯"}, "UNKNOWN_GAS", "gas"),
        ({"massT": "-1"}, "NEGATIVE_MEASUREMENT", "massT"),
        ({"massT": "1e20"}, "NUMBER_OUT_OF_RANGE", "quantity"),
        ({"firstMonth": "2023-03", "months": 1}, "RESULT_OVERLAPS", "firstMonth"),
        ({"sourceId": other, "firstMonth": "2024-01", "months": 12}, "RESULT_OVERLAPS", "firstMonth"),
    ]
    rows = [good, *({**good, **b} for b, _, _ in bad), {**good, "firstMonth": "2023-04"}, {**good, "gas": "CH4"}]
    done = await works.monitor.do("recordDeclaredResults", {"rows": rows}, OUTCOMES)
    outcomes = done["outcomes"]
    assert all(outcomes[i]["result"] for i in (0, -1, -2))
    for i, (_, code, field) in enumerate(bad, start=1):
        assert (outcomes[i]["error"]["code"], outcomes[i]["error"]["path"]) == (code, ["rows", str(i), field])
    again = await works.monitor.do("recordDeclaredResults", {"rows": [good]}, OUTCOMES)
    assert again["outcomes"][0]["error"]["code"] == "RESULT_OVERLAPS"
    assert "2023-01/2023-03" in again["outcomes"][0]["error"]["message"]


async def test_activity_does_not_count_what_is_declared(works: Works) -> None:
    boiler = await works.fuel("烟煤")
    await works.declare(sourceId=boiler, firstMonth="2024-01", months=6, massT="5")
    row = {"sourceId": boiler, "month": "2024-06", "quantity": "1", "unit": "t"}
    done = await works.monitor.do(
        "recordActivity", {"rows": [row, {**row, "month": "2024-07"}]}, "outcomes { error { code } }"
    )
    assert [o["error"] and o["error"]["code"] for o in done["outcomes"]] == ["RESULT_OVERLAPS", None]


async def test_supersede_and_withdraw(works: Works) -> None:
    kiln = await works.source("K")
    first = await works.declare("AR4", sourceId=kiln, gas="CH4", massT="1", evidence="年报")
    selection = "result { id massT co2eT gwpSet firstMonth months evidence history { massT } supersededBecause }"
    change = {"months": 6, "massT": "0.5", "gwpSet": "AR5"}
    done = await works.monitor.do(
        "supersedeDeclaredResult", {"id": first["id"], "reason": "核查", "change": change}, selection
    )
    second = done["result"]
    assert (second["massT"], second["co2eT"], second["evidence"]) == ("0.5", "14.000000000", "年报")
    assert [v["massT"] for v in second["history"]] == ["1", "0.5"]
    (result,) = await works.results(kiln, 2023)
    assert result["months"] == 6
    clash = await works.declare(sourceId=kiln, firstMonth="2023-07", months=6, gas="CH4", massT="1")
    longer = {"id": second["id"], "reason": "核查", "change": {"months": 7}}
    refused = await works.monitor.attempt("supersedeDeclaredResult", longer)
    assert refused["errors"][0]["code"] == "RESULT_OVERLAPS"
    for key in (second["id"], clash["id"]):
        gone = await works.monitor.do("supersedeDeclaredResult", {"id": key, "reason": "撤回"}, selection)
        assert gone["result"]["supersededBecause"] == "撤回"
    assert await works.results(kiln, 2023) == []


async def test_replay(works: Works) -> None:
    kiln = await works.source("K")
    row = {"sourceId": kiln, "firstMonth": "2023-01", "gas": "CO2", "massT": "1", "method": "FACTOR"}
    call = {"rows": [row], "idempotencyKey": "once"}
    first = await works.monitor.do("recordDeclaredResults", call, OUTCOMES)
    again = await works.monitor.do("recordDeclaredResults", call, OUTCOMES)
    assert again == {**first, "replayed": True}


async def test_what_leaks_or_reacts_is_not_less_than_nothing(works: Works) -> None:
    row: dict[str, Any] = {"firstMonth": "2023-01", "months": 1, "gas": "CO2", "massT": "-1", "method": "FACTOR"}
    for code, kind in (("P", "PROCESS"), ("F", "FUGITIVE")):
        source = await works.source(code, directKind=kind)
        done = await works.monitor.do("recordDeclaredResults", {"rows": [{**row, "sourceId": source}]}, OUTCOMES)
        error = done["outcomes"][0]["error"]
        assert (error["code"], error["path"]) == ("NEGATIVE_BY_FACTOR", ["rows", "0", "massT"])
    process = await works.source("B", directKind="PROCESS")
    await works.declare(**{**row, "sourceId": process, "method": "MASS_BALANCE"})


async def test_what_is_measured_counts_and_a_stream_stands_beside_it(works: Works) -> None:
    """A source made for measured results: what its stream says is compared with them and counted nowhere."""
    heat = {"code": "heat", "ownFactor": {"value": "0.1", "unit": "GJ", "source": "发布值"}}
    source = await works.source("CEMS", heat, method="MEASURED")
    await works.burn(source, "2023-12", "1000", "GJ")
    await works.declare(sourceId=source, massT="90")
    results = await works.results(source, 2023)
    assert [(r["origin"], Decimal(r["co2eT"])) for r in results] == [("DECLARED", Decimal(90))]
    compared = await comparison(works, source, 2023)
    totals = {t["method"]: Decimal(t["co2eT"]) for t in compared["totals"]}
    assert totals == {"MEASURED": 90, "FACTOR": 100}
    assert (compared["withoutResult"], {m["counts"] for m in compared["months"]}) == ([], {False})


async def test_a_class_that_counts_from_the_beginning_follows_the_precedence(works: Works) -> None:
    heat = {"code": "heat", "ownFactor": {"value": "0.1", "unit": "GJ", "source": "发布值"}}

    async def refused(*streams: dict[str, Any], **fields: Any) -> list[tuple[str, list[str]]]:
        row = works.source_input("X", *streams, **fields)
        payload = await works.engineer.attempt("createEmissionSource", row)
        return [(e["code"], e["path"]) for e in payload["errors"]]

    balance = {"code": "in", "unit": "t", "method": method("MASS_BALANCE", carbonContent="0.5 tC/t")}
    steel = heat | {"programme": "MEE_STEEL"}
    fugitive = {"directKind": "FUGITIVE", "method": "MASS_BALANCE"}
    assert await refused(balance, method="FACTOR") == [("DEVIATION_NEEDS_REASON", ["method"])]
    assert await refused(steel, method="MEASURED") == [("DEVIATION_NEEDS_REASON", ["method"])]
    assert await refused(**fugitive) == [("METHOD_NOT_ALLOWED", ["method"])]
    assert await refused(heat, method="FACTOR") == []
