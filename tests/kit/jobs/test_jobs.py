"""The life of a job on real PostgreSQL: asked for, done once, tried again, given up, cancelled, in turn."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from sqlalchemy.exc import ProgrammingError

from backend.kit.clock import Clock
from backend.kit.database import Database, RollBack, UnitOfWork
from backend.kit.errors import unavailable
from backend.kit.ids import uuid7
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.domain import JOB_NOT_OVER, Pace
from backend.kit.jobs.outbox import enqueue
from backend.kit.jobs.queue import LeaseLostError, Queue
from tests.fixtures.jobs import QUICK, Gate, Register, ask, effect, effects, job_row, until, working
from tests.fixtures.world import World

pytestmark = pytest.mark.usefixtures("empty_queue")
NOT_NOW = unavailable("TEST_NOT_NOW", en="The meter {meter} is away.", zh="仪表 {meter} 暂不可用。")


async def test_a_job_is_done_once_and_keeps_its_result(world: World, database_url: str, register: Register) -> None:
    subject = uuid7()

    async def run(context: JobContext, subject: UUID, word: str) -> None:
        async def work(unit: UnitOfWork) -> dict[str, str]:
            await effect(subject, context.tenant_id)(unit)
            return {"说": word}

        await context.finish(work)

    name = register(run)
    async with working(database_url):
        key = await ask(world, name, subject=subject, word="完成")
        row = await until(world, key, "SUCCEEDED")
    assert (row.result, row.attempts, row.error_code, row.lease_token) == ({"说": "完成"}, 1, None, None)
    assert await effects(world, subject) == 1


async def test_no_job_without_its_transaction(world: World) -> None:
    async def work(unit: UnitOfWork) -> UUID:
        raise RollBack(await enqueue(unit, "test.never", {}, organisation_id=None))

    key = await world.services.toolbox.database.write(world.tenant_id, work)
    async with world.services.toolbox.database.read(world.tenant_id) as session:
        assert await session.scalar("SELECT count(*) FROM job WHERE id = :id", {"id": key}) == 0


async def test_a_job_waits_for_its_time_and_is_heard_at_once(
    world: World, database_url: str, register: Register
) -> None:
    async def run(context: JobContext) -> None: ...

    name = register(run)
    slow_to_look = Pace(poll_s=30.0)
    async with working(database_url, pace=slow_to_look):
        later = await ask(world, name, run_at=Clock().now() + timedelta(hours=1))
        now = await ask(world, name)
        await until(world, now, "SUCCEEDED", within_s=5)
        assert (await job_row(world, later)).state == "QUEUED"


async def test_polling_alone_is_enough(world: World, database_url: str, register: Register) -> None:
    async def run(context: JobContext) -> None: ...

    name = register(run)
    async with working(database_url, listening=False):
        row = await until(world, await ask(world, name), "SUCCEEDED", within_s=5)
    assert (row.attempts, row.error_code) == (1, None)


async def test_progress_is_seen_while_the_job_runs(world: World, database_url: str, register: Register) -> None:
    gate = Gate.closed()

    async def run(context: JobContext) -> None:
        await context.progress(3, 7, "正在汇总")
        await gate.passing()

    name = register(run)
    async with working(database_url):
        key = await ask(world, name)
        await gate.reached.wait()
        row = await job_row(world, key)
        assert (row.state, row.progress_done, row.progress_total, row.progress_note) == ("RUNNING", 3, 7, "正在汇总")
        gate.opened.set()
        await until(world, key, "SUCCEEDED")


async def test_a_job_longer_than_its_lease_keeps_it(world: World, database_url: str, register: Register) -> None:
    async def run(context: JobContext) -> None:
        await asyncio.sleep(2.5 * QUICK.lease_s)

    name = register(run)
    async with working(database_url):
        assert (await until(world, await ask(world, name), "SUCCEEDED")).attempts == 1


async def test_retries_back_off_and_end_with_the_reason(world: World, database_url: str, register: Register) -> None:
    begun: list[float] = []

    async def run(context: JobContext) -> None:
        begun.append(asyncio.get_running_loop().time())
        raise NOT_NOW(meter="3#")

    name = register(run)
    async with working(database_url):
        row = await until(world, await ask(world, name, max_attempts=4), "FAILED")
    assert (row.attempts, row.error_code, row.error_zh) == (4, "TEST_NOT_NOW", "仪表 3# 暂不可用。")
    waits = [b - a for a, b in pairwise(begun)]
    assert all(w >= 0.75 * QUICK.retry_s * 2**i for i, w in enumerate(waits)), waits


async def test_a_refusal_is_not_repeated_and_a_crash_is_named(
    world: World, database_url: str, register: Register
) -> None:
    async def refuse(context: JobContext) -> None:
        raise JOB_NOT_OVER(state="?")

    async def crash(context: JobContext) -> None:
        message = "with a secret"
        raise KeyError(message)

    names = register(refuse), register(crash)
    async with working(database_url):
        refused = await until(world, await ask(world, names[0]), "FAILED")
        crashed = await until(world, await ask(world, names[1], max_attempts=2), "FAILED")
        unknown = await until(world, await ask(world, "test.unheard_of", max_attempts=1), "FAILED")
        astray = await until(world, await ask(world, names[0], more=1), "FAILED")
    assert (refused.attempts, refused.error_code) == (1, "JOB_NOT_OVER")
    assert (crashed.attempts, crashed.error_code) == (2, "JOB_CRASHED")
    assert "KeyError" in crashed.error_en
    assert "secret" not in crashed.error_en
    assert unknown.error_code == "JOB_UNKNOWN"
    assert (astray.error_code, astray.attempts) == ("JOB_BAD_ARGUMENTS", 1)


async def test_one_unfinished_job_per_deduplication_key(world: World, database_url: str, register: Register) -> None:
    async def run(context: JobContext) -> None: ...

    name = register(run)
    keys = await asyncio.gather(*(ask(world, name, deduplication_key="一次") for _ in range(24)))
    assert len(set(keys)) == 1
    async with working(database_url):
        await until(world, keys[0], "SUCCEEDED")
    assert await ask(world, name, deduplication_key="一次") != keys[0]


async def lose_lease(worker_database: Database, key: UUID) -> None:
    """As if the worker that has the job had been silent for too long."""

    async def lapse(unit: UnitOfWork) -> None:
        await unit.execute("UPDATE job SET lease_until = now() - interval '1 s' WHERE id = :id", {"id": key})

    await worker_database.write(None, lapse)


@pytest.mark.parametrize("long", [False, True])
async def test_a_zombie_changes_nothing(
    world: World, database_url: str, worker_database: Database, register: Register, long: bool
) -> None:
    """A worker whose lease was taken over meets the fence: nothing it does afterwards is kept."""
    subject, gate = uuid7(), Gate.closed()
    refused = asyncio.Event()

    async def run(context: JobContext, subject: UUID) -> None:
        if context.attempt == 1:
            await gate.passing()
        try:
            await context.finish(effect(subject, context.tenant_id, f"attempt{context.attempt}"), long=long)
        except LeaseLostError:
            refused.set()
            raise

    name = register(run)
    # The pulse of the first worker never comes: it looks dead while it lives.
    silent = Pace(lease_s=3600, poll_s=0.05, sent_lease_s=5)
    async with working(database_url, pace=silent):
        key = await ask(world, name, subject=subject)
        await gate.reached.wait()
        await lose_lease(worker_database, key)
        row = await until(world, key, "SUCCEEDED")
        gate.opened.set()
        await asyncio.wait_for(refused.wait(), 10)
    assert row.attempts == 2
    assert await effects(world, subject) == 1
    assert (await job_row(world, key)).state == "SUCCEEDED"


async def test_a_long_effect_shows_progress_and_loses_its_lease_whole(
    world: World, database_url: str, worker_database: Database, register: Register
) -> None:
    """What has been written when the lease is lost goes; who took the job over writes it once."""
    subject, gate = uuid7(), Gate.closed()

    async def run(context: JobContext, subject: UUID) -> None:
        async def work(unit: UnitOfWork) -> None:
            await effect(subject, context.tenant_id)(unit)
            await context.progress(1, 2, f"attempt {context.attempt}")
            if context.attempt == 1:
                await gate.passing()

        await context.finish(work, long=True)

    async with working(database_url, pace=Pace(lease_s=3600, poll_s=0.05, sent_lease_s=5)):
        key = await ask(world, register(run), subject=subject)
        await gate.reached.wait()
        assert (await job_row(world, key)).progress_note == "attempt 1"

        await lose_lease(worker_database, key)
        row = await until(world, key, "SUCCEEDED")
        gate.opened.set()
    assert (row.attempts, row.progress_note) == (2, "attempt 2")
    assert await effects(world, subject) == 1


async def test_a_long_effect_can_be_cancelled(
    world: World, database_url: str, worker_database: Database, register: Register
) -> None:
    subject, gate = uuid7(), Gate.closed()

    async def run(context: JobContext, subject: UUID) -> None:
        async def work(unit: UnitOfWork) -> None:
            await effect(subject, context.tenant_id)(unit)
            await gate.passing()

        await context.finish(work, long=True)

    async def cancel(unit: UnitOfWork) -> None:
        await unit.execute("UPDATE job SET cancel_requested_at = now() WHERE id = :id", {"id": key})

    async with working(database_url):
        key = await ask(world, register(run), subject=subject)
        await gate.reached.wait()
        await worker_database.write(None, cancel)
        row = await until(world, key, "CANCELLED", "SUCCEEDED")
    assert (row.state, await effects(world, subject)) == ("CANCELLED", 0)


async def test_the_same_message_twice_and_a_stale_one(
    world: World, database_url: str, worker_database: Database, register: Register
) -> None:
    subject = uuid7()

    async def run(context: JobContext, subject: UUID) -> None:
        await context.finish(effect(subject, context.tenant_id))

    key = await ask(world, register(run), subject=subject)
    queue = Queue(worker_database, QUICK)
    (stale,) = await queue.claim(10)
    await queue.release(stale)
    (claim,) = await queue.claim(10)
    async with working(database_url) as worker:
        await asyncio.gather(*(worker.runner.handle(c) for c in [claim, stale, claim, claim]))
        await until(world, key, "SUCCEEDED")
        await worker.runner.handle(claim)
    assert await effects(world, subject) == 1


async def test_a_lost_message_is_sent_again(
    world: World, database_url: str, worker_database: Database, register: Register
) -> None:
    async def run(context: JobContext) -> None: ...

    key = await ask(world, register(run))
    (_lost,) = await Queue(worker_database, QUICK).claim(10)
    async with working(database_url):
        assert (await until(world, key, "SUCCEEDED")).attempts == 1


async def test_one_tenant_s_ten_thousand_do_not_starve_another_s_one(
    world: World, worker_database: Database, owner_database: Database
) -> None:
    other = await World.create(owner_database, world.services)

    async def flood(unit: UnitOfWork) -> None:
        await unit.execute(
            "INSERT INTO job (tenant_id, id, name, run_at) SELECT :tenant_id, gen_random_uuid(), 'test.flood', "
            "now() - interval '1 h' FROM generate_series(1, 10000)",
            {"tenant_id": world.tenant_id},
        )

    await world.services.toolbox.database.write(world.tenant_id, flood)
    queue = Queue(worker_database, QUICK)
    first = await queue.claim(8)
    assert {c.tenant_id for c in first} == {world.tenant_id}
    await ask(other, "test.one")
    started = asyncio.get_running_loop().time()
    second = await queue.claim(4)
    took_ms = 1000 * (asyncio.get_running_loop().time() - started)
    print(f"claim among 10,000 waiting jobs: {took_ms:.1f} ms")
    assert [c.tenant_id for c in second].count(other.tenant_id) == 1
    together = await asyncio.gather(*(queue.claim(50) for _ in range(8)))
    claimed = [c.job_id for some in together for c in some]
    assert len(claimed) == len(set(claimed))


async def test_jobs_of_a_suspended_tenant_wait(
    world: World, database_url: str, owner_database: Database, register: Register
) -> None:
    subject, gate = uuid7(), Gate.closed()

    async def run(context: JobContext, subject: UUID) -> None:
        if not gate.opened.is_set():
            await gate.passing()
        await context.finish(effect(subject, context.tenant_id))

    async def set_status(status: str, because: str | None) -> None:
        async def work(unit: UnitOfWork) -> None:
            await unit.execute(
                "UPDATE tenant SET status = :status, suspended_because = :because WHERE id = :id",
                {"status": status, "because": because, "id": world.tenant_id},
            )

        await owner_database.write(None, work)

    name = register(run)
    async with working(database_url):
        key = await ask(world, name, subject=subject)
        await gate.reached.wait()
        await set_status("SUSPENDED", "欠费")
        gate.opened.set()
        await until(world, key, "QUEUED")
        await asyncio.sleep(0.5)
        assert (await job_row(world, key)).attempts == 0
        await set_status("ACTIVE", None)
        await until(world, key, "SUCCEEDED")
    assert await effects(world, subject) == 1


async def test_a_stopping_worker_puts_its_jobs_back(world: World, database_url: str, register: Register) -> None:
    gate = Gate.closed()

    async def run(context: JobContext) -> None:
        await gate.passing()

    name = register(run)
    hurried = Pace(poll_s=0.1, grace_s=0.1)
    async with working(database_url, pace=hurried):
        key = await ask(world, name)
        await gate.reached.wait()
    row = await job_row(world, key)
    assert (row.state, row.attempts, row.lease_token) == ("QUEUED", 0, None)


async def test_a_job_over_its_time_limit_is_stopped(world: World, database_url: str, register: Register) -> None:
    from backend.kit.jobs import registry

    async def run(context: JobContext) -> None:
        await asyncio.sleep(3600)

    name = register(run)
    taken = registry._HANDLERS[name]
    registry._HANDLERS[name] = registry.Handler(name, run, taken.arguments, time_limit_s=0.2)
    async with working(database_url):
        row = await until(world, await ask(world, name, max_attempts=1), "FAILED")
    assert row.error_code == "JOB_TOOK_TOO_LONG"


@pytest.mark.parametrize(
    "change",
    [
        "state = 'SUCCEEDED', finished_at = now()",
        "state = 'RUNNING', lease_token = gen_random_uuid(), lease_until = now()",
        "state = 'FAILED', error_code = 'X', finished_at = now()",
    ],
)
async def test_the_api_cannot_do_the_worker_s_part(world: World, change: str) -> None:
    key = await ask(world, "test.mine")

    async def work(unit: UnitOfWork) -> None:
        await unit.execute(f"UPDATE job SET {change} WHERE id = :id", {"id": key})

    with pytest.raises(Exception, match="does not go from"):
        await world.services.toolbox.database.write(world.tenant_id, work)


async def test_the_queue_of_all_is_the_unbound_worker_s(
    world: World, owner_database: Database, database: Database, worker_database: Database
) -> None:
    other = await World.create(owner_database, world.services)
    mine, theirs = await ask(world, "test.mine"), await ask(other, "test.theirs")
    seen = {}
    for who, base, tenant in [
        ("api", database, None),
        ("worker", worker_database, None),
        ("worker in tenant", worker_database, world.tenant_id),
    ]:
        async with base.read(tenant) as session:
            seen[who] = {row.id for row in await session.rows("SELECT id FROM job")}
    assert seen == {"api": set(), "worker": {mine, theirs}, "worker in tenant": {mine}}

    async def write(unit: UnitOfWork) -> None:
        await unit.execute("UPDATE job SET progress_note = 'x'")

    with pytest.raises(ProgrammingError, match="permission denied"):
        await database.write(world.tenant_id, write)
