"""`tanheng schema …`: the public contract as a file."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from backend.cli.common import console
from backend.config import ROOT
from schema.build import access_list, build_schema, error_list, sdl

app = typer.Typer(no_args_is_help=True, help="The public GraphQL contract as a file.")
FOLDER = ROOT / "schema"


def _fresh() -> dict[str, tuple[str, str]]:
    """Each generated file: what it holds, and what it should."""
    made = {"schema.graphql": sdl(build_schema()), "ERRORS.md": error_list(), "ACCESS.md": access_list()}
    return {n: ((FOLDER / n).read_text() if (FOLDER / n).exists() else "", text) for n, text in made.items()}


@app.command("print")
def print_(
    write: Annotated[bool, typer.Option(help="Write schema.graphql, ERRORS.md and ACCESS.md in schema/.")] = False,
) -> None:
    """Print the schema definition of this version."""
    if not write:
        console.print(sdl(build_schema()), markup=False, highlight=False)
        return
    for name, (_, text) in _fresh().items():
        (FOLDER / name).write_text(text)
        console.print(f"written: schema/{name}")


@app.command()
def check() -> None:
    """Fail when the committed contract is not what the code says."""
    stale = {name: pair for name, pair in _fresh().items() if pair[0] != pair[1]}
    for name, (old, new) in stale.items():
        for line in list(difflib.unified_diff(old.splitlines(), new.splitlines(), name, "code", lineterm=""))[:60]:
            console.print(line, markup=False)
    if stale:
        console.print("[red]stale[/] run `make docs` and commit the result")
        raise typer.Exit(1)
    console.print("The committed contract is what the code says.")
