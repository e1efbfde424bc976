"""Several methods of one source, one of which counts: compared, chosen with a reason, never in a frozen period."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from asyncpg.exceptions import PostgresError

from backend.accounting.domain.methods.allowed import allowed
from backend.accounting.domain.records import Method
from backend.accounting.domain.sources import Category, DirectKind
from backend.accounting.service.results import ResultService
from backend.kit.database import Database
from tenants.access import Role
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.methods import choose, comparison, figures, method, set_method, streams
from tests.fixtures.world import World

METHODS = """query Q($id: ID!) { node(id: $id) { ... on EmissionSource {
  methods { method firstMonth lastMonth reason } all: methods(history: true) { supersededBecause } } } }"""


async def boiler(works: Works, code: str = "B") -> str:
    """Coal by its factor and flue gas by measurement, of January to March 2024; the coal counts."""
    source = await works.source(code, {"code": "coal", "material": "烟煤"}, {"code": "gas", "unit": "1e4Nm3", **OWN})
    assert (await choose(works, source, "MEASURED"))["errors"] == []
    for month, tonnes, gas in (("2024-01", "100", "1000"), ("2024-02", "100", "1100"), ("2024-03", "100", "900")):
        await works.burn(source, month, tonnes, "t", stream="coal")
        await works.burn(source, month, gas, "1e4Nm3", stream="gas")
    found = await streams(works, source)
    for month, mass in (("2024-01", "230 t"), ("2024-02", "260 t")):
        measured = method("CONTINUOUS", (month, month), mass=mass, dryFlow="1000 1e4Nm3")
        await set_method(works, found["gas"], measured)
    return source


OWN = {"method": {"kind": "CONTINUOUS", "firstMonth": "2023-12", "lastMonth": "2023-12", "parameters": [
    {"name": "mass", "value": "1", "unit": "t", "source": "x"},
    {"name": "dryFlow", "value": "1", "unit": "1e4Nm3", "source": "x"}]}}  # fmt: skip
COAL = Decimal("225.57127824")  # 100 t × 23.736 × 0.02618 × 0.99 × 44/12


async def factor_counts(works: Works, source: str) -> None:
    done = await choose(works, source, "FACTOR", reason="监测设备试运行")
    assert done["errors"] == []


async def test_precedence_chooses_at_the_start(works: Works) -> None:
    """Measurement before factors; under the steel guide, calculation before measurement."""
    both = ({"code": "coal", "material": "烟煤"}, {"code": "gas", "unit": "1e4Nm3", **OWN})
    general = await works.source("G", *both)
    steel = await works.source("S", {**both[0], "programme": "MEE_STEEL"}, both[1])
    plain = await works.fuel("柴油")
    only_factor = [("FACTOR", "1990-01", None)]
    measured = [("FACTOR", "1990-01", "2023-11"), ("MEASURED", "2023-12", "2023-12"), ("FACTOR", "2024-01", None)]
    for source, expected in ((general, measured), (steel, only_factor), (plain, only_factor)):
        shown = (await works.engineer.ask(METHODS, id=source))["node"]
        assert [(m["method"], m["firstMonth"], m["lastMonth"]) for m in shown["methods"]] == expected


async def test_methods_side_by_side(works: Works) -> None:
    source = await boiler(works)
    assert (await comparison(works, source, 2024))["withoutResult"] == ["2024-03"]
    await factor_counts(works, source)
    compared = await comparison(works, source, 2024)
    assert compared["withoutResult"] == []
    january, february, march = (figures(compared, f"2024-0{n}") for n in (1, 2, 3))
    assert (january["FACTOR"]["counts"], Decimal(january["FACTOR"]["co2eT"])) == (True, COAL)
    assert Decimal(january["MEASURED"]["co2eT"]) == 230
    assert Decimal(january["MEASURED"]["divergenceT"]) == 230 - COAL
    assert (january["MEASURED"]["divergence"], january["MEASURED"]["alarm"]) == ("0.019633", False)
    # 286 t is 27 % more than what counts, beyond the 5 % of the boundary's materiality.
    assert Decimal(february["MEASURED"]["co2eT"]) == 286
    assert (february["MEASURED"]["alarm"], compared["alarms"], compared["threshold"]) == (True, 1, "0.05")
    assert (march["MEASURED"]["state"], march["MEASURED"]["noBasis"]) == ("NO_BASIS", ["gas"])
    assert figures(compared, "2024-04")["FACTOR"]["state"] == "NO_QUANTITY"
    totals = {t["method"]: (Decimal(t["co2eT"]), t["months"], t["complete"]) for t in compared["totals"]}
    assert totals == {"FACTOR": (COAL * 3, 3, False), "MEASURED": (Decimal(516), 2, False)}


async def test_a_result_declared_by_another_method_stands_beside_activity(works: Works) -> None:
    """Where measured results are declared, the coal is still recorded; what does not count is not counted twice."""
    both = ({"code": "coal", "material": "烟煤"}, {"code": "gas", "unit": "1e4Nm3", **OWN})
    source = await works.source("D", *both)
    await choose(works, source, "MEASURED")
    await works.declare(sourceId=source, firstMonth="2024-01", months=1, massT="230")
    await works.burn(source, "2024-01", "100", "t", stream="coal")
    assert sum(Decimal(r["co2eT"]) for r in await works.results(source, 2024)) == 230
    january = figures(await comparison(works, source, 2024), "2024-01")
    assert (january["MEASURED"]["counts"], Decimal(january["MEASURED"]["co2eT"])) == (True, Decimal(230))
    assert Decimal(january["FACTOR"]["divergenceT"]) == COAL - 230
    # But then the factor cannot be made to count as well.
    done = await choose(works, source, "FACTOR", reason="x")
    assert [e["code"] for e in done["errors"]] == ["RESULT_OVERLAPS"]


async def test_a_threshold_of_the_source_itself(works: Works) -> None:
    source = await boiler(works)
    await factor_counts(works, source)
    document = {"sourceId": source, "share": "0.3", "reason": "燃烧不稳定"}
    await works.engineer.do("setDivergenceThreshold", document, "source { id }")
    compared = await comparison(works, source, 2024)
    assert (compared["threshold"], compared["alarms"]) == ("0.3", 0)
    bad = await works.engineer.attempt("setDivergenceThreshold", {**document, "share": "1.5"}, "source { id }")
    assert [e["code"] for e in bad["errors"]] == ["THRESHOLD_OUT_OF_RANGE"]
    await works.engineer.do("setDivergenceThreshold", {**document, "share": None}, "source { id }")
    assert (await comparison(works, source, 2024))["threshold"] == "0.05"


async def test_divergences_below_an_organisation(works: Works) -> None:
    diverging = [await boiler(works, code) for code in ("B1", "B2")]
    for source in diverging:
        await factor_counts(works, source)
    await works.fuel("柴油")
    query = """query Q($at: ID!, $after: String) { methodDivergences(organisationId: $at, year: 2024, first: 1,
      after: $after) { nodes { source { id } comparison { alarms } } pageInfo { endCursor hasNextPage } } }"""
    seen, after = [], None
    while True:
        page = (await works.engineer.ask(query, at=works.group_id, after=after))["methodDivergences"]
        seen += [(n["source"]["id"], n["comparison"]["alarms"]) for n in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert sorted(seen) == sorted((source, 1) for source in diverging)


async def test_choosing_is_a_restatement_that_a_rehearsal_shows(works: Works) -> None:
    source = await boiler(works)
    before = {r["firstMonth"]: Decimal(r["co2eT"]) for r in await works.results(source, 2024)}
    assert before == {"2024-01": Decimal(230), "2024-02": Decimal(286)}
    # Away from the precedence: say why.
    silent = await choose(works, source, "FACTOR", firstMonth="2024-02")
    assert [e["code"] for e in silent["errors"]] == ["DEVIATION_NEEDS_REASON"]
    # A rehearsal needs none.
    rehearsed = await choose(works, source, "FACTOR", firstMonth="2024-02", dryRun=True)
    shown = [(c["month"], c["stream"]["code"], Decimal(c["oldT"]), Decimal(c["newT"])) for c in
             rehearsed["changes"]["months"]]  # fmt: skip
    assert shown == [
        ("2024-02", "coal", Decimal(0), COAL),
        ("2024-03", "coal", Decimal(0), COAL),
        ("2024-02", "gas", Decimal(286), Decimal(0)),
    ]
    assert Decimal(rehearsed["changes"]["newT"]) - Decimal(rehearsed["changes"]["oldT"]) == COAL * 2 - 286
    assert {r["firstMonth"]: Decimal(r["co2eT"]) for r in await works.results(source, 2024)} == before
    done = await choose(works, source, "FACTOR", firstMonth="2024-02", reason="监测故障")
    assert done["changes"] == rehearsed["changes"]
    query = """query Q($id: ID!, $y: Int!) { node(id: $id) { ... on EmissionSource { methodComparison(year: $y) {
      preferredMethod } } } }"""
    passed_over = [
        (await works.engineer.ask(query, id=source, y=year))["node"]["methodComparison"]["preferredMethod"]
        for year in (2023, 2024)
    ]
    assert passed_over == [None, "MEASURED"]
    after = {r["firstMonth"]: Decimal(r["co2eT"]) for r in await works.results(source, 2024)}
    assert after == {"2024-01": Decimal(230), "2024-02": COAL, "2024-03": COAL}
    shown_methods = (await works.engineer.ask(METHODS, id=source))["node"]
    assert [(m["method"], m["firstMonth"], m["lastMonth"]) for m in shown_methods["methods"]] == [
        ("MEASURED", "1990-01", "2024-01"),
        ("FACTOR", "2024-02", None),
    ]
    # Back to what comes first needs no explanation by 8.2.5, but it restates results.
    back = await choose(works, source, "MEASURED", firstMonth="2024-02")
    assert [e["code"] for e in back["errors"]] == ["RESTATEMENT_NEEDS_REASON"]
    again = await choose(works, source, "FACTOR", firstMonth="2024-02", reason="x")
    assert [e["code"] for e in again["errors"]] == ["METHOD_UNCHANGED"]


async def test_a_choice_that_leaves_months_without_any_result_is_refused(works: Works) -> None:
    """Coal of a month for which nothing was measured would vanish from the total."""
    source = await boiler(works)
    await factor_counts(works, source)
    refused = await choose(works, source, "MEASURED", reason="x")
    (error,) = refused["errors"]
    assert (error["code"], "2024-03" in error["message"]) == ("NOTHING_WOULD_COUNT", True)
    assert (await choose(works, source, "MEASURED", reason="x", lastMonth="2024-02"))["errors"] == []


async def test_only_a_class_the_source_has_and_the_standard_admits(works: Works) -> None:
    source = await works.fuel("烟煤")
    absent = await choose(works, source, "MEASURED", reason="x")
    assert [e["code"] for e in absent["errors"]] == ["METHOD_ABSENT"]
    leak = await works.source("L", {"code": "a", "ownFactor": {"value": "1", "unit": "t", "source": "x"}},
                              directKind="FUGITIVE")  # fmt: skip
    refused = await choose(works, leak, "MASS_BALANCE", reason="x")
    assert [e["code"] for e in refused["errors"]] == ["METHOD_NOT_ALLOWED"]


async def test_a_frozen_period_keeps_its_method(works: Works) -> None:
    source = await boiler(works)
    given = {"organisationId": works.site_id, "firstMonth": "2024-01", "months": 2}
    made = await works.engineer.do("createInventory", given, "inventory { id }")
    await works.engineer.do("submitInventory", {"id": made["inventory"]["id"], "note": "x"}, "inventory { id }")
    for months in ({}, {"firstMonth": "2024-02"}):
        done = await choose(works, source, "FACTOR", reason="x", **months)
        assert [e["code"] for e in done["errors"]] == ["PERIOD_LOCKED"]
    assert (await choose(works, source, "FACTOR", reason="x", firstMonth="2024-03"))["errors"] == []
    found = await streams(works, source)
    measured = method("CONTINUOUS", ("2024-02", None), mass="1 t", dryFlow="1 1e4Nm3", reason="x")
    refused = await works.engineer.attempt("setStreamMethod", {"streamId": found["gas"], "method": measured})
    assert [e["code"] for e in refused["errors"]] == ["PERIOD_LOCKED"]


async def test_two_choosers_at_once(works: Works) -> None:
    """Whoever is second sees the first: by its version it is refused, without one it supersedes, and one counts."""
    source = await boiler(works)
    both = await asyncio.gather(
        *(choose(works, source, "FACTOR", reason=f"第 {n} 人", expectedVersion=4) for n in (1, 2))
    )
    assert sorted([e["code"] for e in done["errors"]] for done in both) == [[], ["STALE_VERSION"]]
    months = {"firstMonth": "2024-01", "lastMonth": "2024-02"}
    many = await asyncio.gather(
        *(choose(works, source, which, reason=f"{n}", **months) for n, which in enumerate(["MEASURED", "FACTOR"] * 3))
    )
    assert {e["code"] for done in many for e in done["errors"]} <= {"METHOD_UNCHANGED"}
    shown = (await works.engineer.ask(METHODS, id=source))["node"]["methods"]
    counts = [m["method"] for m in shown if m["firstMonth"] <= "2024-01" <= (m["lastMonth"] or "9999-12")]
    assert len(counts) == 1
    total = sum(Decimal(r["co2eT"]) for r in await works.results(source, 2024))
    assert total == {"MEASURED": 516 + COAL, "FACTOR": COAL * 3}[counts[0]]


async def test_a_repeat_with_its_key_chooses_once(works: Works) -> None:
    source = await boiler(works)
    asked: dict[str, Any] = {"reason": "x", "idempotencyKey": "k"}
    first = await choose(works, source, "FACTOR", **asked)
    second = await choose(works, source, "FACTOR", **asked)
    assert (second["replayed"], second["changes"]) == (True, first["changes"])


async def test_a_rebuild_gives_the_same_bits(works: Works, database: Database) -> None:
    source = await boiler(works)
    await choose(works, source, "FACTOR", firstMonth="2024-02", reason="x")
    query = "SELECT * FROM stream_month ORDER BY stream_id, month"

    async def kept() -> list[Any]:
        async with database.read(works.world.tenant_id) as session:
            return list(await session.rows(query))

    before = await kept()
    assert len(before) == 6
    assert [r.co2e_t for r in before if r.coefficient_id is None] == [0] * 3
    await ResultService(works.world.services.toolbox).rebuild(works.world.tenant_id)
    assert [tuple(r)[:-1] for r in await kept()] == [tuple(r)[:-1] for r in before]


@pytest.mark.parametrize("role", [Role.MONITORING_STAFF, Role.TOP_MANAGEMENT, Role.THIRD_PARTY_VERIFIER])
async def test_who_may_not_manage_emissions_may_not_choose(works: Works, world: World, role: Role) -> None:
    source = await boiler(works)
    found = await streams(works, source)
    other = await world.member((role, uuid_of(works.site_id)))
    setting = {"streamId": found["gas"], "method": method("CONTINUOUS", mass="1 t", dryFlow="1 1e4Nm3", reason="x")}
    for mutation, given in (
        ("chooseSourceMethod", {"sourceId": source, "method": "FACTOR", "reason": "x"}),
        ("setStreamMethod", setting),
        ("setDivergenceThreshold", {"sourceId": source, "share": "0.1", "reason": "x"}),
    ):
        assert [e["code"] for e in (await other.attempt(mutation, given))["errors"]] == ["FORBIDDEN"], mutation
    stranger = await World.create(world.owner, world.services)
    engineer = await stranger.caller(Role.ACCOUNTING_ENGINEER)
    done = await engineer.attempt("chooseSourceMethod", {"sourceId": source, "method": "FACTOR", "reason": "x"})
    assert [e["code"] for e in done["errors"]] == ["NOT_FOUND"]


async def test_python_and_the_database_admit_the_same(database: Database) -> None:
    async with database.read(None) as session:
        for category in Category:
            for kind in DirectKind if category is Category.DIRECT else (None,):
                given = {"category": category.value, "kind": kind and kind.value}
                for which in Method:
                    ask = "SELECT method_allowed(:category, CAST(:kind AS text), :method)"
                    answer = await session.scalar(ask, given | {"method": which.value})
                    assert answer is (which in allowed(category, kind)), (category, kind, which)


CURRENT = "source_id = $1 AND superseded_at IS NULL"
COPY = """INSERT INTO source_method (tenant_id, id, source_id, first_month, last_month, method, recorded_by)
  SELECT tenant_id, gen_random_uuid(), source_id, '{first}', {last}, '{method}', recorded_by FROM source_method
  WHERE source_id = $1 LIMIT 1"""
TAKE = f"UPDATE source_method SET superseded_at = now(), superseded_because = 'x' WHERE {CURRENT}"
BROKEN = {
    "two at once": [COPY.format(first="2024-01-01", last="NULL", method="FACTOR")],
    "none": [TAKE],
    "a gap": [TAKE, COPY.format(first="1991-01-01", last="NULL", method="MEASURED")],
    "months left behind": [TAKE, COPY.format(first="1990-01-01", last="NULL", method="FACTOR")],
    "edited": [f"UPDATE source_method SET method = 'FACTOR' WHERE {CURRENT}"],
    "emission from nowhere": ["UPDATE stream_month SET co2e_t = 5 WHERE source_id = $1 AND coefficient_id IS NULL"],
    "another class": [
        """UPDATE stream_month m SET coefficient_id = c.id, co2e_t = round(m.quantity * c.co2e_per_unit, 9)
        FROM stream_coefficient c WHERE m.source_id = $1 AND c.stream_id = m.stream_id AND c.method = 'FACTOR'
          AND m.month BETWEEN c.first_month AND c.last_month"""
    ],
    "left out": ["UPDATE stream_month SET coefficient_id = NULL, co2e_t = 0 WHERE source_id = $1"],
}


@pytest.mark.parametrize("name", BROKEN)
async def test_the_database_holds_that_one_counts(works: Works, database_url: str, name: str) -> None:
    source: UUID = uuid_of(await boiler(works))
    connection = await asyncpg.connect(database_url, server_settings={"role": "tanheng_owner"})
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(works.world.tenant_id))

    async def attempt() -> None:
        async with connection.transaction():
            for statement in BROKEN[name]:
                await connection.execute(statement, source)

    with pytest.raises(PostgresError) as refused:
        await attempt()
    assert str(getattr(refused.value, "sqlstate", "")) in {"23514", "23P01", "TH003"}
    await connection.close()
