"""A frozen inventory explained: the lines and records of then, exactly, whatever was corrected since."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tenants.access import Role
from tests.accounting.test_inventories import Office
from tests.fixtures.accounting import uuid_of
from tests.fixtures.explain import EXPLAIN, NODE, OPEN, children
from tests.fixtures.methods import method, set_method, streams
from tests.fixtures.world import Caller, World


@pytest.fixture
async def office(world: World) -> Office:
    return await Office.create(world)


async def tree(caller: Caller, subject: dict[str, Any], first: int = 50) -> list[dict[str, Any]]:
    """The root and all below it; every parent is the exact sum of its children."""
    root = dict((await caller.ask(EXPLAIN, s=subject))["explain"])
    found, open_ = [root], [root]
    while open_:
        node = open_.pop()
        if node["kind"] not in {"FROZEN", "SOURCE", "STREAM_MONTH"}:
            continue
        below = await children(caller, node["id"], first) or []
        assert sum((Decimal(n["value"]) for n in below), Decimal(0)) == Decimal(node["value"]), node["label"]
        assert sum(n["records"] for n in below) == node["records"]
        found += below
        open_ += below
    return found


def leaves(nodes: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((n["label"], n["value"]) for n in nodes if n["kind"] in {"RECORD", "DECLARED_RESULT"})


@pytest.mark.parametrize("first", [1, 50])
async def test_what_was_submitted_stays_explained_after_corrections(office: Office, first: int) -> None:
    works = office.works
    cems = await works.source("CEMS")
    await works.declare(sourceId=cems, firstMonth="2024-01", months=2, massT="5.5", evidence="报告 1")
    key = await office.open()
    await office.go(key, "submitInventory")
    subject = {"inventory": key}
    before = await tree(works.engineer, subject, first)
    assert before[0]["kind"] == "FROZEN"
    assert {n["kind"] for n in before} == {"FROZEN", "SOURCE", "STREAM_MONTH", "DECLARED_RESULT", "RECORD"}
    assert Decimal(before[0]["value"]) == Decimal(sum(Decimal(v) for _, v in leaves(before)))

    lead = office.people[4]
    again = await lead.do("reopenInventory", {"id": key, "reason": "磅单误读"}, "inventory { id }")
    await _correct(office)
    after = await tree(works.engineer, subject, first)
    assert leaves(after) == leaves(before)
    assert [n["value"] for n in after] == [n["value"] for n in before]
    told = [n["detail"] for n in after if n["kind"] == "RECORD"]
    assert sum("withdrawn or corrected" in text and "误读" in text for text in told) == 1

    new = again["inventory"]["id"]
    refused = await works.engineer.run(EXPLAIN, s={"inventory": new})
    assert [e["extensions"]["code"] for e in refused.errors] == ["INVENTORY_STATE"]
    await works.engineer.do("submitInventory", {"id": new}, "inventory { id }")
    restated = await tree(works.engineer, {"inventory": new}, first)
    assert leaves(restated) != leaves(before)
    assert any("120 t" in label for label, _ in leaves(restated))


async def _correct(office: Office) -> None:
    """One record is corrected, one comes late, and the coal is measured after all."""
    works = office.works
    query = "query R($s: ID!) { activityRecords(filter: {sourceId: $s}) { nodes { id month } } }"
    records = (await works.engineer.ask(query, s=office.boiler))["activityRecords"]["nodes"]
    january = next(r["id"] for r in records if r["month"] == "2024-01")
    change = {"id": january, "reason": "磅单误读", "change": {"quantity": "120"}}
    await works.monitor.do("supersedeActivity", change, "record { id }")
    await works.burn(office.boiler, "2024-03", "7", "t")
    (coal,) = (await streams(works, office.boiler)).values()
    await set_method(works, coal, method("FUEL_COMBUSTION", ("2024-02", None), ncv="22 GJ/t", reason="实测"))


async def test_each_submission_is_found_again_by_its_nodes(office: Office) -> None:
    """Given back and submitted anew: nodes of the first submission still show the first."""
    works = office.works
    key = await office.open()
    await office.go(key, "submitInventory")
    first = await tree(works.engineer, {"inventory": key})
    await office.people[1].do("rejectInventory", {"id": key, "note": "缺三月"}, "inventory { id }")
    await works.burn(office.boiler, "2024-03", "7", "t")
    await works.engineer.do("submitInventory", {"id": key}, "inventory { id }")
    second = await tree(works.engineer, {"inventory": key})
    assert len(leaves(second)) == len(leaves(first)) + 1
    again = [(await works.engineer.ask(EXPLAIN, s={"node": n["id"]}))["explain"] for n in first[:3]]
    assert [n["value"] for n in again] == [n["value"] for n in first[:3]]
    assert "submission 1 " in again[0]["detail"]


async def test_it_rests_on_the_coefficient_it_was_frozen_with_and_on_who_signed(office: Office) -> None:
    works = office.works
    key = await office.open()
    await office.go(key, "approveInventory")
    root, *_ = await tree(works.engineer, {"inventory": key})
    assert (
        "第 1 次提交于"
        in (await replace(works.engineer, locale="zh-CN").ask(EXPLAIN, s={"inventory": key}))["explain"]["detail"]
    )
    query = OPEN.replace("children(", f"grounds {{ {NODE} grounds {{ {NODE} }} }} children(")
    shown = (await works.engineer.ask(query, s={"node": root["id"]}))["explain"]
    (inventory,) = shown["grounds"]
    assert inventory["kind"] == "INVENTORY"
    assert [g["kind"] for g in inventory["grounds"]] == ["SIGNATURE"] * 4
    month = next(n for n in await tree(works.engineer, {"inventory": key}) if n["kind"] == "STREAM_MONTH")
    await _reopen_and_measure(office, key)
    shown = (await works.engineer.ask(query, s={"node": month["id"]}))["explain"]
    coefficient = next(g for g in shown["grounds"] if g["kind"] == "COEFFICIENT")
    assert "FACTOR / LIBRARY" in coefficient["detail"]


async def _reopen_and_measure(office: Office, key: str) -> None:
    await office.people[4].do("reopenInventory", {"id": key, "reason": "补测"}, "inventory { id }")
    (coal,) = (await streams(office.works, office.boiler)).values()
    measured = method("FUEL_COMBUSTION", ("2024-01", None), ncv="22 GJ/t", reason="实测")
    await set_method(office.works, coal, measured)


async def test_an_inventory_out_of_reach_is_not_explained(office: Office) -> None:
    key = await office.open()
    await office.go(key, "submitInventory")
    other = await office.works.site("S2")
    outsider = await office.works.world.member((Role.ACCOUNTING_ENGINEER, uuid_of(other)))
    refused = await outsider.run(EXPLAIN, s={"inventory": key})
    assert [e["extensions"]["code"] for e in refused.errors] == ["NOT_FOUND"]
