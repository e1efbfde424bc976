"""Reminders of surrender deadlines: made once at each distance, seen where the obligation is, acknowledged once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import pytest

from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.graphql.nodes import to_id
from backend.kit.provision import OWNER
from backend.kit.toolbox import Toolbox
from backend.ledger.reminders.domain import threshold
from backend.ledger.reminders.service import ReminderService
from tenants.access import Role
from tests.fixtures.jobs import ask, until, working
from tests.fixtures.ledger import Group, a_lot, key, used
from tests.fixtures.world import Caller

LIST = """query Q($o: ID, $a: Boolean) { complianceReminders(organisationId: $o, acknowledged: $a) { nodes {
  id organisationId obligationId market year day rule daysBefore overdue open acknowledgedAt acknowledgedById
  note } } }"""
ACKNOWLEDGED = "reminder { acknowledgedAt acknowledgedById note }"


def noon(day: str) -> Clock:
    moment = datetime.fromisoformat(f"{day}T12:00:00+08:00")
    return Clock(lambda: moment)


@pytest.fixture
def remind(group: Group, worker_database: Database) -> Any:
    """What the daily job does on a day, in the worker's role; how many reminders were new."""

    async def on(day: str) -> int:
        service = ReminderService(Toolbox(worker_database, noon(day)))
        return await worker_database.write(group.world.tenant_id, service.remind)

    return on


async def listed(caller: Caller, **asked: Any) -> list[dict[str, Any]]:
    return list((await caller.ask(LIST, **asked))["complianceReminders"]["nodes"])


@pytest.mark.parametrize(
    ("days_left", "expected"),
    [(91, None), (90, 90), (31, 90), (30, 30), (7, 7), (6, 7), (1, 1), (0, 1), (-1, 0), (-900, 0)],
)
def test_the_nearest_threshold_counts(days_left: int, expected: int | None) -> None:
    assert threshold(days_left, (90, 30, 7, 1)) == expected


async def test_once_at_each_distance(group: Group, remind: Any) -> None:
    """The surrender for 2024 is due by 2025-12-31."""
    await group.issue(a_lot(group.steel))
    await group.owe(group.steel, "900.2")
    await group.surrender(group.steel, used(group.steel, 800))
    made = [
        await remind(day)
        for day in ("2025-09-01", "2025-10-02", "2025-10-02", "2025-10-20", "2025-12-01", "2025-12-26", "2025-12-31")
    ]
    assert made == [0, 1, 0, 0, 1, 1, 1]
    await group.owe(group.steel, "950")
    assert await remind("2025-12-31") == 0, "an obligation that was entered anew is the same to whoever owes it"
    assert [await remind("2026-01-01"), await remind("2026-06-01")] == [1, 0]
    found = await listed(group.manager)
    assert [(r["daysBefore"], r["overdue"], r["open"]) for r in found] == [
        (0, True, "150.000000000"),
        (1, False, "100.200000000"),
        (7, False, "100.200000000"),
        (30, False, "100.200000000"),
        (90, False, "100.200000000"),
    ]
    last = found[0]
    assert (last["market"], last["year"], last["day"], last["rule"]) == ("CN", 2024, "2025-12-31", "CN-SURRENDER-2024")


async def test_who_has_surrendered_or_owes_nothing_is_left_alone(group: Group, remind: Any) -> None:
    await group.issue(a_lot(group.steel))
    await group.owe(group.steel, "800")
    await group.surrender(group.steel, used(group.steel, 800))
    await group.owe(group.cement, "0")
    assert [await remind("2025-12-01"), await remind("2026-02-01")] == [0, 0]


