"""Obligations from inventories, allocation, carry-over, position and deadlines, through the public door."""

from __future__ import annotations

from typing import Any

from tenants.access import Role
from tests.accounting.test_inventories import Office
from tests.fixtures.ledger import POSTED, Group, a_credit, a_lot, on_day, used
from tests.fixtures.world import World

ALLOCATION = "allocation { stage quantity lotId transferId }"
CARRIED = "carryOver { sold bought held most earlier quantity rule lotId }"


def stage(group: Group, name: str, quantity: int, **more: Any) -> dict[str, Any]:
    given = {"organisationId": group.steel, "market": "CN", "year": 2025, "stage": name, "quantity": str(quantity)}
    return given | {"evidence": "配额通知书", **more}


async def test_an_obligation_from_an_approved_inventory(world: World) -> None:
    office = await Office.create(world)
    manager = await world.caller(Role.ASSET_MANAGER)
    given = {"organisationId": office.works.group_id, "year": 2024, "market": "CN"}
    asked = ("setObligationFromInventory", given, "obligation { tonnes market source }")
    key = await office.open(months=2)
    early = await manager.attempt(*asked)
    assert early["errors"][0]["code"] == "NO_APPROVED_INVENTORY"
    approved = await office.go(key, "approveInventory")
    made = (await manager.do(*asked))["obligation"]
    assert made["tonnes"] == approved["totals"][0]["co2eT"]
    assert (made["market"], "DIRECT" in made["source"]) == ("CN", True)
    others = await manager.attempt(asked[0], given | {"categories": ["IMPORTED_ENERGY"]}, asked[2])
    assert others["errors"][0]["code"] == "NO_APPROVED_INVENTORY"


async def test_allocated_in_stages_and_taken_back(group: Group) -> None:
    done = await group.manager.do("allocateAllowances", stage(group, "PRE", 700, issueReference="YF-1"), ALLOCATION)
    assert done["allocation"]["lotId"]
    back = {"legs": [used(group.steel, 100, "YF-1")]}
    for changes, code in (
        ({"stage": "PRE"}, "LOT_ALREADY_ISSUED"),
        ({"stage": "PRE", "issueReference": "YF-2"}, "ALLOCATED_ALREADY"),
        ({"stage": "CLAW_BACK"}, "CLAW_BACK_NEEDS_LEGS"),
        ({"stage": "CLAW_BACK", **back, "quantity": "99"}, "CLAW_BACK_NEEDS_LEGS"),
        ({"stage": "FINAL", **back}, "CLAW_BACK_NEEDS_LEGS"),
        ({"stage": "FINAL", "quantity": "0"}, "BAD_QUANTITY"),
        ({"stage": "FINAL", "evidence": " "}, "MISSING_TEXT"),
        ({"stage": "FINAL", "market": "SC"}, "MISSING_TEXT"),
        ({"stage": "FINAL", "market": "MARS"}, "UNKNOWN_MARKET"),
    ):
        given = stage(group, "PRE", 100, issueReference="YF-1") | changes
        refused = await group.manager.attempt("allocateAllowances", given, ALLOCATION)
        assert [e["code"] for e in refused["errors"]] == [code], changes
    assert await group.held(group.steel) == {"YF-1": "700"}
    for more, left in (
        ({"year": 2023}, "0 t"),
        ({"quantity": "701", "legs": [used(group.steel, 701, "YF-1")]}, "700 t"),
    ):
        given = stage(group, "CLAW_BACK", 100) | back | more
        refused = await group.manager.attempt("allocateAllowances", given)
        assert [e["code"] for e in refused["errors"]] == ["CLAW_BACK_EXCEEDED"]
        assert left in refused["errors"][0]["message"]
    await group.issue(a_lot(group.cement, "other", 100))
    others = {"legs": [used(group.cement, 100, "other")]}
    refused = await group.manager.attempt("allocateAllowances", stage(group, "CLAW_BACK", 100, **others))
    assert [e["code"] for e in refused["errors"]] == ["CLAW_BACK_NEEDS_LEGS"]
    assert await group.held(group.cement) == {"other": "100"}
    done = await group.manager.do("allocateAllowances", stage(group, "CLAW_BACK", 100, **back), ALLOCATION)
    assert done["allocation"]["transferId"]
    assert await group.held(group.steel) == {"YF-1": "600"}
    bought = [
        used(group.steel, 100, "YF-1") | {"source": {"market": True}, "destination": {"organisationId": group.steel}}
    ]
    assert (await group.manager.attempt("transferAssets", {"legs": bought}))["errors"], "nobody can take them out again"
    document = "query Q($o: ID) { allowanceAllocations(organisationId: $o) { nodes { stage quantity } } }"
    nodes = (await group.manager.ask(document, o=group.steel))["allowanceAllocations"]["nodes"]
    assert [(n["stage"], n["quantity"]) for n in nodes] == [("PRE", "700"), ("CLAW_BACK", "100")]


