"""kill -9 under load: of `tanheng serve`, of the worker, of a backend and the postmaster of PostgreSQL.

Clients call two servers over HTTP and send each key until it is answered, to whichever lives: so a request whose
server was killed meets what that server had begun. Afterwards every posting that was acknowledged is there, none
twice, none that was not asked for; the chain is whole; every hold has ended at its deadline and every offset surrender
at one of its two ends, each once, whoever was killed on the way; and what was answered is answered the same again.

    LEDGER_KILLS=100 python -m pytest tests/ledger/test_faults.py -q -s
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from asyncpg.exceptions import PostgresError

from backend.config import IdentitySettings
from backend.identity.local import LocalIssuer, ensure_keys
from backend.kit.clock import Clock
from backend.kit.database import Database, connect
from backend.kit.embedded.cluster import Cluster
from backend.kit.provision import APP, OWNER, create_database, migrate, prepare
from backend.kit.toolbox import Services, Toolbox
from backend.ledger import seals
from tenants.access import Role
from tests.conftest import at
from tests.fixtures.ledger import POSTED, Group, a_credit, key, moved
from tests.fixtures.ledger_callers import Callers
from tests.fixtures.servers import free_port
from tests.fixtures.world import World

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("LEDGER_KILLS", "6"))
SEED = int(os.environ.get("LEDGER_SEED", random.SystemRandom().randrange(10**9)))
VICTIMS = ("server", "postmaster", "worker", "backend")
PATIENCE_S = 120


@dataclass(slots=True)
class Server:
    """A database on a server of its own, which may be killed."""

    cluster: Cluster
    url: str

    async def kill_a_backend(self) -> None:
        """One that serves a connection; the postmaster ends the others and recovers."""
        connection = await asyncpg.connect(self.url)
        mine = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        pids = [row["pid"] for row in await connection.fetch(mine + " AND backend_type = 'client backend'")]
        connection.terminate()
        if pids:
            os.kill(random.choice(pids), signal.SIGKILL)

    async def kill_the_postmaster(self) -> None:
        """The server is gone, its children are orphans; then it is started again on what it left behind."""
        pid = self.cluster.status().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        while self.cluster.status().pid == pid:  # noqa: ASYNC110 - another process ends
            await asyncio.sleep(0.01)
        # A server that dies soon after its start is left down by its supervisor until it is asked for.
        while not await self._answers():
            await asyncio.to_thread(self.cluster.start)

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.url)
        except (OSError, PostgresError):
            await asyncio.sleep(0.1)
            return False
        await connection.close()
        return True


@pytest.fixture
async def own_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """Flushing is left out: it is not the machine that dies."""
    cluster = Cluster(tmp_path_factory.mktemp("faults"), options={"fsync": "off", "full_page_writes": "off"})
    endpoint = await asyncio.to_thread(cluster.start)
    url = endpoint.url(user=endpoint.superuser, database="postgres")
    await create_database(url, "faults")
    await prepare(at(url, "faults"))
    await asyncio.to_thread(migrate, at(url, "faults"), role=OWNER)
    yield Server(cluster, at(url, "faults"))
    await asyncio.to_thread(cluster.destroy)


@dataclass(slots=True)
class Witness:
    """Starts the processes, and knows what the callers were told."""

    url: str
    group: Group
    home: Path
    callers: Callers
    calls: asyncio.Task[None] | None = None
    """The callers calling; it ends with what one of them should not have been told."""
    servers: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    """Processes that ended by themselves."""
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def serve(self, url: str) -> None:
        """A server as an operator starts it; it is called from the moment it listens."""
        verb = ("serve", "--no-worker", "--port", url.rpartition(":")[2])
        self.servers[url] = await self._start("-m", "backend.cli.main", *verb)

    async def worker(self) -> asyncio.subprocess.Process:
        return await self._start("-m", "tests.fixtures.worker_process")

    async def end(self) -> None:
        """Whatever still runs, however the test ended."""
        for process in self.processes:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def progress(self, more: int) -> None:
        """Wait until so many more requests have been acknowledged."""
        goal, until = len(self.callers.done) + more, time.monotonic() + PATIENCE_S
        while len(self.callers.done) < goal:
            assert time.monotonic() < until, (self.callers.open(), self.callers.unanswered, await self.jobs())
            if self.calls is not None and self.calls.done():
                self.calls.result()
            await self.keep_up()
            await asyncio.sleep(0.005)

    async def keep_up(self) -> None:
        """As an operator does: start a server again that ended, as one does that finds no database when it starts."""
        for url, process in list(self.servers.items()):
            if process.returncode is not None:
                self.ended["server"] += 1
                await self.serve(url)

    async def jobs(self) -> list[tuple[object, ...]]:
        """The jobs that are not done, to be told when nothing moves any more."""
        connection = await asyncpg.connect(self.url)
        states = "SELECT name, state, error_code, attempts, arguments FROM job WHERE state <> 'SUCCEEDED'"
        found = [tuple(row) for row in await connection.fetch(states)]
        await connection.close()
        return found

    async def _start(self, *arguments: str) -> asyncio.subprocess.Process:
        pace = {"WORKER_LEASE_S": "1", "WORKER_POLL_S": "0.1", "WORKER_GRACE_S": "1"}
        places = {"DATABASE_URL": self.url, "TANHENG_STATE_DIR": str(self.home)}
        with (self.home / f"{len(self.processes)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, cwd=ROOT, env={**os.environ, **places, **pace}, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process


@pytest.fixture
async def witness(own_server: Server, tmp_path: Path) -> AsyncIterator[Witness]:
    """A group with far more units than ever move, and two servers: while one is dead, the other is asked."""
    owner, database = connect(own_server.url, role=OWNER), connect(own_server.url, role=APP)
    group = await Group.create(await World.create(owner, Services(Toolbox(database, Clock()))))
    await group.stock(group.steel, 2_000_000)
    await group.issue(a_credit(group.steel, quantity=100_000))
    await group.owe(group.steel, "10000000")
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1_000_000)]}, POSTED)
    await ensure_keys(owner, Clock())
    token = await LocalIssuer(owner, Clock(), IdentitySettings()).token_for(group.world.slug, Role.ASSET_MANAGER)
    await owner.close()
    await database.close()
    urls = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
    made = Witness(own_server.url, group, tmp_path, Callers(urls, token, (group.steel, group.cement)))
    yield made
    await made.end()


async def test_acknowledged_is_there_once(own_server: Server, witness: Witness) -> None:
    random.seed(SEED)
    print(f"\nseed {SEED}")
    started, callers = time.monotonic(), witness.callers
    witness.calls = asyncio.create_task(callers.run())
    kills = await _murderous(own_server, witness, witness.calls)
    owner = connect(own_server.url, role=OWNER)
    await _worked_off(owner, witness)
    print(
        f"kills {dict(kills)}, ended by themselves {dict(witness.ended)}; acknowledged: "
        f"{len(callers.acknowledged('post'))} postings, {len(callers.acknowledged('hold'))} holds, "
        f"{len(callers.acknowledged('saga'))} offset surrenders; {len(callers.late)} holds came too late; "
        f"{callers.found_done} answers were lost and told again; unanswered {dict(callers.unanswered)}; "
        f"{time.monotonic() - started:.0f} s"
    )
    await _check(owner, witness)
    for used in random.sample(sorted(callers.done), min(40, len(callers.done))):
        assert await callers.again(used) == (True, callers.done[used]), "one key, two answers"
    await owner.close()


async def _murderous(server: Server, witness: Witness, calls: asyncio.Task[None]) -> Counter[str]:
    """Load with kills at random moments; then the callers come to their end."""
    kills: Counter[str] = Counter()
    for url in witness.callers.urls:
        await witness.serve(url)
    worker = await witness.worker()
    for number in range(KILLS):
        await witness.progress(random.randint(5, 60))
        await asyncio.sleep(random.random() * 0.05)
        victim = VICTIMS[number] if number < len(VICTIMS) else random.choice(VICTIMS)
        kills[victim] += 1
        if victim == "backend":
            await server.kill_a_backend()
        elif victim == "postmaster":
            await server.kill_the_postmaster()
        elif victim == "worker":
            worker.kill()
            await worker.wait()
        else:
            url = random.choice(witness.callers.urls)
            witness.servers[url].kill()
            await witness.servers[url].wait()
            await witness.serve(url)
        if worker.returncode is not None:
            witness.ended["worker"] += victim != "worker"
            worker = await witness.worker()
    await witness.progress(30)
    witness.callers.stop.set()
    await asyncio.wait_for(calls, PATIENCE_S)
    return kills


async def _worked_off(owner: Database, witness: Witness) -> None:
    """Wait until the worker has ended what had a deadline or was decided."""
    waiting = (
        "SELECT r.id FROM asset_reservation r WHERE NOT EXISTS (SELECT FROM asset_reservation_end e "
        "WHERE e.reservation_id = r.id)"
    )
    until = time.monotonic() + PATIENCE_S
    await witness.worker()
    while True:
        async with owner.read(witness.group.world.tenant_id) as session:
            left = [str(row.id) for row in await session.rows(waiting)]
            if not left:
                return
            assert time.monotonic() < until, (left[:5], await witness.jobs())
        await asyncio.sleep(0.1)


async def _check(owner: Database, witness: Witness) -> None:
    async with owner.read(witness.group.world.tenant_id) as session:
        rows = await session.rows("SELECT id, kind FROM asset_transfer")
        kept = await session.rows(
            "SELECT account_id FROM asset_balance b WHERE reserved_t <> 0 OR quantity_t <> (SELECT sum(e.amount_t) "
            "FROM asset_entry e WHERE e.account_id = b.account_id AND e.lot_id = b.lot_id)"
        )
        holds = await session.rows(
            "SELECT r.id, e.outcome FROM asset_reservation r JOIN asset_reservation_end e ON e.reservation_id = r.id "
            "WHERE r.aim = 'FREEZE'"
        )
        sagas = await session.rows(
            "SELECT surrender_id AS id, (array_agg(step ORDER BY number DESC))[1] AS step, "
            "(array_agg(transfer_id) FILTER (WHERE transfer_id IS NOT NULL))[1] AS transfer_id "
            "FROM offset_surrender_step GROUP BY 1"
        )
    callers, kinds = witness.callers, Counter(row.kind for row in rows)

    def told(kind: str) -> set[UUID]:
        return {key(found) for found in callers.acknowledged(kind)}

    assert callers.open() == [], "every key was answered in the end"
    assert kinds["TRANSFER"] == len(told("post")) + 1, "none twice, none that nobody asked for"
    assert told("post") <= {row.id for row in rows}
    assert kept == [], "a balance is the sum of its entries, and nothing of it is held any more"
    assert {row.id for row in holds} == told("hold")
    assert {row.outcome for row in holds} <= {"EXPIRED"}
    assert {row.id for row in sagas} == told("saga")
    assert {row.step for row in sagas} <= {"SURRENDERED", "VOIDED"}
    used_up = [row for row in sagas if row.step == "SURRENDERED"]
    assert kinds["SURRENDER"] == len(used_up)
    assert {row.transfer_id for row in used_up} == {row.id for row in rows if row.kind == "SURRENDER"}
    found = await seals.verify(owner, witness.group.world.tenant_id)
    assert found.transfers == len(rows)
