"""Monitoring plans, readings and findings, through the public door."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from backend.accounting.domain.monitored import Covered, Reading, month_value, surcharge
from backend.accounting.domain.monitoring import ParameterKind
from backend.accounting.domain.plan_templates import templates
from tenants.access import Role
from tests.fixtures.accounting import Works

PLAN = "plan { id version state endsOn parameters { id code tableRow } gaps { item about } }"
HEADER = {
    "startsOn": "2024-01-01",
    "address": "山东省济南市",
    "organisationCode": "91370000MA3C00000X",
    "contact": "张三 13800000000",
    "organisationBoundary": "全部法人边界",
    "accountingBoundary": "熟料生产线",
    "otherMatters": "无",
}


async def meter(works: Works, **fields: Any) -> str:
    given = {
        "organisationId": works.site_id, "code": "SCALE", "nameZh": "皮带秤", "instrumentType": "皮带秤",
        "model": "ICS-20", "point": "入窑煤", "requiredError": "0.005", **fields,
    }  # fmt: skip
    return str((await works.engineer.do("createInstrument", given, "instrument { id }"))["instrument"]["id"])


def parameter(code: str, **fields: Any) -> dict[str, Any]:
    base = {"code": code, "nameZh": f"{code} 参数", "unit": "t", "frequency": "MONTHLY", "dataSource": "衡器"}
    return {**base, **fields}


async def in_force(works: Works, *parameters: dict[str, Any], **header: Any) -> dict[str, str]:
    """An approved plan; its parameters' ids by code."""
    made = await works.engineer.do("createMonitoringPlan", {"organisationId": works.site_id, **HEADER, **header}, PLAN)
    plan_id = made["plan"]["id"]
    set_ = await works.engineer.do("setPlanParameters", {"planId": plan_id, "parameters": list(parameters)}, PLAN)
    assert set_["plan"]["gaps"] == []
    await works.engineer.do("submitMonitoringPlan", {"planId": plan_id}, PLAN)
    top = await works.world.caller(Role.TOP_MANAGEMENT)
    approved = await top.do("approveMonitoringPlan", {"planId": plan_id}, PLAN)
    assert approved["plan"]["state"] == "APPROVED"
    return {p["code"]: p["id"] for p in approved["plan"]["parameters"]}


async def read(works: Works, *rows: tuple[str, str, str], **fields: Any) -> None:
    given = [{"parameterId": p, "day": day, "value": value, **fields} for p, day, value in rows]
    await works.monitor.do("recordReadings", {"rows": given}, "readings { id }")


async def found(works: Works, first: str, last: str, **variables: Any) -> list[tuple[Any, ...]]:
    query = """query F($at: ID!, $from: Date!, $to: Date!, $kinds: [MonitoringFindingKind!], $size: Int,
      $after: String) { monitoringFindings(organisationId: $at, from: $from, to: $to, kinds: $kinds, first: $size,
      after: $after) { nodes { kind firstDay lastDay value expected remedyZh parameter { code } }
      pageInfo { hasNextPage endCursor } } }"""
    given = {"at": works.site_id, "from": first, "to": last, **variables}
    nodes, after = [], None
    while True:
        page = (await works.monitor.ask(query, **given, after=after))["monitoringFindings"]
        nodes += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert all(n["remedyZh"] for n in nodes)
    return [(n["kind"], n["parameter"]["code"], n["firstDay"], n["lastDay"], n["value"], n["expected"]) for n in nodes]


def test_table_3_has_sixteen_rows() -> None:
    rows = templates()["CEMENT"].rows
    assert [r.number for r in rows] == list(range(1, 17))
    assert all(r.item and r.data_source and r.requirement and r.proof and r.parameters for r in rows)


