"""Postings against pgbench's simple update on the same server, taking turns so that a busy machine slows both.

A posting here is what a caller pays for: permission, idempotency key, two balances checked and moved, transfer, leg,
audit event, its place in the chain, the answer kept; committed. `make bench ONLY=ledger.post` prints

- `post_service`: 8 callers of the service in one process; 200 accounts, 20 lots;
- `post_graphql`: 8 callers of the API as an ASGI application, with a token, each a GraphQL mutation;
- `post_batch`: 4 callers with 500 transfers at a time;
- `post_hot`: 32 callers who all take from one account, against simple-update with 32 clients.

All in one process. The ratio is to pgbench as it comes, which sends statements as text; with prepared ones, as
we ourselves use them, it does a third more, and what we come to beside that is in the note.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
import uvloop

from backend.app import Parts, create_app
from backend.config import IdentitySettings
from backend.identity.local import LocalIssuer, ensure_keys
from backend.kit import logs
from backend.kit.clock import Clock
from backend.kit.database import Database, PoolLimits, connect
from backend.kit.garbage import settle
from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from backend.kit.objects.files import FileStore
from backend.kit.provision import APP, OWNER
from tenants.access import Role
from tests.benchmarks.ledger_stage import Simple, Stage, slug_of
from tests.benchmarks.table import Figure

ROUNDS: Final = 5
SECONDS: Final = 2.0
SELECTION: Final = "transfer { id kind recordedAt } balances { quantity } replayed errors { code message path }"
DOCUMENT: Final = f"mutation M($input: TransferAssetsInput!) {{ transferAssets(input: $input) {{ {SELECTION} }} }}"
Work = Callable[[random.Random], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Setting:
    """How many callers do what, and how many clients pgbench is given to compare."""

    name: str
    callers: int
    clients: int
    note: str


SETTINGS: Final = {
    "post_service": Setting("ledger.post_service", 8, 8, "8 callers, 200 accounts"),
    "post_graphql": Setting("ledger.post_graphql", 8, 8, "8 callers, token, GraphQL mutation over ASGI"),
    "post_batch": Setting("ledger.post_batch", 4, 8, "4 callers, 500 transfers at a time"),
    "post_hot": Setting("ledger.post_hot", 32, 32, "32 callers, one account and lot"),
}


def run(what: str, server_admin_url: str, database_url: str, pgbench: Path) -> Figure:
    """Measure; `database_url` is a migrated database on that server, which is left with one more tenant."""
    with Simple(server_admin_url, pgbench) as simple:
        return uvloop.run(_run(what, database_url, simple))


async def _run(what: str, database_url: str, simple: Simple) -> Figure:
    setting = SETTINGS[what]
    owner, database = connect(database_url, role=OWNER), connect(database_url, role=APP, limits=PoolLimits(8, 0))
    try:
        stage = await Stage.create(owner, database)
        async with _work(what, stage, owner, database) as work:
            settle()  # as a server does when it has started
            await _post(work, setting.callers, 1.0)
            ours, limits, prepared, slowest = [], [], [], []
            for _ in range(ROUNDS):
                limits.append(await asyncio.to_thread(simple.run, SECONDS, setting.clients, "simple"))
                rate, p99_ms = await _post(work, setting.callers, SECONDS)
                ours.append(rate)
                slowest.append(p99_ms)
                prepared.append(await asyncio.to_thread(simple.run, SECONDS, setting.clients, "prepared"))
    finally:
        await owner.close()
        await database.close()
    ratio, strictly = _ratio(ours, limits), _ratio(ours, prepared)
    note = f"{strictly:.2f} of it with prepared statements; {setting.note}, p99 {statistics.median(slowest):.1f} ms"
    return Figure(setting.name, statistics.median(ours), statistics.median(limits), ratio, "postings/s", note)


def _ratio(ours: Sequence[float], limits: Sequence[float]) -> float:
    """Of each round, so that what slows the machine in between does not count."""
    return statistics.median(a / b for a, b in zip(ours, limits, strict=True))


async def _post(work: Work, callers: int, seconds: float) -> tuple[float, float]:
    """Postings per second, and the 99th percentile of one call in ms."""
    until = time.perf_counter() + seconds
    took: list[float] = []
    posted = 0

    async def caller(seed: int) -> None:
        nonlocal posted
        dice = random.Random(seed)
        while (started := time.perf_counter()) < until:
            done = await work(dice)
            posted += done
            took.append(time.perf_counter() - started)

    began = time.perf_counter()
    await asyncio.gather(*(caller(i) for i in range(callers)))
    elapsed = time.perf_counter() - began
    return posted / elapsed, statistics.quantiles(took, n=100)[98] * 1000


@asynccontextmanager
async def _work(what: str, stage: Stage, owner: Database, database: Database) -> AsyncIterator[Work]:
    if what != "post_graphql":
        yield {"post_service": stage.post, "post_batch": stage.post_batch, "post_hot": stage.post_hot}[what]
        return
    with TemporaryDirectory() as folder:
        logs.configure("json")  # as a server has it
        clock, settings = Clock(), IdentitySettings()
        await ensure_keys(owner, clock)
        slug = slug_of(stage.principal.tenant_id)
        token = await LocalIssuer(owner, clock, settings).token_for(slug, Role.ASSET_MANAGER)
        app = create_app(Parts(database, None, settings, FileStore(Path(folder), "http://objects.test", clock), clock))
        yield _Api(app, token, stage).post


class _Api:
    """The application called as a server would call it."""

    def __init__(self, app: Any, token: str, stage: Stage) -> None:
        self.app, self.stage = app, stage
        self.headers = [
            (b"content-type", b"application/json"),
            (b"authorization", f"Bearer {token}".encode()),
            (b"x-tenant", slug_of(stage.principal.tenant_id).encode()),
        ]

    async def post(self, dice: random.Random) -> int:
        answer = orjson.loads(await self._call(orjson.dumps({"query": DOCUMENT, "variables": self._input(dice)})))
        payload = answer["data"]["transferAssets"]
        assert payload["transfer"] is not None, payload
        return 1

    def _input(self, dice: random.Random) -> dict[str, Any]:
        (leg,) = self.stage.order(dice).legs
        assert leg.destination is not None
        source, destination = (
            {"organisationId": to_id("Organisation", side.organisation_id)}
            for side in (leg.source, leg.destination)
            if side.organisation_id is not None
        )
        lot = {"scheme": leg.lot.scheme, "issueReference": leg.lot.issue_reference}
        written = {"lot": lot, "quantity": str(leg.quantity_t), "source": source, "destination": destination}
        return {"input": {"idempotencyKey": str(uuid7()), "legs": [written]}}

    async def _call(self, body: bytes) -> bytes:
        scope = {
            "type": "http", "http_version": "1.1", "method": "POST", "path": "/graphql", "raw_path": b"/graphql",
            "query_string": b"", "headers": self.headers, "root_path": "", "scheme": "http",
            "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 1),
        }  # fmt: skip
        parts: list[bytes] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            parts.append(message.get("body", b""))

        await self.app(scope, receive, send)
        return b"".join(parts)
