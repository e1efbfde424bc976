"""Trades: agreed, settled with their units or not at all; what holdings cost, exactly."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from backend.ledger.trades.costs import CostMethod, Costs, Flow, costs
from tenants.access import Role
from tests.fixtures.ledger import POSTED, Group, a_lot, on_day, used
from tests.fixtures.ledger import key as node_key

TRADE = "trade { id state price value fee settledOn lotId transferId reason remarks { code rule } }"


def trade(group: Group, side: str = "SELL", quantity: int = 100, price: str = "70.00", **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "organisationId": group.steel,
        "side": side,
        "mode": "LISTED",
        "market": "CN",
        "scheme": "CEA",
    }
    given |= {"account": {"organisationId": group.steel}, "quantity": str(quantity), "price": price, "fee": "1.50"}
    return given | {"tradedOn": "2025-06-02", "reference": f"{side}-{price}", "counterparty": "某发电公司", **more}


async def agreed(group: Group, **more: Any) -> str:
    done = await group.manager.do("recordTrade", trade(group, **more), TRADE)
    assert done["trade"]["state"] == "AGREED"
    return str(done["trade"]["id"])


async def settle(group: Group, key: str, **more: Any) -> dict[str, Any]:
    return await group.manager.attempt("settleTrade", {"tradeId": key, "settledOn": "2025-06-03", **more}, TRADE)


def lot(reference: str = "2024-001") -> dict[str, Any]:
    return {"lot": {"scheme": "CEA", "issueReference": reference}}


async def result(group: Group, organisation_id: str, method: str = "AVERAGE", as_of: str = "2025-12-31") -> Any:
    document = """query Q($o: ID!, $m: CostMethod!, $d: Date) { tradingResult(organisationId: $o, scheme: "CEA",
      method: $m, asOf: $d) { quantity cost unpriced averageCost realisedGain costOfUse marketPrice marketValue
      unrealisedGain } }"""
    answer = await group.manager.ask(document, o=organisation_id, m=method, d=as_of)
    return answer["tradingResult"]


async def test_bought_sold_and_used(group: Group) -> None:
    first = await agreed(group, side="BUY", quantity=100, price="60.00")
    assert (await settle(group, first, issueReference="B1", vintage=2024))["trade"]["state"] == "SETTLED"
    second = await agreed(group, side="BUY", quantity=100, price="80.01")
    await settle(group, second, issueReference="B2", vintage=2024, settledOn="2025-06-04")
    sold = await agreed(group, quantity=150, price="75.00")
    done = await settle(group, sold, lot={"scheme": "CEA", "issueReference": "B1"})
    assert done["errors"][0]["code"] == "INSUFFICIENT_BALANCE", "one lot holds 100"
    sold = await agreed(group, quantity=100, price="75.01")
    done = await settle(group, sold, **lot("B1"), settledOn="2025-06-05")
    assert done["trade"]["transferId"]
    await group.surrender(group.steel, used(group.steel, 50, "B2"), effectiveOn="2025-06-06")
    prices = {"scheme": "CEA", "prices": [{"day": "2025-06-30", "close": "74.63"}], "source": "交易所日报"}
    await group.manager.do("recordPrices", prices, "prices { day close }")
    assert await result(group, group.steel, "FIFO") == {
        "quantity": "50",
        "cost": "4001.25",
        "unpriced": "0",
        "averageCost": "80.02",
        "realisedGain": "1498.00",
        "costOfUse": "4001.25",
        "marketPrice": "74.63",
        "marketValue": "3731.50",
        "unrealisedGain": "-269.75",
    }
    average = await result(group, group.steel)
    assert (average["cost"], average["costOfUse"]) == ("3501.00", "3501.00")
    assert average["realisedGain"] == "497.50"
    early = await result(group, group.steel, as_of="2025-06-04")
    assert (early["quantity"], early["marketValue"], early["cost"]) == ("200", None, "14004.00")


async def test_inside_the_group(group: Group) -> None:
    await group.stock(group.steel)
    other = {"organisationId": group.cement}
    await group.manager.do("transferAssets", {"legs": [used(group.steel, 1) | {"destination": other}]}, POSTED)
    key = await agreed(group, quantity=200, counterparty="", counterpartyAccount=other)
    await settle(group, key, **lot())
    seller, buyer = await result(group, group.steel), await result(group, group.cement)
    assert (seller["quantity"], seller["realisedGain"]) == ("800", "13998.50")
    assert (buyer["quantity"], buyer["cost"]) == ("200", "14000.00")


async def test_units_bought_without_a_price_are_told(group: Group) -> None:
    await group.issue(a_lot(group.steel, "G", 10), a_lot(group.steel, "P", 20, origin="PURCHASED"))
    bought = await agreed(group, side="BUY", quantity=100, price="60.00")
    await settle(group, bought, issueReference="B1", vintage=2024)
    found = await result(group, group.steel)
    assert (found["quantity"], found["unpriced"]) == ("130", "20")
    away = {"legs": [used(group.steel, 20, "P") | {"destination": {"organisationId": group.cement}}]}
    await group.manager.do("transferAssets", away, POSTED)
    assert (await result(group, group.cement))["unpriced"] == "0", "it bought nothing"


async def test_units_that_are_carried_over_keep_their_cost(group: Group) -> None:
    await group.stock(group.steel, 500)
    bought = await agreed(group, side="BUY", quantity=100, price="60.00")
    await settle(group, bought, issueReference="B1", vintage=2024)
    before = await result(group, group.steel, as_of="2026-03-20")
    over = {"organisationId": group.steel, "market": "CN", "year": 2025, "legs": [used(group.steel, 100, "B1")]}
    carrier = on_day(group.manager, "2026-03-20")
    await carrier.do("carryOverAllowances", over | {"evidence": "结转申请"}, "carryOver { lotId }")
    assert await result(group, group.steel, as_of="2026-03-20") == before
    assert (before["quantity"], before["costOfUse"], before["unpriced"]) == ("600", "0.00", "0")


async def test_cost_goes_with_units_that_move_inside_the_group(group: Group) -> None:
    bought = await agreed(group, side="BUY", quantity=100, price="60.00")
    await settle(group, bought, issueReference="B1", vintage=2024)
    moved = {"legs": [used(group.steel, 40, "B1") | {"destination": {"organisationId": group.cement}}]}
    await group.manager.do("transferAssets", moved | {"effectiveOn": "2025-06-05"}, POSTED)
    before, steel, cement = [
        await result(group, who, as_of=day)
        for who, day in ((group.steel, "2025-06-04"), (group.steel, "2025-06-05"), (group.cement, "2025-06-05"))
    ]
    assert (steel["costOfUse"], cement["quantity"]) == ("0.00", "40")
    assert Decimal(steel["cost"]) + Decimal(cement["cost"]) == Decimal(before["cost"])
    assert Decimal(cement["cost"]) == Decimal(before["cost"]) * 40 / 100


async def test_a_shut_account_agrees_no_trade(group: Group) -> None:
    account = await group.manager.do("createAssetAccount", {"organisationId": group.steel, "code": "TRD",
                                     "kind": "TRADING", "name": "交易"}, "account { id }")  # fmt: skip
    shut = {"accountId": account["account"]["id"], "state": "CLOSED", "reason": "销户"}
    await group.manager.do("setAssetAccountState", shut, "state { state }")
    refused = await group.manager.attempt(
        "recordTrade", trade(group, account={"organisationId": group.steel, "code": "TRD"}), TRADE
    )
    assert [(e["code"], e["path"]) for e in refused["errors"]] == [("ACCOUNT_NOT_OPEN", ["account"])]


async def test_refused_trades_leave_nothing(group: Group) -> None:
    await group.stock(group.steel)
    await agreed(group)
    for changes, code in (
        ({}, "TRADE_KNOWN"),
        ({"price": "70.001"}, "BAD_MONEY"),
        ({"price": "0"}, "BAD_MONEY"),
        ({"fee": "-1"}, "BAD_MONEY"),
        ({"quantity": "0"}, "BAD_TRADE_QUANTITY"),
        ({"quantity": "-5"}, "BAD_TRADE_QUANTITY"),
        ({"quantity": "9000000000000000000"}, "BAD_TRADE_QUANTITY"),
        ({"mode": "PICK"}, "NOT_TRADED_THERE"),
        ({"scheme": "GDEA"}, "NOT_TRADED_THERE"),
        ({"market": "XX"}, "UNKNOWN_MARKET"),
        ({"reference": " "}, "MISSING_TEXT"),
        ({"reference": "长" * 201}, "TEXT_TOO_LONG"),
        ({"counterparty": " "}, "NO_COUNTERPARTY"),
        ({"tradedOn": "2999-01-01"}, "EFFECTIVE_IN_FUTURE"),
        ({"account": {"organisationId": group.cement}}, "UNKNOWN_ACCOUNT"),
        ({"account": {"id": to_id("AssetAccount", uuid7())}}, "UNKNOWN_ACCOUNT"),
        ({"counterpartyAccount": {"organisationId": group.steel}}, "UNKNOWN_ACCOUNT"),
        ({"organisationId": to_id("Organisation", uuid7())}, "NOT_FOUND"),
    ):
        refused = await group.manager.attempt("recordTrade", trade(group, **changes), TRADE)
        assert [e["code"] for e in refused["errors"]] == [code], changes
    trades = (await group.manager.ask("{ assetTrades { nodes { id } } }"))["assetTrades"]["nodes"]
    assert len(trades) == 1


async def test_settled_or_called_off_once(group: Group) -> None:
    await group.stock(group.steel)
    await group.issue(a_lot(group.steel, "GD", 100, scheme="GDEA"))
    key = await agreed(group)
    for by, code in (
        ({}, "WHICH_UNITS"),
        ({"issueReference": "new"}, "WHICH_UNITS"),
        (lot() | {"issueReference": "new"}, "WHICH_UNITS"),
        (lot("none"), "UNKNOWN_LOT"),
        ({"lot": {"scheme": "GDEA", "issueReference": "GD"}}, "NOT_TRADED_THERE"),
        (lot() | {"settledOn": "2025-06-01"}, "SETTLES_TOO_EARLY"),
        (lot() | {"settledOn": "2999-01-01"}, "EFFECTIVE_IN_FUTURE"),
    ):
        refused = await settle(group, key, **by)
        assert [e["code"] for e in refused["errors"]] == [code], by
    assert await group.held(group.steel) == {"2024-001": "1000", "GD": "100"}
    answers = await asyncio.gather(*(settle(group, key, **lot()) for _ in range(4)))
    assert sorted(e["code"] for a in answers for e in a["errors"]) == ["TRADE_ENDED"] * 3
    assert await group.held(group.steel) == {"2024-001": "900", "GD": "100"}
    off = await agreed(group, price="71")
    for reason, codes in ((" ", ["REASON_NEEDED"]), ("对方违约", []), ("again", ["TRADE_ENDED"])):
        done = await group.manager.attempt("callOffTrade", {"tradeId": off, "reason": reason}, TRADE)
        assert [e["code"] for e in done["errors"]] == codes


async def test_rights_on_one_side_are_not_enough_to_take(group: Group) -> None:
    """Who may manage one company's assets can sell to its sister, and cannot take units out of her account."""
    await group.stock(group.cement)
    steel = await group.world.member((Role.ASSET_MANAGER, node_key(group.steel)))
    other = {"organisationId": group.cement}
    asked = trade(group, "BUY", counterparty="", counterpartyAccount=other)
    key = (await steel.do("recordTrade", asked, TRADE))["trade"]["id"]
    taken = await steel.attempt("settleTrade", {"tradeId": key, "settledOn": "2025-06-03", **lot()}, TRADE)
    assert [e["code"] for e in taken["errors"]] == ["UNKNOWN_ACCOUNT"]
    foreign = trade(group, organisationId=group.cement, account=other)
    assert [e["code"] for e in (await steel.attempt("recordTrade", foreign, TRADE))["errors"]] == ["NOT_FOUND"]
    prices = {"scheme": "CEA", "prices": [{"day": "2025-06-30", "close": "74.63"}], "source": "日报"}
    assert [e["code"] for e in (await steel.attempt("recordPrices", prices, "prices { day }"))["errors"]] == [
        "FORBIDDEN"
    ]
    assert await group.held(group.cement) == {"2024-001": "1000"}