async def test_the_template_makes_a_draft_of_all_rows(works: Works) -> None:
    given = {"organisationId": works.site_id, "startsOn": "2024-01-01", "template": "CEMENT"}
    made = await works.engineer.do("createMonitoringPlanFromTemplate", given, PLAN)
    assert {p["tableRow"] for p in made["plan"]["parameters"]} == set(range(1, 17))
    assert {g["item"] for g in made["plan"]["gaps"]} == {
        "ORGANISATION", "BOUNDARY", "MEASUREMENT", "INSTRUMENTS", "OTHER",
    }  # fmt: skip
    refused = await works.engineer.attempt("submitMonitoringPlan", {"planId": made["plan"]["id"]}, PLAN)
    assert refused["errors"][0]["code"] == "PLAN_INCOMPLETE"
    again = await works.engineer.attempt("createMonitoringPlanFromTemplate", given, PLAN)
    assert again["errors"][0]["code"] == "PLAN_ALREADY_OPEN"


async def test_an_unmonitored_stream_is_a_gap(works: Works) -> None:
    await works.fuel("烟煤")
    made = await works.engineer.do("createMonitoringPlan", {"organisationId": works.site_id, **HEADER}, PLAN)
    assert {"item": "DATA_SOURCES", "about": "烟煤/a"} in made["plan"]["gaps"]


async def test_maker_is_not_checker(works: Works) -> None:
    both = await works.world.member((Role.TOP_MANAGEMENT, None), (Role.ACCOUNTING_ENGINEER, None))
    made = await both.do("createMonitoringPlan", {"organisationId": works.site_id, **HEADER}, PLAN)
    plan = {"planId": made["plan"]["id"]}
    one = parameter("COAL", instrumentId=await meter(works))
    await both.do("setPlanParameters", {**plan, "parameters": [one]}, PLAN)
    early = await both.attempt("approveMonitoringPlan", plan, PLAN)
    assert early["errors"][0]["code"] == "PLAN_STATE"
    await works.engineer.do("submitMonitoringPlan", plan, PLAN)
    refused = await both.attempt("approveMonitoringPlan", plan, PLAN)
    assert refused["errors"][0]["code"] == "MAKER_IS_CHECKER"
    forbidden = await works.engineer.attempt("approveMonitoringPlan", plan, PLAN)
    assert forbidden["errors"][0]["code"] == "FORBIDDEN"
    top = await works.world.caller(Role.TOP_MANAGEMENT)
    back = await top.do("rejectMonitoringPlan", {**plan, "reason": "点位不清"}, PLAN)
    assert back["plan"]["state"] == "DRAFT"


async def test_a_new_version_takes_over(works: Works) -> None:
    one = parameter("COAL", instrumentId=await meter(works))
    await in_force(works, one)
    same_day = {"organisationId": works.site_id, **HEADER, "startsOn": "2024-01-01"}
    second = await in_force(works, one, startsOn="2024-07-01")
    assert set(second) == {"COAL"}
    plans = (await works.engineer.ask("{ monitoringPlans { nodes { version state endsOn } } }"))["monitoringPlans"]
    assert plans["nodes"] == [
        {"version": 1, "state": "SUPERSEDED", "endsOn": "2024-07-01"},
        {"version": 2, "state": "APPROVED", "endsOn": None},
    ]
    third = await works.engineer.do("createMonitoringPlan", same_day, PLAN)
    plan = {"planId": third["plan"]["id"]}
    await works.engineer.do("setPlanParameters", {**plan, "parameters": [one]}, PLAN)
    await works.engineer.do("submitMonitoringPlan", plan, PLAN)
    top = await works.world.caller(Role.TOP_MANAGEMENT)
    refused = await top.attempt("approveMonitoringPlan", plan, PLAN)
    assert refused["errors"][0]["code"] == "PLAN_STARTS_TOO_EARLY"


async def calibrated(works: Works, instrument: str, first: str, last: str, error: str = "0.004") -> None:
    given = {"instrumentId": instrument, "doneOn": first, "validUntil": last, "certificate": "校准证书 2024-1"}
    await works.monitor.do("recordCalibration", {**given, "actualError": error}, "calibration { id }")