async def _traded(group: Group) -> None:
    """Holds 100,000 t of 2024, sold 30,001 t and bought 10,000 t in the window."""
    await group.issue(
        a_lot(group.steel, "old", 120_001),
        a_lot(group.steel, "bought", 10_000, origin="PURCHASED", issuedOn="2025-03-01"),
        a_lot(group.steel, "young", 500, vintage=2025, issuedOn="2025-10-01"),
    )
    sold = used(group.steel, 30_001, "old") | {"destination": {"market": True}}
    await group.manager.do("transferAssets", {"legs": [sold], "effectiveOn": "2025-06-01"}, POSTED)


async def test_carry_over(group: Group) -> None:
    await _traded(group)

    def given(*legs: dict[str, Any]) -> dict[str, Any]:
        return {"organisationId": group.steel, "market": "CN", "year": 2025, "legs": list(legs), "evidence": "结转申请"}

    late = await on_day(group.manager, "2026-06-11").attempt(
        "carryOverAllowances", given(used(group.steel, 1, "old")), CARRIED
    )
    assert late["errors"][0]["code"] == "CARRY_OVER_CLOSED"
    manager = on_day(group.manager, "2026-03-20")
    for legs, code in (
        ([used(group.steel, 40_002, "old")], "CARRY_OVER_EXCEEDED"),
        ([used(group.steel, 1, "young")], "CARRY_OVER_VINTAGE"),
        ([used(group.steel, 1, "old"), used(group.steel, 1, "bought")], "CARRY_OVER_VINTAGE"),
        ([used(group.steel, 0, "old")], "BAD_QUANTITY"),
    ):
        refused = await manager.attempt("carryOverAllowances", given(*legs), CARRIED)
        assert [e["code"] for e in refused["errors"]] == [code], legs
    done = await manager.do("carryOverAllowances", given(used(group.steel, 30_001, "old")), CARRIED)
    first = done["carryOver"]
    assert {k: first[k] for k in ("sold", "bought", "held", "most", "earlier")} == {
        "sold": "30001", "bought": "10000", "held": "100000", "most": "40001", "earlier": "0",
    }  # fmt: skip
    over = await manager.attempt("carryOverAllowances", given(used(group.steel, 10_001, "old")), CARRIED)
    assert "10000 t are left" in over["errors"][0]["message"]
    await manager.do("carryOverAllowances", given(used(group.steel, 10_000, "bought")), CARRIED)
    document = "query N($i: ID!) { node(id: $i) { ... on AssetLot { vintage origin quantity } } }"
    lot = (await group.manager.ask(document, i=first["lotId"]))["node"]
    assert lot == {"vintage": 2025, "origin": "ALLOCATED", "quantity": "30001"}
    held = await group.held(group.steel)
    assert (held["old"], held["young"]) == ("59999", "500")
    assert sum(int(q) for q in held.values()) == 100_500


