"""The command line as its user meets it: what it prints, and what its exit codes say."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from backend.databases import EMBEDDED_NAME
from backend.kit.embedded.cluster import Cluster
from backend.kit.ids import global_id
from tenants.examples import server
from tenants.examples.server import ServerError

ROOT = Path(__file__).resolve().parents[2]


class Shell:
    """`tanheng` with a state folder of its own."""

    def __init__(self, state: Path) -> None:
        self.state = state
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DATABASE_", "BROKER_"))}
        self.environment = kept | {"TANHENG_STATE_DIR": str(state), "COLUMNS": "120"}

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "backend.cli.main", *arguments],
            cwd=ROOT,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said
        return said

    def tamper(self, *statements: str) -> None:
        """As the superuser, whom no trigger stops."""

        async def run() -> None:
            connection = await asyncpg.connect(at.url(user=at.superuser, database=EMBEDDED_NAME))
            await connection.execute(";".join(("SET session_replication_role = replica", *statements)))
            await connection.close()

        cluster = Cluster(self.state)
        at = cluster.start()
        asyncio.run(run())
        cluster.release()


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    state = tmp_path_factory.mktemp("state")
    made = Shell(state)
    made.run("db", "up")
    yield made
    Cluster(state).destroy()


def test_help_names_the_verbs(shell: Shell) -> None:
    said = shell.run("--help")
    assert all(
        verb in said for verb in ("db", "tenant", "schema", "serve", "worker", "demo", "load", "token", "doctor")
    )


def test_an_address_in_use_is_said_at_once(tmp_path: Path) -> None:
    """Before a database is started: the state folder stays empty."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = Shell(tmp_path / "state").run("serve", "--port", str(port), code=1)
        assert f"127.0.0.1:{port}" in said
        with pytest.raises(ServerError, match=f"port {port}"), server.running(port=port):
            pass
    assert not (tmp_path / "state").exists()


def test_periodic_jobs_are_listed(shell: Shell) -> None:
    shell.run("tenant", "create", "daily")
    said = shell.run("jobs", "schedules", "--tenant", "daily", WORKER_SCHEDULES_OFF="ledger.remind")
    lines = {line.split("│")[2].strip(): line for line in said.splitlines() if "│ ledger." in line or "│ jobs." in line}
    assert {"ledger.anchor", "ledger.checkpoint", "ledger.remind", "jobs.prune"} <= lines.keys()
    assert "daily at 00:15 in UTC" in lines["ledger.anchor"]
    assert " off " in lines["ledger.remind"]
    assert " off " not in lines["ledger.anchor"]
    assert "every 1:00:00" in lines["ledger.expire_reservations"]


def test_the_life_of_a_tenant(shell: Shell) -> None:
    assert "华东集团" in shell.run("tenant", "create", "life", "--name", "华东集团")
    assert "TENANT_SLUG_TAKEN" in shell.run("tenant", "create", "life", code=1)
    assert "SUSPENDED" in shell.run("tenant", "suspend", "life", "--reason", "欠费")
    assert "ACTIVE" in shell.run("tenant", "resume", "life")
    assert "life" in shell.run("tenant", "list")


def test_a_token_is_one_line(shell: Shell) -> None:
    token = shell.run("token", "--tenant", "tokens", "--create", "令牌", "--role", "ASSET_MANAGER").strip()
    assert token.count(".") == 2
    assert len(token.splitlines()) == 1
    assert "NOT_FOUND" in shell.run("token", "--tenant", "nobody", code=1)


def test_a_healthy_installation(shell: Shell) -> None:
    assert "tanheng_app" in shell.run("doctor")
    assert "embedded" in shell.run("db", "status")


def test_a_database_that_is_not_there_is_one_readable_line(shell: Shell) -> None:
    nowhere = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    assert "tanheng db up" in shell.run("db", "status", code=1, **nowhere)
    assert "cannot be reached" in shell.run("doctor", code=1, **nowhere)


def test_wrong_calls(shell: Shell) -> None:
    shell.run("load", "no/such/folder", code=2)
    example = "tenants/examples/huadong"
    assert "TANHENG_TOKEN" in shell.run("load", example, code=2)
    assert "did not answer" in shell.run("load", example, "--url", "http://127.0.0.1:1", "--token", "x", code=1)
    assert "manifest.toml" in shell.run("load", "tenants/examples", "--token", "x", code=1)


def test_the_ledger_is_checked_and_taken_along(shell: Shell, tmp_path: Path) -> None:
    shell.run("tenant", "create", "books", "--name", "账簿集团")
    assert "whole: 0 transfers under 0 seals" in shell.run("ledger", "verify", "books")
    file = tmp_path / "books.txt"
    assert "1 lines in" in shell.run("ledger", "export", "books", str(file))
    checked = subprocess.run(
        [sys.executable, "-m", "backend.ledger.verify", file], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, "whole: 0 transfers" in checked.stdout) == (0, True)
    assert "nothing to anchor: a day (UTC) is anchored once, ten minutes after its end" in shell.run(
        "ledger", "anchor", "books"
    )
    assert "NOT_FOUND" in shell.run("ledger", "verify", "nobody", code=1)
    assert "NOT_FOUND" in shell.run("ledger", "prove", "books", "00000000-0000-0000-0000-000000000001", code=1)
    named = global_id("AssetTransfer", UUID(int=1))
    assert "NOT_FOUND" in shell.run("ledger", "prove", "books", named, code=1)
    for wrong in ("x", global_id("AssetLot", UUID(int=1))):
        assert "INVALID_ID" in shell.run("ledger", "prove", "books", wrong, code=1)


def test_broken_books_are_said_in_a_line(shell: Shell) -> None:
    shell.run("tenant", "create", "forged", "--name", "伪造集团")
    assert "as their legs and reservations say" in shell.run("doctor")
    shell.tamper(
        "INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing, quantity_t) "
        "SELECT id, gen_random_uuid(), gen_random_uuid(), false, 5 FROM tenant WHERE slug = 'forged'"
    )
    said = shell.run("ledger", "verify", "forged", code=1)
    assert "BROKEN: the balance of account" in said
    assert "says 5 t; its legs come to 0 t" in said
    examined = " ".join(shell.run("doctor", code=1).split())
    assert "tenant forged: the balance of" in examined
    shell.tamper(
        "INSERT INTO asset_seal (tenant_id, number, sealed_at, transfer_ids, leaves, previous, hash) "
        "SELECT id, n, now(), ARRAY[gen_random_uuid()], sha256('a'), sha256('b'), sha256('c') "
        "FROM tenant, generate_series(2, 3) n "
        "WHERE slug = 'forged'"
    )
    assert shell.run("ledger", "verify", "forged", code=1).strip() == "BROKEN: seal 1 is missing; seal 2 follows"
    shell.tamper("DELETE FROM asset_seal", "DELETE FROM asset_balance")