async def test_limits_warn(group: Group) -> None:
    prices = [{"day": "2025-05-30", "close": "70.00"}, {"day": "2025-06-02", "close": "1.00"}]
    given = {"scheme": "CEA", "prices": prices, "source": "交易所日报"}
    rehearsed = await group.manager.do("recordPrices", given | {"dryRun": True}, "prices { recordedAt }")
    assert {p["recordedAt"] for p in rehearsed["prices"]} == {None}
    done = await group.manager.do("recordPrices", given, "prices { recordedAt close }")
    assert all(p["recordedAt"] for p in done["prices"])
    listed = await group.manager.ask("{ marketPrices { nodes { recordedAt close } } }")
    assert listed["marketPrices"]["nodes"] == done["prices"]
    taken = await group.manager.attempt("recordPrices", given, "prices { close }")
    assert taken["errors"][0]["code"] == "PRICE_TAKEN"
    await group.manager.do("recordPrices", given | {"replacesBecause": "更正"}, "prices { close }")
    for mode, price, quantity, expected in (
        ("LISTED", "77.00", 99_999, []),
        ("LISTED", "77.01", 100_000, ["SIZE_OUTSIDE_LIMITS", "PRICE_OUTSIDE_LIMITS"]),
        ("BLOCK", "91.00", 100_000, []),
        ("BLOCK", "48.99", 1, ["SIZE_OUTSIDE_LIMITS", "PRICE_OUTSIDE_LIMITS"]),
        ("AUCTION", "500.00", 1, []),
    ):
        asked = trade(group, "BUY", quantity, price, mode=mode)
        done = await group.manager.do("recordTrade", asked, TRADE)
        assert [r["code"] for r in done["trade"]["remarks"]] == expected, (mode, price)


