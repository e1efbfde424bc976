"""The test database: migrated once into a template, cloned per worker; every test works in tenants of its own.

A fresh tenant per test isolates better than a rolled-back transaction would: commits, row-level security, locks and
jobs are the real ones, and what one test leaves behind no other can see. (tests/README.md says more.)
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from backend.kit.clock import Clock
from backend.kit.database import Database, PoolLimits, connect
from backend.kit.embedded.cluster import Cluster
from backend.kit.ids import uuid7
from backend.kit.objects.files import FileStore
from backend.kit.provision import APP, OWNER, WORKER, create_database, migrate, prepare
from backend.kit.toolbox import Services, Toolbox
from tests.fixtures.world import World

pytest_plugins = ("tests.fixtures.left_out", "tests.fixtures.texts", "tests.fixtures.servers", "tests.fixtures.jobs")

ROOT = Path(__file__).resolve().parent.parent
LIMITS = PoolLimits(size=4, overflow=60)
# How long an example takes says how busy the machine is, not what is wrong with it.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A superuser's address on the test server: TANHENG_TEST_SERVER, or an embedded one that the workers share."""
    given = os.environ.get("TANHENG_TEST_SERVER")
    if given:
        yield given
        return
    # The tests kill processes, not machines: what was not yet flushed may be lost with the machine.
    cluster = Cluster(ROOT / ".tanheng" / "tests", options=FAST | {"max_connections": "400"})
    endpoint = cluster.start()
    yield endpoint.url(user=endpoint.superuser, database="postgres")
    cluster.release()


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """A migrated database, made once per state of the migrations."""
    sources = sorted([*(ROOT / "migrations").rglob("*.py"), *(ROOT / "infra" / "sql").glob("*.sql")])
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in sources)).hexdigest()[:12]
    name = f"th_template_{digest}"
    asyncio.run(_make_template(server_url, name))
    return name


async def _make_template(server_url: str, name: str) -> None:
    guard = await asyncpg.connect(server_url)
    try:
        await guard.execute("SELECT pg_advisory_lock(7061)")
        if await guard.fetchval("SELECT datistemplate FROM pg_database WHERE datname = $1", name):
            return
        await guard.execute(f'DROP DATABASE IF EXISTS "{name}"')
        await create_database(server_url, name)
        await prepare(at(server_url, name))
        await asyncio.to_thread(migrate, at(server_url, name), role=OWNER)
        await guard.execute(f'ALTER DATABASE "{name}" IS_TEMPLATE true')
    finally:
        await guard.close()


def at(server_url: str, database: str) -> str:
    """The same server, another database."""
    head, _, query = server_url.partition("?")
    return f"{head.rpartition('/')[0]}/{database}" + (f"?{query}" if query else "")


@pytest.fixture(scope="session")
def database_url(server_url: str, template: str) -> Iterator[str]:
    """A clone of the template for this pytest worker."""
    name = f"th_{os.getpid()}_{uuid7().hex[-8:]}"
    asyncio.run(_clone(server_url, name, template))
    yield at(server_url, name)
    asyncio.run(_drop(server_url, name))


async def _clone(server_url: str, name: str, template: str) -> None:
    connection = await asyncpg.connect(server_url)
    # Cloning locks the template for a moment; workers that start together take turns.
    await connection.execute("SELECT pg_advisory_lock(7062)")
    await create_database(server_url, name, template=template)
    await connection.close()
    await prepare(at(server_url, name))


async def _drop(server_url: str, name: str) -> None:
    connection = await asyncpg.connect(server_url)
    await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await connection.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """As the API sees it."""
    made = connect(database_url, role=APP, limits=LIMITS)
    yield made
    await made.close()


@pytest.fixture
async def worker_database(database_url: str) -> AsyncIterator[Database]:
    made = connect(database_url, role=WORKER, limits=LIMITS)
    yield made
    await made.close()


@pytest.fixture
async def owner_database(database_url: str) -> AsyncIterator[Database]:
    made = connect(database_url, role=OWNER, limits=LIMITS)
    yield made
    await made.close()


@pytest.fixture
def objects(tmp_path_factory: pytest.TempPathFactory) -> FileStore:
    return FileStore(tmp_path_factory.mktemp("objects"), "http://objects.test", Clock())


@pytest.fixture
def services(database: Database, objects: FileStore) -> Services:
    return Services(Toolbox(database, Clock(), objects=objects))


@pytest.fixture
async def world(owner_database: Database, services: Services) -> World:
    """A tenant of its own for the test, and people in it."""
    return await World.create(owner_database, services)