async def test_carry_over_needs_cleared_years(group: Group) -> None:
    await _traded(group)
    await group.owe(group.steel, "10.5", year=2024)
    given: dict[str, Any] = {"organisationId": group.steel, "market": "CN", "year": 2025, "evidence": "结转申请"}
    given["legs"] = [used(group.steel, 1, "old")]
    manager = on_day(group.manager, "2026-03-20")
    refused = await manager.attempt("carryOverAllowances", given, CARRIED)
    assert refused["errors"][0]["code"] == "CARRY_OVER_UNCLEARED"
    await group.surrender(group.steel, used(group.steel, 10, "old"), effectiveOn="2025-12-31")
    assert (await manager.attempt("carryOverAllowances", given, CARRIED))["errors"]
    late = await group.surrender(group.steel, used(group.steel, 1, "old"), effectiveOn="2026-01-01")
    assert (await manager.attempt("carryOverAllowances", given, CARRIED))["errors"]
    await group.manager.do("reverseTransfer", {"transferId": late["transfer"]["id"]}, POSTED)
    await group.surrender(group.steel, used(group.steel, 1, "old"), effectiveOn="2025-12-30")
    await manager.do("carryOverAllowances", given, CARRIED)


async def test_position_and_deadlines(group: Group) -> None:
    await group.issue(a_lot(group.steel), a_credit(group.steel))
    await group.owe(group.steel, "900.2")
    await group.surrender(group.steel, used(group.steel, 800))
    offsets = {"legs": [used(group.steel, 40, "ZL-1", "CCER")], "beneficiaryId": group.steel, "forYear": 2024}
    await group.manager.do("surrenderAssets", offsets, POSTED)
    document = """query Q($o: ID!) { compliancePosition(organisationId: $o, year: 2024) { market shortfall deadline
      offsetsBeyondLimit surrendered { assetClass quantity } offsetLimits { limit used headroom } } }"""
    assert (await group.manager.ask(document, o=group.steel))["compliancePosition"] == {
        "market": "CN",
        "shortfall": "61",
        "offsetsBeyondLimit": "0",
        "deadline": "2025-12-31",
        "surrendered": [{"assetClass": "ALLOWANCE", "quantity": "800"}, {"assetClass": "CCER", "quantity": "40"}],
        "offsetLimits": [{"limit": "45", "used": "40", "headroom": "5"}],
    }
    await group.owe(group.steel, "700")
    lowered = (await group.manager.ask(document, o=group.steel))["compliancePosition"]
    assert (lowered["offsetsBeyondLimit"], lowered["shortfall"]) == ("5", "0")
    await group.owe(group.steel, "900.2")
    due = """query Q($d: Date, $n: Int!) { complianceDeadlines(on: $d, withinDays: $n)
      { event year day daysLeft open organisationId } }"""
    soon = (await group.manager.ask(due, d="2025-12-01", n=30))["complianceDeadlines"]
    assert [(x["event"], x["daysLeft"], x["open"]) for x in soon] == [("SURRENDER", 30, "60.200000000")]
    assert (await group.manager.ask(due, d="2025-12-01", n=29))["complianceDeadlines"] == []
    late = (await group.manager.ask(due, d="2026-03-01", n=31))["complianceDeadlines"]
    assert [(x["event"], x["daysLeft"]) for x in late] == [("SURRENDER", -60), ("REPORT", 30)]
    await group.surrender(group.steel, used(group.steel, 61))
    cleared = (await group.manager.ask(due, d="2026-03-01", n=31))["complianceDeadlines"]
    assert [x["event"] for x in cleared] == ["REPORT"]


async def test_stages_go_in_their_order(group: Group) -> None:
    await group.manager.do("allocateAllowances", stage(group, "FINAL", 100, issueReference="HD-1"), ALLOCATION)
    late = await group.manager.attempt("allocateAllowances", stage(group, "PRE", 5), ALLOCATION)
    assert [e["code"] for e in late["errors"]] == ["STAGE_OUT_OF_ORDER"]
