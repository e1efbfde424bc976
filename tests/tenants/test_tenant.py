"""The tenant's life, its settings, and its record of changes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from backend.kit.database import Database
from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from tenants import lifecycle
from tenants.access import Principal, Role
from tenants.domain.audit import AuditEvent, FieldChange, differences
from tenants.domain.members import MemberKind, NewMember
from tenants.domain.tenant import TenantStatus
from tenants.repository import grants_of
from tests.fixtures.organisations import administrator, plant, row, uuid_of
from tests.fixtures.world import Caller, World

FIRST = NewMember("https://id.example", "root", MemberKind.PERSON, "首位管理员")


async def test_provision_suspend_resume(owner_database: Database, world: World) -> None:
    slug = f"p-{uuid7().hex}"
    made = await lifecycle.provision(owner_database, slug, "新租户", FIRST)
    async with world.services.toolbox.database.read(made.tenant_id) as session:
        grants = await grants_of(session, made.administrator_id)
    admin = Caller(world.services, Principal(made.tenant_id, made.administrator_id, "首位管理员", grants))
    ids = await plant(admin)

    suspended = await lifecycle.suspend(owner_database, slug, "欠费")
    assert (suspended.status, suspended.suspended_because) == (TenantStatus.SUSPENDED, "欠费")
    shown = await admin.ask("{ viewer { tenant { status suspendedBecause } } organisations { nodes { code } } }")
    assert shown["viewer"]["tenant"] == {"status": "SUSPENDED", "suspendedBecause": "欠费"}
    assert len(shown["organisations"]["nodes"]) == len(ids)
    refused = await admin.attempt("createOrganisation", row("SITE", "S", "HD"))
    assert refused["errors"][0]["code"] == "TENANT_SUSPENDED"

    await lifecycle.resume(owner_database, slug)
    await plant(admin, [row("SITE", "S", "HD")])
    trail = await admin.ask("{ auditEvents { nodes { operation member { displayName } } } }")
    operations = [e["operation"] for e in trail["auditEvents"]["nodes"]]
    assert operations[:3] == ["createOrganisations", "resumeTenant", "suspendTenant"]
    assert operations[-1] == "provisionTenant"
    assert slug in {t.slug for t in await lifecycle.list_tenants(owner_database)}


async def test_provisioning_is_all_or_nothing(owner_database: Database, world: World) -> None:
    for slug, name, code in (
        (world.slug, "x", "TENANT_SLUG_TAKEN"),
        ("A B", "x", "INVALID_INPUT"),
        ("ok", " ", "INVALID_INPUT"),
    ):
        with pytest.raises(CodedError) as refused:
            await lifecycle.provision(owner_database, slug, name, FIRST)
        assert refused.value.code.name == code
    with pytest.raises(CodedError, match="NOT_FOUND"):
        await lifecycle.resume(owner_database, "no-such-tenant")
    with pytest.raises(CodedError, match="INVALID_INPUT"):
        await lifecycle.suspend(owner_database, world.slug, " ")


@pytest.mark.parametrize(
    ("zone", "error"), [("Asia/Urumqi", []), ("Mars/Olympus", ["INVALID_INPUT"]), ("../x", ["INVALID_INPUT"])]
)
async def test_settings(world: World, zone: str, error: list[str]) -> None:
    admin = await administrator(world)
    payload = await admin.attempt(
        "updateTenantSettings", {"reportingZone": zone}, "tenant { settings { reportingZone } }"
    )
    assert [e["code"] for e in payload["errors"]] == error
    viewer = (await admin.ask("{ viewer { tenant { settings { reportingZone } } } }"))["viewer"]
    assert viewer["tenant"]["settings"]["reportingZone"] == ("Asia/Shanghai" if error else zone)


async def test_the_zone_moves_the_day(world: World) -> None:
    admin = await administrator(world)
    days = set()
    for zone in ("Pacific/Kiritimati", "Etc/GMT+12"):
        await admin.do("updateTenantSettings", {"reportingZone": zone}, "tenant { slug }")
        async with world.services.toolbox.database.read(world.tenant_id) as session:
            days.add(await session.scalar("SELECT tenant_today()"))
    assert len(days) == 2


async def events(caller: Caller, subject: str | None = None) -> list[dict[str, Any]]:
    document = (
        "query Q($s: ID) { auditEvents(subjectId: $s) { nodes { operation subjectType subjectId correlationId"
        " organisation { code } member { displayName } changes { field before after } } } }"
    )
    return list((await caller.ask(document, s=subject))["auditEvents"]["nodes"])


async def test_the_trail_says_who_changed_what(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    edit = {"organisationId": ids["BF"], "expectedVersion": 1, "nameZh": "炼铁二厂"}
    await admin.do("updateOrganisation", edit, "organisation { code }")
    event = (await events(admin, ids["BF"]))[0]
    assert (event["operation"], event["subjectId"], event["member"]) == (
        "updateOrganisation",
        ids["BF"],
        {"displayName": "张三"},
    )
    assert event["changes"] == [
        {"field": "name_zh", "before": "炼铁厂", "after": "炼铁二厂"},
        {"field": "version", "before": "1", "after": "2"},
    ]


async def test_an_auditor_sees_the_trail_of_his_part(world: World) -> None:
    admin = await administrator(world)
    ids = await plant(admin)
    auditor = await world.member((Role.INTERNAL_AUDITOR, uuid_of(ids["STEEL"])))
    assert {e["organisation"]["code"] for e in await events(auditor)} == {"STEEL", "BF"}
    assert await events(auditor, ids["KILN"]) == []
    blank = await world.member((Role.PURCHASER, None))
    assert (await blank.run("{ auditEvents { nodes { id } } }")).errors[0]["extensions"]["code"] == "FORBIDDEN"


def test_the_rows_of_a_bulk_change_are_one_field() -> None:
    event = AuditEvent(
        uuid7(), datetime.now(UTC), None, "recordActivity", None, "ActivityBatch", uuid7(), None, [{"单位": "t"}], "-"
    )
    assert differences(event) == [FieldChange("rows", None, '[{"单位":"t"}]')]
