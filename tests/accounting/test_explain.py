"""Explanations: every total is the exact sum of what it is made of, down to records, factors, evidence, approver."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.accounting.domain.explain import read_key
from backend.kit.errors import INVALID_ID, Code, CodedError
from backend.kit.objects.files import FileStore
from tenants.access import Role
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.consolidation import YEAR, Holding
from tests.fixtures.explain import EXPLAIN, NODE, OPEN, children, fill, opened, total
from tests.fixtures.methods import choose, method, set_method, streams
from tests.fixtures.world import Caller, World

GROUNDS = f"grounds {{ {NODE} grounds {{ {NODE} grounds {{ {NODE} grounds {{ {NODE} }} }} }} }}"


@pytest.fixture
async def holding(world: World, database_url: str) -> Holding:
    made = await Holding.create(world, database_url)
    await fill(made)
    return made


@pytest.fixture
async def auditor(holding: Holding) -> Caller:
    return await holding.world.caller(Role.INTERNAL_AUDITOR)


async def explained(caller: Caller, subject: dict[str, Any]) -> dict[str, Any]:
    return dict((await caller.ask(EXPLAIN, s=subject))["explain"])


@pytest.mark.parametrize("first", [1, 2, 50])
@pytest.mark.parametrize("approach", ["EQUITY_SHARE", "OPERATIONAL_CONTROL"])
async def test_children_add_up_exactly(holding: Holding, auditor: Caller, approach: str, first: int) -> None:
    root = await explained(auditor, total(holding, approach=approach))
    nodes = await opened(auditor, root, first)
    kinds = {n["kind"] for n in nodes}
    assert kinds == {"TOTAL", "OWN", "SOURCE", "STREAM_MONTH", "DECLARED_RESULT", "RECORD"}
    leaves = [n for n in nodes if n["kind"] in {"RECORD", "DECLARED_RESULT"}]
    assert sum(Decimal(n["value"]) for n in leaves) == Decimal(root["value"])
    assert len(leaves) == root["records"] == 12


async def test_it_explains_what_consolidation_found(holding: Holding, auditor: Caller, empty_queue: None) -> None:
    for approach in ("EQUITY_SHARE", "OPERATIONAL_CONTROL"):
        run = await holding.run("HD", approach)
        root = await explained(auditor, total(holding, approach=approach))
        assert Decimal(root["value"]) == Decimal(run["HD"]["consolidatedTotalT"])
        below = {n["label"].split()[0]: n for n in await children(auditor, root["id"]) or []}
        assert set(below) == {"HD", "STEEL", "CEMENT", "POWER"}
        for category in run["HD"]["categories"]:
            one = await explained(auditor, total(holding, approach=approach, category=category["category"]))
            same = [c for c in run["HD"]["categories"] if c["category"] == category["category"]]
            assert Decimal(one["value"]) == sum(Decimal(c["consolidatedT"]) for c in same)


async def test_a_part_owned_company_counts_by_its_share(holding: Holding, auditor: Caller) -> None:
    root = await explained(auditor, total(holding, approach="EQUITY_SHARE"))
    cement = next(n for n in await children(auditor, root["id"]) or [] if n["label"].startswith("CEMENT"))
    assert cement["part"] == "0.6"
    whole = await explained(auditor, total(holding, "CEMENT", approach="EQUITY_SHARE"))
    assert Decimal(cement["value"]) == Decimal(whole["value"]) * Decimal("0.6")
    assert Decimal(cement["share"]) == round(Decimal(cement["value"]) / Decimal(root["value"]), 6)


async def test_down_to_factor_and_evidence(holding: Holding, auditor: Caller) -> None:
    source = {"source": {"sourceId": holding.sources["S1", "A"], "year": YEAR}}
    query = f"""query Q($s: ExplainSubject!) {{ explain(subject: $s) {{ {NODE} children {{ nodes {{
      {NODE} {GROUNDS} children {{ nodes {{ {NODE} {GROUNDS} }} }} }} }} }} }}"""
    top = (await auditor.ask(query, s=source))["explain"]
    march = top["children"]["nodes"][0]
    assert (march["kind"], march["label"]) == ("STREAM_MONTH", f"{YEAR}-03 烟煤")
    (coefficient,) = [g for g in march["grounds"] if g["kind"] == "COEFFICIENT"]
    steps = [g for g in coefficient["grounds"] if g["kind"] == "STEP"]
    assert [s["label"] for s in steps] == [
        "Net calorific value",
        "Carbon per heat",
        "Oxidation rate",
        "CO2 to carbon mass ratio",
    ]
    product = Decimal(1)
    for step in steps[:-1]:
        product *= Decimal(step["value"])
    assert abs(product * 44 / 12 - Decimal(coefficient["value"])) < Decimal("1e-17")
    (factor,) = steps[0]["grounds"]
    assert factor["kind"] == "FACTOR"
    assert "OFFICIAL_COPY" in factor["detail"] or "[" in factor["detail"]
    factor_node = await auditor.ask("query N($i: ID!) { node(id: $i) { id } }", i=factor["subjectId"])
    assert factor_node["node"] == {"id": factor["subjectId"]}
    record = march["children"]["nodes"][0]
    assert [(g["kind"], g["label"]) for g in record["grounds"]] == [("EVIDENCE", "磅单")]


async def test_in_both_languages(holding: Holding, auditor: Caller) -> None:
    query = f"query Q($s: ExplainSubject!) {{ explain(subject: $s) {{ {NODE} children {{ nodes {{ {GROUNDS} }} }} }} }}"
    source = {"source": {"sourceId": holding.sources["C1", "A"], "year": YEAR}}
    auditor.locale = "zh-CN"
    first = (await auditor.ask(query, s=source))["explain"]["children"]["nodes"][0]["grounds"][0]
    assert (first["label"], first["grounds"][0]["label"]) == ("排放系数", "低位发热量")


async def test_who_reads_totals_stops_at_totals(holding: Holding) -> None:
    viewer = await holding.world.member((Role.GROUP_TOTALS_VIEWER, uuid_of(holding.ids["HD"])))
    root = await explained(viewer, total(holding))
    below = await children(viewer, root["id"])
    assert below is not None
    assert sum(Decimal(n["value"]) for n in below) == Decimal(root["value"])
    own = next(n for n in below if n["kind"] == "OWN")
    assert await children(viewer, own["id"]) is None
    query = f"query Q($s: ExplainSubject!) {{ explain(subject: $s) {{ {GROUNDS} }} }}"
    assert (await viewer.ask(query, s={"node": own["id"]}))["explain"]["grounds"] == []
    source = {"source": {"sourceId": holding.sources["S1", "A"], "year": YEAR}}
    refused = await viewer.run(EXPLAIN, s=source)
    assert "FORBIDDEN" in str(refused.errors)


async def test_out_of_reach_looks_absent(holding: Holding, auditor: Caller) -> None:
    other = await holding.world.member((Role.ACCOUNTING_ENGINEER, uuid_of(holding.ids["CEMENT"])))
    root = await explained(auditor, total(holding))
    own = next(n for n in await children(auditor, root["id"]) or [] if n["kind"] == "OWN")
    for subject in (
        total(holding, "STEEL"),
        total(holding),
        {"node": own["id"]},
        {"source": {"sourceId": holding.sources["S1", "A"], "year": YEAR}},
    ):
        assert "NOT_FOUND" in str((await other.run(EXPLAIN, s=subject)).errors), subject
    for written in ("x", "W10", root["id"][:-5] + "AAAAA"):
        assert "INVALID_ID" in str((await auditor.run(EXPLAIN, s={"node": written})).errors)
    assert "BAD_EXPLAINED_YEAR" in str((await auditor.run(EXPLAIN, s=total(holding, year=1))).errors)


async def test_what_moved_out_of_reach_keeps_its_sum(holding: Holding) -> None:
    admin = await holding.world.caller(Role.TENANT_ADMINISTRATOR)
    steel = await holding.world.member((Role.INTERNAL_AUDITOR, uuid_of(holding.ids["STEEL"])))
    moved = {"organisationId": holding.ids["S1"], "parentId": holding.ids["CEMENT"], "movedOn": f"{YEAR + 1}-06-01"}
    await admin.do("moveOrganisation", {**moved, "reason": "重组"}, "organisation { id }")
    root = await explained(steel, total(holding, "STEEL"))
    below = await children(steel, root["id"]) or []
    hidden = next(n for n in below if n["label"] == "an organisation you may not see")
    assert hidden["subjectId"] is None
    assert sum(Decimal(n["value"]) for n in below) == Decimal(root["value"])
    answer = await steel.ask(OPEN, s={"node": root["id"]}, first=50, after=None)
    assert "S1" not in str([n["label"] for n in answer["explain"]["children"]["nodes"]])


async def test_the_approver_is_named(holding: Holding, auditor: Caller) -> None:
    world, site = holding.world, holding.ids["S1"]
    maker = await world.caller(Role.ACCOUNTING_ENGINEER)
    made = await maker.do("createInventory", {"organisationId": site, "firstMonth": f"{YEAR}-01"}, "inventory { id }")
    key = {"id": made["inventory"]["id"]}
    checker = await world.member((Role.NEUTRALITY_TEAM, None), name="李复核")
    lead = await world.member((Role.TOP_MANAGEMENT, None), name="王批准")
    for who, step in ((maker, "submitInventory"), (checker, "confirmInventory"), (lead, "approveInventory")):
        await who.do(step, key, "inventory { state }")
    root = await explained(auditor, total(holding, "S1"))
    own = (await children(auditor, root["id"]) or [])[0]
    query = f"query Q($s: ExplainSubject!) {{ explain(subject: $s) {{ {GROUNDS} }} }}"
    (inventory,) = (await auditor.ask(query, s={"node": own["id"]}))["explain"]["grounds"]
    assert inventory["subjectId"] == key["id"]
    signed = [g["label"] for g in inventory["grounds"] if g["kind"] == "SIGNATURE"]
    assert signed == ["OPEN 张三", "SUBMITTED 张三", "REVIEWED 李复核", "APPROVED 王批准"]


@settings(max_examples=300)
@given(
    written=st.one_of(
        st.text(),
        st.binary().map(lambda b: base64.urlsafe_b64encode(b).decode()),
        st.recursive(st.none() | st.integers() | st.text() | st.booleans(), st.lists, max_leaves=9).map(
            lambda x: base64.urlsafe_b64encode(json.dumps(x).encode()).decode()
        ),
    )
)
def test_any_text_is_a_node_or_a_coded_error(written: str) -> None:
    assert refusal_of(written) in {None, INVALID_ID}


def refusal_of(written: str) -> Code | None:
    try:
        read_key(written)
    except CodedError as error:
        return error.code
    return None


numbers = st.decimals(-(10**6), 10**6, places=12, allow_nan=False, allow_infinity=False).map(lambda d: f"{d:f}")


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(quantities=st.tuples(numbers, numbers, numbers, numbers))
async def test_lines_add_up_whatever_their_numbers(
    world: World, database_url: str, quantities: tuple[str, ...]
) -> None:
    fresh = await World.create(world.owner, world.services)
    made = await Holding.create(fresh, database_url)
    await fill(made, quantities)
    auditor = await fresh.caller(Role.INTERNAL_AUDITOR)
    root = await explained(auditor, total(made, approach="EQUITY_SHARE"))
    assert root["records"] == 14
    await opened(auditor, root)


async def test_a_computed_term_opens_to_its_parts_and_their_sources(world: World, objects: FileStore) -> None:
    works = await Works.create(world)
    analysis = method(
        "MEASURED_CARBON",
        carbonAirDried="0.6 tC/t",
        totalMoisture="10 %",
        airDriedMoisture="4 %",
        oxidation="100 %",
        evidence="化验报告 7",
        reason="自测碳含量",
    )
    source = await works.source("B", {"code": "煤", "unit": "t", "method": analysis})
    await works.burn(source, "2024-01", "100", "t")
    query = f"""query Q($s: ExplainSubject!) {{ explain(subject: $s) {{ children {{ nodes {{ {GROUNDS} }} }} }} }}"""
    subject = {"source": {"sourceId": source, "year": 2024}}
    (month,) = (await works.engineer.ask(query, s=subject))["explain"]["children"]["nodes"]
    (coefficient,) = month["grounds"]
    assert "自测碳含量" in coefficient["detail"]
    assert [g["label"] for g in coefficient["grounds"] if g["kind"] == "EVIDENCE"] == ["化验报告 7"]
    opened_steps = [g for step in coefficient["grounds"] for g in step["grounds"]]
    assert {g["kind"] for g in opened_steps} == {"STEP"}
    assert len(opened_steps) >= 3
    assert any("检测报告 1" in g["detail"] for g in opened_steps)
    computed = next(g for g in coefficient["grounds"] if g["grounds"])
    assert computed["detail"].count("=") == 1


async def test_what_does_not_count_emits_nothing_and_still_adds_up(world: World) -> None:
    works = await Works.create(world)
    source = await works.source("B", {"code": "煤", "material": "烟煤"}, {"code": "油", "material": "柴油"})
    await works.burn(source, "2024-01", "100", "t", stream="煤")
    await works.burn(source, "2024-01", "3", "t", stream="油")
    stream = (await streams(works, source))["煤"]
    balance = method("MASS_BALANCE", carbonContent="0.5 tC/t", reason="化验")
    await set_method(works, stream, balance)
    assert (await choose(works, source, "MASS_BALANCE", reason="更准确"))["errors"] == []
    root = await explained(works.engineer, {"total": {"organisationId": works.site_id, "year": 2024}})
    assert Decimal(root["value"]) == Decimal("183.333333333")
    nodes = await opened(works.engineer, root)
    assert [n["value"] for n in nodes if n["kind"] == "RECORD"].count("0") == 1
