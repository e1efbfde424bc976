"""One posting at the level of the service against pgbench's simple update, both with 8 clients on the same server.

A posting here is what a caller pays for: permission, idempotency key, two balances checked and moved, transfer, leg,
audit event, the answer kept; one transaction, committed. pgbench -N is one UPDATE, one SELECT, one INSERT. The two
take turns, so that a busy machine slows both.

    python -m tests.benchmarks.ledger SERVER_ADMIN_URL DATABASE_URL [PGBENCH]
"""

from __future__ import annotations

import asyncio
import random
import re
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Final, Self, TypedDict
from uuid import UUID

from asyncpg import Range
from asyncpg import connect as plain_connect
from sqlalchemy.engine import make_url

from backend.kit.clock import Clock
from backend.kit.database import Database, PoolLimits, UnitOfWork, connect
from backend.kit.ids import uuid7
from backend.kit.provision import APP, OWNER
from backend.kit.toolbox import Toolbox
from backend.ledger.domain import AccountRef, AssetClass, LegOrder, LotRef, NewLot, Order, Origin, TransferKind
from backend.ledger.posting import PostingService
from backend.ledger.service import LedgerService, LotBatch
from tenants.access import Grant, Principal, Role
from tenants.commands import Actor
from tenants.tables import member, organisation, tenant

CLIENTS: Final = 8
ORGANISATIONS: Final = 200
LOTS: Final = 20
ROUNDS: Final = 5
SECONDS: Final = 4.0
SCALE: Final = 10


class Row(TypedDict):
    """One line of the benchmark's table."""

    name: str
    ours: float
    limit: float
    ratio: float
    unit: str
    note: str


def run(server_admin_url: str, database_url: str, pgbench: Path) -> list[Row]:
    """Measure; `database_url` is a migrated database on that server, which is left with one more tenant."""
    with _Simple(server_admin_url, pgbench) as simple:
        return asyncio.run(_run(database_url, simple))


async def _run(database_url: str, simple: _Simple) -> list[Row]:
    owner, database = connect(database_url, role=OWNER), connect(database_url, role=APP, limits=PoolLimits(CLIENTS, 0))
    try:
        stage = await _Stage.create(owner, database)
        await post_service(stage, 1.0)
        ours, limits, slowest = [], [], []
        for _ in range(ROUNDS):
            limits.append(await asyncio.to_thread(simple.run, SECONDS))
            rate, p99_ms = await post_service(stage, SECONDS)
            ours.append(rate)
            slowest.append(p99_ms)
    finally:
        await owner.close()
        await database.close()
    # The ratio of each round, so that what slows the machine in between does not count.
    ratio = statistics.median(a / b for a, b in zip(ours, limits, strict=True))
    note = f"{CLIENTS} clients, {ORGANISATIONS} accounts, p99 {statistics.median(slowest):.1f} ms, one process"
    rate, limit = statistics.median(ours), statistics.median(limits)
    return [Row(name="ledger.post_service", ours=rate, limit=limit, ratio=ratio, unit="postings/s", note=note)]