async def test_the_tenant_says_when(group: Group, remind: Any) -> None:
    await group.owe(group.steel, "800")
    admin = await group.world.caller(Role.TENANT_ADMINISTRATOR)
    shown = "tenant { settings { deadlineReminderDays } }"
    for days, code in (([0], "INVALID_INPUT"), ([367], "INVALID_INPUT"), (list(range(1, 12)), "INVALID_INPUT")):
        given = {"reportingZone": "Asia/Shanghai", "deadlineReminderDays": days}
        refused = await admin.attempt("updateTenantSettings", given, shown)
        assert [(e["code"], e["path"]) for e in refused["errors"]] == [(code, ["deadlineReminderDays"])]
    given = {"reportingZone": "Asia/Shanghai", "deadlineReminderDays": [2, 10, 2]}
    done = await admin.do("updateTenantSettings", given, shown)
    assert done["tenant"]["settings"]["deadlineReminderDays"] == [10, 2]
    assert [await remind(day) for day in ("2025-12-20", "2025-12-21", "2025-12-30")] == [0, 1, 1]
    await admin.do("updateTenantSettings", given | {"deadlineReminderDays": []}, shown)
    assert [await remind(day) for day in ("2025-12-31", "2026-01-01")] == [0, 1]


async def test_seen_and_acknowledged_where_the_obligation_is(group: Group, remind: Any) -> None:
    await group.owe(group.steel, "800")
    await group.owe(group.cement, "800")
    assert await remind("2025-12-01") == 2
    local = await group.world.member((Role.ASSET_MANAGER, key(group.cement)))
    reader = await group.world.member((Role.TOP_MANAGEMENT, None))
    (own,) = await listed(local)
    assert own["organisationId"] == group.cement
    (of_steel,) = await listed(group.manager, o=group.steel)
    assert await listed(local, o=group.steel) == []
    node = "query N($i: ID!) { node(id: $i) { id } }"
    assert (await local.ask(node, i=of_steel["id"]))["node"] is None
    for caller, reminder, code in (
        (local, of_steel["id"], "NOT_FOUND"),
        (reader, of_steel["id"], "FORBIDDEN"),
        (local, to_id("Organisation", key(group.cement)), "INVALID_ID"),
    ):
        refused = await caller.attempt("acknowledgeReminder", {"reminderId": reminder}, ACKNOWLEDGED)
        assert [e["code"] for e in refused["errors"]] == [code]
    given = {"reminderId": own["id"], "note": "正在采购配额"}
    done = (await local.do("acknowledgeReminder", given | {"idempotencyKey": "k"}, ACKNOWLEDGED))["reminder"]
    assert local.principal is not None
    by = to_id("Member", local.principal.member_id)
    assert (done["acknowledgedById"], done["note"], bool(done["acknowledgedAt"])) == (by, "正在采购配额", True)
    assert (await local.do("acknowledgeReminder", given | {"idempotencyKey": "k"}, ACKNOWLEDGED))["replayed"]
    again = await group.manager.attempt("acknowledgeReminder", given, ACKNOWLEDGED)
    assert [e["code"] for e in again["errors"]] == ["REMINDER_ACKNOWLEDGED"]
    assert [r["id"] for r in await listed(group.manager, a=True)] == [own["id"]]
    assert [r["id"] for r in await listed(group.manager, a=False)] == [of_steel["id"]]
    events = "query E($s: ID) { auditEvents(subjectId: $s) { nodes { operation } } }"
    auditor = await group.world.caller(Role.TENANT_ADMINISTRATOR)
    told = (await auditor.ask(events, s=own["id"]))["auditEvents"]["nodes"]
    assert [e["operation"] for e in told] == ["acknowledgeReminder"]


@pytest.mark.usefixtures("empty_queue")
async def test_the_job_reminds(group: Group, database_url: str) -> None:
    await group.owe(group.steel, "800")
    async with working(database_url, clock=noon("2025-12-01")):
        rows = [await until(group.world, await ask(group.world, "ledger.remind"), "SUCCEEDED") for _ in range(2)]
    assert [row.result for row in rows] == [{"reminders": 1}, {"reminders": 0}]


async def test_reminders_stand(group: Group, remind: Any, database_url: str) -> None:
    await group.owe(group.steel, "800")
    await remind("2025-12-01")
    (made,) = await listed(group.manager)
    await group.manager.do("acknowledgeReminder", {"reminderId": made["id"]}, ACKNOWLEDGED)
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(group.world.tenant_id))
    for table in ("compliance_reminder", "reminder_acknowledgement"):
        changed = "open_t = 1" if table == "compliance_reminder" else "note = ''"
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE", f"UPDATE {table} SET {changed}"):
            with pytest.raises(asyncpg.exceptions.PostgresError):
                await connection.execute(statement)
    await connection.close()