async def test_a_missing_day_and_an_odd_value(works: Works) -> None:
    instrument = await meter(works)
    await calibrated(works, instrument, "2023-12-01", "2024-12-31")
    cao = parameter(
        "CAO", kind="QUALITY", unit="%", frequency="DAILY", method="化学分析", standard="GB/T 176", lowest="60",
        highest="70", instrumentId=instrument, dueDays=366,
    )  # fmt: skip
    key = (await in_force(works, cao))["CAO"]
    days = [(date(2024, 1, 1) + timedelta(n)).isoformat() for n in range(31)]
    await read(works, *((key, day, "95" if day.endswith("05") else "65.2") for day in days if not day.endswith("17")))
    expected = [
        ("OUT_OF_RANGE", "CAO", "2024-01-05", "2024-01-05", "95", "70"),
        ("MISSING", "CAO", "2024-01-17", "2024-01-17", None, None),
    ]
    wanted = {"kinds": ["MISSING", "OUT_OF_RANGE"]}
    assert await found(works, "2024-01-01", "2024-01-31", **wanted) == expected
    assert await found(works, "2024-01-01", "2024-01-31", **wanted, size=1) == expected
    late = await found(works, "2024-01-01", "2024-01-31", kinds=["LATE"])
    assert len(late) == 30  # recorded years afterwards
    assert await found(works, "2023-01-01", "2023-12-31") == []


async def test_a_stream_is_read_from_its_activity(works: Works) -> None:
    source = await works.fuel("烟煤")
    await works.burn(source, "2024-01", "310", "t")
    streams = await works.engineer.ask("{ emissionSources { nodes { streams { id } } } }")
    stream = streams["emissionSources"]["nodes"][0]["streams"][0]["id"]
    instrument = await meter(works)
    await calibrated(works, instrument, "2023-01-01", "2024-01-21")
    key = (await in_force(works, parameter("COAL", streamId=stream, instrumentId=instrument)))["COAL"]
    refused = await works.monitor.attempt(
        "recordReadings", {"rows": [{"parameterId": key, "day": "2024-01-01", "value": "1"}]}, "readings { id }"
    )
    assert (refused["errors"][0]["code"], refused["errors"][0]["path"][0]) == ("READ_FROM_STREAM", "rows")
    by_kind = {f[0]: f for f in await found(works, "2024-01-01", "2024-01-31")}
    assert set(by_kind) == {"LATE", "UNCALIBRATED"}
    # ten of thirty-one days without calibration, class 0.5 %: 310 × (1 + 0.005 × 10/31)
    assert by_kind["UNCALIBRATED"][2:] == ("2024-01-22", "2024-01-31", "310.000000000000", "310.500000000000")
    assert [f[0] for f in await found(works, "2024-02-01", "2024-02-29", kinds=["MISSING"])] == ["MISSING"]


async def test_production_is_corrected_downwards(works: Works) -> None:
    clinker = parameter("CLINKER", direction="OUTPUT", instrumentId=await meter(works))
    key = (await in_force(works, clinker))["CLINKER"]
    await read(works, (key, "2024-03-31", "1000"))
    (finding,) = await found(works, "2024-03-01", "2024-03-31", kinds=["UNCALIBRATED"])
    assert finding[5] == "995.000000000000"


async def test_invoice_and_meter_diverge(works: Works) -> None:
    instrument = await meter(works)
    keys = await in_force(
        works,
        parameter("INVOICE", unit="MWh", instrumentId=instrument),
        parameter("METER", unit="MWh", instrumentId=instrument, partnerCode="INVOICE", tolerance="0.02"),
    )
    await read(works, (keys["INVOICE"], "2024-01-31", "1000"), (keys["METER"], "2024-01-31", "1020"))
    await read(works, (keys["INVOICE"], "2024-02-29", "1000"), (keys["METER"], "2024-02-29", "1020.001"))
    (finding,) = await found(works, "2024-01-01", "2024-02-29", kinds=["DIVERGING"])
    assert finding[1:] == ("METER", "2024-02-01", "2024-02-29", "1020.001000000000", "1000.000000000000")


