"""Obligations from inventories, allocation, carry-over, position and deadlines, through the public door."""

from __future__ import annotations

from typing import Any

from tenants.access import Role
from tests.accounting.test_inventories import Office
from tests.fixtures.ledger import ISSUED, POSTED, Group, a_credit, a_lot, moved, on_day, used
from tests.fixtures.world import World

ALLOCATION = """allocation { stage quantity lotId transferId effectiveOn recordedAt evidence
  remarks { code rule source message } }"""
CARRIED = """carryOver { sold bought held most earlier quantity rule lotId transferId evidence effectiveOn
  recordedAt }"""
LATE = "2026-11-20"
"""A day long after the allocations of 2025 and the last day of carrying over."""


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


async def _reversed(group: Group, transfer_id: str) -> list[tuple[str, str]]:
    """Codes and texts of what is said to a reversal."""
    answer = await group.manager.attempt("reverseTransfer", {"transferId": transfer_id}, POSTED)
    return [(e["code"], e["message"]) for e in answer["errors"]]


async def _issue(group: Group, lot_id: str) -> str:
    """The transfer by which a lot was issued."""
    found = await group.manager.ask("{ assetTransfers(kind: ISSUE, first: 50) { nodes { id legs { lotId } } } }")
    (issue,) = (t["id"] for t in found["assetTransfers"]["nodes"] if t["legs"][0]["lotId"] == lot_id)
    return str(issue)


async def test_what_was_taken_back_does_not_return(group: Group) -> None:
    """And what was allocated by mistake, and its issue reversed, is nothing that could be taken back."""
    made = await group.manager.do("allocateAllowances", stage(group, "PRE", 700, issueReference="YF-1"), ALLOCATION)
    taken = stage(group, "CLAW_BACK", 100, legs=[used(group.steel, 100, "YF-1")])
    back = await group.manager.do("allocateAllowances", taken, ALLOCATION)
    (told,) = await _reversed(group, back["allocation"]["transferId"])
    assert told[0] == "REVERSAL_BOUND"
    assert "CLAWED_BACK" in told[1]
    assert await group.held(group.steel) == {"YF-1": "600"}
    other = stage(group, "PRE", 50, year=2023, issueReference="YF-0")
    made = await group.manager.do("allocateAllowances", other, ALLOCATION)
    assert await _reversed(group, await _issue(group, made["allocation"]["lotId"])) == []
    taken = stage(group, "CLAW_BACK", 50, year=2023, legs=[used(group.steel, 50, "YF-1")])
    refused = await group.manager.attempt("allocateAllowances", taken, ALLOCATION)
    assert [e["code"] for e in refused["errors"]] == ["CLAW_BACK_EXCEEDED"]
    assert "0 t" in refused["errors"][0]["message"]


async def test_lots_are_given_of_years_that_are_allocated_for(group: Group) -> None:
    rows = [a_lot(group.steel, str(y), vintage=y, origin=o) for y, o in ((2035, "ALLOCATED"), (2035, "AUCTIONED"))]
    rows[1]["issueReference"] = "bought"
    done = await group.manager.attempt("issueLots", {"lots": rows}, ISSUED)
    errors = [r["error"] and (r["error"]["code"], r["error"]["path"]) for r in done["results"]]
    assert errors == [("YEAR_NOT_ALLOCATED", ["lots", "0", "vintage"]), None]


