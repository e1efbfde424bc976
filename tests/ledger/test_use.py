"""Issue, move, use and take back, through the public door."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from backend.kit.errors import Locale
from tests.fixtures.ledger import BALANCES, POSTED, Group, a_lot, moved, used


async def test_issue_and_hold(group: Group) -> None:
    rows = await group.issue(
        a_lot(group.steel, vintage=2024, serial={"prefix": "CEA-", "first": "1", "last": "1000"}),
        a_lot(group.cement, "2024-002", 500, origin="PURCHASED"),
    )
    assert [r["lot"]["issueReference"] for r in rows] == ["2024-001", "2024-002"]
    assert await group.held(group.steel) == {"2024-001": "1000"}


async def test_surrender_answers_with_the_balance_left(group: Group) -> None:
    await group.stock(group.steel)
    payload = await group.surrender(group.steel, used(group.steel, 400))
    assert payload["errors"] == []
    assert payload["transfer"]["forYear"] == 2024
    assert payload["transfer"]["legs"][0]["destination"] == {"code": "SURRENDERED", "kind": "SURRENDERED"}
    assert payload["balances"] == [{"quantity": "600", "lot": {"issueReference": "2024-001"}}]
    assert await group.held(group.steel) == {"2024-001": "600"}


async def test_what_is_used_stays_used(group: Group) -> None:
    await group.stock(group.steel)
    await group.surrender(group.steel, used(group.steel, 1000))
    again = await group.surrender(group.steel, used(group.steel, 1))
    assert again["errors"][0]["code"] == "INSUFFICIENT_BALANCE"
    assert "has 0 t of lot CEA 2024-001 free" in again["errors"][0]["message"]
    listed = "{ assetTransfers(kind: SURRENDER) { nodes { legs { destination { accountId } } } } }"
    sunk = (await group.manager.ask(listed))["assetTransfers"]["nodes"][0]["legs"][0]["destination"]["accountId"]
    out_of_it = used(group.steel, 1) | {"source": {"id": sunk}, "destination": {"organisationId": group.steel}}
    refused = await group.manager.attempt("transferAssets", {"legs": [out_of_it]}, POSTED)
    assert refused["errors"][0]["code"] == "UNKNOWN_ACCOUNT"


async def test_transfer_opens_the_holding_account(group: Group) -> None:
    await group.stock(group.steel)
    legs = [moved(group.steel, group.cement, 300)]
    payload = await group.manager.do("transferAssets", {"legs": legs}, POSTED)
    assert sorted(b["quantity"] for b in payload["balances"]) == ["300", "700"]
    assert await group.held(group.cement) == {"2024-001": "300"}


async def test_sale_and_buy_back(group: Group) -> None:
    await group.stock(group.steel)
    sold = used(group.steel, 100) | {"destination": {"market": True}}
    await group.manager.do("transferAssets", {"legs": [sold]}, BALANCES)
    bought = sold | {"source": {"market": True}, "destination": {"organisationId": group.cement}, "quantity": "40"}
    await group.manager.do("transferAssets", {"legs": [bought]}, BALANCES)
    too_much = await group.manager.attempt("transferAssets", {"legs": [bought | {"quantity": "61"}]}, POSTED)
    assert too_much["errors"][0]["code"] == "INSUFFICIENT_BALANCE"
    assert await group.held(group.cement) == {"2024-001": "40"}


async def test_all_legs_or_none(group: Group) -> None:
    await group.stock(group.steel)
    await group.stock(group.steel, 10, "2024-002")
    legs = [used(group.steel, 1000), used(group.steel, 11, "2024-002")]
    refused = await group.surrender(group.steel, *legs)
    assert refused["errors"][0]["path"] == ["legs", "1", "quantity"]
    assert await group.held(group.steel) == {"2024-001": "1000", "2024-002": "10"}


async def test_reverse_once(group: Group) -> None:
    await group.stock(group.steel)
    done = await group.surrender(group.steel, used(group.steel, 1000))
    given = {"transferId": done["transfer"]["id"], "purpose": "误操作"}
    back = await group.manager.do("reverseTransfer", given, POSTED)
    assert back["transfer"]["reversesId"] == done["transfer"]["id"]
    assert await group.held(group.steel) == {"2024-001": "1000"}
    twice = await group.manager.attempt("reverseTransfer", given, POSTED)
    assert twice["errors"][0]["code"] == "ALREADY_REVERSED"
    contra = await group.manager.attempt("reverseTransfer", {"transferId": back["transfer"]["id"]}, POSTED)
    assert contra["errors"][0]["code"] == "NOT_REVERSIBLE"


async def test_reverse_needs_the_units_where_they_went(group: Group) -> None:
    await group.stock(group.steel)
    sent = await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 300)]}, POSTED)
    await group.surrender(group.cement, used(group.cement, 1))
    refused = await group.manager.attempt("reverseTransfer", {"transferId": sent["transfer"]["id"]}, POSTED)
    assert refused["errors"][0]["code"] == "REVERSAL_NOT_COVERED"


@pytest.mark.parametrize(
    ("gone", "frozen", "code", "en", "zh"),
    [
        (0, 300, "REVERSAL_FROZEN", "0 t are free there, 300 t are frozen", "可用 0 吨，已冻结、质押或预留 300 吨"),
        (0, 1, "REVERSAL_FROZEN", "299 t are free there, 1 t are frozen", "可用 299 吨，已冻结、质押或预留 1 吨"),
        (1, 200, "REVERSAL_FROZEN", "200 t are frozen, pledged or reserved, 1 t moved on", "已转出 1 吨"),
        (300, 0, "REVERSAL_NOT_COVERED", "has 0 t of lot CEA 2024-001 left, and 300 t", "仅余 0 吨，冲正需退回 300 吨"),
    ],
)
async def test_what_hinders_a_reversal(group: Group, gone: int, frozen: int, code: str, en: str, zh: str) -> None:
    """Units that are frozen where they went, or that went on from there: each is told in its own words."""
    await group.stock(group.steel)
    sent = await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 300)]}, POSTED)
    if gone:
        await group.surrender(group.cement, used(group.cement, gone))
    if frozen:
        hold = {"aim": "FREEZE", "legs": [used(group.cement, frozen)]}
        await group.manager.do("reserveAssets", hold, "reservation { id }")
    for locale, text in zip(get_args(Locale), (zh, en), strict=True):
        caller = replace(group.manager, locale=locale)
        refused = await caller.attempt("reverseTransfer", {"transferId": sent["transfer"]["id"]}, POSTED)
        (error,) = refused["errors"]
        assert (error["code"], error["path"]) == (code, ["transferId"])
        assert text in error["message"]
    assert await group.held(group.steel) == {"2024-001": "700"}


async def test_reversed_issue_frees_reference_and_serials(group: Group) -> None:
    wrong = a_lot(group.steel, serial={"prefix": "C", "first": "1", "last": "1000"})
    await group.issue(wrong)
    data = await group.manager.ask("{ assetTransfers(kind: ISSUE) { nodes { id } } }")
    issue = data["assetTransfers"]["nodes"][0]["id"]
    await group.manager.do("reverseTransfer", {"transferId": issue}, POSTED)
    (right,) = await group.issue(wrong | {"issuedToId": group.cement})
    assert right["error"] is None
    assert await group.held(group.cement) == {"2024-001": "1000"}
    assert await group.held(group.steel) == {}


async def test_same_key_same_answer(group: Group) -> None:
    await group.stock(group.steel)
    first = await group.surrender(group.steel, used(group.steel, 400), idempotencyKey="k-1")
    again = await group.surrender(group.steel, used(group.steel, 400), idempotencyKey="k-1")
    assert again == {**first, "replayed": True}
    other = await group.surrender(group.steel, used(group.steel, 401), idempotencyKey="k-1")
    assert other["errors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert await group.held(group.steel) == {"2024-001": "600"}


async def test_rehearsal_writes_nothing(group: Group) -> None:
    await group.stock(group.steel)
    shown = await group.surrender(group.steel, used(group.steel, 400), dryRun=True)
    assert shown["balances"][0]["quantity"] == "600"
    assert shown["transfer"]["recordedAt"] is None
    assert await group.held(group.steel) == {"2024-001": "1000"}


async def test_a_rehearsal_tells_of_its_key_what_would_be_told(group: Group) -> None:
    await group.stock(group.steel)
    shown = await group.surrender(group.steel, used(group.steel, 400), dryRun=True, idempotencyKey="k")
    done = await group.surrender(group.steel, used(group.steel, 400), idempotencyKey="k")
    assert (shown["replayed"], done["replayed"]) == (False, False)
    again = await group.surrender(group.steel, used(group.steel, 400), dryRun=True, idempotencyKey="k")
    assert (again["replayed"], again["transfer"]) == (True, done["transfer"])
    other = await group.surrender(group.steel, used(group.steel, 300), dryRun=True, idempotencyKey="k")
    assert other["errors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert await group.held(group.steel) == {"2024-001": "600"}
