"""Runs the migrations: one at a time (advisory lock), with lock and statement timeouts, as the owner."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

from backend.capabilities import metadata
from backend.kit.database import asyncpg_url

ONE_AT_A_TIME = 7_061_2023


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata(), transaction_per_migration=True)
    connection.execute(text("SET lock_timeout = '10s'; ").execution_options())
    connection.execute(text("SET statement_timeout = '15min'"))
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ONE_AT_A_TIME})
    connection.commit()
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": ONE_AT_A_TIME})
    connection.commit()


async def _run() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    assert url, "alembic is called through `tanheng db migrate`, which knows the address"
    role = context.config.attributes.get("role")
    arguments = {"server_settings": {"role": role}} if role else {}
    engine = create_async_engine(asyncpg_url(url), poolclass=pool.NullPool, connect_args=arguments)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
    await engine.dispose()


asyncio.run(_run())
