"""What several verbs need: the console, and the databases of this installation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from rich.console import Console

from backend.config import DatabaseSettings, StateSettings
from backend.databases import Databases, locate
from backend.identity.local import ensure_keys
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.provision import create_database, migrate, prepare

T = TypeVar("T")
# Wide enough for the tables: a line that wraps can still be read, a figure that is cut off cannot.
console = Console(width=max(Console().width, 130))


def databases() -> Databases:
    """Where this installation keeps its data; starts the embedded server when it is used."""
    return locate(DatabaseSettings(), StateSettings())


def bring_up(found: Databases) -> None:
    """Create what is missing: the embedded database, roles, grants, tables. Harmless to repeat."""
    if found.admin is not None:
        if found.embedded:
            server, _, query = found.admin.partition("?")
            asyncio.run(create_database(f"{server.rpartition('/')[0]}/postgres?{query}", server.rpartition("/")[2]))
        asyncio.run(prepare(found.admin))
    migrate(found.owner.url, role=found.owner.role)
    asyncio.run(_fill(found))


async def _fill(found: Databases) -> None:
    """What an empty database needs besides tables: a key to sign tokens with."""
    database = found.open_owner()
    try:
        await ensure_keys(database, Clock())
    finally:
        await database.close()


def as_owner(work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` with a database in the owner's role: provisioning and trial tokens, never requests."""
    found = databases()

    async def run() -> T:
        database = found.open_owner()
        try:
            return await work(database)
        finally:
            await database.close()

    return asyncio.run(run())
