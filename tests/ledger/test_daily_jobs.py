"""What the ledger does by itself: anchors, checkpoints, and what should have ended or gone on long since."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.capabilities import modules
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.graphql.nodes import from_id
from backend.kit.jobs.registry import schedules
from backend.kit.jobs.scheduler import Scheduler, last_runs
from backend.ledger import seals
from backend.ledger.history.service import HistoryService
from backend.ledger.offsets.service import OffsetService
from tenants.access import Role
from tests.fixtures.jobs import ask, leave_jobs_of, until, working
from tests.fixtures.ledger import POSTED, Group, a_credit, a_lot, moved, used

pytestmark = pytest.mark.usefixtures("empty_queue")
AS_OF = """query Q($o: ID!, $d: Date) { assetBalancesAsOf(organisationId: $o, effectiveOn: $d, zero: true)
  { quantity lot { issueReference } } }"""


async def opening(group: Group, day: str) -> dict[str, str]:
    rows = (await group.manager.ask(AS_OF, o=group.steel, d=day))["assetBalancesAsOf"]
    return {r["lot"]["issueReference"]: r["quantity"] for r in rows}


async def test_a_closing_brings_the_opening_balances_of_the_next_period(group: Group) -> None:
    """Zero shown: what was there and is all gone is an opening balance too."""
    await group.issue(a_lot(group.steel, "gone", 100), a_lot(group.steel, "kept", 70))
    for reference, day in (("gone", "2024-08-01"), ("kept", "2024-10-01")):
        legs = [moved(group.steel, group.cement, 70 if reference == "kept" else 100, reference)]
        await group.manager.do("transferAssets", {"legs": legs, "effectiveOn": day}, POSTED)
    asked_at = datetime.now(UTC)
    await group.manager.do("closeAssetPeriod", {"through": "2024-09-30", "reason": "季度关账"}, "through")
    assert await opening(group, "2024-09-30") == {"gone": "0", "kept": "70"}
    async with group.world.owner.read(group.world.tenant_id) as session:
        row = await session.first("SELECT * FROM job WHERE name = 'ledger.checkpoint'")
    assert row is not None
    assert row.run_at >= asked_at + timedelta(minutes=10), "when all that was under way at the closing is settled"
    assert await group.world.services.get(HistoryService).checkpoint(group.world.tenant_id, timedelta(0)) == 1
    assert await opening(group, "2024-09-30") == {"gone": "0", "kept": "70"}
    assert await opening(group, "2024-10-01") == {"gone": "0", "kept": "0"}


async def test_the_daily_jobs_run_as_the_worker(group: Group, worker_database: Database, database_url: str) -> None:
    """Every periodic job there is, in the worker's role, on a tenant with something in its books."""
    assert all(modules("jobs"))
    await group.stock(group.steel)
    tomorrow = Clock(lambda: datetime.now(UTC) + timedelta(days=1, minutes=30))
    scheduler = Scheduler(worker_database, tomorrow, schedules())
    while await scheduler.start_due():
        pass
    await leave_jobs_of(database_url, group.world.tenant_id)
    async with working(database_url, clock=tomorrow):
        async with group.world.owner.read(group.world.tenant_id) as session:
            runs = await session.rows("SELECT schedule, job_id FROM scheduled_run")
        assert {r.schedule for r in runs} == schedules().keys()
        for run in runs:
            await until(group.world, run.job_id, "SUCCEEDED")
    async with group.world.owner.read(group.world.tenant_id) as session:
        last = await last_runs(session)
    (anchor,) = await seals.anchors(group.world.owner, group.world.tenant_id, datetime.now(UTC).date())
    told = last["ledger.anchor"].result
    assert told == {
        "anchored": 1,
        "anchors": [{"day": str(anchor.day), "seals": [1, anchor.last_seal], "root": anchor.root.hex()}],
    }
    assert last["ledger.checkpoint"].result == {"checkpoints": 0}, "what is younger than ten minutes waits"
    assert (await seals.verify(group.world.owner, group.world.tenant_id)).transfers == 1


async def test_a_reservation_ends_though_its_job_was_cancelled(group: Group, database_url: str) -> None:
    await group.stock(group.steel)
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    legs = [moved(group.steel, group.cement, 10)]
    wanted = {"aim": "PENDING", "kind": "TRANSFER", "legs": legs, "expiresAt": soon}
    made = (await group.manager.do("reserveAssets", wanted, "reservation { id }"))["reservation"]
    kept = {"aim": "FREEZE", "legs": [used(group.steel, 10)]}
    frozen = (await group.manager.do("reserveAssets", kept, "reservation { id }"))["reservation"]
    (own,) = (await group.manager.ask("{ jobs { nodes { id } } }"))["jobs"]["nodes"]
    await group.manager.do("cancelJob", {"id": own["id"]}, "job { state }")
    await asyncio.sleep(1)
    async with working(database_url):
        row = await until(group.world, await ask(group.world, "ledger.expire_reservations"), "SUCCEEDED")
    assert row.result == {"expired": 1}
    document = "query N($i: ID!) { node(id: $i) { ... on AssetReservation { state } } }"
    states = [(await group.manager.ask(document, i=x["id"]))["node"]["state"] for x in (made, frozen)]
    assert states == ["EXPIRED", "ACTIVE"]


async def test_an_offset_surrender_left_standing_goes_on(group: Group, database_url: str) -> None:
    await group.issue(a_credit(group.steel))
    await group.owe(group.steel, "2000")
    legs = {"legs": [used(group.steel, 60, "ZL-1", "CCER")], "beneficiaryId": group.steel, "forYear": 2024}
    given: dict[str, Any] = legs | {"reference": "1"}
    begun = await group.manager.do("beginOffsetSurrender", given, "surrender { id }")
    administrator = await group.world.caller(Role.TENANT_ADMINISTRATOR)
    for job in (await administrator.ask("{ jobs { nodes { id } } }"))["jobs"]["nodes"]:
        await administrator.do("cancelJob", {"id": job["id"]}, "job { state }")
    async with working(database_url):
        row = await until(group.world, await ask(group.world, "ledger.resume_offset_surrenders"), "SUCCEEDED")
        assert row.result == {"resumed": 1}
        async with group.world.owner.read(group.world.tenant_id) as session:
            again = await session.scalar("SELECT id FROM job WHERE deduplication_key LIKE 'resumed %'")
        assert (await until(group.world, again, "SUCCEEDED")).result == {"taken": ["OFFERED"]}
        waiting = await until(group.world, await ask(group.world, "ledger.resume_offset_surrenders"), "SUCCEEDED")
    assert waiting.result == {"resumed": 0}, "the registry has to decide now"
    assert group.manager.principal is not None
    found = await group.world.services.get(OffsetService).surrenders_by_ids(
        group.manager.principal, [from_id(begun["surrender"]["id"])[1]]
    )
    assert [s.state for s in found.values()] == ["OFFERED"]
