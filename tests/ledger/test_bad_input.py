"""What cannot be is refused with its code, its place, and in both languages; and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest

from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from backend.ledger.domain.refusals import Refusal
from tests.fixtures.ledger import POSTED, Group, a_credit, a_lot, moved, used
from tests.fixtures.world import Caller


def with_leg(group: Group, **changes: Any) -> dict[str, Any]:
    return {"legs": [used(group.steel, 1) | changes], "beneficiaryId": group.steel, "forYear": 2024}


CASES: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "zero": ({"quantity": "0"}, "BAD_QUANTITY", ["legs", "0", "quantity"]),
    "negative": ({"quantity": "-5"}, "BAD_QUANTITY", ["legs", "0", "quantity"]),
    "most": ({"quantity": "9000000000000000000"}, "INSUFFICIENT_BALANCE", ["legs", "0", "quantity"]),
    "no lot": ({"lot": {}}, "INVALID_INPUT", ["legs", "0", "lot"]),
    "half a lot": ({"lot": {"scheme": "CEA"}}, "INVALID_INPUT", ["legs", "0", "lot"]),
    "unknown lot": ({"lot": {"scheme": "CEA", "issueReference": "无"}}, "UNKNOWN_LOT", ["legs", "0", "lot"]),
    "lot of no id": ({"lot": {"id": "x"}}, "INVALID_ID", ["legs", "0", "lot", "id"]),
    "foreign lot": ({"lot": {"id": to_id("AssetLot", uuid7())}}, "UNKNOWN_LOT", ["legs", "0", "lot"]),
    "no account": ({"source": {}}, "INVALID_INPUT", ["legs", "0", "source"]),
    "two lots": (
        {"lot": {"id": to_id("AssetLot", uuid7()), "scheme": "CEA", "issueReference": "2024-001"}},
        "INVALID_INPUT",
        ["legs", "0", "lot"],
    ),
    "two accounts": (
        {"source": {"id": to_id("AssetAccount", uuid7()), "organisationId": to_id("Organisation", uuid7())}},
        "INVALID_INPUT",
        ["legs", "0", "source"],
    ),
    "market and account": (
        {"source": {"market": True, "organisationId": to_id("Organisation", uuid7())}},
        "INVALID_INPUT",
        ["legs", "0", "source"],
    ),
    "foreign account": (
        {"source": {"id": to_id("AssetAccount", uuid7())}},
        "UNKNOWN_ACCOUNT",
        ["legs", "0", "source"],
    ),
    "market": ({"source": {"market": True}}, "WRONG_DESTINATION", ["legs", "0", "source"]),
}


@pytest.mark.parametrize("case", CASES)
async def test_bad_legs(group: Group, case: str) -> None:
    changes, code, path = CASES[case]
    await group.stock(group.steel)
    refused = await group.manager.attempt("surrenderAssets", with_leg(group, **changes), POSTED)
    assert (refused["errors"][0]["code"], refused["errors"][0]["path"]) == (code, path)
    assert await group.held(group.steel) == {"2024-001": "1000"}


@pytest.mark.parametrize("quantity", ["1.5", "9223372036854775808", "一", "", 1.5, True])
async def test_no_whole_tonnes(group: Group, quantity: object) -> None:
    document = "mutation M($input: SurrenderAssetsInput!) { surrenderAssets(input: $input) { errors { code } } }"
    response = await group.manager.run(document, input=with_leg(group, quantity=quantity))
    assert response.request_error
    assert "Tonnes" in str(response.errors[0]["message"])


async def test_a_scheme_issues_what_it_issues(group: Group) -> None:
    """Another class is a slip of the pen; of a scheme that no rulebook knows, nothing is known."""
    credit: dict[str, Any] = {"assetClass": "CCER", "origin": "ISSUED_CREDIT"}
    rows = await group.issue(
        a_lot(group.steel, "1", **credit),
        a_lot(group.steel, "2", scheme="CCER"),
        a_lot(group.steel, "3", scheme="VCS", **credit),
        a_credit(group.steel, "4"),
    )
    assert [row["error"] and row["error"]["code"] for row in rows] == [*["CLASS_DOES_NOT_FIT"] * 2, None, None]
    assert rows[0]["error"]["path"] == ["lots", "0", "assetClass"]


async def test_bad_orders(group: Group) -> None:
    await group.stock(group.steel)
    sound = with_leg(group)
    for changes, code in (
        ({"legs": []}, "WRONG_LEGS"),
        ({"legs": sound["legs"] * 101}, "WRONG_LEGS"),
        ({"forYear": 1899}, "BAD_YEAR"),
        ({"beneficiaryId": to_id("Organisation", uuid7())}, "UNKNOWN_BENEFICIARY"),
        ({"beneficiaryId": to_id("AssetLot", uuid7())}, "INVALID_ID"),
        ({"effectiveOn": "2999-01-01"}, "EFFECTIVE_IN_FUTURE"),
        ({"effectiveOn": "2024-06-30"}, "EFFECTIVE_BEFORE_ISSUE"),
        ({"idempotencyKey": ""}, "BAD_IDEMPOTENCY_KEY"),
    ):
        refused = await group.manager.attempt("surrenderAssets", sound | changes, POSTED)
        assert refused["errors"][0]["code"] == code
    given = {"legs": [used(group.steel, 1)], "beneficiaryId": group.steel}
    yearless = await group.manager.attempt("cancelAssets", given, POSTED)
    assert (yearless["errors"][0]["code"], yearless["errors"][0]["path"]) == ("USE_NEEDS_BENEFICIARY", ["forYear"])
    itself = {"legs": [moved(group.steel, group.steel, 1)]}
    refused = await group.manager.attempt("transferAssets", itself, POSTED)
    assert refused["errors"][0]["code"] == "WRONG_DESTINATION"
    gone = {"transferId": to_id("AssetTransfer", uuid7())}
    refused = await group.manager.attempt("reverseTransfer", gone, POSTED)
    assert refused["errors"][0]["code"] == "UNKNOWN_TRANSFER"
    assert await group.held(group.steel) == {"2024-001": "1000"}


async def test_accounts(group: Group) -> None:
    given = {"organisationId": group.steel, "code": "交易", "name": "上海环境能源交易所", "kind": "TRADING"}
    made = await group.manager.do("createAssetAccount", given, "account { id code name kind organisationId }")
    assert made["account"]["code"] == "交易"
    assert made["account"]["organisationId"] == group.steel
    for changes, code in (
        ({}, "ACCOUNT_CODE_TAKEN"),
        ({"code": "　"}, "MISSING_TEXT"),
        ({"code": "r", "kind": "RETIRED"}, "WRONG_ACCOUNT_KIND"),
        ({"organisationId": to_id("Organisation", uuid7())}, "NOT_FOUND"),
    ):
        refused = await group.manager.attempt("createAssetAccount", given | changes, "account { id }")
        assert refused["errors"][0]["code"] == code


async def test_messages_in_chinese(group: Group) -> None:
    await group.stock(group.steel)
    chinese = Caller(group.world.services, group.manager.principal, "zh-CN")
    given = {"legs": [used(group.steel, 1001)], "beneficiaryId": group.steel, "forYear": 2024}
    refused = await chinese.attempt("surrenderAssets", given, POSTED)
    assert "请求 1001 吨" in refused["errors"][0]["message"]
    assert "可用 1000 吨" in refused["errors"][0]["message"]


async def test_what_is_set_aside_is_told(group: Group) -> None:
    """Who looks at 1000 t and is refused 900 sees where they are."""
    await group.stock(group.steel)
    frozen = {"aim": "FREEZE", "legs": [used(group.steel, 300)]}
    await group.manager.do("reserveAssets", frozen, "reservation { id }")
    more = {"aim": "PLEDGE", "legs": [used(group.steel, 900)]}
    away = {"legs": [moved(group.steel, group.cement, 900)]}
    for mutation, given, asked in (("transferAssets", away, POSTED), ("reserveAssets", more, "reservation { id }")):
        (error,) = (await group.manager.attempt(mutation, given, asked))["errors"]
        assert error["code"] == "INSUFFICIENT_BALANCE"
        assert "700 t" in error["message"]
        assert "besides 300 t that are frozen, pledged or reserved" in error["message"]
    chinese = Caller(group.world.services, group.manager.principal, "zh-CN")
    (error,) = (await chinese.attempt("transferAssets", away, POSTED))["errors"]
    assert "可用 700 吨（另有 300 吨已冻结、质押或预留），请求 900 吨" in error["message"]


def test_refusals_kept_from_before_are_told_still() -> None:
    """Answers that were kept when this refusal said less."""
    kept = Refusal("INSUFFICIENT_BALANCE", (), {"account": "A", "lot": "L", "available": 9, "asked": 100})
    assert kept.error().message("en") == "Account A has 9 t of lot L free; 100 t were asked for."
    assert kept.error().message("zh-CN") == "账户 A 中批次 L 可用 9 吨，请求 100 吨。"


async def test_filters_that_filter_nothing_are_refused(group: Group) -> None:
    day = f'organisationId: "{group.steel}", effectiveOn: "2999-01-01"'
    days = 'effectiveFrom: "2025-02-01", effectiveThrough: "2025-01-31"'
    for query, said in (
        ("assetTransfers(below: true) { nodes { id } }", "besides `organisationId`"),
        (f"assetTransfers({days}) {{ nodes {{ id }} }}", "From 2025-02-01 through 2025-01-31 there is no day"),
        (f"assetBalancesAsOf({day}) {{ quantity }}", "2999-01-01 is to come"),
    ):
        (error,) = (await group.manager.run(f"{{ {query} }}")).errors
        assert error["extensions"]["code"] == "INVALID_INPUT"
        assert said in error["message"]
    days = 'effectiveFrom: "2025-02-01", effectiveThrough: "2025-02-01"'
    await group.manager.ask(f"{{ assetTransfers({days}) {{ nodes {{ id }} }} }}")


async def test_same_unit_twice_in_one_transfer(group: Group) -> None:
    await group.stock(group.steel)
    refused = await group.surrender(group.steel, used(group.steel, 600), used(group.steel, 600))
    assert refused["errors"][0]["code"] == "INSUFFICIENT_BALANCE"
    assert "1200 t were asked for" in refused["errors"][0]["message"]


async def test_full_width_references(group: Group) -> None:
    await group.stock(group.steel, 10, "２０２４－001")
    assert await group.held(group.steel) == {"2024-001": "10"}
    lot = {"scheme": "ＣＥＡ", "issueReference": "2024-001"}
    done = await group.surrender(group.steel, used(group.steel, 1) | {"lot": lot})
    assert done["errors"] == []
