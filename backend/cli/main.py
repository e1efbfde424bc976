"""`tanheng`: the command line of an installation. Each verb says by its exit code whether it did what it says:
0 done, 1 it could not be done (the reason is printed), 2 the call was wrong.
"""

from __future__ import annotations

import os
import sys

import typer
from httpx import HTTPError
from rich.console import Console
from sqlalchemy.exc import DBAPIError

from backend.cli import database, evidence, explain, files, jobs, keys, ledger, operate, schema, tenants, work
from backend.kit.embedded.errors import EmbeddedError
from backend.kit.errors import CodedError
from tenants.examples.api import ApiError
from tenants.examples.server import ServerError

app = typer.Typer(
    name="tanheng",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""**Tanheng 碳衡** — carbon-neutrality management for industrial groups (T/CIECCPA 061-2023).

    Begin with `tanheng demo`. It needs nothing: the embedded PostgreSQL starts by itself.
    To use your own PostgreSQL (15 or newer) set `DATABASE_URL` and run `tanheng db up`.""",
)
app.add_typer(database.app, name="db")
app.add_typer(tenants.app, name="tenant")
app.add_typer(schema.app, name="schema")
app.add_typer(keys.app, name="keys")
app.add_typer(evidence.app, name="evidence")
app.add_typer(ledger.app, name="ledger")
app.add_typer(jobs.app, name="jobs")
operate.register(app)
work.register(app)
files.register(app)
explain.register(app)


def main() -> None:
    """Run a verb; an expected failure is one readable line, not a traceback (TANHENG_TRACE=1 shows it)."""
    try:
        app()
    except Exception as error:
        if os.environ.get("TANHENG_TRACE"):
            raise
        Console(stderr=True, soft_wrap=True).print(f"[red]{_code(error)}[/] {_said(error)}", highlight=False)
        sys.exit(1)


def _code(error: Exception) -> str:
    if isinstance(error, CodedError):
        return error.code.name
    if isinstance(error, EmbeddedError):
        return str(error.code)
    if isinstance(error, OSError) and error.filename:
        return "FILE"
    if isinstance(error, DBAPIError | OSError):
        return "DATABASE"
    return "FAILED" if isinstance(error, ServerError | ApiError | HTTPError) else f"FAILED {type(error).__name__}:"


def _address(error: HTTPError) -> str:
    """Where it was looked for, when it was looked for anywhere."""
    try:
        tried = error.request.url
    except RuntimeError:
        return ""
    return f" at {tried.copy_with(raw_path=b'/')}".rstrip("/")


def _said(error: Exception) -> str:
    if isinstance(error, CodedError):
        return f"{error.message('en')}\n{error.message('zh-CN')}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, HTTPError):
        return f"The server{_address(error)} did not answer: {error}"
    if isinstance(error, DBAPIError | OSError):
        first = str(error.orig if isinstance(error, DBAPIError) else error).splitlines()[0]
        return f"{first}\n`tanheng doctor` examines the installation; `tanheng db up` sets it up."
    return str(error)


if __name__ == "__main__":
    main()