flows = st.lists(st.tuples(st.integers(1, 10**6), st.one_of(st.none(), st.integers(0, 10**9)), st.booleans()))


@given(flows, st.sampled_from(CostMethod))
def test_no_fen_is_lost(drawn: list[tuple[int, int | None, bool]], method: CostMethod) -> None:
    """What was paid is in what is held, was sold or was used; each method against exact fractions."""
    made: list[Flow] = []
    held = 0
    for quantity, money, arrives in drawn:
        if arrives or quantity > held:
            made.append(Flow(_KEY, _DAY, quantity, money, uuid7()))
            held += quantity
        else:
            made.append(Flow(_KEY, _DAY, -quantity, money, uuid7()))
            held -= quantity
    found = costs(made, method).get(_KEY, Costs())
    paid = sum(f.money_fen or 0 for f in made if f.quantity_t > 0)
    received = sum(f.money_fen or 0 for f in made if f.quantity_t < 0)
    assert found.quantity_t == held
    assert found.cost_fen + found.used_fen + received - found.realised_fen == paid
    assert found.cost_fen >= 0
    if method is CostMethod.AVERAGE:
        assert abs(found.cost_fen - _exact_average(made)) <= len(made)


def _exact_average(made: list[Flow]) -> Fraction:
    quantity, cost = 0, Fraction(0)
    for f in made:
        if f.quantity_t > 0:
            cost += f.money_fen or 0
        elif quantity:
            cost += cost * f.quantity_t / quantity
        quantity += f.quantity_t
    return cost


