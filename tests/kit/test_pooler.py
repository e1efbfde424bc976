"""The way to PostgreSQL through PgBouncer in transaction mode: nothing of ours outlives a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date

import pytest
from asyncpg import Range

from backend.kit.database import Database, PoolLimits, UnitOfWork, connect
from backend.kit.ids import uuid7
from tenants.tables import boundary_setting, organisation, tenant
from tests.fixtures.jobs import Register, ask, until, working
from tests.fixtures.world import World

pytestmark = pytest.mark.server("pgbouncer")


@pytest.fixture
async def pooled(pooler_url: str) -> AsyncIterator[Database]:
    """Twice as many connections as the pooler has to the server, so that they must share."""
    made = connect(pooler_url, limits=PoolLimits(size=8, overflow=16, through_pooler=True))
    yield made
    await made.close()


async def test_units_and_reads_share_few_connections(world: World, owner_database: Database, pooled: Database) -> None:
    """Many at once, in two tenants, with JSON, ranges and arrays: every one sees its own tenant alone."""
    worlds = [world, await World.create(owner_database, world.services)]

    async def one(at: World, number: int) -> None:
        async def work(unit: UnitOfWork) -> None:
            key = uuid7()
            row = {"tenant_id": at.tenant_id, "id": key, "kind": "GROUP", "code": f"集团{number}", "name_zh": "甲"}
            await unit.execute(organisation.insert(), row | {"present": Range(date(2020, 1, 1), None)})
            setting = {"tenant_id": at.tenant_id, "id": uuid7(), "organisation_id": key, "key": "GASES"}
            value = {"value": {"气体": ["CO2", "CH4"]}, "valid": Range(date(2024, 1, 1), None)}
            await unit.execute(boundary_setting.insert(), setting | value)

        await pooled.write(at.tenant_id, work)
        async with pooled.read(at.tenant_id) as session:
            assert await session.scalar(tenant.select().with_only_columns(tenant.c.id)) == at.tenant_id
            found = await session.rows("SELECT id FROM organisation WHERE code = ANY (:c)", {"c": [f"集团{number}"]})
            assert len(found) == 1

    await asyncio.gather(*(one(at, number) for number in range(60) for at in worlds))
    for at in worlds:
        async with pooled.snapshot(at.tenant_id) as session:
            values = await session.rows("SELECT value, valid FROM boundary_setting")
            assert len(values) == 60
            assert {v.value["气体"][1] for v in values} == {"CH4"}
            assert values[0].valid == Range(date(2024, 1, 1), None)
    async with pooled.read(None) as session:
        assert await session.scalar("SELECT count(*) FROM organisation") == 0


async def test_a_broken_unit_leaves_no_tenant_and_no_transaction_behind(world: World, pooled: Database) -> None:
    async def broken(unit: UnitOfWork) -> None:
        await unit.execute("SELECT 1 / 0")

    async def hurried(unit: UnitOfWork) -> None:
        await unit.execute("SELECT pg_sleep(5)")

    for _ in range(10):
        with pytest.raises(Exception, match="division by zero"):
            await pooled.write(world.tenant_id, broken)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await pooled.write(world.tenant_id, hurried)

    async def looks_unbound() -> None:
        async with pooled.read(None) as session:
            assert await session.scalar("SELECT count(*) FROM tenant") == 0
            assert await session.scalar("SELECT current_setting('app.tenant_id', true)") == ""

    await asyncio.gather(*(looks_unbound() for _ in range(24)))


@pytest.mark.usefixtures("empty_queue")
async def test_jobs_through_the_pooler(
    world: World, pooled: Database, pooler_url: str, database_url: str, register: Register
) -> None:
    """Asked for through the pooler and worked through the pooler, by polling alone."""

    async def run(context: object) -> dict[str, str]:
        return {"经": "池"}

    name = register(run)
    as_worker = pooler_url.replace("tanheng_app", "tanheng_worker")
    async with working(as_worker, pooled=True, listening=False):
        row = await until(world, await ask(world, name, database=pooled), "SUCCEEDED")
    assert row.result == {"经": "池"}