async def test_the_year_must_be_one_that_is_allocated_for(group: Group) -> None:
    manager = on_day(group.manager, LATE)

    async def asked(market: str, year: int) -> dict[str, Any]:
        given = stage(group, "PRE", 10, market=market, year=year, issueReference=f"{market}-{year}")
        return await manager.attempt("allocateAllowances", given, ALLOCATION)

    for year in (2018, 2035):
        refused = await asked("CN", year)
        assert [(e["code"], e["path"]) for e in refused["errors"]] == [("YEAR_NOT_ALLOCATED", ["year"])]
        assert "2019-2024, 2025, 2026" in refused["errors"][0]["message"]
    assert await group.held(group.steel) == {}
    assert (await asked("CN", 2019))["allocation"]["remarks"] == []
    (draft,) = (await asked("CN", 2026))["allocation"]["remarks"]
    assert (draft["code"], draft["rule"]) == ("ALLOCATION_YEAR_DRAFT", "CN-YEARS-2026")
    assert "征求意见稿" in draft["source"]
    (unknown,) = (await asked("BJ", 2035))["allocation"]["remarks"]
    assert (unknown["code"], unknown["rule"], unknown["source"]) == ("ALLOCATION_YEAR_UNKNOWN", "", "")
    document = "{ allowanceAllocations { nodes { year effectiveOn remarks { code message } } } }"
    nodes = (await manager.ask(document))["allowanceAllocations"]["nodes"]
    assert {n["year"]: [r["code"] for r in n["remarks"]] for n in nodes} == {
        2019: [], 2026: ["ALLOCATION_YEAR_DRAFT"], 2035: ["ALLOCATION_YEAR_UNKNOWN"],
    }  # fmt: skip
    listed = "{ assetTransfers(kind: ISSUE) { nodes { remarks { code } } } }"
    kept = [r["code"] for n in (await manager.ask(listed))["assetTransfers"]["nodes"] for r in n["remarks"]]
    assert sorted(kept) == ["ALLOCATION_YEAR_DRAFT", "ALLOCATION_YEAR_UNKNOWN"], "with the transfer, as other remarks"


async def _as_of(group: Group, day: str) -> list[str]:
    document = "query Q($o: ID!, $d: Date) { assetBalancesAsOf(organisationId: $o, effectiveOn: $d) { quantity } }"
    return [b["quantity"] for b in (await group.manager.ask(document, o=group.steel, d=day))["assetBalancesAsOf"]]


async def test_an_allocation_takes_effect_on_its_day(group: Group) -> None:
    manager = on_day(group.manager, LATE)
    pre = stage(group, "PRE", 700, issueReference="YF-1", effectiveOn="2026-06-15")
    rehearsed = (await manager.do("allocateAllowances", pre | {"dryRun": True}, ALLOCATION))["allocation"]
    assert (rehearsed["lotId"], rehearsed["recordedAt"]) == (None, None), "what a rehearsal made is nowhere"
    done = (await manager.do("allocateAllowances", pre, ALLOCATION))["allocation"]
    assert done["recordedAt"]
    assert (done["effectiveOn"], bool(done["lotId"])) == ("2026-06-15", True)
    assert (await _as_of(group, "2026-06-14"), await _as_of(group, "2026-06-15")) == ([], ["700"])
    await group.manager.do("closeAssetPeriod", {"through": "2026-05-31", "reason": "x"}, "through")
    back = {"legs": [used(group.steel, 100, "YF-1")]}
    for name, more, code in (
        ("FINAL", {"effectiveOn": "2026-06-14"}, "STAGE_TOO_EARLY"),
        ("FINAL", {"effectiveOn": "2026-11-21"}, "EFFECTIVE_IN_FUTURE"),
        ("CLAW_BACK", back | {"effectiveOn": "2026-06-14"}, "STAGE_TOO_EARLY"),
        ("CLAW_BACK", back | {"effectiveOn": "2026-11-21"}, "EFFECTIVE_IN_FUTURE"),
    ):
        refused = await manager.attempt("allocateAllowances", stage(group, name, 100, **more), ALLOCATION)
        assert [(e["code"], e["path"]) for e in refused["errors"]] == [(code, ["effectiveOn"])]
    closed = stage(group, "PRE", 100, year=2024, effectiveOn="2026-05-31")
    refused = await manager.attempt("allocateAllowances", closed, ALLOCATION)
    assert [(e["code"], e["path"]) for e in refused["errors"]] == [("PERIOD_CLOSED", ["effectiveOn"])]
    # All was away in September: it cannot have been taken back then.
    away = [moved(group.steel, group.cement, 700, "YF-1")]
    await manager.do("transferAssets", {"legs": away, "effectiveOn": "2026-09-10"}, POSTED)
    await manager.do("transferAssets", {"legs": [moved(group.cement, group.steel, 700, "YF-1")]}, POSTED)
    short = await manager.attempt(
        "allocateAllowances", stage(group, "CLAW_BACK", 100, **back, effectiveOn="2026-09-20"), ALLOCATION
    )
    assert [(e["code"], e["path"]) for e in short["errors"]] == [("SHORT_ON_DAY", ["effectiveOn"])]
    taken = stage(group, "CLAW_BACK", 100, **back)
    rehearsed = (await manager.do("allocateAllowances", taken | {"dryRun": True}, ALLOCATION))["allocation"]
    assert rehearsed["transferId"] is None
    assert (await manager.do("allocateAllowances", taken, ALLOCATION))["allocation"]["effectiveOn"] == LATE
    refused = await manager.attempt("allocateAllowances", stage(group, "FINAL", 1, evidence="文" * 2001))
    assert [(e["code"], e["path"]) for e in refused["errors"]] == [("TEXT_TOO_LONG", ["evidence"])]


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
    for half in (first["transferId"], await _issue(group, first["lotId"])):
        (told,) = await _reversed(group, half)
        assert told[0] == "REVERSAL_BOUND", "one half alone would leave the units there twice, or nowhere"
        assert "CARRIED_OVER" in told[1]
    over = await manager.attempt("carryOverAllowances", given(used(group.steel, 10_001, "old")), CARRIED)
    assert "10000 t are left" in over["errors"][0]["message"]
    await manager.do("carryOverAllowances", given(used(group.steel, 10_000, "bought")), CARRIED)
    document = "query N($i: ID!) { node(id: $i) { ... on AssetLot { vintage origin quantity } } }"
    lot = (await group.manager.ask(document, i=first["lotId"]))["node"]
    assert lot == {"vintage": 2025, "origin": "ALLOCATED", "quantity": "30001"}
    held = await group.held(group.steel)
    assert (held["old"], held["young"]) == ("59999", "500")
    assert sum(int(q) for q in held.values()) == 100_500


