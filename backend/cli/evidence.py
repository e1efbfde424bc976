"""`tanheng evidence …`: what an operator does about files."""

from __future__ import annotations

import typer
from rich.table import Table

from backend.cli.common import as_owner, console
from backend.evidence.domain import Swept
from backend.evidence.sweep import sweep as sweep_tenant
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.toolbox import Toolbox
from backend.objects import open_objects
from tenants import lifecycle
from tenants.domain.tenant import TenantStatus

app = typer.Typer(no_args_is_help=True, help="Evidence: clear what nobody needs.")


@app.callback()
def _verbs() -> None:
    """Verbs below `evidence`."""


@app.command()
def sweep() -> None:
    """Give up uploads older than a day, and remove contents that no document of a tenant has any more."""

    async def work(database: Database) -> list[tuple[str, Swept]]:
        toolbox = Toolbox(database, Clock(), objects=open_objects(Clock()))
        active = [t for t in await lifecycle.list_tenants(database) if t.status is TenantStatus.ACTIVE]
        return [(t.slug, await sweep_tenant(toolbox, t.id)) for t in active]

    table = Table("tenant", "uploads given up", "contents removed", "contents others have")
    for slug, swept in as_owner(work):
        table.add_row(slug, str(swept.abandoned), str(swept.removed), str(swept.shared))
    console.print(table)
