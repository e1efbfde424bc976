"""`tanheng ledger …`: the chain over a tenant's carbon-asset transfers."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import orjson
import typer

from backend.cli.common import as_owner, console
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.errors import NOT_FOUND, CodedError, not_found
from backend.kit.graphql.nodes import key_of
from backend.kit.toolbox import Toolbox
from backend.ledger import seals
from backend.ledger.history.service import HistoryService
from backend.ledger.seals import Anchor, tenant_named
from backend.ledger.verify import BrokenError, Verifier

app = typer.Typer(no_args_is_help=True, help="The chain that seals a tenant's carbon-asset transfers.")
Slug = Annotated[str, typer.Argument(help="Slug of the tenant.")]


@app.command()
def verify(tenant: Slug) -> None:
    """Check every transfer against the chain, and every balance against its legs and what is set aside of it; the first
    broken link or balance is named, and the exit code is 1.
    """

    async def work(database: Database) -> Verifier:
        return await seals.verify(database, await tenant_named(database, tenant))

    try:
        found = as_owner(work)
    except BrokenError as broken:
        console.print(f"[red]BROKEN[/]: {broken}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None
    head = found.hashes[-1].hex() if found.hashes else "-"
    console.print(f"whole: {found.transfers} transfers under {len(found.hashes)} seals; head {head}", highlight=False)


@app.command()
def export(tenant: Slug, file: Annotated[Path, typer.Argument(help="File to write.")]) -> None:
    """Write the ledger to a file that `python -m backend.ledger.verify FILE` checks without a database."""

    async def work(database: Database) -> int:
        lines = 0
        with file.open("wb") as out:
            async for line in seals.export(database, await tenant_named(database, tenant)):
                out.write(line + b"\n")
                lines += 1
        return lines

    console.print(f"{as_owner(work)} lines in {file}", highlight=False)


@app.command()
def anchor(tenant: Slug) -> None:
    """Anchor the seals of past days (UTC) now, and print every root made; the worker does so each day by itself."""

    async def work(database: Database) -> list[Anchor]:
        key = await tenant_named(database, tenant)
        return await database.write(key, lambda unit: seals.anchor_days(unit, Clock().now()))

    made = as_owner(work)
    _roots(made)
    if not made:
        console.print("nothing to anchor: a day (UTC) is anchored once, ten minutes after its end", highlight=False)


@app.command()
def anchors(
    tenant: Slug,
    since: Annotated[datetime | None, typer.Option(help="First day (UTC); all when not given.")] = None,
) -> None:
    """Print the roots of anchored days: publish them where nobody here can change them."""
    first = date.min if since is None else since.date()

    async def work(database: Database) -> list[Anchor]:
        return await seals.anchors(database, await tenant_named(database, tenant), first)

    _roots(as_owner(work))


def _roots(found: list[Anchor]) -> None:
    for made in found:
        console.print(f"{made.day} seals {made.first_seal}-{made.last_seal} root {made.root.hex()}", highlight=False)


@app.command()
def checkpoint(tenant: Slug) -> None:
    """Note how balances stood, so that those of past days are found quickly; the worker does so each day by itself."""

    async def work(database: Database) -> int:
        history = HistoryService(Toolbox(database, Clock()))
        return await history.checkpoint(await tenant_named(database, tenant))

    console.print(f"{as_owner(work)} checkpoints made", highlight=False)


@app.command()
def prove(
    tenant: Slug, transfer: Annotated[str, typer.Argument(help="Id of the transfer, as the API gives it, or its UUID.")]
) -> None:
    """Print the proof that a transfer is in the ledger; `python -m backend.ledger.verify --proof FILE` checks it."""

    async def work(database: Database) -> bytes:
        held = await tenant_named(database, tenant)
        try:
            found = await seals.prove(database, held, _key(transfer))
        except CodedError as error:
            raise (not_found("AssetTransfer", transfer, "transfer") if error.code is NOT_FOUND else error) from None
        return orjson.dumps(found, option=orjson.OPT_INDENT_2)

    typer.echo(as_owner(work).decode())


def _key(transfer: str) -> UUID:
    try:
        return UUID(transfer)
    except ValueError:
        return key_of(transfer, "AssetTransfer", "transfer")
