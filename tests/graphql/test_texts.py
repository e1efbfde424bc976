"""The commonest errors, as a caller reads them in either language: his ids, his codes, words of his own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from tenants.access import Role
from tests.fixtures.accounting import Works
from tests.fixtures.ledger import Group, a_lot, moved, used
from tests.fixtures.world import Caller, World

Case = tuple[str, dict[str, Any]]
Texts = tuple[str, str]


async def said(caller: Caller, case: Case) -> Texts:
    """What the first error says, in Chinese and in English."""
    chinese, english = [
        (await replace(caller, locale=locale).attempt(*case))["errors"][0]["message"] for locale in ("zh-CN", "en")
    ]
    return chinese, english


async def misread(caller: Caller, cases: dict[Texts, Case]) -> list[tuple[Texts, Texts]]:
    """What is said where other texts are expected, each with those."""
    found = [(await said(caller, case), texts) for texts, case in cases.items()]
    return [(told, texts) for told, texts in found if told != texts]


def of(type_name: str) -> str:
    """The id of something that is not there."""
    return to_id(type_name, uuid7())


def absent(type_name: str, chinese: str, english: str, mutation: str, field: str, **more: Any) -> tuple[Texts, Case]:
    key = of(type_name)
    texts = (f"{chinese} {key} 不存在，或您无权查看。", f"There is no {english} {key}, or you may not see it.")
    return texts, (mutation, {field: key, **more})


async def test_the_ledger(world: World) -> None:
    group = await Group.create(world)
    await group.stock(group.steel)
    made = await group.manager.do(
        "createAssetAccount", {"organisationId": group.steel, "code": "A1"}, "account { id code }"
    )
    account, lot = made["account"]["id"], of("AssetLot")
    state = {"accountId": account, "state": "OPEN", "reason": "复核"}
    use = {"beneficiaryId": group.steel, "forYear": 2024}
    assert await misread(group.manager, dict([
        absent("Organisation", "组织", "organisation", "createAssetAccount", "organisationId", code="A"),
        absent("AssetTransfer", "划转", "transfer", "reverseTransfer", "transferId"),
        absent("AssetAccount", "资产账户", "asset account", "setAssetAccountState", "accountId", state="FROZEN",
               reason="r"),
        absent("AssetTrade", "资产交易", "asset trade", "callOffTrade", "tradeId", reason="r"),
        absent("CarbonProject", "减排项目", "carbon project", "takeProjectStep", "projectId", step="PUBLISH",
               happenedOn="2025-01-01"),
    ]) | {
        (f"'{lot}' 不是组织的标识。", f"'{lot}' is not the id of an organisation."): (
            "createAssetAccount", {"organisationId": lot, "code": "A"},
        ),
        ("'x' 不是资产划转的标识。", "'x' is not the id of an asset transfer."): (
            "reverseTransfer", {"transferId": "x"},
        ),
        ("代码不能为空。", "code must not be empty."): (
            "createAssetAccount", {"organisationId": group.steel, "code": " "},
        ),
        ("该组织已有代码为 'A1' 的账户。", "The organisation has an account 'A1' already."): (
            "createAssetAccount", {"organisationId": group.steel, "code": "A1"},
        ),
        (f"账户 A1 ({account}) 状态为正常，不能变为正常。",
         f"The account A1 ({account}) is OPEN; it cannot become OPEN."): ("setAssetAccountState", state),
        ("批次 CEA 无 不存在；请以标识，或以机制与签发编号指定已签发的批次。",
         "There is no lot CEA 无; name an issued one by its id, or by scheme and issue reference."): (
            "surrenderAssets", use | {"legs": [used(group.steel, 1, "无")]},
        ),
        ("清缴须同时指明受益组织与所属年度。",
             "SURRENDER names both the organisation it serves and the year it is for."): (
            "reserveAssets", {"aim": "PENDING", "kind": "SURRENDER", "legs": [used(group.steel, 1)]},
        ),
        ("划转：账户不能向自身划转。", "TRANSFER: an account cannot send to itself."): (
            "transferAssets", {"legs": [moved(group.steel, group.steel, 1)]},
        ),
    }) == []  # fmt: skip
    bad = a_lot(group.steel, "X", origin="CERTIFIED_SINK")
    rows = await replace(group.manager, locale="zh-CN").attempt(
        "issueLots", {"lots": [bad]}, "results { error { message } }"
    )
    (error,) = rows["errors"] or [r["error"] for r in rows["results"]]
    assert error["message"] == (
        "资产类别碳排放配额的来源不能为碳汇核证，可为免费分配（ALLOCATED）、有偿竞买（AUCTIONED）、市场购入（PURCHASED）。"
    )


async def test_accounting(world: World) -> None:
    works = await Works.create(world)
    source = works.source_input("B1", {"code": "a", "material": "无烟煤"})
    await works.source("B1", {"code": "a", "material": "无烟煤"})
    unit = {"code": "U", "nameZh": "烧结"}
    assert await misread(works.engineer, dict([
        absent("Inventory", "排放清单", "inventory", "submitInventory", "id"),
        absent("MonitoringPlan", "监测计划", "monitoring plan", "submitMonitoringPlan", "planId"),
        absent("StockRow", "台账记录", "stock row", "supersedeStock", "id", reason="r"),
        absent("EmissionSource", "排放源", "emission source", "createEmissionStream", "sourceId",
               stream={"code": "b", "material": "无烟煤"}),
        absent("Document", "文件", "document", "withdrawEvidence", "id", reason="r"),
    ]) | {
        ("代码 'B1' 已被该组织的其他排放源使用。",
         "The code 'B1' is already used by another emission source of this organisation."): (
            "createEmissionSource", source,
        ),
        ("碳排放单元须设在场所下；'HD' 为集团。", "Emission units belong to a site; 'HD' is a GROUP."): (
            "createEmissionUnit", {"organisationId": works.group_id, "kind": "GROUP", **unit},
        ),
        ("生产系统：单元组不设上级，系统须隶属同一场所的单元组；未给出上级。",
         ("PRODUCTION: a group stands alone, a system belongs to a group of units of the same site; no parent was "
          "given.")): (
            "createEmissionUnit", {"organisationId": works.site_id, "kind": "PRODUCTION", **unit},
        ),
        ("外购电力不是类别直接排放的子类；可选：无。", "ELECTRICITY is no sub-type of DIRECT; it has: none."): (
            "createEmissionSource", source | {"code": "B2", "subtype": "ELECTRICITY"},
        ),
    }) == []  # fmt: skip


async def test_who_may(world: World) -> None:
    group = await Group.create(world)
    stranger = await world.caller(Role.PURCHASER)
    assert await misread(stranger, {
        ("此操作需要权限管理碳资产（asset.manage），您在此处的角色均未授予该权限。",
         "This needs the permission asset.manage, which none of your roles here gives you."): (
            "createAssetAccount", {"organisationId": group.steel, "code": "A"},
        ),
    }) == []  # fmt: skip
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    assert await misread(admin, dict([
        absent("Member", "成员", "member", "revokeMember", "memberId"),
        absent("RoleAssignment", "角色授予", "role assignment", "revokeRole", "roleAssignmentId"),
        absent("Job", "任务", "job", "cancelJob", "id"),
        absent("TrustedIssuer", "受信任签发方", "trusted issuer", "removeTrustedIssuer", "id"),
    ])) == []  # fmt: skip
