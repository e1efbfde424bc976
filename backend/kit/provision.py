"""Makes a database ready: roles, grants, migrations. Used by `tanheng db`, the embedded default and the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url

from backend.kit.errors import unavailable

_ROOT: Final = Path(__file__).resolve().parents[2]
_SQL: Final = _ROOT / "infra" / "sql"
_LOCK: Final = 7_061_2024
OWNER, APP, WORKER, AUDITOR = "tanheng_owner", "tanheng_app", "tanheng_worker", "tanheng_auditor"
OLDEST: Final = 150000

OLD_SERVER = unavailable(
    "DATABASE_TOO_OLD",
    en="PostgreSQL 15 or newer is needed; this server is {version}.",
    zh="需要 PostgreSQL 15 或更高版本，当前服务器为 {version}。",
)


async def prepare(admin_url: str) -> None:
    """Create the roles of the server and what this database grants them. Repeatable. Errors: DATABASE_TOO_OLD."""
    connection = await asyncpg.connect(_plain(admin_url))
    try:
        version = connection.get_server_version()
        if version.major < OLDEST // 10000:
            raise OLD_SERVER(version=f"{version.major}.{version.minor}")
        # Two who prepare at once would trip over each other in the shared catalogue of roles.
        await connection.execute(f"SELECT pg_advisory_lock({_LOCK})")
        for script in ("roles.sql", "database.sql"):
            await connection.execute((_SQL / script).read_text())
    finally:
        await connection.close()


async def create_database(admin_url: str, name: str, *, template: str | None = None) -> None:
    """Create a database if it does not exist yet."""
    connection = await asyncpg.connect(_plain(admin_url))
    try:
        source = f' TEMPLATE "{template}"' if template else " TEMPLATE template0 ENCODING 'UTF8'"
        await connection.execute(f'CREATE DATABASE "{name}"{source}')
    except asyncpg.DuplicateDatabaseError:
        return
    finally:
        await connection.close()


def migrate(owner_url: str, *, role: str | None = None, revision: str = "head") -> None:
    """Run the migrations. Not to be called inside a running event loop: alembic runs its own."""
    command.upgrade(alembic_config(owner_url, role), revision)


def alembic_config(owner_url: str, role: str | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("sqlalchemy.url", owner_url.replace("%", "%%"))
    config.attributes["role"] = role
    return config


def _plain(url: str) -> str:
    """As asyncpg itself reads it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