async def test_a_reading_is_superseded_once(works: Works) -> None:
    key = (await in_force(works, parameter("COAL", instrumentId=await meter(works))))["COAL"]
    row = {"parameterId": key, "day": "2024-01-31", "value": "1"}
    made = await works.monitor.do("recordReadings", {"rows": [row]}, "readings { id }")
    twice = await works.monitor.attempt("recordReadings", {"rows": [row]}, "readings { id }")
    assert (twice["errors"][0]["code"], twice["errors"][0]["path"]) == ("READING_TAKEN", ["rows", "0", "day"])
    given = {"id": made["readings"][0]["id"], "value": "2", "reason": "抄表错误"}
    after = await works.monitor.do("supersedeReading", given, "reading { value }")
    assert after["reading"]["value"] == "2"
    again = await works.monitor.attempt("supersedeReading", given, "reading { id }")
    assert again["errors"][0]["code"] == "READING_SUPERSEDED"
    early = await works.monitor.attempt("recordReadings", {"rows": [{**row, "day": "2023-12-31"}]}, "readings { id }")
    assert early["errors"][0]["code"] == "READING_OUTSIDE_PLAN"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"lowest": "2", "highest": "1"}, "lowest"),
        ({"dueDays": -1}, "dueDays"),
        ({"partnerCode": "X"}, "tolerance"),
        ({"unit": " "}, "unit"),
    ],
)
async def test_what_is_no_parameter(works: Works, fields: dict[str, Any], path: str) -> None:
    made = await works.engineer.do("createMonitoringPlan", {"organisationId": works.site_id, **HEADER}, PLAN)
    given = {"planId": made["plan"]["id"], "parameters": [parameter("P", **fields)]}
    refused = await works.engineer.attempt("setPlanParameters", given, PLAN)
    assert (refused["errors"][0]["code"], refused["errors"][0]["path"][-1]) == ("BAD_PARAMETER", path)


def test_means_are_weighted() -> None:
    day = date(2024, 1, 1)
    readings = [Reading(day, Decimal(20), day, Decimal(1)), Reading(day, Decimal(26), day, Decimal(2))]
    assert month_value(ParameterKind.QUALITY, readings) == Decimal(24)
    unweighted = [*readings, Reading(day, Decimal(20), day)]
    assert month_value(ParameterKind.QUALITY, unweighted) == Decimal(22)
    assert month_value(ParameterKind.QUANTITY, readings) == Decimal(46)
    assert month_value(ParameterKind.QUALITY, []) is None


def test_the_correction_follows_the_calibration() -> None:
    day, required = date(2024, 6, 15), Decimal("0.005")
    good = Covered(date(2024, 1, 1), date(2024, 6, 30), Decimal("0.004"))
    poor = Covered(date(2024, 6, 1), date(2024, 6, 30), Decimal("0.007"))
    late = Covered(date(2024, 6, 16), date(2025, 6, 15), Decimal("0.001"))
    assert surcharge(day, required, [good]) == 0
    assert surcharge(day, required, [good, poor]) * 1000 == 2
    assert surcharge(day, required, [late]) * 1000 == 5
    assert surcharge(day, required, []) * 1000 == 5


FROM_TEMPLATE = f"unbound {{ code stream unit }} {PLAN}"
FROM_PACK = {
    "CLINKER_OUTPUT": "CLINKER.PROCESS/CLINKER",
    "COAL_USE": "CLINKER.STATIONARY/COAL",
    "OIL_USE": "CLINKER.STATIONARY/OIL",
    "GAS_USE": "CLINKER.STATIONARY/NATURAL_GAS",
    "VEHICLE_DIESEL_USE": "TRANSPORT.MOBILE/DIESEL",
    "VEHICLE_GASOLINE_USE": "TRANSPORT.MOBILE/GASOLINE",
    "ELECTRICITY_INVOICED": "IMPORTED_ENERGY/ELECTRICITY",
    "STEAM_USE": "IMPORTED_ENERGY/STEAM",
}