class _Stage:
    """A tenant with accounts and units, and the members who move them."""

    def __init__(self, database: Database, principal: Principal, organisations: list[UUID], lots: list[LotRef]) -> None:
        self.service = PostingService(Toolbox(database, Clock()))
        self.principal = principal
        self.organisations = organisations
        self.lots = lots

    @classmethod
    async def create(cls, owner: Database, database: Database) -> _Stage:
        tenant_id, head, manager = uuid7(), uuid7(), uuid7()
        keys = [head, *(uuid7() for _ in range(ORGANISATIONS))]

        async def found(unit: UnitOfWork) -> None:
            await unit.execute(tenant.insert(), {"id": tenant_id, "slug": f"bench-{tenant_id.hex}", "name": "bench"})

        async def people(unit: UnitOfWork) -> None:
            base = {"tenant_id": tenant_id, "kind": "GROUP", "present": Range(date(2020, 1, 1), None)}
            rows = [base | {"id": k, "code": f"G{i}", "name_zh": f"集团{i}"} for i, k in enumerate(keys)]
            await unit.execute(organisation.insert(), rows)
            person = {"tenant_id": tenant_id, "id": manager, "issuer": "bench", "subject": "bench"}
            await unit.execute(member.insert(), person | {"kind": "PERSON", "display_name": "bench"})

        await owner.write(None, found)
        await owner.write(tenant_id, people)
        grant = Grant(uuid7(), Role.ASSET_MANAGER, None, None)
        principal = Principal(tenant_id, manager, "bench", (grant,))
        stage = cls(database, principal, keys[1:], [LotRef(scheme="CEA", issue_reference=f"L{i}") for i in range(LOTS)])
        await stage._fill(LedgerService(stage.service.toolbox), head)
        return stage

    async def _fill(self, ledger: LedgerService, head: UUID) -> None:
        """Every account holds some of every lot, far more than the run will move."""
        share = 1_000_000
        today = Clock().today()
        lots = tuple(
            NewLot(
                AssetClass.ALLOWANCE,
                "CEA",
                lot.issue_reference,
                share * ORGANISATIONS,
                Origin.ALLOCATED,
                head,
                today,
            )
            for lot in self.lots
        )
        await ledger.issue(Actor(self.principal), LotBatch(lots))
        for key in self.organisations:
            legs = tuple(LegOrder(lot, share, _of(head), _of(key)) for lot in self.lots)
            await self.service.post(Actor(self.principal), "transferAssets", Order(TransferKind.TRANSFER, legs))

    async def post(self, dice: random.Random) -> None:
        source, destination = dice.sample(self.organisations, 2)
        leg = LegOrder(dice.choice(self.lots), dice.randint(1, 9), _of(source), _of(destination))
        actor = Actor(self.principal, idempotency_key=str(uuid7()), correlation_id="bench")
        await self.service.post(actor, "transferAssets", Order(TransferKind.TRANSFER, (leg,)))


async def post_service(stage: _Stage, seconds: float, clients: int = CLIENTS) -> tuple[float, float]:
    """Postings per second, and the 99th percentile of one in ms."""
    until = time.perf_counter() + seconds
    took: list[float] = []

    async def client(seed: int) -> None:
        dice = random.Random(seed)
        while (started := time.perf_counter()) < until:
            await stage.post(dice)
            took.append(time.perf_counter() - started)

    began = time.perf_counter()
    await asyncio.gather(*(client(i) for i in range(clients)))
    elapsed = time.perf_counter() - began
    return len(took) / elapsed, statistics.quantiles(took, n=100)[98] * 1000


class _Simple:
    """pgbench -N on a scratch database of its own."""

    def __init__(self, admin_url: str, pgbench: Path) -> None:
        self.admin_url, self.pgbench = admin_url, pgbench
        self.name = f"th_pgbench_{uuid7().hex[-12:]}"
        url = make_url(admin_url)
        self.arguments = ["-h", str(url.query.get("host", url.host or "localhost")), "-U", url.username or "postgres"]
        if url.port:
            self.arguments += ["-p", str(url.port)]

    def __enter__(self) -> Self:
        asyncio.run(self._execute(f'CREATE DATABASE "{self.name}"'))
        self._call("-i", "-q", "-s", str(SCALE))
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run(self._execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)'))

    def run(self, seconds: float) -> float:
        clients = ["-N", "-M", "prepared", "-c", str(CLIENTS), "-j", "2", "-T", str(round(seconds))]
        found = re.search(r"tps = ([0-9.]+)", self._call(*clients))
        assert found, "pgbench prints its rate"
        return float(found[1])

    def _call(self, *arguments: str) -> str:
        command = [str(self.pgbench), *arguments, *self.arguments, self.name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    async def _execute(self, sql: str) -> None:
        connection = await plain_connect(self.admin_url)
        await connection.execute(sql)
        await connection.close()


def _of(organisation_id: UUID) -> AccountRef:
    return AccountRef(organisation_id=organisation_id)


if __name__ == "__main__":
    import uvloop

    uvloop.install()
    for row in run(sys.argv[1], sys.argv[2], Path(sys.argv[3] if len(sys.argv) > 3 else "pgbench")):
        print(row)