async def test_a_carry_over_entered_late_is_judged_by_its_day(group: Group) -> None:
    """vectors.json, ets-carryover-1: applied for in May, entered in November."""
    await _traded(group)
    manager = on_day(group.manager, LATE)
    given: dict[str, Any] = {"organisationId": group.steel, "market": "CN", "year": 2025, "evidence": "结转申请 5 月"}
    given |= {"legs": [used(group.steel, 40_001, "old")], "effectiveOn": "2026-05-20", "idempotencyKey": "k"}
    for changes, code, path in (
        ({"effectiveOn": None}, "CARRY_OVER_CLOSED", ["year"]),
        ({"effectiveOn": "2026-06-11"}, "CARRY_OVER_CLOSED", ["year"]),
        ({"effectiveOn": "2025-12-31"}, "CARRY_OVER_TOO_EARLY", ["effectiveOn"]),
        ({"effectiveOn": "2026-11-21"}, "EFFECTIVE_IN_FUTURE", ["effectiveOn"]),
        ({"evidence": " "}, "MISSING_TEXT", ["evidence"]),
        ({"evidence": "文" * 2001}, "TEXT_TOO_LONG", ["evidence"]),
    ):
        refused = await manager.attempt("carryOverAllowances", given | {"idempotencyKey": None} | changes, CARRIED)
        assert [(e["code"], e["path"]) for e in refused["errors"]] == [(code, path)], changes
    rehearsed = (await manager.do("carryOverAllowances", given | {"dryRun": True}, CARRIED))["carryOver"]
    assert [rehearsed[x] for x in ("lotId", "transferId", "recordedAt")] == [None] * 3
    done = (await manager.do("carryOverAllowances", given, CARRIED))["carryOver"]
    assert (done["most"], done["quantity"], done["effectiveOn"]) == ("40001", "40001", "2026-05-20")
    assert done["recordedAt"]
    other = await manager.attempt("carryOverAllowances", given | {"evidence": "另一份"}, CARRIED)
    assert other["errors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED", "the paper is part of what was asked for"
    other = await manager.attempt("carryOverAllowances", given | {"effectiveOn": "2026-05-21"}, CARRIED)
    assert other["errors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert (await manager.do("carryOverAllowances", given, CARRIED))["carryOver"] == done
    document = "query N($i: ID!) { node(id: $i) { ... on AssetLot { issuedOn vintage } } }"
    lot = (await manager.ask(document, i=done["lotId"]))["node"]
    assert lot == {"issuedOn": "2026-05-20", "vintage": 2025}
    (listed,) = (await manager.ask("{ carryOvers { nodes { effectiveOn evidence quantity } } }"))["carryOvers"]["nodes"]
    assert listed == {"effectiveOn": "2026-05-20", "evidence": "结转申请 5 月", "quantity": "40001"}


async def test_who_bought_more_than_sold_carries_the_base_over(group: Group) -> None:
    """vectors.json, ets-carryover-2; on the last day."""
    await group.issue(
        a_lot(group.steel, "old", 30_000),
        a_lot(group.steel, "bought", 50_000, origin="PURCHASED", issuedOn="2025-03-01"),
    )
    given: dict[str, Any] = {"organisationId": group.steel, "market": "CN", "year": 2025, "evidence": "结转申请"}
    manager = on_day(group.manager, "2026-06-10")
    over = await manager.attempt("carryOverAllowances", given | {"legs": [used(group.steel, 10_001, "old")]}, CARRIED)
    assert over["errors"][0]["code"] == "CARRY_OVER_EXCEEDED"
    done = await manager.do("carryOverAllowances", given | {"legs": [used(group.steel, 10_000, "old")]}, CARRIED)
    assert (done["carryOver"]["most"], done["carryOver"]["held"]) == ("10000", "80000")


async def test_a_carry_over_of_a_past_day_needs_the_units_there(group: Group) -> None:
    await _traded(group)
    manager = on_day(group.manager, LATE)
    await manager.do(
        "transferAssets",
        {"legs": [moved(group.steel, group.cement, 90_000, "old")], "effectiveOn": "2026-07-01"},
        POSTED,
    )
    given: dict[str, Any] = {"organisationId": group.steel, "market": "CN", "year": 2025, "evidence": "结转申请"}
    given |= {"legs": [used(group.steel, 1, "old")], "effectiveOn": "2026-05-20"}
    refused = await manager.attempt("carryOverAllowances", given, CARRIED)
    assert [e["code"] for e in refused["errors"]] == ["INSUFFICIENT_BALANCE"]
    await manager.do("transferAssets", {"legs": [moved(group.cement, group.steel, 90_000, "old")]}, POSTED)
    given["legs"] = [used(group.steel, 1, "bought")]
    await group.manager.do("closeAssetPeriod", {"through": "2026-05-31", "reason": "x"}, "through")
    refused = await manager.attempt("carryOverAllowances", given, CARRIED)
    assert [(e["code"], e["path"]) for e in refused["errors"]] == [("PERIOD_CLOSED", ["effectiveOn"])]


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


async def test_offsets_and_allowances_meet_what_is_due(group: Group) -> None:
    """vectors.json, ets-ccer-cap."""
    await group.issue(a_lot(group.steel, quantity=2_000_000), a_credit(group.steel, quantity=100_000))
    await group.owe(group.steel, "1234567")
    document = """query Q($o: ID!) { offsetHeadroom(organisationId: $o, year: 2024) { limits { headroom } }
      compliancePosition(organisationId: $o, year: 2024) { shortfall } }"""
    asked = await group.manager.ask(document, o=group.steel)
    assert asked["offsetHeadroom"]["limits"] == [{"headroom": "61728"}]
    assert (await group.surrender(group.steel, used(group.steel, 61_729, "ZL-1", "CCER")))["errors"]
    assert not (await group.surrender(group.steel, used(group.steel, 61_728, "ZL-1", "CCER")))["errors"]
    assert (await group.manager.ask(document, o=group.steel))["compliancePosition"]["shortfall"] == "1172839"


async def test_stages_go_in_their_order(group: Group) -> None:
    await group.manager.do("allocateAllowances", stage(group, "FINAL", 100, issueReference="HD-1"), ALLOCATION)
    late = await group.manager.attempt("allocateAllowances", stage(group, "PRE", 5), ALLOCATION)
    assert [e["code"] for e in late["errors"]] == ["STAGE_OUT_OF_ORDER"]
