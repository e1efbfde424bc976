"""`tanheng serve`, `worker`, `token`, `doctor`: run an installation and look after it."""

from __future__ import annotations

import socket
import sys
from datetime import timedelta
from typing import Annotated

import structlog
import typer
import uvicorn
from rich.table import Table

from backend.app import Parts, create_app
from backend.cli.common import as_owner, bring_up, console, databases
from backend.cli.health import examine
from backend.config import ApiSettings, BrokerSettings, IdentitySettings, LogSettings, WorkerSettings
from backend.databases import Databases
from backend.identity.local import TRIAL_NAME, LocalIssuer, trial_administrator
from backend.kit import logs
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.objects import open_objects
from backend.worker import Worker, WorkerThread, run_worker
from tenants.access import Role
from tenants.lifecycle import list_tenants, provision


def register(app: typer.Typer) -> None:
    for verb in (serve, worker, token, doctor):
        app.command()(verb)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    with_worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Run jobs inside this process.")] = True,
) -> None:
    """Serve the GraphQL API (and GraphiQL at /graphiql); jobs run inside unless BROKER_URL or --no-worker says else."""
    # Before anything is started, so that an address in use is said at once.
    with _bound(host, port) as address:
        logs.configure(LogSettings().log)
        found = databases()
        if found.embedded:
            bring_up(found)
        _run_api(found, address, f"http://{host}:{port}", with_worker=with_worker)


def _bound(host: str, port: int) -> socket.socket:
    """The address taken, and not listened on yet: who meets an open port may rely on what is behind it."""
    address = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address.bind((host, port))
    except OSError as error:
        address.close()
        console.print(f"Nothing can listen on {host}:{port}: {error.strerror}. Name another --port, or --host.")
        raise typer.Exit(1) from error
    return address


def _run_api(found: Databases, address: socket.socket, url: str, *, with_worker: bool) -> None:
    """Serve until interrupted."""
    beside = WorkerThread(lambda: _worker(found)) if with_worker else None
    # Files go to the address this process listens on, unless the address that clients see was given.
    given = "public_url" in ApiSettings().model_fields_set
    objects = open_objects(Clock(), None if given else url)
    application = create_app(Parts(found.open_app(), beside, IdentitySettings(), objects))
    structlog.get_logger().info("serving", url=url, graphiql=f"{url}/graphiql")
    config = uvicorn.Config(application, log_level="warning", loop="uvloop", http="httptools")
    uvicorn.Server(config).run(sockets=[address])


def worker() -> None:
    """Run jobs in a process of their own until SIGTERM; what is under way is finished or given back."""
    logs.configure(LogSettings().log)
    found = databases()
    run_worker(
        found.open_worker,
        WorkerSettings(),
        BrokerSettings(),
        clock=Clock(),
        listening=not found.limits.through_pooler,
        objects=open_objects(Clock()),
    )


def _worker(found: Databases) -> Worker:
    settings = WorkerSettings()
    return Worker(
        found.open_worker(),
        Clock(),
        pace=settings.pace(),
        broker=BrokerSettings(),
        listening=not found.limits.through_pooler,
        objects=open_objects(Clock()),
        schedules_off=settings.off(),
    )


def token(
    tenant: Annotated[str, typer.Option(help="Slug of the tenant.")],
    role: Annotated[
        list[Role] | None,
        typer.Option(help="Role of the bearer, in the whole tenant or at --organisation; may be repeated."),
    ] = None,
    name: Annotated[str, typer.Option(help="What the bearer is called; another name is another person.")] = TRIAL_NAME,
    organisation: Annotated[
        str | None, typer.Option(help="Code of the organisation in which, and below which, the roles are held.")
    ] = None,
    hours: Annotated[int, typer.Option(help="How long it is valid.", min=1, max=24 * 31)] = 8,
    create: Annotated[str, typer.Option(help="Provision the tenant under this name when it does not exist.")] = "",
) -> None:
    """Print an access token for trying things out: a trial member of the tenant (TENANT_ADMINISTRATOR unless said)."""
    roles = role or [Role.TENANT_ADMINISTRATOR]

    async def make(database: Database) -> str:
        if create and tenant not in {t.slug for t in await list_tenants(database)}:
            await provision(database, tenant, create, trial_administrator())
        issuer = LocalIssuer(database, Clock(), IdentitySettings())
        return await issuer.token_for(
            tenant, *roles, name=name, organisation=organisation, lifetime=timedelta(hours=hours)
        )

    print(as_owner(make))


def doctor() -> None:
    """Examine the installation: database, roles, migrations, broker, GraphiQL. Exit code 1 when something is wrong."""
    table = Table("", "what", "found", box=None, show_header=False)
    healthy = True
    for finding in examine(databases(), BrokerSettings()):
        healthy &= finding.well
        table.add_row("[green]✓[/]" if finding.well else "[red]✗[/]", finding.what, finding.found)
    console.print(table)
    sys.exit(0 if healthy else 1)
