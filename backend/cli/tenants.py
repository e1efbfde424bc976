"""`tanheng tenant …`: provision, list, suspend and resume tenants. These are the operator's verbs, not the API's."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from tenants.lifecycle import Tenant

from backend.cli.common import as_owner, console
from backend.kit.database import Database
from tenants import lifecycle

app = typer.Typer(no_args_is_help=True, help="Tenants: provision, list, suspend, resume.")
Slug = Annotated[str, typer.Argument(help="Short name: lower-case letters, digits and hyphens.")]


@app.command()
def create(slug: Slug, name: Annotated[str, typer.Option(help="Full name, such as 华东联合控股集团.")] = "") -> None:
    """Provision a tenant. Then `tanheng token --tenant SLUG` gives its first administrator."""

    async def work(database: Database) -> Tenant:
        return await lifecycle.provision(database, slug, name or slug)

    _show([as_owner(work)])


@app.command("list")
def list_() -> None:
    """List all tenants."""
    _show(as_owner(lifecycle.tenants))


@app.command()
def suspend(slug: Slug, reason: Annotated[str, typer.Option(help="Why; shown to its members.")]) -> None:
    """Suspend a tenant: its records can be read, not written."""

    async def work(database: Database) -> Tenant:
        return await lifecycle.suspend(database, slug, reason)

    _show([as_owner(work)])


@app.command()
def resume(slug: Slug) -> None:
    """Resume a suspended tenant."""

    async def work(database: Database) -> Tenant:
        return await lifecycle.resume(database, slug)

    _show([as_owner(work)])


def _show(found: list[Tenant]) -> None:
    table = Table("slug", "name", "status", "since")
    for tenant in found:
        table.add_row(tenant.slug, tenant.name, str(tenant.status), f"{tenant.created_at:%Y-%m-%d}")
    console.print(table)
