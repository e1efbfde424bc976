"""`tanheng jobs …`: the periodic jobs of this installation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.table import Table

from backend.capabilities import modules
from backend.cli.common import as_owner, console
from backend.config import WorkerSettings
from backend.kit.clock import REPORTING_ZONE, Clock
from backend.kit.database import Database
from backend.kit.jobs.registry import schedules as declared
from backend.kit.jobs.scheduler import LastRun, last_runs, wanted
from tenants.domain.tenant import Tenant, TenantStatus
from tenants.lifecycle import list_tenants

app = typer.Typer(no_args_is_help=True, help="Periodic jobs: what runs by itself, when, and how it went.")
_MOMENT = "%Y-%m-%d %H:%M"


@app.callback()
def jobs() -> None:
    """Keep `schedules` a verb of its own."""


@app.command()
def schedules(
    tenant: Annotated[str, typer.Option(help="Only of the tenant with this slug.")] = "",
) -> None:
    """List periodic jobs by tenant: when they run, when they last did and what came of it, when they do next.

    WORKER_SCHEDULES_OFF switches them off by name; the setting is read where the worker runs.
    """
    assert all(modules("jobs"))

    async def work(database: Database) -> list[tuple[Tenant, Mapping[str, LastRun]]]:
        found: list[tuple[Tenant, Mapping[str, LastRun]]] = []
        for one in await list_tenants(database):
            if tenant in {"", one.slug}:
                async with database.read(one.id) as session:
                    found.append((one, await last_runs(session)))
        return found

    table = Table("tenant", "job", "when", "last due", "result", "next due")
    known, now = declared(), Clock().now()
    on = wanted(known, WorkerSettings().off())
    for one, last in as_owner(work):
        for name, schedule in sorted(known.items()):
            off = "off" if name not in on else "suspended" if one.status is TenantStatus.SUSPENDED else ""
            upcoming = schedule.next(now).astimezone(REPORTING_ZONE).strftime(_MOMENT)
            table.add_row(one.slug, name, str(schedule), *_told(last.get(name)), off or upcoming)
    console.print(table)
    console.print(f"Times in {REPORTING_ZONE.key}.")


def _told(run: LastRun | None) -> tuple[str, str]:
    if run is None:
        return "-", "-"
    result = " ".join(f"{name}={value}" for name, value in (run.result or {}).items() if not isinstance(value, list))
    said = " ".join(x for x in (run.state.value, run.error_code or "", result) if x)
    return run.due_at.astimezone(REPORTING_ZONE).strftime(_MOMENT), said
