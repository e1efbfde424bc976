"""`tanheng keys …`: the keys our own issuer signs tokens with."""

from __future__ import annotations

from typing import Annotated

import typer

from backend.cli.common import as_owner, console
from backend.identity.local import ensure_keys, rotate_keys
from backend.kit.clock import Clock
from backend.kit.database import Database

app = typer.Typer(no_args_is_help=True, help="Keys that sign our own access tokens.")


@app.command()
def ensure() -> None:
    """Make a signing key when there is none; `tanheng db up` does it too."""

    async def work(database: Database) -> bool:
        return await ensure_keys(database, Clock())

    console.print("A signing key was made." if as_owner(work) else "There is a signing key.")


@app.command()
def rotate(
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="The old key was stolen: refuse all it has signed within 30 s.")
    ] = False,
) -> None:
    """Sign with a new key from now on; tokens of the old one stay valid until they end, unless it is withdrawn."""

    async def work(database: Database) -> None:
        await rotate_keys(database, Clock(), withdraw=withdraw)

    as_owner(work)
    console.print("Tokens are signed with a new key from now on.")
