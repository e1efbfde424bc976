"""`tanheng load` and `tanheng demo`: bring a group in through the public API, and show what comes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel

from backend.cli.common import console
from backend.cli.verdicts import compliance_table, verdict_table
from tenants.examples import server
from tenants.examples.api import Api
from tenants.examples.california.compare import determinations
from tenants.examples.california.group import as_group, periods
from tenants.examples.california.manifest import read_manifest
from tenants.examples.folder import read_folder
from tenants.examples.load import Loaded, consolidate, load_once
from tenants.examples.model import Group
from tenants.examples.progress import shown

EXAMPLES = Path(server.__file__).parent
QUERIES = EXAMPLES / "queries.graphql"


def register(app: typer.Typer) -> None:
    for verb in (load, demo):
        app.command()(verb)


def load(
    folder: Annotated[Path, typer.Argument(help="Folder with manifest.toml and CSV files.", exists=True)],
    url: Annotated[str, typer.Option(help="Address of a running server.")] = "http://127.0.0.1:8000",
    token: Annotated[str, typer.Option(envvar="TANHENG_TOKEN", help="Access token for the tenant to load into.")] = "",
) -> None:
    """Load a group from a folder into a tenant of a running server, consolidate it and print the verdicts.

    The token needs the rights of TENANT_ADMINISTRATOR and NEUTRALITY_TEAM:
    `tanheng token --tenant SLUG --role TENANT_ADMINISTRATOR --role NEUTRALITY_TEAM`.
    """
    if not token:
        console.print("An access token is needed: --token, or TANHENG_TOKEN. `tanheng token --tenant …` makes one.")
        raise typer.Exit(2)
    if _load(Api(url, token), read_folder(folder)).refused:
        raise typer.Exit(1)


def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Keep the server up afterwards.")] = True,
    port: Annotated[int, typer.Option(help="Port of the server that stays up.")] = 8000,
) -> None:
    """Load two example groups through the API, run the jobs, print the verdicts, and keep serving."""
    with server.running(port=port if serve else None) as running:
        huadong = read_folder(EXAMPLES / "huadong")
        token = running.tenant(huadong.slug, huadong.name)
        _load(Api(running.url, token), huadong)
        _california(running)
        if serve:
            _invite(running.url, token)
            running.process.wait()


def _load(api: Api, group: Group) -> Loaded:
    console.print(Panel(group.notice, title=group.name, title_align="left"))
    with shown(console) as progress:
        loaded = load_once(api, group, progress)
        runs = consolidate(api, loaded, group, progress)
    if not loaded.counts:
        console.print("Loaded already 数据已载入; consolidated anew.")
    for refusal in loaded.refused:
        console.print(f"[red]refused[/] {refusal.what} {refusal.row}: {refusal.code} {refusal.message}")
    for run in runs:
        console.print(verdict_table(api, run))
    return loaded


def _california(running: server.Server) -> None:
    records = read_manifest()
    group = as_group(records, "california")
    api = Api(running.url, running.tenant(group.slug, group.name))
    console.print(Panel(group.notice, title=group.name, title_align="left"))
    with shown(console) as progress:
        loaded = load_once(api, group, progress)
        runs = consolidate(api, loaded, group, progress)
    found = determinations(api, dict(zip(periods(records), runs, strict=True)))
    console.print(compliance_table(records, found, loaded.refused))


def _invite(url: str, token: str) -> None:
    console.rule("The server stays up; Ctrl+C ends it")
    console.print(f"GraphiQL   {url}/graphiql#token={token}", soft_wrap=True, highlight=False)
    console.print(f"API        {url}/graphql   (Authorization: Bearer …)", highlight=False)
    console.print(f"Token      {token}", soft_wrap=True, highlight=False)
    console.print("\nThree queries to begin with:\n")
    console.print(QUERIES.read_text(), markup=False, highlight=False)
