"""Runs through the public door, carried out by a real worker."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tenants.access import Role
from tests.fixtures.consolidation import RUN, YEAR, Holding
from tests.fixtures.jobs import working
from tests.fixtures.world import World


def verdicts(run: dict[str, Any], judgement: str = "neutrality") -> dict[str, str]:
    return {node["organisation"]["code"]: node[judgement]["verdict"] for node in run["nodes"]["nodes"]}


def sums(node: dict[str, Any], judgement: str = "neutrality") -> list[str]:
    """The amounts of a judgement, in the order of the schema."""
    return [value for name, value in node[judgement].items() if name not in {"verdict", "waterfall"}]


async def illustrative(holding: Holding) -> None:
    """Steel is neutral, cement is not; power, of which 40 % are owned, offsets nothing."""
    await holding.emit("S1", "1000.5", category="DIRECT")
    await holding.emit("STEEL", "0.25")
    await holding.emit("C1", "500")
    await holding.emit("P1", "800", category="DIRECT")
    await holding.use("retireAssets", "STEEL", 900, asset_class="ALLOWANCE")
    await holding.use("retireAssets", "STEEL", 600, asset_class="SINK")
    await holding.use("retireAssets", "CEMENT", 20)
    await holding.issue("CEMENT", 70, "VERIFIED_SAVING")
    await holding.owe("STEEL", "300")
    await holding.owe("CEMENT", "100.5")
    await holding.use("surrenderAssets", "STEEL", 300, asset_class="ALLOWANCE", origin="ALLOCATED")
    await holding.use("surrenderAssets", "CEMENT", 100, asset_class="ALLOWANCE", origin="ALLOCATED")


async def test_the_main_path(holding: Holding) -> None:
    await illustrative(holding)
    run = await holding.run()
    assert run["approach"] == "OPERATIONAL_CONTROL"
    assert (run["asOf"], run["allowancePolicy"], run["nodeCount"]) == (f"{YEAR}-12-31", "BOUGHT_ONLY", 7)
    assert run["job"] == {"state": "SUCCEEDED", "progress": {"done": 7, "total": 7, "note": "nodes"}}
    assert run["requestedAt"] <= run["startedAt"] <= run["finishedAt"]
    assert verdicts(run) == {
        "HD": "NEUTRAL",
        "STEEL": "NEUTRAL",
        "S1": "NOT_NEUTRAL",
        "CEMENT": "NOT_NEUTRAL",
        "C1": "NOT_NEUTRAL",
        "POWER": "NOT_NEUTRAL",
        "P1": "NOT_NEUTRAL",
    }
    head = run["HD"]
    assert (head["depth"], head["share"], head["members"], head["reporting"]) == (0, "1", 5, 3)
    assert (head["ownTotalT"], head["consolidatedTotalT"]) == ("0", "1500.75")
    assert head["categories"] == [
        {"category": "DIRECT", "directKind": "STATIONARY", "ownT": "0", "consolidatedT": "1000.5", "counted": True},
        {"category": "IMPORTED_ENERGY", "directKind": None, "ownT": "0", "consolidatedT": "500.25", "counted": True},
    ]
    assert head["held"] == [{"assetClass": "VERIFIED_SAVING", "ownT": "0", "consolidatedT": "70"}]
    assert sums(head) == ["1500.75", "1520", "0", "19.25"]
    assert [(s["assetClass"], s["usedT"], s["remainingT"]) for s in head["neutrality"]["waterfall"]] == [
        ("ALLOWANCE", "900", "600.75"),
        ("CCER", "20", "580.75"),
        ("VERIFIED_SAVING", "0", "580.75"),
        ("SINK", "600", "0"),
    ]
    assert verdicts(run, "compliance")["HD"] == "SHORT"
    assert sums(head, "compliance") == ["400.5", "400", "0.5"]
    assert verdicts(run, "ownCompliance") == dict.fromkeys(verdicts(run), "NO_OBLIGATION") | {
        "STEEL": "FULFILLED",
        "CEMENT": "SHORT",
    }
    assert head["remarks"] == [{"kind": "MEMBERS_SHORT", "used": None, "passedOver": None, "count": 1}]
    assert (run["POWER"]["share"], run["P1"]["share"], run["C1"]["share"]) == ("0", "0", "1")
    rejected = head["rejectedAssets"]["nodes"]
    assert [(r["organisation"]["code"], r["quantityT"], r["reason"]) for r in rejected] == [
        ("STEEL", "300", "SURRENDERED"),
        ("CEMENT", "100", "SURRENDERED"),
    ]
    assert [r["quantityT"] for r in run["CEMENT"]["rejectedAssets"]["nodes"]] == ["100"]


async def test_by_equity_share_the_group_answers_otherwise(holding: Holding) -> None:
    await illustrative(holding)
    run = await holding.run(approach="EQUITY_SHARE")
    head = run["HD"]
    # 1000.75 + 60 % of 500 + 40 % of 800, against 1500 + 60 % of 20
    assert sums(head) == ["1620.75", "1512", "108.75", "0"]
    assert verdicts(run)["HD"] == "NOT_NEUTRAL"
    assert (run["CEMENT"]["share"], run["P1"]["share"]) == ("0.6", "0.4")
    assert sums(head, "compliance") == ["360.3", "360", "0.3"]
    assert head["held"][0]["consolidatedT"] == "42"
    # A company's own result is its own, whatever the group has of it.
    assert sums(run["CEMENT"]) == ["500", "20", "480", "0"]


@pytest.mark.parametrize(
    ("tonnes", "verdict", "gap", "surplus"),
    [
        ("1000", "NEUTRAL", "0", "0"),
        ("999.999999", "NEUTRAL", "0", "0.000001"),
        ("1000.000001", "NOT_NEUTRAL", "0.000001", "0"),
    ],
)
async def test_the_edge_of_neutrality(holding: Holding, tonnes: str, verdict: str, gap: str, surplus: str) -> None:
    await holding.emit("S1", tonnes)
    await holding.use("retireAssets", "S1", 1000)
    run = await holding.run("S1")
    assert (run["S1"]["neutrality"]["verdict"], *sums(run["S1"])[2:]) == (verdict, gap, surplus)


async def test_nothing_reported_and_nothing_owed(holding: Holding) -> None:
    await holding.use("retireAssets", "STEEL", 5)
    run = await holding.run("STEEL")
    assert verdicts(run) == {"STEEL": "NO_DATA", "S1": "NO_DATA"}
    assert verdicts(run, "compliance") == {"STEEL": "NO_OBLIGATION", "S1": "NO_OBLIGATION"}
    assert [r["kind"] for r in run["STEEL"]["remarks"]] == ["ORDER_NOT_FOLLOWED", "SITES_WITHOUT_DATA"]


async def test_same_facts_same_digests(holding: Holding) -> None:
    await illustrative(holding)
    first = await holding.run()
    second = await holding.run()
    assert (first["inputDigest"], first["resultDigest"]) == (second["inputDigest"], second["resultDigest"])
    assert first["id"] != second["id"]
    auditor = await holding.world.caller(Role.INTERNAL_AUDITOR)
    replayed = "query Q($id: ID!) { consolidationReplay(id: $id) { inputDigest resultDigest agrees } }"
    found = (await auditor.ask(replayed, id=first["id"]))["consolidationReplay"]
    assert found == {"inputDigest": first["inputDigest"], "resultDigest": first["resultDigest"], "agrees": True}
    await holding.emit("P1", "0.000001")
    # Power is outside the boundary by control: other facts, another determination of its own nodes.
    third = await holding.run()
    assert third["inputDigest"] != first["inputDigest"]
    assert sums(third["HD"]) == sums(first["HD"])


async def test_a_reversed_use_counts_no_longer(holding: Holding) -> None:
    await holding.emit("S1", "10")
    transfer = await holding.use("retireAssets", "S1", 10)
    assert verdicts(await holding.run("S1")) == {"S1": "NEUTRAL"}
    manager = await holding.world.caller(Role.ASSET_MANAGER)
    await manager.do("reverseTransfer", {"transferId": transfer, "effectiveOn": f"{YEAR}-07-01"}, "transfer { id }")
    run = await holding.run("S1")
    assert sums(run["S1"]) == ["10", "0", "10", "0"]
    assert run["S1"]["held"] == [{"assetClass": "CCER", "ownT": "10", "consolidatedT": "10"}]


async def test_the_boundary_says_what_is_not_named(holding: Holding) -> None:
    await holding.emit("S1", "10")
    await holding.emit("S1", "5", category="TRANSPORT")
    await holding.use("retireAssets", "S1", 10, asset_class="ALLOWANCE", origin="ALLOCATED")
    before = await holding.run()
    assert [r["reason"] for r in before["HD"]["rejectedAssets"]["nodes"]] == ["NOT_BOUGHT"]
    assert sums(before["HD"]) == ["15", "0", "15", "0"]
    lead = await holding.world.caller(Role.TENANT_ADMINISTRATOR)
    for value in (
        {"allowancePolicy": "ALL"},
        {"consolidationApproach": "FINANCIAL_CONTROL"},
        {"categories": ["DIRECT", "IMPORTED_ENERGY"]},
    ):
        given = {"organisationId": holding.ids["HD"], "value": value, "validFrom": "2024-01-01", "reason": "集团决定"}
        await lead.do("setBoundary", given, "")
    after = await holding.run()
    assert (after["approach"], after["allowancePolicy"]) == ("FINANCIAL_CONTROL", "ALL")
    assert (after["HD"]["neutrality"]["verdict"], sums(after["HD"])) == ("NEUTRAL", ["10", "10", "0", "0"])
    assert [(c["category"], c["counted"]) for c in after["HD"]["categories"]] == [
        ("IMPORTED_ENERGY", True),
        ("TRANSPORT", False),
    ]
    assert "ALLOCATED_ALLOWANCES_COUNT" in [r["kind"] for r in after["HD"]["remarks"]]


async def test_free_allowances_moved_inside_the_group_are_not_bought_by_it(holding: Holding) -> None:
    await holding.emit("CEMENT", "10")
    lot = await holding.issue("STEEL", 10, "ALLOWANCE", "ALLOCATED")
    manager = await holding.world.caller(Role.ASSET_MANAGER)
    leg = {"lot": lot, "quantity": "10", "source": {"organisationId": holding.ids["STEEL"]}}
    leg["destination"] = {"organisationId": holding.ids["CEMENT"]}
    await manager.do("transferAssets", {"legs": [leg], "effectiveOn": f"{YEAR}-04-01"}, "transfer { id }")
    await holding.use("retireAssets", "CEMENT", 10, lot=lot)
    group = await holding.run()
    assert sums(group["HD"]) == ["10", "0", "10", "0"]
    assert [r["reason"] for r in group["HD"]["rejectedAssets"]["nodes"]] == ["ALLOCATED_WITHIN"]
    alone = await holding.run("CEMENT")
    assert alone["CEMENT"]["neutrality"]["verdict"] == "NEUTRAL"


async def test_the_tree_is_that_of_the_last_day(holding: Holding) -> None:
    admin = await holding.world.caller(Role.TENANT_ADMINISTRATOR)
    for year in (YEAR - 1, YEAR):
        await holding.emit("C1", "100.000000001", year)
        await holding.emit("S1", "7", year)
    ownership = {"equityShare": "0.25", "operationalControl": True, "financialControl": False}
    moved = {"organisationId": holding.ids["CEMENT"], "parentId": holding.ids["STEEL"], "movedOn": f"{YEAR}-12-31"}
    await admin.do("moveOrganisation", moved | {"ownership": ownership, "reason": "重组"}, "")
    changed = {"organisationId": holding.ids["STEEL"], "validFrom": f"{YEAR}-07-01", "reason": "增资"}
    ownership = {"equityShare": "0.33333333", "operationalControl": True, "financialControl": True}
    await admin.do("setOwnership", changed | {"ownership": ownership}, "")
    earlier = await holding.run(approach="EQUITY_SHARE", year=YEAR - 1)
    later = await holding.run(approach="EQUITY_SHARE")
    assert [n["organisation"]["code"] for n in later["nodes"]["nodes"]][:5] == ["HD", "STEEL", "CEMENT", "C1", "S1"]
    assert Fraction(earlier["HD"]["consolidatedTotalT"]) == 7 + Fraction("0.6") * Fraction("100.000000001")
    share = Fraction("0.33333333")
    assert Fraction(later["HD"]["consolidatedTotalT"]) == share * 7 + share / 4 * Fraction("100.000000001")
    assert Decimal(later["C1"]["share"]) == Decimal("0.0833333325")
    by_control = await holding.run(approach="FINANCIAL_CONTROL")
    assert by_control["HD"]["consolidatedTotalT"] == "7"


async def test_progress_and_state_are_seen_from_outside(holding: Holding) -> None:
    asked = await holding.ask()
    assert (asked["state"], asked["inputDigest"], asked["nodeCount"]) == ("QUEUED", None, None)
    auditor = await holding.world.caller(Role.INTERNAL_AUDITOR)
    waiting = await holding.read(auditor, asked["id"])
    assert (waiting["state"], waiting["nodes"]["nodes"]) == ("QUEUED", [])
    replayed = "query Q($id: ID!) { consolidationReplay(id: $id) { inputDigest agrees } }"
    assert (await auditor.ask(replayed, id=asked["id"]))["consolidationReplay"] == {
        "inputDigest": None,
        "agrees": False,
    }
    engineer = await holding.world.caller(Role.ACCOUNTING_ENGINEER)
    (job,) = (await engineer.ask("{ jobs { nodes { id name } } }"))["jobs"]["nodes"]
    await engineer.do("cancelJob", {"id": job["id"]}, "job { state }")
    assert (await holding.read(auditor, asked["id"]))["state"] == "CANCELLED"
    await engineer.do("retryJob", {"id": job["id"]}, "job { state }")
    async with working(holding.database_url):
        assert (await holding.finished(asked["id"]))["nodeCount"] == 7


async def test_many_runs_at_once(holding: Holding) -> None:
    await illustrative(holding)
    asked = [await holding.ask(approach=approach) for approach in [None, "EQUITY_SHARE"] * 4]
    async with working(holding.database_url):
        done = await asyncio.gather(*(holding.finished(run["id"]) for run in asked))
    assert len({run["resultDigest"] for run in done[::2]}) == len({run["resultDigest"] for run in done[1::2]}) == 1
    assert done[0]["inputDigest"] != done[1]["inputDigest"]


async def test_runs_are_listed_and_the_latest_found(holding: Holding) -> None:
    runs = [await holding.run("STEEL", approach) for approach in ("EQUITY_SHARE", None, None)]
    await holding.ask("STEEL")
    auditor = await holding.world.caller(Role.INTERNAL_AUDITOR)
    listing = (
        "query Q($o: ID!, $a: String) { consolidationRuns(organisationId: $o, first: 3, after: $a) "
        "{ nodes { id state } pageInfo { hasNextPage endCursor } } }"
    )
    page = (await auditor.ask(listing, o=holding.ids["STEEL"]))["consolidationRuns"]
    assert [r["state"] for r in page["nodes"]] == ["QUEUED", "SUCCEEDED", "SUCCEEDED"]
    rest = await auditor.ask(listing, o=holding.ids["STEEL"], a=page["pageInfo"]["endCursor"])
    assert [r["id"] for r in rest["consolidationRuns"]["nodes"]] == [runs[0]["id"]]
    latest = (
        "query Q($o: ID!, $y: Int!, $a: ConsolidationApproach) "
        "{ latestConsolidation(organisationId: $o, year: $y, approach: $a) { id requestedBy { displayName } } }"
    )
    for approach, expected in ((None, runs[2]), ("OPERATIONAL_CONTROL", runs[2]), ("EQUITY_SHARE", runs[0])):
        found = await auditor.ask(latest, o=holding.ids["STEEL"], y=YEAR, a=approach)
        assert found["latestConsolidation"] == {"id": expected["id"], "requestedBy": {"displayName": "张三"}}
    none = await auditor.ask(latest, o=holding.ids["STEEL"], y=YEAR, a="FINANCIAL_CONTROL")
    assert none["latestConsolidation"] is None


async def test_nodes_come_in_pages(holding: Holding) -> None:
    run = await holding.run()
    auditor = await holding.world.caller(Role.INTERNAL_AUDITOR)
    document = (
        "query Q($id: ID!, $a: String) { node(id: $id) { ... on ConsolidationRun { nodes(first: 3, after: $a) "
        "{ nodes { organisation { code } } pageInfo { hasNextPage endCursor } } } } }"
    )
    seen: list[str] = []
    after: str | None = None
    while True:
        page = (await auditor.ask(document, id=run["id"], a=after))["node"]["nodes"]
        seen += [n["organisation"]["code"] for n in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == [n["organisation"]["code"] for n in run["nodes"]["nodes"]]
    assert len(seen) == 7


async def test_the_same_key_asks_once(holding: Holding) -> None:
    first = await holding.ask(idempotencyKey="k")
    again = await holding.ask(idempotencyKey="k")
    assert first["id"] == again["id"]
    rehearsed = await holding.ask(dryRun=True)
    auditor = await holding.world.caller(Role.INTERNAL_AUDITOR)
    document = f"query Q($o: ID!) {{ consolidationRuns(organisationId: $o) {{ nodes {{ {RUN} }} }} }}"
    listed = (await auditor.ask(document, o=holding.ids["HD"]))["consolidationRuns"]["nodes"]
    assert [run["id"] for run in listed] == [first["id"]]
    assert rehearsed["id"] != first["id"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"fromYear": YEAR, "toYear": YEAR - 1}, "BAD_CONSOLIDATION_PERIOD"),
        ({"fromYear": 1980, "toYear": 1981}, "BAD_CONSOLIDATION_PERIOD"),
        ({"fromYear": 2000, "toYear": 2020}, "BAD_CONSOLIDATION_PERIOD"),
        ({"fromYear": 2099}, "BAD_CONSOLIDATION_PERIOD"),
        ({"fromYear": 2019}, "ORGANISATION_NOT_IN_TREE"),
        ({"organisationId": "T3JnYW5pc2F0aW9u", "fromYear": YEAR}, "INVALID_ID"),
    ],
)
async def test_what_cannot_be_asked(holding: Holding, given: dict[str, Any], code: str) -> None:
    engineer = await holding.world.caller(Role.ACCOUNTING_ENGINEER)
    refused = await engineer.attempt(
        "consolidateOrganisation", {"organisationId": holding.ids["HD"]} | given, "run { id }"
    )
    assert [e["code"] for e in refused["errors"]] == [code]
    assert refused["run"] is None


async def test_several_years_are_one_period(holding: Holding, world: World) -> None:
    for year in (YEAR - 1, YEAR):
        await holding.emit("S1", "5.5", year)
        await holding.use("retireAssets", "S1", 5, year=year)
    asked = await holding.ask("S1", year=YEAR - 1, toYear=YEAR)
    async with working(holding.database_url):
        run = await holding.finished(asked["id"])
    assert sums(run["S1"]) == ["11", "10", "1", "0"]


async def test_approved_inventories_alone(holding: Holding) -> None:
    """What is pending is in a run of everything and out of a run of what was approved; the basis is in the digest."""
    await holding.emit("STEEL", "600")
    await holding.emit("CEMENT", "40")
    world = holding.world
    maker = await world.caller(Role.ACCOUNTING_ENGINEER)
    given = {"organisationId": holding.ids["STEEL"], "firstMonth": f"{YEAR}-01"}
    key = {"id": (await maker.do("createInventory", given, "inventory { id }"))["inventory"]["id"]}
    people = [maker, await world.member((Role.NEUTRALITY_TEAM, None)), await world.member((Role.TOP_MANAGEMENT, None))]
    for who, step in zip(people, ("submitInventory", "confirmInventory", "approveInventory"), strict=True):
        await who.do(step, key, "inventory { state }")
    query = """query L($id: ID!, $basis: ConsolidationBasis!) { latestConsolidation(organisationId: $id, year: 2024,
      approach: OPERATIONAL_CONTROL, basis: $basis) { id basis } }"""
    runs = {}
    for basis, total in (("ALL", "640"), ("APPROVED", "600")):
        asked = await holding.ask(approach="OPERATIONAL_CONTROL", basis=basis)
        async with working(holding.database_url):
            runs[basis] = await holding.finished(asked["id"])
        assert Decimal(runs[basis]["HD"]["consolidatedTotalT"]) == Decimal(total)
        latest = (await maker.ask(query, id=holding.ids["HD"], basis=basis))["latestConsolidation"]
        assert latest == {"id": asked["id"], "basis": basis}
        replay = "query R($id: ID!) { consolidationReplay(id: $id) { agrees } }"
        assert (await maker.ask(replay, id=asked["id"]))["consolidationReplay"]["agrees"] is True
    assert runs["ALL"]["inputDigest"] != runs["APPROVED"]["inputDigest"]
