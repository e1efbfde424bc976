"""kill -9 in the middle of postings: of the process that posts, and of PostgreSQL, which then recovers.

Afterwards every posting that was acknowledged is there, none twice, none that was not asked for; the chain is whole.

    LEDGER_KILLS=100 python -m pytest tests/ledger/test_faults.py -q -s
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from backend.kit.clock import Clock
from backend.kit.database import connect
from backend.kit.embedded.cluster import Cluster
from backend.kit.provision import APP, OWNER, create_database, migrate, prepare
from backend.kit.toolbox import Services, Toolbox
from backend.ledger import seals
from tests.conftest import at
from tests.fixtures.ledger import POSTED, Group, key, moved
from tests.fixtures.world import World

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("LEDGER_KILLS", "4"))


@pytest.fixture
async def own_server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A database on a server of its own, which may be killed. Flushing is left out: it is not the machine that dies."""
    cluster = Cluster(tmp_path_factory.mktemp("faults"), options={"fsync": "off", "full_page_writes": "off"})
    endpoint = await asyncio.to_thread(cluster.start)
    server = endpoint.url(user=endpoint.superuser, database="postgres")
    await create_database(server, "faults")
    await prepare(at(server, "faults"))
    await asyncio.to_thread(migrate, at(server, "faults"), role=OWNER)
    yield at(server, "faults")
    await asyncio.to_thread(cluster.destroy)


@dataclass(slots=True)
class Witness:
    """Starts the process that posts, hears what it says, and knows what is still open."""

    url: str
    group: Group
    sent: set[str] = field(default_factory=set)
    done: dict[str, str] = field(default_factory=dict)
    starts: int = 0

    async def start(self) -> tuple[asyncio.subprocess.Process, asyncio.Task[None]]:
        assert self.group.manager.principal is not None
        self.starts += 1
        given = {
            "url": self.url,
            "tenant": str(self.group.world.tenant_id),
            "member": str(self.group.manager.principal.member_id),
            "sides": [str(key(self.group.steel)), str(key(self.group.cement))],
            "name": f"p{self.starts}",
            "again": sorted(self.sent - self.done.keys()),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fixtures.ledger_process", json.dumps(given),
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return process, asyncio.create_task(self._listen(process))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            match line.decode().split():
                case ["sent", sent]:
                    self.sent.add(sent)
                case ["done", answered, transfer] if line.endswith(b"\n"):
                    assert self.done.setdefault(answered, transfer) == transfer, "one key, two transfers"

    async def progress(self, more: int) -> None:
        """Wait until so many more postings have been acknowledged."""
        async with asyncio.timeout(60):
            goal = len(self.done) + more
            while len(self.done) < goal:  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.005)


async def _kill_a_backend(url: str, dice: random.Random) -> None:
    connection = await asyncpg.connect(url)
    mine = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    pids = [row["pid"] for row in await connection.fetch(mine + " AND backend_type = 'client backend'")]
    connection.terminate()
    if pids:
        os.kill(dice.choice(pids), signal.SIGKILL)


async def test_acknowledged_is_there_once(own_server: str) -> None:
    seed = random.SystemRandom().randrange(10**9)
    dice = random.Random(seed)
    owner, database = connect(own_server, role=OWNER), connect(own_server, role=APP)
    world = await World.create(owner, Services(Toolbox(database, Clock())))
    group = await Group.create(world)
    await group.stock(group.steel, 2_000_000)
    await group.manager.do("transferAssets", {"legs": [moved(group.steel, group.cement, 1_000_000)]}, POSTED)
    await owner.close()
    await database.close()
    witness = Witness(own_server, group)
    process, ears = await witness.start()
    for number in range(KILLS):
        await witness.progress(dice.randint(20, 200))
        await asyncio.sleep(dice.random() * 0.05)
        if number % 2:
            await _kill_a_backend(own_server, dice)
        else:
            process.kill()
            await process.wait()
            await ears
            process, ears = await witness.start()
    await witness.progress(50)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()
    await ears
    assert process.returncode == 0
    print(f"\nseed {seed}: {KILLS} kills, {len(witness.done)} postings acknowledged")
    await _check(own_server, group, witness)


async def _check(url: str, group: Group, witness: Witness) -> None:
    owner = connect(url, role=OWNER)
    async with owner.read(group.world.tenant_id) as session:
        rows = await session.rows("SELECT id FROM asset_transfer WHERE kind = 'TRANSFER'")
        kept = await session.rows("SELECT key, answer->>'transfer' AS transfer FROM idempotency_key")
        wrong = await session.scalar(
            "SELECT count(*) FROM asset_balance b WHERE quantity_t <> (SELECT sum(e.amount_t) FROM asset_entry e "
            "WHERE e.account_id = b.account_id AND e.lot_id = b.lot_id)"
        )
    assert witness.sent == witness.done.keys(), "every key was answered in the end"
    assert len(rows) == len(witness.done) + 1, "none twice, none that nobody asked for"
    assert set(witness.done.values()) <= {str(row.id) for row in rows}
    assert {row.key: row.transfer for row in kept if row.transfer}.items() <= witness.done.items()
    assert wrong == 0
    found = await seals.verify(owner, group.world.tenant_id)
    assert found.transfers == len(rows) + 1
    await owner.close()
