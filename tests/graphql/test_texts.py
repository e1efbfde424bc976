"""The commonest errors, as a caller reads them in either language: his ids, his codes, words of his own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from tenants.access import Role
from tests.fixtures.accounting import Works
from tests.fixtures.ledger import Group, a_lot, moved, used
from tests.fixtures.world import Caller, World

NOBODY = to_id("Organisation", uuid7())
LOT = to_id("AssetLot", uuid7())
ACCOUNT = to_id("AssetAccount", uuid7())
TRANSFER = to_id("AssetTransfer", uuid7())
SOURCE = to_id("EmissionSource", uuid7())
INVENTORY = to_id("Inventory", uuid7())
PLAN = to_id("MonitoringPlan", uuid7())
DOCUMENT = to_id("Document", uuid7())
MEMBER = to_id("Member", uuid7())


async def said(caller: Caller, mutation: str, given: dict[str, Any]) -> tuple[str, str]:
    """What the first error says, in Chinese and in English."""
    texts = []
    for locale in ("zh-CN", "en"):
        payload = await replace(caller, locale=locale).attempt(mutation, given)
        rows = [r["error"] for r in payload.get("results") or () if r["error"]]
        texts.append((payload["errors"] or rows)[0]["message"])
    return texts[0], texts[1]


LEDGER: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "organisation": (
        "createAssetAccount", {"organisationId": NOBODY, "code": "A"},
        f"组织 {NOBODY} 不存在，或您无权查看。", f"There is no organisation {NOBODY}, or you may not see it.",
    ),
    "id of another type": (
        "createAssetAccount", {"organisationId": LOT, "code": "A"},
        f"'{LOT}' 不是组织的标识。", f"'{LOT}' is not the id of an organisation.",
    ),
    "no id": (
        "reverseTransfer", {"transferId": "x", "evidence": "e"},
        "'x' 不是资产划转的标识。", "'x' is not the id of an asset transfer.",
    ),
    "empty text": (
        "createAssetAccount", {"organisationId": "STEEL", "code": " "}, "代码不能为空。", "code must not be empty.",
    ),
    "transfer": (
        "reverseTransfer", {"transferId": TRANSFER}, f"划转 {TRANSFER} 不存在，或您无权查看。",
        f"There is no transfer {TRANSFER}, or you may not see it.",
    ),
    "account": (
        "setAccountState", {"accountId": ACCOUNT, "state": "FROZEN", "reason": "r"},
        f"资产账户 {ACCOUNT} 不存在，或您无权查看。", f"There is no asset account {ACCOUNT}, or you may not see it.",
    ),
    "account state": (
        "setAccountState", {"accountId": "HELD", "state": "OPEN", "reason": "r"},
        "账户 HELD_NAME 状态为正常，不能变为正常。", "The account HELD_NAME is OPEN; it cannot become OPEN.",
    ),
}  # fmt: skip
