"""Do the tables in the code and the tables the migrations make say the same?"""

from __future__ import annotations

import asyncio
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from backend.capabilities import metadata
from backend.cli.common import bring_up
from backend.databases import Databases
from backend.kit.database import Database

# Indexes and constraints live in the migrations alone: no code names them as objects.
_WRITTEN_IN_SQL = {"remove_index", "add_index", "remove_constraint", "add_constraint", "remove_fk", "add_fk"}


def drift(found: Databases) -> list[str]:
    """The differences, one readable line each; none is good."""
    bring_up(found)
    return asyncio.run(_open_and_compare(found))


async def _open_and_compare(found: Databases) -> list[str]:
    database = found.open_owner()
    try:
        return await compare(database)
    finally:
        await database.close()


async def compare(database: Database) -> list[str]:
    """Compare a migrated database with the metadata of all slices."""

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata()))

    async with database.engine.connect() as connection:
        found = await connection.run_sync(differences)
    flat = [d for item in found for d in (item if isinstance(item, list) else [item])]
    return [str(d) for d in flat if d[0] not in _WRITTEN_IN_SQL and "alembic_version" not in str(d)]
