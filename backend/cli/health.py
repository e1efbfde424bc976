"""What `tanheng doctor` looks at."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from alembic.script import ScriptDirectory

from backend.config import BrokerSettings
from backend.databases import Databases, Login
from backend.graphiql.install import is_complete
from backend.kit.database import PoolLimits, connect
from backend.kit.provision import alembic_config
from backend.ledger import seals
from backend.ledger.verify import BrokenError
from tenants.lifecycle import list_tenants


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: whether it is well, and what was found."""

    well: bool
    what: str
    found: str


def examine(found: Databases, broker: BrokerSettings) -> Iterator[Finding]:
    version = ".".join(str(n) for n in sys.version_info[:3])
    yield Finding(sys.version_info >= (3, 11), "Python", version)
    yield from asyncio.run(_database(found))
    yield _broker(broker.url)
    yield Finding(True, "GraphiQL", "installed" if is_complete() else "not installed: `make setup` brings it")


async def _database(found: Databases) -> list[Finding]:
    try:
        roles = [await _role(name, login, found.limits) for name, login in _logins(found)]
        migration = await _migration(found)
        return [*roles, migration, *([await _balances(found)] if migration.well else [])]
    except Exception as error:
        return [Finding(False, "database", f"cannot be reached or is not set up: {error}. Try `tanheng db up`.")]


def _logins(found: Databases) -> list[tuple[str, Login]]:
    return [("application role", found.app), ("worker role", found.worker)]


async def _role(name: str, login: Login, limits: PoolLimits) -> Finding:
    database = connect(login.url, role=login.role, limits=limits)
    try:
        async with database.read(None) as session:
            row = await session.first(
                """
                SELECT current_user AS name, session_user AS login, r.rolsuper OR r.rolbypassrls AS powerful
                FROM pg_roles r WHERE r.rolname = current_user
                """
            )
    finally:
        await database.close()
    assert row is not None
    how = f"{row.name} (login {row.login})"
    return Finding(not row.powerful, name, f"{how}, but it can bypass row-level security" if row.powerful else how)


async def _migration(found: Databases) -> Finding:
    database = found.open_owner()
    try:
        async with database.read(None) as session:
            at = await session.scalar("SELECT version_num FROM alembic_version")
            server = await session.scalar("SHOW server_version")
    finally:
        await database.close()
    newest = ScriptDirectory.from_config(alembic_config(found.owner.url)).get_current_head()
    said = f"PostgreSQL {server}, migration {at}"
    return Finding(
        at == newest, "database", said if at == newest else f"{said}; newest is {newest}: `tanheng db migrate`"
    )


async def _balances(found: Databases) -> Finding:
    """Every balance of every tenant is what its legs and open reservations come to."""
    database = found.open_owner()
    try:
        tenants = await list_tenants(database)
        for tenant in tenants:
            try:
                await seals.compare(database, tenant.id)
            except BrokenError as broken:
                return Finding(False, "ledger balances", f"tenant {tenant.slug}: {broken}")
    finally:
        await database.close()
    return Finding(True, "ledger balances", f"as their legs and reservations say ({len(tenants)} tenants)")


def _broker(url: str | None) -> Finding:
    if url is None:
        return Finding(True, "broker", "none: jobs are carried inside the process")
    address = urlsplit(url)
    port = address.port or {"amqp": 5672, "redis": 6379}.get(address.scheme, 0)
    try:
        socket.create_connection((address.hostname or "127.0.0.1", port), timeout=3).close()
    except OSError as error:
        return Finding(False, "broker", f"{address.scheme} at {address.hostname}:{port} cannot be reached: {error}")
    return Finding(True, "broker", f"{address.scheme} at {address.hostname}:{port}")
