"""kill -9 under load: of the process that serves callers, of the worker, of a backend and the postmaster of PostgreSQL.

Afterwards every posting that was acknowledged is there, none twice, none that was not asked for; the chain is whole;
every hold has ended at its deadline and every offset surrender at one of its two ends, each once, whoever was killed
on the way.

    LEDGER_KILLS=100 python -m pytest tests/ledger/test_faults.py -q -s
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
from asyncpg.exceptions import PostgresError

from backend.kit.clock import Clock
from backend.kit.database import Database, connect
from backend.kit.embedded.cluster import Cluster
from backend.kit.provision import APP, OWNER, create_database, migrate, prepare
from backend.kit.toolbox import Services, Toolbox
from backend.ledger import seals
from tests.conftest import at
from tests.fixtures.ledger import POSTED, Group, a_credit, key, moved
from tests.fixtures.world import World

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("LEDGER_KILLS", "6"))
SEED = int(os.environ.get("LEDGER_SEED", random.SystemRandom().randrange(10**9)))
VICTIMS = ("clerk", "postmaster", "worker", "backend")
PATIENCE_S = 120


@dataclass(slots=True)
class Server:
    """A database on a server of its own, which may be killed."""

    cluster: Cluster
    url: str

    async def kill_a_backend(self, dice: random.Random) -> None:
        """One that serves a connection; the postmaster ends the others and recovers."""
        connection = await asyncpg.connect(self.url)
        mine = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        pids = [row["pid"] for row in await connection.fetch(mine + " AND backend_type = 'client backend'")]
        connection.terminate()
        if pids:
            os.kill(dice.choice(pids), signal.SIGKILL)

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
    """Starts the processes, hears what the callers are told, and knows what is still open."""

    url: str
    group: Group
    sent: set[str] = field(default_factory=set)
    done: dict[str, str] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    starts: int = 0
    worker_ends: int = 0
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def clerk(self) -> tuple[asyncio.subprocess.Process, asyncio.Task[None]]:
        assert self.group.manager.principal is not None
        self.starts += 1
        given = {
            "url": self.url,
            "tenant": str(self.group.world.tenant_id),
            "member": str(self.group.manager.principal.member_id),
            "sides": [str(key(self.group.steel)), str(key(self.group.cement))],
            "name": f"p{self.starts}",
            "again": sorted(self.sent - self.done.keys() - self.late),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fixtures.ledger_process", json.dumps(given),
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.processes.append(process)
        return process, asyncio.create_task(self._listen(process))

    async def worker(self) -> asyncio.subprocess.Process:
        pace = {"WORKER_LEASE_S": "1", "WORKER_POLL_S": "0.1", "WORKER_GRACE_S": "1"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fixtures.worker_process",
            cwd=ROOT, env={**os.environ, "DATABASE_URL": self.url, **pace},
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self.processes.append(process)
        return process

    async def end(self) -> None:
        """Whatever still runs, however the test ended."""
        for process in self.processes:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            match line.decode().split():
                case ["sent", sent]:
                    self.sent.add(sent)
                case ["refused", *_]:
                    raise AssertionError(line.decode())
                case ["none", sent, *_] if line.endswith(b"\n"):
                    self.late.add(sent)
                case ["done", answered, found] if line.endswith(b"\n"):
                    assert self.done.setdefault(answered, found) == found, "one key, two answers"

    async def progress(self, more: int) -> None:
        """Wait until so many more requests have been acknowledged."""
        goal, until = len(self.done) + more, time.monotonic() + PATIENCE_S
        while len(self.done) < goal:
            assert time.monotonic() < until, (sorted(self.sent - self.done.keys() - self.late), await self._jobs())
            await asyncio.sleep(0.005)

    async def _jobs(self) -> list[tuple[object, ...]]:
        """The jobs that are not done, to be told when nothing moves any more."""
        connection = await asyncpg.connect(self.url)
        states = "SELECT name, state, error_code, attempts, arguments FROM job WHERE state <> 'SUCCEEDED'"
        found = [tuple(row) for row in await connection.fetch(states)]
        await connection.close()
        return found

    def acknowledged(self, kind: str) -> set[str]:
        """The ids told for keys of a kind; the kind of plain postings is none."""
        return {found for asked, found in self.done.items() if asked.rpartition(":")[0].partition(":")[0] == kind}


async def _group(server: Server) -> Group:
    owner, database = connect(server.url, role=OWNER), connect(server.url, role=APP)
    group = await Group.create(await World.create(owner, Services(Toolbox(database, Clock()))))
    await group.stock(group.steel, 2_000_000)
    await group.issue(a_credit(group.steel, quantity=100_000))
    await group.owe(group.steel, "10000000")
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1_000_000)]}, POSTED)
    await owner.close()
    await database.close()
    return group


async def test_acknowledged_is_there_once(own_server: Server) -> None:
    dice, started = random.Random(SEED), time.monotonic()
    witness = Witness(own_server.url, await _group(own_server))
    owner = connect(own_server.url, role=OWNER)
    try:
        kills = await _murderous(own_server, witness, dice)
        await _worked_off(owner, witness)
    finally:
        await witness.end()
    print(
        f"\nseed {SEED}: kills {dict(kills)}, worker ended by itself {witness.worker_ends} times; acknowledged: "
        f"{len(witness.acknowledged(''))} postings, {len(witness.acknowledged('hold'))} holds, "
        f"{len(witness.acknowledged('saga'))} offset surrenders; {len(witness.late)} holds came too late; "
        f"{time.monotonic() - started:.0f} s"
    )
    await _check(owner, witness)
    await owner.close()


async def _murderous(server: Server, witness: Witness, dice: random.Random) -> Counter[str]:
    """Load with kills at random moments; then the callers come to their end, and a worker is there."""
    (clerk, ears), worker = await witness.clerk(), await witness.worker()
    kills: Counter[str] = Counter()
    for number in range(KILLS):
        await witness.progress(dice.randint(5, 60))
        await asyncio.sleep(dice.random() * 0.05)
        victim = VICTIMS[number] if number < len(VICTIMS) else dice.choice(VICTIMS)
        kills[victim] += 1
        if victim == "backend":
            await server.kill_a_backend(dice)
        elif victim == "postmaster":
            await server.kill_the_postmaster()
        elif victim == "worker":
            worker.kill()
            await worker.wait()
        else:
            clerk.kill()
            await clerk.wait()
            await ears
            clerk, ears = await witness.clerk()
        if worker.returncode is not None:
            witness.worker_ends += victim != "worker"
            worker = await witness.worker()
    await witness.progress(30)
    assert clerk.stdin is not None
    clerk.stdin.close()
    await asyncio.wait_for(clerk.wait(), PATIENCE_S)
    await ears
    assert clerk.returncode == 0
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
            assert time.monotonic() < until, (left[:5], await witness._jobs())
        await asyncio.sleep(0.1)


async def _check(owner: Database, witness: Witness) -> None:
    async with owner.read(witness.group.world.tenant_id) as session:
        rows = await session.rows("SELECT id, kind FROM asset_transfer")
        kept = await session.rows("SELECT key, answer->>'transfer' AS transfer FROM idempotency_key")
        wrong = await session.scalar(
            "SELECT count(*) FROM asset_balance b WHERE reserved_t <> 0 OR quantity_t <> (SELECT sum(e.amount_t) "
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
    kinds = Counter(row.kind for row in rows)
    posted = witness.acknowledged("")
    assert witness.sent == witness.done.keys() | witness.late, "every key was answered in the end"
    assert kinds["TRANSFER"] == len(posted) + 1, "none twice, none that nobody asked for"
    assert posted <= {str(row.id) for row in rows}
    assert {row.key: row.transfer for row in kept if row.transfer}.items() <= witness.done.items()
    assert wrong == 0
    assert {str(row.id) for row in holds} == witness.acknowledged("hold")
    assert {row.outcome for row in holds} <= {"EXPIRED"}
    assert {str(row.id) for row in sagas} == witness.acknowledged("saga")
    assert {row.step for row in sagas} <= {"SURRENDERED", "VOIDED"}
    used_up = [row for row in sagas if row.step == "SURRENDERED"]
    assert kinds["SURRENDER"] == len(used_up)
    assert {row.transfer_id for row in used_up} == {row.id for row in rows if row.kind == "SURRENDER"}
    found = await seals.verify(owner, witness.group.world.tenant_id)
    assert found.transfers == len(rows)
