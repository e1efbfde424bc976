"""Product outputs, intensities, targets and deviations."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import asyncpg
import pytest
from asyncpg.exceptions import PostgresError
from hypothesis import given
from hypothesis import strategies as st

from backend.accounting.domain.deviations import DeviationKind, departs, year_on_year
from backend.accounting.domain.outputs import intensity
from backend.accounting.domain.sources import Category
from tenants.access import Role
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.world import Caller, World

OUTPUT = "outputs { id product quantity unit month supersededAt }"
INTENSITY = """query I($i: EmissionIntensityInput!) { emissionIntensity(input: $i) {
  firstMonth months co2eT output unit value shown missing } }"""
FINDING = "id kind category product compared actual deviation unit state cause analysis closedAt"


@pytest.fixture
async def works(world: World) -> Works:
    made = await Works.create(world)
    boiler = await made.source("BOILER", {"code": "烟煤", "material": "烟煤"})
    for year, month, quantity in ((2024, 1, "100"), (2025, 1, "100"), (2025, 2, "60")):
        await made.burn(boiler, f"{year}-{month:02}", quantity, "t")
    return made


def output(works: Works, month: str, quantity: str, **fields: Any) -> dict[str, Any]:
    base = {"organisationId": works.site_id, "product": "粗钢", "month": month, "quantity": quantity, "unit": "t"}
    return {**base, **fields}


async def record(works: Works, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    return list((await works.monitor.do("recordProductOutputs", {"rows": list(rows)}, OUTPUT))["outputs"])


async def intensities(works: Works, **fields: Any) -> list[dict[str, Any]]:
    asked = {"organisationId": works.site_id, "product": "粗钢", "year": 2025, **fields}
    return list((await works.engineer.ask(INTENSITY, i=asked))["emissionIntensity"])


async def test_intensity_of_year_and_months(works: Works) -> None:
    await record(works, output(works, "2025-01", "200"), output(works, "2025-02", "50000", unit="kg"))
    year, january, february, march = (await intensities(works))[:4]
    assert (year["months"], year["unit"], year["output"]) == (12, "tCO2e/t", "250")
    assert Decimal(year["value"]) == round(Decimal(year["co2eT"]) / 250, 18)
    assert year["shown"] == str(round(Decimal(year["value"]), 4)) == "1.4437"
    assert (january["shown"], february["shown"]) == ("1.1279", "2.7069")
    assert (march["value"], march["missing"]) == (None, "NO_OUTPUT")
    below = await intensities(works, organisationId=works.group_id)
    assert below[0]["value"] == year["value"]
    none = await intensities(works, categories=["TRANSPORT"])
    assert (none[0]["co2eT"], none[0]["shown"]) == ("0", "0.0000")


async def test_zero_output_is_no_division(works: Works) -> None:
    await record(works, output(works, "2025-01", "0"))
    assert [i["missing"] for i in await intensities(works)][:2] == ["NO_OUTPUT", "NO_OUTPUT"]


async def test_a_result_of_a_year_has_no_month(works: Works) -> None:
    await works.declare(sourceId=await works.source("K"), firstMonth="2025-01", massT="5")
    await record(works, output(works, "2025-01", "200"))
    year, january = (await intensities(works))[:2]
    assert (year["missing"], january["missing"]) == (None, "LONGER_RESULT")


async def test_per_unit_and_device(works: Works) -> None:
    made = await works.engineer.do(
        "createEmissionUnit",
        {"organisationId": works.site_id, "code": "U1", "nameZh": "炼钢", "kind": "GROUP"},
        "unit { id }",
    )
    unit = made["unit"]["id"]
    await record(works, output(works, "2025-01", "10", unitId=unit), output(works, "2025-01", "20"))
    mine = (await intensities(works, unitId=unit))[0]
    assert (mine["output"], mine["co2eT"]) == ("10", "0")
    twice = await works.monitor.attempt("recordProductOutputs", {"rows": [output(works, "2025-01", "9", unitId=unit)]})
    assert [e["code"] for e in twice["errors"]] == ["OUTPUT_TAKEN"]


async def test_outputs_are_superseded_never_edited(works: Works, database_url: str) -> None:
    (first,) = await record(works, output(works, "2025-01", "200"))
    twice = await works.monitor.attempt("recordProductOutputs", {"rows": [output(works, "2025-01", "1")]})
    assert [e["code"] for e in twice["errors"]] == ["OUTPUT_TAKEN"]
    change = {"id": first["id"], "reason": "磅差", "change": {"quantity": "210"}}
    done = await works.monitor.do("supersedeProductOutput", change, "output { id quantity }")
    assert done["output"]["quantity"] == "210"
    again = await works.monitor.attempt("supersedeProductOutput", change)
    assert [e["code"] for e in again["errors"]] == ["ALREADY_SUPERSEDED"]
    gone = {"id": done["output"]["id"], "reason": "误报"}
    await works.monitor.do("supersedeProductOutput", gone, "output { supersededAt supersededBecause }")
    query = "query Q($id: ID!) { productOutputs(organisationId: $id) { nodes { id } } }"
    assert (await works.engineer.ask(query, id=works.site_id))["productOutputs"]["nodes"] == []
    connection = await asyncpg.connect(database_url, server_settings={"role": "tanheng_owner"})
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(works.world.tenant_id))
    for statement in ("UPDATE product_output SET quantity = 1", "DELETE FROM product_output"):
        with pytest.raises(PostgresError):
            await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"unit": "GJ"}, "OUTPUT_UNIT", ["rows", "0", "unit"]),
        ({"quantity": "-1"}, "BAD_OUTPUT", ["rows", "0", "quantity"]),
        ({"product": " "}, "BAD_OUTPUT", ["rows", "0", "product"]),
        ({"month": "2099-01"}, "MONTH_OUT_OF_RANGE", ["rows", "0", "month"]),
    ],
)
async def test_bad_outputs(works: Works, fields: dict[str, str], code: str, path: list[str]) -> None:
    await record(works, output(works, "2025-01", "1"))
    answer = await works.monitor.attempt("recordProductOutputs", {"rows": [output(works, "2025-02", "1") | fields]})
    assert [(e["code"], e["path"]) for e in answer["errors"]] == [(code, path)]


async def find(works: Works, year: int = 2025) -> list[dict[str, Any]]:
    given = {"organisationId": works.site_id, "year": year}
    done = await works.engineer.do("findDeviations", given, f"deviations {{ {FINDING} }}")
    return sorted(done["deviations"], key=lambda d: (d["kind"], d["category"] or "", d["product"] or ""))


async def target(caller: Caller, works: Works, value: str, **fields: Any) -> dict[str, Any]:
    given = {"organisationId": works.site_id, "year": 2025, "value": value, **fields}
    return await caller.attempt("setEmissionTarget", given, "target { id unit }")


async def test_deviations_from_last_year_and_from_targets(works: Works) -> None:
    await record(works, output(works, "2025-01", "200"))
    assert (await target(works.engineer, works, "300"))["errors"] == []
    assert (await target(works.engineer, works, "1.5", product="粗钢"))["target"]["unit"] == "tCO2e/t"
    assert (await target(works.engineer, works, "400", category="DIRECT"))["errors"] == []
    found = await find(works)
    assert [(f["kind"], f["category"], f["product"]) for f in found] == [
        ("TARGET", None, None),
        ("TARGET", None, "粗钢"),
        ("YEAR_ON_YEAR", None, None),
        ("YEAR_ON_YEAR", "DIRECT", None),
    ]
    assert found[2]["deviation"] == "0.600000"
    assert await find(works) == found
    twice = await target(works.engineer, works, "310")
    assert [e["code"] for e in twice["errors"]] == ["TARGET_TAKEN"]
    assert (await target(works.engineer, works, "500", reason="新目标"))["errors"] == []
    left = await find(works)
    assert [(f["kind"], f["product"]) for f in left if f["kind"] == "TARGET"] == [("TARGET", "粗钢")]


async def test_a_deviation_is_closed_with_its_cause(works: Works) -> None:
    first = (await find(works))[0]
    mute = {"id": first["id"], "cause": "ACTIVITY", "analysis": " "}
    refused = await works.engineer.attempt("closeDeviation", mute)
    assert [e["code"] for e in refused["errors"]] == ["ANALYSIS_MISSING"]
    given = {"id": first["id"], "cause": "ACTIVITY", "analysis": "产量增加六成"}
    done = await works.engineer.do("closeDeviation", given, f"deviation {{ {FINDING} }}")
    assert (done["deviation"]["state"], done["deviation"]["cause"]) == ("CLOSED", "ACTIVITY")
    again = await works.engineer.attempt("closeDeviation", given)
    assert [e["code"] for e in again["errors"]] == ["DEVIATION_ENDED"]
    query = "query D($id: ID!) { deviations(organisationId: $id, state: OPEN) { nodes { kind category } } }"
    assert len((await works.engineer.ask(query, id=works.site_id))["deviations"]["nodes"]) == 1
    young = await works.engineer.attempt("findDeviations", {"organisationId": works.site_id, "year": 2098})
    assert [e["code"] for e in young["errors"]] == ["YEAR_NOT_OVER"]


async def test_who_may(works: Works) -> None:
    stranger = await works.world.member((Role.ACCOUNTING_ENGINEER, uuid_of(await works.site("S2"))))
    viewer = await works.world.member((Role.GROUP_TOTALS_VIEWER, None))
    for call, asked in (
        ("recordProductOutputs", {"rows": [output(works, "2025-01", "1")]}),
        ("setEmissionTarget", {"organisationId": works.site_id, "year": 2025, "value": "1"}),
        ("findDeviations", {"organisationId": works.site_id, "year": 2025}),
        ("setBaseYear", {"organisationId": works.site_id, "reason": "x"}),
    ):
        assert [e["code"] for e in (await stranger.attempt(call, asked))["errors"]] == ["NOT_FOUND"], call
        assert [e["code"] for e in (await viewer.attempt(call, asked))["errors"]] == ["FORBIDDEN"], call


tonnes = st.decimals(-(10**6), 10**6, places=9, allow_nan=False, allow_infinity=False)
quantities = st.decimals("0.000001", 10**6, places=6, allow_nan=False, allow_infinity=False)


@given(co2e_t=tonnes, quantity=quantities)
def test_intensity_is_the_exact_quotient(co2e_t: Decimal, quantity: Decimal) -> None:
    made = intensity(date(2024, 1, 1), 1, co2e_t, quantity, "t", longer=False)
    assert made.value is not None
    assert abs(Fraction(made.value) - Fraction(co2e_t) / Fraction(quantity)) <= Fraction(1, 2 * 10**18)


@pytest.mark.parametrize(
    ("kind", "actual", "far"),
    [
        (DeviationKind.TARGET, "105", False),
        (DeviationKind.TARGET, "105.000000001", True),
        (DeviationKind.TARGET, "1", False),
        (DeviationKind.YEAR_ON_YEAR, "95", False),
        (DeviationKind.YEAR_ON_YEAR, "94.999999999", True),
    ],
)
def test_the_threshold_itself_is_within(kind: DeviationKind, actual: str, far: bool) -> None:
    assert departs(kind, Decimal(100), Decimal(actual), Decimal("0.05")) is far


def test_a_category_that_comes_or_goes_departs() -> None:
    found = year_on_year({Category.DIRECT: Decimal(100)}, {Category.TRANSPORT: Decimal(100)}, Decimal("0.05"))
    assert [f.category for f in found] == [Category.DIRECT, Category.TRANSPORT]
    assert year_on_year({}, {Category.DIRECT: Decimal(1)}, Decimal("0.05")) == []
