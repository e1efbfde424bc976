"""What the ledger's benchmarks work on: a tenant with accounts and units in them, and pgbench beside it."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
from datetime import date
from itertools import count
from pathlib import Path
from typing import Final, Self
from uuid import UUID

from asyncpg import Range
from asyncpg import connect as plain_connect
from sqlalchemy.engine import make_url

from backend.kit.clock import Clock
from backend.kit.database import Database, UnitOfWork
from backend.kit.ids import uuid7
from backend.kit.toolbox import Services, Toolbox
from backend.ledger.domain.accounts import AccountRef
from backend.ledger.domain.lots import AssetClass, LotRef, NewLot, Origin
from backend.ledger.domain.transfers import LegOrder, Order, TransferKind
from backend.ledger.posting import Batch, PostingService
from backend.ledger.service import LedgerService, LotBatch
from tenants.access import Grant, Principal, Role
from tenants.commands import Actor
from tenants.tables import member, organisation, tenant

ORGANISATIONS: Final = 200
LOTS: Final = 20
SCALE: Final = 10
ROWS: Final = 500
_THOUGHT_UP_BITS: Final = 14


class Stage:
    """A tenant with accounts and units, and the members who move them."""

    def __init__(self, database: Database, principal: Principal, organisations: list[UUID], lots: list[LotRef]) -> None:
        self.services = Services(Toolbox(database, Clock()))
        self.service = self.services.get(PostingService)
        self.principal = principal
        self.organisations = organisations
        self.lots = lots
        dice = random.Random(1)
        self.orders = [self._order(dice) for _ in range(1 << _THOUGHT_UP_BITS)]
        self.run, self.keys = uuid7().hex, count()

    @classmethod
    async def create(cls, owner: Database, database: Database, issued_on: date | None = None) -> Stage:
        tenant_id, head, manager = uuid7(), uuid7(), uuid7()
        keys = [head, *(uuid7() for _ in range(ORGANISATIONS))]

        async def found(unit: UnitOfWork) -> None:
            await unit.execute(tenant.insert(), {"id": tenant_id, "slug": slug_of(tenant_id), "name": "bench"})

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
        await stage._fill(LedgerService(stage.service.toolbox), head, issued_on or Clock().today())
        return stage

    async def _fill(self, ledger: LedgerService, head: UUID, issued_on: date) -> None:
        """Every account holds some of every lot, far more than the run will move."""
        share = 1_000_000
        lots = tuple(
            NewLot(
                AssetClass.ALLOWANCE,
                "CEA",
                lot.issue_reference,
                share * ORGANISATIONS,
                Origin.ALLOCATED,
                head,
                issued_on,
            )
            for lot in self.lots
        )
        await ledger.issue(Actor(self.principal), LotBatch(lots))
        for key in self.organisations:
            legs = tuple(LegOrder(lot, share, _of(head), _of(key)) for lot in self.lots)
            order = Order(TransferKind.TRANSFER, legs, effective_on=issued_on)
            await self.service.post(Actor(self.principal), "transferAssets", order)

    def _order(self, dice: random.Random) -> Order:
        """Some units of any lot from any account to any other."""
        source, destination = dice.sample(self.organisations, 2)
        leg = LegOrder(dice.choice(self.lots), dice.randint(1, 9), _of(source), _of(destination))
        return Order(TransferKind.TRANSFER, (leg,))

    def order(self, dice: random.Random) -> Order:
        """One of those thought up beforehand: what callers think is not what is measured."""
        return self.orders[dice.getrandbits(_THOUGHT_UP_BITS)]

    def actor(self) -> Actor:
        """The principal with a key not used before."""
        return Actor(self.principal, idempotency_key=f"{self.run}-{next(self.keys)}", correlation_id="bench")

    async def post(self, dice: random.Random) -> int:
        await self.service.post(self.actor(), "transferAssets", self.order(dice))
        return 1

    async def post_hot(self, dice: random.Random) -> int:
        """As `post`, always out of one account and of one lot."""
        leg = LegOrder(self.lots[0], 1, _of(self.organisations[0]), _of(dice.choice(self.organisations[1:])))
        await self.service.post(self.actor(), "transferAssets", Order(TransferKind.TRANSFER, (leg,)))
        return 1

    async def post_batch(self, dice: random.Random) -> int:
        batch = Batch(tuple(self.order(dice) for _ in range(ROWS)), all_or_nothing=False)
        done = await self.service.post_all(self.actor(), batch)
        assert all(row.transfer for row in done.value.rows)
        return ROWS


class Simple:
    """pgbench -N (one UPDATE, one SELECT, one INSERT) on a scratch database of its own."""

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

    def run(self, seconds: float, clients: int, mode: str) -> float:
        """Transactions per second of its simple update, as it comes ("simple") or "prepared"."""
        arguments = ["-N", "-M", mode, "-c", str(clients), "-j", "2", "-T", str(round(seconds))]
        found = re.search(r"tps = ([0-9.]+)", self._call(*arguments))
        assert found, "pgbench prints its rate"
        return float(found[1])

    def _call(self, *arguments: str) -> str:
        command = [str(self.pgbench), *arguments, *self.arguments, self.name]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    async def _execute(self, sql: str) -> None:
        connection = await plain_connect(self.admin_url)
        await connection.execute(sql)
        await connection.close()


def slug_of(tenant_id: UUID) -> str:
    return f"bench-{tenant_id.hex}"


def _of(organisation_id: UUID) -> AccountRef:
    return AccountRef(organisation_id=organisation_id)