async def test_the_template_is_read_from_the_streams_of_the_pack(works: Works) -> None:
    site = {"organisationId": works.site_id, "packCode": "CEMENT"}
    await works.engineer.do("createSourcesFromPack", site, "items { code }")
    given = {"organisationId": works.site_id, "template": "CEMENT", **HEADER}
    made = await works.engineer.do("createMonitoringPlanFromTemplate", given, FROM_TEMPLATE)
    query = """query P($id: ID!) { node(id: $id) { ... on MonitoringPlan {
      parameters { code streamId } } }
      emissionSources { nodes { id code streams { id code } } } }"""
    told = await works.engineer.ask(query, id=made["plan"]["id"])
    sources = {t["id"]: (s, t) for s in told["emissionSources"]["nodes"] for t in s["streams"]}
    streams = {p["code"]: sources[p["streamId"]] for p in told["node"]["parameters"] if p["streamId"]}
    assert {code: f"{s['code']}/{t['code']}" for code, (s, t) in streams.items()} == FROM_PACK
    # The pack leaves them out as long as nobody gives a factor.
    assert {u["code"] for u in made["unbound"]} == {
        "ALTERNATIVE_USE", "COOLING_USE", "COMPRESSED_AIR_USE", "FREIGHT",
    }  # fmt: skip
    # Every stream of the pack is watched: none is a gap.
    assert not [g for g in made["plan"]["gaps"] if g["item"] == "DATA_SOURCES"]
    await _put_in_force(works, made["plan"])
    kiln, _ = streams["COAL_USE"]
    for month in ("2024-01", "2024-03"):
        await works.burn(kiln["id"], month, "5000", "t", stream="COAL")
    told_of = await found(works, "2024-01-01", "2024-04-30", kinds=["MISSING", "LATE"])
    missing = {(code, first[:7]) for kind, code, first, _, _, _ in told_of if kind == "MISSING"}
    assert {month for code, month in missing if code == "COAL_USE"} == {"2024-02", "2024-04"}
    assert {month for code, month in missing if code == "OIL_USE"} >= {"2024-01", "2024-03"}


async def _put_in_force(works: Works, plan: dict[str, Any]) -> None:
    """Say what a template leaves open, and let somebody else approve."""
    instrument = await meter(works)
    quality = [p for row in templates()["CEMENT"].rows for p in row.parameters if p.kind == "QUALITY"]
    rows = {p.code: r for r in templates()["CEMENT"].rows for p in r.parameters}
    said = [
        parameter(
            p.code, kind="QUALITY", unit=p.unit, frequency=rows[p.code].frequency.value, method="化验", standard="GB/T",
            instrumentId=instrument,
        )
        for p in quality
    ]  # fmt: skip
    key = {"planId": plan["id"]}
    await works.engineer.do("setPlanParameters", {**key, "parameters": said}, PLAN)
    await works.engineer.do("submitMonitoringPlan", key, PLAN)
    top = await works.world.caller(Role.TOP_MANAGEMENT)
    await top.do("approveMonitoringPlan", key, PLAN)


async def test_a_site_without_the_pack_reads_all_rows_by_hand(works: Works) -> None:
    await works.source("CLINKER.STATIONARY", {"code": "COAL", "unit": "GJ", "material": "烟煤"})
    given = {"organisationId": works.site_id, "startsOn": "2024-01-01", "template": "CEMENT"}
    made = await works.engineer.do("createMonitoringPlanFromTemplate", given, FROM_TEMPLATE)
    unbound = {u["code"]: (u["stream"], u["unit"]) for u in made["unbound"]}
    assert unbound["COAL_USE"] == ("CLINKER.STATIONARY/COAL", "GJ")
    assert unbound["OIL_USE"] == ("CLINKER.STATIONARY/OIL", None)
    assert "VEHICLE_DIESEL_USE" not in {p["code"] for p in made["plan"]["parameters"]}
