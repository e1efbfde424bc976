"""`tanheng db …`: bring the database up, migrate it, look at it."""

from __future__ import annotations

import asyncio

import typer
from alembic.script import ScriptDirectory
from rich.table import Table

from backend.cli.common import bring_up, console, databases
from backend.config import DatabaseSettings, StateSettings
from backend.databases import Databases
from backend.kit.embedded.cluster import Cluster
from backend.kit.provision import alembic_config, migrate

app = typer.Typer(no_args_is_help=True, help="The database: bring it up, migrate it, look at it.")


@app.command()
def up() -> None:
    """Start the embedded server if it is used; create roles, grants and tables. Harmless to repeat."""
    found = databases()
    with console.status("Bringing the database up …"):
        bring_up(found)
    _show(found)


@app.command("migrate")
def migrate_() -> None:
    """Run the migrations that are missing, one process at a time."""
    found = databases()
    with console.status("Migrating …"):
        migrate(found.owner.url, role=found.owner.role)
    _show(found)


@app.command()
def status() -> None:
    """Show the server, its version, the migration it is at and the tenants it holds."""
    _show(databases())


@app.command()
def check() -> None:
    """Fail when tables and migrations do not say the same (a fresh database is made for it, and dropped)."""
    from backend.cli.drift import drift  # noqa: PLC0415 - only this verb needs alembic's comparison

    found = drift(databases())
    for line in found:
        console.print(f"[red]differs[/] {line}")
    if found:
        raise typer.Exit(1)
    console.print("Tables and migrations say the same.")


@app.command()
def stop() -> None:
    """Stop the embedded server, whoever uses it."""
    if DatabaseSettings().url:
        console.print("DATABASE_URL is set: that server is not ours to stop.")
        raise typer.Exit(1)
    Cluster(StateSettings().state_dir).stop()
    console.print("The embedded PostgreSQL is stopped.")


def _show(found: Databases) -> None:
    facts = asyncio.run(_facts(found))
    table = Table("what", "is", show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name, str(value))
    console.print(table)


async def _facts(found: Databases) -> dict[str, object]:
    database = found.open_owner()
    try:
        async with database.read(None) as session:
            version = await session.scalar("SHOW server_version")
            revision = await session.scalar("SELECT version_num FROM alembic_version")
            tenants = await session.scalar("SELECT count(*) FROM tenant")
    finally:
        await database.close()
    newest = ScriptDirectory.from_config(alembic_config(found.owner.url)).get_current_head()
    return {
        "PostgreSQL": f"{version} ({'embedded' if found.embedded else 'by DATABASE_URL'})",
        "migration": revision if revision == newest else f"{revision}, newest is {newest}: run `tanheng db migrate`",
        "tenants": tenants,
    }