def test_the_oldest_leave_first() -> None:
    made = [Flow(_KEY, _DAY, q, fen, uuid7()) for q, fen in ((10, 100), (10, 300), (-15, 600))]
    assert costs(made, CostMethod.FIFO) == {_KEY: Costs(5, 150, 350, 0)}
    assert costs(made, CostMethod.AVERAGE) == {_KEY: Costs(5, 100, 300, 0)}


transfers = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 1000), st.one_of(st.none(), st.integers(0, 10**6)))
)


@given(transfers, st.sampled_from(CostMethod))
def test_cost_goes_along_inside_the_group(drawn: list[tuple[int, int, int, int | None]], method: CostMethod) -> None:
    """From and to organisations 1 and 2, or 0, the world: the group's cost is what it paid, less what left it."""
    made: list[Flow] = []
    held = [10**9, 0, 0]
    paid = received = 0
    for source, target, asked, money in drawn:
        quantity = min(asked, held[source])
        if source == target or not quantity:
            continue
        traded = money if 0 in (source, target) else None
        sides = [(source, -quantity), (target, quantity)]
        key = uuid7()
        made += [Flow(UUID(int=who), _DAY, q, traded, key) for who, q in sides if who]
        held[source], held[target] = held[source] - quantity, held[target] + quantity
        if traded is not None:
            paid, received = (paid + traded, received) if source == 0 else (paid, received + traded)
    found = costs(made, method).values()
    assert sum(c.quantity_t for c in found) == held[1] + held[2]
    assert sum(c.cost_fen + c.used_fen - c.realised_fen for c in found) + received == paid
    assert all(c.cost_fen >= 0 for c in found)


_KEY = UUID(int=1)
_DAY = date(2025, 1, 1)
