"""`tanheng tenant …`: provision, list, suspend and resume tenants. These are the operator's verbs, not the API's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from backend.cli.common import as_owner, console
from backend.identity.local import trial_administrator
from backend.kit.database import Database
from tenants import lifecycle
from tenants.domain.members import MemberKind, NewMember
from tenants.domain.tenant import Tenant

app = typer.Typer(no_args_is_help=True, help="Tenants: provision, list, suspend, resume.")
Slug = Annotated[str, typer.Argument(help="Short name: lower-case letters, digits and hyphens.")]


@app.command()
def create(
    slug: Slug,
    name: Annotated[str, typer.Option(help="Full name, such as 华东联合控股集团.")] = "",
    issuer: Annotated[str, typer.Option(help="Issuer of the first administrator's tokens; our own by default.")] = "",
    subject: Annotated[str, typer.Option(help="Subject of the first administrator at that issuer.")] = "",
) -> None:
    """Provision a tenant with its first administrator, whom `tanheng token --tenant SLUG` speaks for by default."""
    if bool(issuer) != bool(subject):
        raise typer.BadParameter("--issuer and --subject go together")
    named = NewMember(issuer=issuer, subject=subject, kind=MemberKind.PERSON, display_name=subject)
    administrator = named if subject else trial_administrator()

    async def work(database: Database) -> Sequence[Tenant]:
        await lifecycle.provision(database, slug, name or slug, administrator)
        return [t for t in await lifecycle.list_tenants(database) if t.slug == slug]

    _show(as_owner(work))


@app.command("list")
def list_() -> None:
    """List all tenants."""
    _show(as_owner(lifecycle.list_tenants))


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


def _show(found: Sequence[Tenant]) -> None:
    table = Table("slug", "name", "status", "since")
    for tenant in found:
        table.add_row(tenant.slug, tenant.name, str(tenant.status), f"{tenant.created_at:%Y-%m-%d}")
    console.print(table)
