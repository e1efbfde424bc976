"""The ledger broken on purpose, to see that the tests notice (`breaks.py` has the list).

    python -m tests.ledger.broken [NAME …]          all of them: some minutes

Each break is run in a process and on a database of its own: what is broken there is nowhere else. Exit code 1 when
a test that should have failed did not.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from types import ModuleType

import asyncpg
import pytest

from tests.ledger.breaks import BREAKS, Break, Change

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 600
CHOSEN = os.environ.get("LEDGER_BROKEN", "")
"""In the process that runs the tests: which break."""
_NOTICED = "  noticed"


def changed(text: str, changes: Iterable[Change]) -> str:
    """The text with the changes in it; each must find what it replaces."""
    for change in changes:
        assert change.was in text, f"{change.where} does not say {change.was}"
        text = text.replace(change.was, change.becomes)
    return text


def by_place(found: Break, *, modules: bool) -> Iterator[tuple[str, list[Change]]]:
    """The changes of each module, or of each function of the database."""
    for where, changes in groupby(found.changes, lambda change: change.where):
        if ("." in where) == modules:
            yield where, list(changes)


def source(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin)


def load_broken(found: Break) -> None:
    """Import the modules of a break as it has them; before anything else does."""
    for name, changes in by_place(found, modules=True):
        assert name not in sys.modules, f"{name} has been imported"
        path = source(name)
        module = sys.modules[name] = ModuleType(name)
        module.__file__, module.__package__ = str(path), name.rpartition(".")[0]
        exec(compile(changed(path.read_text(), changes), str(path), "exec"), module.__dict__)


async def break_database(connection: asyncpg.Connection, found: Break) -> None:
    for name, changes in by_place(found, modules=False):
        body = await connection.fetchval("SELECT pg_get_functiondef($1::regproc)", name)
        await connection.execute(changed(body, changes))
    for statement in found.statements:
        await connection.execute(statement)


if CHOSEN:
    load_broken(BREAKS[CHOSEN])

    @pytest.fixture(scope="session", autouse=True)
    def broken(database_url: str) -> None:
        async def work() -> None:
            connection = await asyncpg.connect(database_url)
            await break_database(connection, BREAKS[CHOSEN])
            await connection.close()

        asyncio.run(work())

    _FAILED: dict[str, str] = {}

    def pytest_runtest_logreport(report: pytest.TestReport) -> None:
        if report.when == "call" and report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            _FAILED[report.nodeid.rpartition("/")[2]] = str(crash.message if crash else report.longrepr).splitlines()[0]

    def pytest_sessionfinish() -> None:
        for test in BREAKS[CHOSEN].tests:
            noticed = [f"{name}: {said}" for name, said in _FAILED.items() if name.startswith(test)]
            print(f"\n{_NOTICED if noticed else '  NOT noticed'} by {noticed[0][:200] if noticed else test}", end="")


def notices(name: str) -> bool:
    """Whether all tests of a break fail; what they say is printed."""
    tests = [f"tests/ledger/{test}" for test in BREAKS[name].tests]
    quiet = ["-q", "--no-header", "--tb=no", "--show-capture=no", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-p", "tests.ledger.broken", *quiet, *tests]
    started = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "LEDGER_BROKEN": name}, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if "noticed by" in line]
    print(f"{name}: {BREAKS[name].bug} ({time.monotonic() - started:.0f} s)", *lines, sep="\n", flush=True)
    noticed = [line for line in lines if line.startswith(_NOTICED)]
    if len(lines) != len(BREAKS[name].tests):
        print(done.stdout[-3000:], done.stderr[-3000:])
    return len(noticed) == len(BREAKS[name].tests)


def main(names: list[str]) -> int:
    unnoticed = [name for name in names or BREAKS if not notices(name)]
    print(f"{len(names or BREAKS) - len(unnoticed)} of {len(names or BREAKS)} breaks were noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
