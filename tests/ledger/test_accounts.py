"""Accounts by real name, and units that move between open accounts only."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backend.kit.errors import CodedError
from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from tenants.domain.codes import check_character
from tests.fixtures.ledger import POSTED, RESULTS, Group, key, moved, used

REGISTERED = "account { kind market code ownerName creditCode accountId supersededAt }"
CREDIT_CODE = "91310000MA1FL0XX7" + check_character("91310000MA1FL0XX7")


async def account(group: Group, organisation_id: str, code: str = "HOLDING") -> str:
    document = "query Q($o: ID) { assetAccounts(organisationId: $o) { nodes { id code state } } }"
    nodes = (await group.manager.ask(document, o=organisation_id))["assetAccounts"]["nodes"]
    return next(str(n["id"]) for n in nodes if n["code"] == code)


async def set_state(group: Group, account_id: str, state: str, reason: str = "司法协助") -> list[str]:
    given = {"accountId": account_id, "state": state, "reason": reason}
    done = await group.manager.attempt("setAssetAccountState", given, "state { state version }")
    return [e["code"] for e in done["errors"]]


def real_name(group: Group, **more: Any) -> dict[str, Any]:
    given = {"organisationId": group.steel, "kind": "TRADING", "market": "CN", "institution": "上海环境能源交易所"}
    given |= {"code": "JY-0001", "ownerName": "华东钢铁有限公司", "creditCode": CREDIT_CODE, "openedOn": "2021-07-16"}
    return given | more


async def test_frozen_and_closed(group: Group) -> None:
    await group.stock(group.steel)
    holding = await account(group, group.steel)
    assert await set_state(group, holding, "OPEN") == ["ACCOUNT_STATE_STANDS"]
    assert await set_state(group, holding, "FROZEN", "　") == ["REASON_NEEDED"]
    assert await set_state(group, holding, "FROZEN") == []
    refused = await group.surrender(group.steel, used(group.steel, 1))
    assert (refused["errors"][0]["code"], refused["errors"][0]["path"]) == ("ACCOUNT_NOT_OPEN", ["legs", "0", "source"])
    rows = [{"kind": "TRANSFER", "legs": [moved(group.steel, group.cement, 1)]}]
    done = await group.manager.do("postTransfers", {"transfers": rows}, RESULTS)
    assert done["results"][0]["error"]["code"] == "ACCOUNT_NOT_OPEN"
    assert await set_state(group, holding, "CLOSED") == ["ACCOUNT_HOLDS_UNITS"]
    assert await set_state(group, holding, "OPEN") == []
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1000)]}, POSTED)
    assert await set_state(group, holding, "CLOSED", "注销") == []
    assert await set_state(group, holding, "OPEN") == ["ACCOUNT_STATE_STANDS"]
    back = await group.manager.attempt("transferAssets", {"legs": [moved(group.cement, group.steel, 1)]}, POSTED)
    assert back["errors"][0]["path"] == ["legs", "0", "destination"]
    assert await group.held(group.cement) == {"2024-001": "1000"}


async def test_the_books_refuse_by_themselves(group: Group) -> None:
    """Whoever posts without asking the rules meets the trigger, however often."""
    await group.stock(group.steel)
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1)]}, POSTED)
    await set_state(group, await account(group, group.cement), "FROZEN")
    statement = """
        WITH t AS (INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, operation, correlation_id)
                   VALUES (:tenant, :id, 'TRANSFER', 1, '2025-01-01', 'x', 'x'))
        INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
        SELECT :tenant, :id, 1, b.lot_id, b.account_id, c.account_id, 1
        FROM asset_balance b JOIN asset_account f ON f.id = b.account_id AND f.organisation_id = :steel
        JOIN asset_balance c ON c.lot_id = b.lot_id
        JOIN asset_account g ON g.id = c.account_id AND g.organisation_id = :cement"""

    async def post(unit: Any) -> None:
        keys = {"tenant": group.world.tenant_id, "id": uuid7(), "steel": key(group.steel), "cement": key(group.cement)}
        await unit.execute(statement, keys)

    with pytest.raises(CodedError, match="BUSY"):
        await group.world.owner.write(group.world.tenant_id, post)


async def test_closing_meets_a_posting(group: Group) -> None:
    """Either the units arrive and the account stays open, or it is closed and they do not."""
    await group.stock(group.steel)
    for turn in range(5):
        code = f"A{turn}"
        opened = {"organisationId": group.cement, "code": code, "kind": "TRADING"}
        made = (await group.manager.do("createAssetAccount", opened, "account { id }"))["account"]["id"]
        leg = used(group.steel, 1) | {"destination": {"id": made}}
        sent, closed = await asyncio.gather(
            group.manager.attempt("transferAssets", {"legs": [leg]}, POSTED), set_state(group, made, "CLOSED")
        )
        assert bool(sent["errors"]) != bool(closed), (sent, closed)


async def test_by_real_name(group: Group) -> None:
    made = {"organisationId": group.steel, "code": "T1", "kind": "TRADING"}
    mirror = (await group.manager.do("createAssetAccount", made, "account { id }"))["account"]["id"]
    done = await group.manager.do("registerAccount", real_name(group, accountId=mirror), REGISTERED)
    assert done["account"]["accountId"] == mirror
    fund = real_name(group, kind="FUND", institution="结算银行", code="6222 0001")
    await group.manager.do("registerAccount", fund, REGISTERED)
    wrong = CREDIT_CODE[:17] + ("0" if CREDIT_CODE[17] != "0" else "1")
    for changes, code in (
        ({"accountId": mirror}, "ACCOUNT_REGISTERED"),
        ({"accountId": mirror, "code": "other"}, "ACCOUNT_REGISTERED"),
        ({"accountId": mirror, "creditCode": wrong}, "BAD_CREDIT_CODE"),
        ({"accountId": mirror, "market": "XX"}, "UNKNOWN_MARKET"),
        ({"accountId": mirror, "institution": " "}, "MISSING_TEXT"),
        ({"accountId": mirror, "openedOn": "2999-01-01"}, "EFFECTIVE_IN_FUTURE"),
        ({"accountId": await account(group, group.steel, "T1"), "organisationId": group.cement}, "NOT_FOUND"),
        ({"accountId": to_id("AssetAccount", uuid7())}, "NOT_FOUND"),
        ({}, "FUND_ACCOUNT_HOLDS_MONEY"),
        ({"kind": "FUND", "accountId": mirror}, "FUND_ACCOUNT_HOLDS_MONEY"),
    ):
        refused = await group.manager.attempt("registerAccount", real_name(group, **changes), REGISTERED)
        assert [e["code"] for e in refused["errors"]] == [code], changes
    moved_on = real_name(group, accountId=mirror, code="JY-0002", replacesBecause="更换交易编码")
    await group.manager.do("registerAccount", moved_on, REGISTERED)
    document = "query Q($o: ID) { registeredAccounts(organisationId: $o) { nodes { code supersededBecause } } }"
    nodes = (await group.manager.ask(document, o=group.steel))["registeredAccounts"]["nodes"]
    assert [(n["code"], n["supersededBecause"]) for n in nodes] == [
        ("6222 0001", None),
        ("JY-0001", "更换交易编码"),
        ("JY-0002", None),
    ]
