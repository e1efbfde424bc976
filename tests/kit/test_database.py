"""Sessions and units of work: bound to one tenant, short, retried when writers meet, and never left open."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from backend.kit.database import ATTEMPTS, Database, RollBack, UnitOfWork, connect
from backend.kit.errors import CodedError
from backend.kit.provision import APP
from tests.fixtures.world import World

NAME = "SELECT name FROM tenant"


async def rename(unit: UnitOfWork, name: str) -> int:
    return await unit.execute("UPDATE tenant SET name = :name", {"name": name})


async def test_the_tenant_is_bound_for_one_transaction(database: Database, world: World) -> None:
    async with database.read(world.tenant_id) as session:
        assert await session.scalar("SELECT count(*) FROM tenant") == 1
        assert UUID(await session.scalar("SELECT current_setting('app.tenant_id')")) == world.tenant_id
    async with database.read(None) as session:
        assert await session.scalar("SELECT count(*) FROM tenant") == 0


async def test_begin_and_binding_are_one_round_trip(database: Database, world: World) -> None:
    async with database.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        trips: list[str] = []
        raw.add_query_logger(lambda record: trips.append(record.query))
    async with database.read(world.tenant_id) as session:
        await session.scalar("SELECT 1")
    # asyncpg logs what goes by the simple protocol; the prepared statement in between is one trip more.
    begin, commit = trips
    assert begin.startswith("BEGIN READ ONLY; SELECT set_config")
    assert commit == "COMMIT"


async def test_a_read_cannot_write(database: Database, world: World) -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        async with database.read(world.tenant_id) as session:
            await session.rows("UPDATE tenant SET name = 'x' RETURNING 1")


async def test_what_fails_leaves_nothing(database: Database, world: World) -> None:
    async def work(unit: UnitOfWork) -> None:
        await rename(unit, "半途而废")
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        await database.write(world.tenant_id, work)
    async with database.read(world.tenant_id) as session:
        assert await session.scalar(NAME) == "测试集团"


async def test_a_rehearsal_hands_its_value_back_and_writes_nothing(database: Database, world: World) -> None:
    async def work(unit: UnitOfWork) -> str:
        await rename(unit, "演练")
        raise RollBack(await unit.scalar(NAME))

    assert await database.write(world.tenant_id, work) == "演练"
    async with database.read(world.tenant_id) as session:
        assert await session.scalar(NAME) == "测试集团"


async def test_writers_who_meet_are_retried(database: Database, world: World) -> None:
    """Serializable read-modify-write by many: every increment arrives, though the server refuses many of them."""
    runs = 0

    async def increment(unit: UnitOfWork) -> None:
        nonlocal runs
        runs += 1
        name = await unit.scalar(NAME)
        await asyncio.sleep(0.002)
        await rename(unit, str(int(name) + 1))

    async def zero(unit: UnitOfWork) -> None:
        await rename(unit, "0")

    await database.write(world.tenant_id, zero)
    writers = [database.write(world.tenant_id, increment, isolation="SERIALIZABLE") for _ in range(5)]
    await asyncio.gather(*writers)
    async with database.read(world.tenant_id) as session:
        assert await session.scalar(NAME) == "5"
    assert runs > 5, "somebody must have been refused and run again"


async def test_a_deadlock_is_resolved(database: Database, world: World, owner_database: Database) -> None:
    other = await World.create(owner_database, world.services)
    met = asyncio.Barrier(2)
    runs = 0

    def lock(first: str, second: str, *, wait: bool) -> object:
        async def work(unit: UnitOfWork) -> None:
            nonlocal runs
            runs += 1
            await unit.execute("SELECT pg_advisory_xact_lock(hashtext(:key))", {"key": first})
            if wait and runs <= 2:
                await met.wait()
            await unit.execute("SELECT pg_advisory_xact_lock(hashtext(:key))", {"key": second})

        return work

    one, two = f"a{world.slug}", f"b{world.slug}"
    await asyncio.gather(
        database.write(world.tenant_id, lock(one, two, wait=True)),  # type: ignore[arg-type]
        database.write(other.tenant_id, lock(two, one, wait=True)),  # type: ignore[arg-type]
    )
    assert runs == 3, "one of the two was chosen as victim and ran again"


async def test_it_gives_up_with_a_coded_error(database: Database, world: World) -> None:
    runs = 0

    async def always_refused(unit: UnitOfWork) -> None:
        nonlocal runs
        runs += 1
        await unit.execute("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$")

    with pytest.raises(CodedError) as refused:
        await database.write(world.tenant_id, always_refused)
    assert (refused.value.code.name, refused.value.code.retryable, runs) == ("BUSY", True, ATTEMPTS)


async def test_what_takes_too_long_is_a_coded_error(database: Database, world: World) -> None:
    async def slow(unit: UnitOfWork) -> None:
        await unit.execute("SET LOCAL statement_timeout = '20ms'")
        await unit.execute("SELECT pg_sleep(1)")

    with pytest.raises(CodedError) as refused:
        await database.write(world.tenant_id, slow)
    assert refused.value.code.name == "TIMEOUT"


async def test_a_cancelled_unit_of_work_returns_a_clean_connection(database_url: str, world: World) -> None:
    database = connect(database_url, role=APP)
    begun = asyncio.Event()

    async def stuck(unit: UnitOfWork) -> None:
        await rename(unit, "取消")
        begun.set()
        await unit.execute("SELECT pg_sleep(30)")

    task = asyncio.create_task(database.write(world.tenant_id, stuck))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(3):
        async with database.read(world.tenant_id) as session:
            assert await session.scalar(NAME) == "测试集团"
            assert await session.scalar("SELECT current_setting('transaction_read_only')") == "on"
    await database.close()


async def test_the_login_of_the_api_is_bounded(database: Database) -> None:
    async with database.read(None) as session:
        shown = [await session.scalar(f"SHOW {name}") for name in ("statement_timeout", "lock_timeout")]
        assert shown == ["30s", "10s"]
        assert await session.scalar("SELECT current_user") == APP
