"""Periodic jobs: started once each by however many workers, made up once, gone on with, pruned."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, time, timedelta

import asyncpg
import pytest
from sqlalchemy import Row

from backend.kit.clock import Clock
from backend.kit.database import Database, UnitOfWork, connect
from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.jobs import KEPT
from backend.kit.jobs.queue import Queue
from backend.kit.jobs.scheduler import Scheduler, last_runs
from backend.kit.jobs.schedules import Daily, Every, Schedule
from backend.kit.provision import WORKER
from tenants.access import Role
from tests.fixtures.jobs import QUICK, Register, ask, effect, effects, job_row, leave_jobs_of, until, working
from tests.fixtures.world import World

pytestmark = pytest.mark.usefixtures("empty_queue")
HOURLY = Every(timedelta(hours=1))


def at(moment: datetime) -> Clock:
    return Clock(lambda: moment)


def tomorrow(hour: int = 12, minute: int = 0) -> datetime:
    """After the tenant of the test was made."""
    return (datetime.now(UTC) + timedelta(days=1)).replace(hour=hour, minute=minute, second=30, microsecond=0)


async def runs(world: World, schedule: str) -> list[Row[tuple[datetime, str]]]:
    async with world.services.toolbox.database.read(world.tenant_id) as session:
        statement = "SELECT r.due_at, r.job_id, j.state FROM scheduled_run r JOIN job j ON j.id = r.job_id "
        return list(await session.rows(f"{statement} WHERE r.schedule = :s ORDER BY 1", {"s": schedule}))


async def test_racing_workers_start_a_run_once(world: World, database_url: str) -> None:
    databases = [connect(database_url, role=WORKER) for _ in range(3)]
    # 18:00 in Shanghai is 10:00 UTC, so it too is due tomorrow and not today, when the tenant may not have been there.
    schedules: dict[str, Schedule] = {"test.a": HOURLY, "test.b": Daily(time(18))}
    racing = [Scheduler(d, at(tomorrow()), schedules) for d in databases for _ in range(4)]
    for _ in range(3):
        await asyncio.gather(*(s.start_due() for s in racing))
    assert (len(await runs(world, "test.a")), len(await runs(world, "test.b"))) == (1, 1)
    # A clock that goes behind starts nothing a second time.
    slow = Scheduler(databases[0], at(tomorrow() - timedelta(hours=2)), schedules)
    await slow.start_due()
    assert len(await runs(world, "test.a")) == 1
    for database in databases:
        await database.close()


async def test_the_database_holds_that_a_run_is_started_once(world: World, worker_database: Database) -> None:
    await Scheduler(worker_database, at(tomorrow()), {"test.a": HOURLY}).start_due()
    (run,) = await runs(world, "test.a")
    other = await ask(world, "test.a")

    async def again(unit: UnitOfWork) -> None:
        row = {"t": world.tenant_id, "due": run.due_at, "job": other}
        await unit.execute("INSERT INTO scheduled_run VALUES (:t, 'test.a', :due, :job)", row)

    with pytest.raises(Exception, match="scheduled_run_pkey"):
        await worker_database.write(world.tenant_id, again)


async def test_what_was_missed_is_made_up_once(world: World, worker_database: Database, database_url: str) -> None:
    schedules = {"test.a": HOURLY}
    await Scheduler(worker_database, at(tomorrow(1)), schedules).start_due()
    # The one before is still under way: nothing is started behind it.
    await Scheduler(worker_database, at(tomorrow(2)), schedules).start_due()
    assert len(await runs(world, "test.a")) == 1
    superuser = await asyncpg.connect(database_url)
    done = "UPDATE job SET state = 'SUCCEEDED', finished_at = now() WHERE tenant_id = $1"
    await superuser.execute("ALTER TABLE job DISABLE TRIGGER job_moves_on")
    await superuser.execute(done, world.tenant_id)
    await superuser.execute("ALTER TABLE job ENABLE TRIGGER job_moves_on")
    await superuser.close()
    await Scheduler(worker_database, at(tomorrow(20)), schedules).start_due()
    assert [r.due_at.hour for r in await runs(world, "test.a")] == [1, 20]


async def test_new_and_suspended_tenants_are_left_alone(world: World, worker_database: Database) -> None:
    await Scheduler(worker_database, at(datetime.now(UTC)), {"test.a": Daily(time(0))}).start_due()
    assert await runs(world, "test.a") == [], "nothing was due since the tenant was made"

    async def suspend(unit: UnitOfWork) -> None:
        text = "UPDATE tenant SET status = 'SUSPENDED', suspended_because = '欠费' WHERE id = :t"
        await unit.execute(text, {"t": world.tenant_id})

    await world.owner.write(None, suspend)
    await Scheduler(worker_database, at(tomorrow()), {"test.a": HOURLY}).start_due()
    assert await runs(world, "test.a") == []


async def test_the_run_of_a_dead_worker_goes_on(
    world: World, worker_database: Database, database_url: str, register: Register
) -> None:
    subject = uuid7()

    async def run(context: JobContext) -> None:
        await context.finish(effect(subject, context.tenant_id))

    name = register(run)
    await Scheduler(worker_database, at(tomorrow()), {name: HOURLY}).start_due()
    (started,) = await runs(world, name)
    # A worker took it and was never heard of again.
    await leave_jobs_of(database_url, world.tenant_id)
    queue = Queue(worker_database, QUICK)
    (claim,) = await queue.claim(100)
    assert claim.job_id == started.job_id
    assert await queue.start(claim) is not None
    async with working(database_url):
        row = await until(world, started.job_id, "SUCCEEDED")
    assert (row.attempts, await effects(world, subject)) == (2, 1)
    async with world.services.toolbox.database.read(world.tenant_id) as session:
        last = (await last_runs(session))[name]
    assert (last.due_at, last.state) == (started.due_at, "SUCCEEDED")


async def test_members_see_which_jobs_are_runs_of_schedules(world: World, worker_database: Database) -> None:
    asked = await ask(world, "test.b")
    await Scheduler(worker_database, at(tomorrow()), {"test.a": HOURLY}).start_due()
    (run,) = await runs(world, "test.a")
    document = "query Q($s: Boolean) { jobs(scheduled: $s) { nodes { id name scheduledFor } } }"
    manager = await world.caller(Role.ASSET_MANAGER)
    seen = {s: (await manager.ask(document, s=s))["jobs"]["nodes"] for s in (True, False, None)}
    assert [(j["name"], datetime.fromisoformat(j["scheduledFor"])) for j in seen[True]] == [("test.a", run.due_at)]
    assert seen[False] == [{"id": to_id("Job", asked), "name": "test.b", "scheduledFor": None}]
    assert seen[None] == [*seen[True], *seen[False]]


async def test_old_jobs_are_pruned_unless_something_refers_to_them(
    world: World, worker_database: Database, database_url: str, register: Register
) -> None:
    async def run(context: JobContext) -> None: ...

    name = register(run)
    old, young, referred = [await ask(world, name) for _ in range(3)]
    await Scheduler(worker_database, at(tomorrow()), {name: HOURLY}).start_due()
    (scheduled,) = await runs(world, name)
    async with working(database_url):
        for key in (old, young, referred, scheduled.job_id):
            await until(world, key, "SUCCEEDED")
    superuser = await asyncpg.connect(database_url)
    await superuser.execute(
        "CREATE TABLE refers_to_job (tenant_id uuid, job uuid, FOREIGN KEY (tenant_id, job) REFERENCES job)"
    )
    await superuser.execute("ALTER TABLE refers_to_job OWNER TO tanheng_owner")
    try:
        await superuser.execute("INSERT INTO refers_to_job VALUES ($1, $2)", world.tenant_id, referred)
        aged = "UPDATE job SET finished_at = now() - $2::interval WHERE id = ANY ($1::uuid[])"
        await superuser.execute(aged, [old, referred, scheduled.job_id], KEPT + timedelta(hours=1))
        await superuser.execute(aged, [young], KEPT - timedelta(hours=1))
        async with working(database_url):
            row = await until(world, await ask(world, "jobs.prune"), "SUCCEEDED")
        assert row.result == {"pruned": 2}
        left = await superuser.fetch("SELECT id FROM job WHERE id = ANY ($1::uuid[])", [old, young, referred])
        assert {r["id"] for r in left} == {young, referred}
        assert await runs(world, name) == []
    finally:
        await superuser.execute("DROP TABLE refers_to_job")
        await superuser.close()
    assert (await job_row(world, young)).state == "SUCCEEDED"


async def test_the_last_week_is_kept_whoever_prunes(world: World, worker_database: Database) -> None:
    async def forget(unit: UnitOfWork) -> int:
        return int(await unit.scalar("SELECT prune_jobs('2999-01-01', 1000)"))

    async def rewrite(unit: UnitOfWork) -> None:
        await unit.execute("DELETE FROM job")

    await ask(world, "test.a")
    assert await worker_database.write(world.tenant_id, forget) == 0
    with pytest.raises(Exception, match="permission denied"):
        await worker_database.write(world.tenant_id, rewrite)


async def test_whatever_names_a_job_refers_to_it(owner_database: Database) -> None:
    """Or its job could be pruned under it."""
    async with owner_database.read(None) as session:
        rows = await session.rows(
            """
            SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'job_id'
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND NOT EXISTS (
              SELECT FROM pg_constraint k
              WHERE k.conrelid = c.oid AND k.confrelid = 'job'::regclass AND k.conkey[2] = a.attnum)
            """
        )
    assert [r.relname for r in rows] == []
