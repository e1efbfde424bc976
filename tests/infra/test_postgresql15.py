"""The tests of what the database itself must hold, run again on Debian's PostgreSQL 15, the oldest that must do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FAST
from tests.fixtures.left_out import lacks
from tests.fixtures.servers import folder

ROOT = Path(__file__).resolve().parents[2]
BINARIES = Path("/usr/lib/postgresql/15/bin")
AGAIN = (
    "tests/architecture/test_tables.py",
    "tests/architecture/test_migrations.py",
    "tests/architecture/test_isolation.py",
    "tests/tenants/test_closure.py",
    "tests/tenants/test_boundaries.py",
    "tests/tenants/test_jobs.py",
    "tests/accounting/test_results.py",
    "tests/ledger",
    "tests/consolidation/test_storage.py",
)


@pytest.fixture
def postgresql15() -> Iterator[str]:
    """A superuser's address on a server of its own, reached by unix socket only."""
    if not (BINARIES / "postgres").is_file():
        lacks("postgresql-15")
    with folder() as home:
        # PostgreSQL does not run as root; the packages bring a user for it.
        drop = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if drop:
            shutil.chown(home, "postgres")
            home.chmod(0o755)
        data = home / "data"
        _run(*drop, BINARIES / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8")
        settings = FAST | {"listen_addresses": "''", "unix_socket_directories": str(home), "max_connections": "300"}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        _run(*drop, BINARIES / "pg_ctl", "-D", data, "-w", "-l", home / "log", "-o", options, "start")
        yield f"postgresql://postgres@/postgres?host={home}"
        _run(*drop, BINARIES / "pg_ctl", "-D", data, "-m", "immediate", "stop")


def _run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd="/")


def test_again_on_the_oldest_server(postgresql15: str) -> None:
    paths = [path for path in AGAIN if (ROOT / path).exists()]
    assert paths == list(AGAIN)
    inner = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths],
        cwd=ROOT,
        env=inner | {"TANHENG_TEST_SERVER": postgresql15},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    counted = re.search(r"(\d+) passed", done.stdout)
    assert counted
    assert int(counted[1]) > 100
