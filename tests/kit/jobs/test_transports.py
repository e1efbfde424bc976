"""The same job over memory, RabbitMQ and Redis; a worker killed in the middle; a worker beside the API."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from backend.config import BrokerSettings
from backend.kit.clock import Clock
from backend.kit.database import connect
from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.domain import Pace
from backend.kit.jobs.transport import broker_for
from backend.kit.provision import WORKER
from backend.worker import Worker, WorkerThread
from tests.conftest import ROOT
from tests.fixtures.jobs import Register, ask, effect, effects, job_row, until, working
from tests.fixtures.left_out import needs
from tests.fixtures.servers import folder, free_port, running
from tests.fixtures.world import World

pytestmark = pytest.mark.usefixtures("empty_queue")

BROKERS = [
    None,
    pytest.param("amqp_url", marks=pytest.mark.server("rabbitmq")),
    pytest.param("redis_url", marks=pytest.mark.server("redis")),
]


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> str | None:
    return None if request.param is None else str(request.getfixturevalue(request.param))


@pytest.mark.parametrize("broker", BROKERS, indirect=True)
async def test_every_transport_brings_jobs_to_two_workers(
    broker: str | None, world: World, database_url: str, register: Register
) -> None:
    subject = uuid7()

    async def run(context: JobContext, subject: UUID) -> None:
        await context.finish(effect(subject, context.tenant_id))

    name = register(run)
    async with working(database_url, broker=broker), working(database_url, broker=broker):
        keys = [await ask(world, name, subject=subject) for _ in range(20)]
        rows = [await until(world, key, "SUCCEEDED") for key in keys]
    assert {row.attempts for row in rows} == {1}
    assert await effects(world, subject) == 20


@pytest.mark.parametrize("broker", BROKERS[1:], indirect=True)
async def test_two_workers_share_the_queue_of_one_broker(
    broker: str, world: World, database_url: str, register: Register
) -> None:
    """Whoever claims a job need not be the one who does it: each worker does some of what the other sent."""
    both = asyncio.Barrier(2)

    async def run(context: JobContext) -> None:
        await both.wait()

    name = register(run)
    one_slot = Pace(slots=1, poll_s=0.1)
    shared = f"q{uuid7().hex}"
    async with (
        working(database_url, broker=broker, pace=one_slot, queue=shared),
        working(database_url, broker=broker, pace=one_slot, queue=shared),
    ):
        # A job ends only when two run at once, and each worker runs one at a time.
        keys = [await ask(world, name) for _ in range(6)]
        rows = [await until(world, key, "SUCCEEDED") for key in keys]
    assert {row.attempts for row in rows} == {1}


async def test_a_broker_nobody_knows_is_refused() -> None:
    with pytest.raises(CodedError) as refused:
        broker_for("kafka://127.0.0.1")
    assert refused.value.code.name == "BAD_BROKER_URL"


async def test_a_worker_works_beside_the_api_in_a_thread_of_its_own(
    world: World, database_url: str, register: Register
) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def run(context: JobContext) -> None:
        loops.append(asyncio.get_running_loop())

    name = register(run)

    def make() -> Worker:
        database, deaf = connect(database_url, role=WORKER), Pace(poll_s=30)
        return Worker(database, Clock(), pace=deaf, broker=BrokerSettings(), listening=False,
                      schedules_off=frozenset({"all"}))  # fmt: skip

    thread = WorkerThread(make)
    await thread.start()
    key = await ask(world, name)
    thread.ring()
    await until(world, key, "SUCCEEDED", within_s=5)
    await thread.stop()
    thread.ring()
    assert loops != [asyncio.get_running_loop()]


async def test_a_worker_that_cannot_start_says_so() -> None:
    def make() -> Worker:
        message = "no database"
        raise OSError(message)

    with pytest.raises(OSError, match="no database"):
        await WorkerThread(make).start()


@contextmanager
def worker_process(database_url: str, broker: str | None, log: Path, queue: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "BROKER_QUEUE": queue,
        "WORKER_LEASE_S": "1.5",
        "WORKER_POLL_S": "0.2",
        "WORKER_SCHEDULES_OFF": "all",
        "PYTHONPATH": str(ROOT),
    }
    environment |= {"BROKER_URL": broker} if broker else {}
    with log.open("ab") as output:
        command = [sys.executable, "-m", "tests.fixtures.worker_process"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@asynccontextmanager
async def killed_in_the_middle(
    name: str, world: World, database_url: str, broker: str | None, log: Path
) -> AsyncIterator[tuple[UUID, UUID]]:
    subject, queue = uuid7(), f"q{uuid7().hex}"
    with worker_process(database_url, broker, log, queue) as first:
        key = await ask(world, name, subject=subject)
        async with asyncio.timeout(30):
            while (await job_row(world, key)).progress_done == 0:  # noqa: ASYNC110 - the event is in another process
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert (await job_row(world, key)).state == "RUNNING"
        assert await effects(world, subject) == 0
    with worker_process(database_url, broker, log, queue) as second:
        yield subject, key
        second.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(second.wait, 20) == 0


@pytest.mark.parametrize("broker", BROKERS, indirect=True)
async def test_a_killed_worker_s_job_runs_again_with_one_effect(
    broker: str | None, world: World, database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    async with killed_in_the_middle("test.stops_before_effect", world, database_url, broker, log) as (subject, key):
        row = await until(world, key, "SUCCEEDED")
        assert row.attempts == 2
        assert await effects(world, subject) == 1


async def test_killed_between_effect_and_commit_leaves_nothing_half(
    world: World, database_url: str, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    async with killed_in_the_middle("test.stops_inside_effect", world, database_url, None, log) as (subject, key):
        row = await until(world, key, "SUCCEEDED")
        assert row.attempts == 2
        assert await effects(world, subject) == 1


@pytest.mark.server("redis")
async def test_a_broker_that_comes_late_delays_and_loses_nothing(
    world: World, database_url: str, register: Register
) -> None:
    async def run(context: JobContext) -> None: ...

    binary, port, name = needs("redis-server"), free_port(), register(run)
    command = [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with ExitStack() as servers:
        async with working(database_url, broker=f"redis://127.0.0.1:{port}/0"):
            key = await ask(world, name)
            await asyncio.sleep(0.5)
            assert (await job_row(world, key)).state == "QUEUED"
            home = servers.enter_context(folder())
            servers.enter_context(running([*command, "--dir", str(home)], home, port))
            await until(world, key, "SUCCEEDED")
