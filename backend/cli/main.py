"""`tanheng`: the command line of an installation. Each verb says by its exit code whether it did what it says:
0 done, 1 it could not be done (the reason is printed), 2 the call was wrong.
"""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from backend.cli import database, operate, schema, tenants, work
from backend.kit.errors import CodedError

app = typer.Typer(
    name="tanheng",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    help="""**Tanheng 碳衡** — carbon-neutrality management for industrial groups (T/CIECCPA 061-2023).

    Begin with `tanheng demo`. It needs nothing: the embedded PostgreSQL starts by itself.
    To use your own PostgreSQL (15 or newer) set `DATABASE_URL` and run `tanheng db up`.""",
)
app.add_typer(database.app, name="db")
app.add_typer(tenants.app, name="tenant")
app.add_typer(schema.app, name="schema")
operate.register(app)
work.register(app)


def main() -> None:
    """Run a verb; an expected failure is one readable line, not a traceback."""
    try:
        app()
    except CodedError as error:
        Console(stderr=True).print(f"[red]{error.code.name}[/] {error.message('en')}\n{error.message('zh-CN')}")
        sys.exit(1)


if __name__ == "__main__":
    main()
