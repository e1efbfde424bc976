"""The embedded PostgreSQL, proved on real servers: every test has a folder and a cluster of its own."""

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from backend.kit.embedded import binaries
from backend.kit.embedded.cluster import Cluster, EmbeddedError, Endpoint, binary

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 15.0
TOLERANCE = 2.0  # on the promised times, for a busy machine
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="the suite itself runs as an ordinary user")


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stopped cluster to copy, so that not every test waits for initdb."""
    folder = tmp_path_factory.mktemp("seed")
    Cluster(folder).start()
    Cluster(folder).stop()
    (folder / "postgres" / "postgres.log").unlink()
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Path]:
    """A state folder with a Chinese name, not yet there; afterwards nothing of it may live."""
    folder = tmp_path / "碳衡 state"
    yield folder
    Cluster(folder).destroy()
    eventually(lambda: not living(folder))


@pytest.fixture
def state(bare: Path, seed: Path) -> Path:
    """A state folder whose cluster has been made before."""
    subprocess.run(["cp", "-a", seed, bare], check=True)
    return bare


def living(folder: Path) -> list[str]:
    """Every process that stands in the folder or names it."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = " ".join([*(process.info["cmdline"] or []), process.info["cwd"] or ""])
        if str(folder) in words and process.pid != os.getpid():
            found.append(f"{process.pid} {words}")
    return found


def eventually(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


async def connect(endpoint: Endpoint) -> Any:
    url = endpoint.url(user=endpoint.superuser, database="postgres")
    return await asyncpg.connect(url)


def sql(endpoint: Endpoint, statement: str) -> str:
    url = endpoint.url(user=endpoint.superuser, database="postgres")
    done = subprocess.run(
        [binary("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, url],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def user(state: Path, then: str = "sys.stdin.read()") -> subprocess.Popen[str]:
    """Another process that uses the cluster; it prints the server's pid and lives until its input ends."""
    script = f"""
        import os, sys
        from pathlib import Path
        from backend.kit.embedded.cluster import Cluster
        cluster = Cluster(Path({str(state)!r}))
        cluster.start()
        print(cluster.status().pid, flush=True)
        {then}
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{binaries._site()}"}
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )


def postmaster_of(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def log(state: Path) -> str:
    return (state / "postgres" / "postgres.log").read_text("utf-8")


def kill(pid: int | None, sign: signal.Signals = signal.SIGKILL) -> None:
    assert pid is not None
    process = psutil.Process(pid)
    process.send_signal(sign)
    if sign == signal.SIGKILL:  # the dying takes a moment, too
        eventually(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)


def timed(what: str, limit_s: float, start: Callable[[], object]) -> None:
    begun = time.perf_counter()
    start()
    took = time.perf_counter() - begun
    print(f"{what}: {took:.4f} s (promised: under {limit_s} s)")
    assert took < limit_s * TOLERANCE, what


async def test_cold_warm_and_attached_starts_are_quick(bare: Path) -> None:
    cluster = Cluster(bare, options={"work_mem": "5MB"})
    timed("cold start", 3.0, cluster.start)
    timed("attach", 0.05, Cluster(bare).start)
    cluster.stop()
    timed("warm start", 0.5, cluster.start)
    endpoint = cluster.start()
    connection = await connect(endpoint)
    names = ("fsync", "synchronous_commit", "listen_addresses", "server_encoding", "work_mem", "TimeZone")
    found = [await connection.fetchval("select current_setting($1)", name) for name in names]
    sorts = await connection.fetchval("select upper('é') || lower('Ä') || '碳衡'")
    await connection.close()
    assert found == ["on", "on", "", "UTF8", "5MB", "UTC"]
    assert sorts == "Éä碳衡"
    status = cluster.status()
    assert (status.running, status.version, status.has_users) == (True, "18", True)


def test_processes_and_threads_that_start_at_once_share_one_server(bare: Path) -> None:
    several = [user(bare) for _ in range(3)]
    cluster = Cluster(bare)
    threads = [threading.Thread(target=cluster.start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pids = {postmaster_of(process) for process in several}
    for process in several:
        process.communicate("")
    assert pids == {cluster.status().pid}
    cluster.release()
    assert not cluster.status().has_users
    assert log(bare).count("starting PostgreSQL") == 1


def test_the_last_user_is_seen_out_cleanly_even_if_killed(state: Path, tmp_path: Path) -> None:
    """And it may stand in a folder that is gone by the time it starts the server."""
    (gone := tmp_path / "gone").mkdir()
    leave = f"os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); cluster.stop(); cluster.start()"
    other = user(state, f"{leave}; print(cluster.status().pid, flush=True); sys.stdin.read()")
    assert postmaster_of(other) != postmaster_of(other)
    cluster = Cluster(state)
    sql(cluster.start(), "create table kept as select 42 as answer")
    cluster.release()
    time.sleep(2.6)
    assert cluster.status().running, "the other process still uses it"
    other.kill()
    other.communicate()
    eventually(lambda: not living(state))
    assert log(state).rstrip().endswith("database system is shut down")
    assert sql(cluster.start(), "select answer from kept") == "42"
    assert "not properly shut down" not in log(state)


def test_a_user_killed_in_the_midst_of_the_first_start(bare: Path) -> None:
    other = user(bare)
    eventually((bare / "postgres" / "data.new").exists)
    other.kill()
    other.communicate()
    eventually(lambda: "unused: ends the server" in log(bare))
    eventually(lambda: not living(bare))
    assert "Traceback" not in log(bare)


async def test_a_killed_supervisor_is_replaced_and_the_server_lives_on(state: Path) -> None:
    cluster = Cluster(state)
    endpoint = cluster.start()
    before = cluster.status()
    connection = await connect(endpoint)
    kill(before.supervisor_pid)
    eventually(lambda: cluster.status().supervisor_pid is None)
    assert await connection.fetchval("select 1") == 1
    cluster.start()
    after = cluster.status()
    assert after.pid == before.pid
    assert after.supervisor_pid not in {None, before.supervisor_pid}
    await connection.close()
    kill(after.supervisor_pid)
    eventually(lambda: cluster.status().supervisor_pid is None)
    cluster.release()  # the last user has the server seen out though nobody supervises it
    eventually(lambda: not living(state))
    assert log(state).rstrip().endswith("database system is shut down")


def test_a_killed_postmaster_and_its_busy_orphan_do_not_block_the_next_start(state: Path) -> None:
    cluster = Cluster(state)
    endpoint = cluster.start()
    sql(endpoint, "create table kept as select 42 as answer")
    url = endpoint.url(user="postgres", database="postgres")
    busy = subprocess.Popen(
        [binary("psql"), "-XAtqc", "select count(*) from generate_series(1, 1e10)", url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    eventually(lambda: sql(endpoint, "select count(*) from pg_stat_activity where query ~ '1e10'") == "2")
    kill(cluster.status().pid)
    timed("start beside a busy orphan", 3.0, cluster.start)
    assert sql(endpoint, "select answer from kept") == "42"
    assert busy.wait(PATIENCE_S) != 0
    time.sleep(2.1)  # a server that has stood for a while is started again without being asked for
    pid = cluster.status().pid
    kill(pid)
    eventually(lambda: cluster.status().pid not in {None, pid})
    cluster.start()
    assert sql(endpoint, "select answer from kept") == "42"


def test_power_loss_and_a_pid_that_is_another_programs_now(state: Path) -> None:
    cluster = Cluster(state)
    sql(cluster.start(), "create table kept as select 42 as answer")
    kill(cluster.status().supervisor_pid)
    for process in psutil.process_iter(["cwd"]):
        if process.info["cwd"] == str(state / "postgres" / "data"):
            process.kill()
    eventually(lambda: not living(state))
    account = binaries.Account.of()
    bystander = subprocess.Popen(["sleep", "60"], **account.become())
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        file = state / "postgres" / "data" / name
        lines = file.read_text("utf-8").splitlines(keepends=True)
        file.write_text(f"{bystander.pid}\n" + "".join(lines[1:]), "utf-8")
    assert not cluster.status().running
    assert sql(cluster.start(), "select answer from kept") == "42"
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_half_made_data_folder_and_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    state = tmp_path / ("很长的路径" * 8) / ("x" * 100)
    (state / "postgres" / "data.new" / "base").mkdir(parents=True)
    cluster = Cluster(state)
    endpoint = cluster.start()
    assert len(os.fsencode(endpoint.socket_dir)) < 90
    assert sql(endpoint, "select 42") == "42"
    cluster.destroy()
    assert not endpoint.socket_dir.is_symlink()
    eventually(lambda: not living(state))


def test_a_refused_start_says_why(state: Path) -> None:
    with pytest.raises(EmbeddedError) as refused:
        Cluster(state, options={"shared_buffers": "twelve"}).start()
    assert refused.value.code == "START_FAILED"
    assert 'invalid value for parameter "shared_buffers": "twelve"' in refused.value.message
    assert not Cluster(state).status().has_users
    with pytest.raises(EmbeddedError) as reserved:
        Cluster(state, options={"Listen_Addresses": "*"})
    assert reserved.value.code == "OPTION_RESERVED"
    os.truncate(state / "postgres" / "postgres.log", 17 * 1024 * 1024)
    Cluster(state).start()
    assert (state / "postgres" / "postgres.log.1").exists(), "an overgrown log is set aside"
    Cluster(state).stop()
    (state / "postgres" / "data" / "PG_VERSION").write_text("17\n", "ascii")
    with pytest.raises(EmbeddedError) as older:
        Cluster(state).start()
    assert older.value.code == "DATA_VERSION"


def test_stopping_while_others_use_it(state: Path) -> None:
    cluster = Cluster(state)
    cluster.start()
    other = user(state)
    first = postmaster_of(other)
    cluster.stop()
    assert not cluster.status().running
    assert cluster.status().has_users
    cluster.start()
    assert cluster.status().pid != first
    kill(cluster.status().supervisor_pid, signal.SIGTERM)
    cluster.start()
    assert "not properly shut down" not in log(state)
    other.communicate("")


def test_a_moved_folder_takes_its_server_along(state: Path) -> None:
    cluster, moved = Cluster(state), Cluster(state.with_name("moved"))
    sql(cluster.start(), "create table kept as select 42 as answer")
    state.rename(state.with_name("moved"))
    eventually(lambda: not living(state.with_name("moved")))
    assert sql(moved.start(), "select answer from kept") == "42"
    moved.destroy()
    cluster.start()
    shutil.rmtree(state, ignore_errors=True)  # the server may be writing its last files
    eventually(lambda: not living(state))


@pytest.fixture
def public_dir() -> Iterator[Path]:
    """A folder that every user can walk to, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="tanheng-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@as_root
def test_programs_in_a_private_folder_are_copied(
    tmp_path: Path, public_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = binaries._site()
    for part in (binaries.PACKAGE, f"{binaries.PACKAGE}.libs"):
        shutil.copytree(site / part, tmp_path / "private" / part, ignore=binaries.NEEDLESS)
    monkeypatch.syspath_prepend(tmp_path / "private")
    importlib.invalidate_caches()
    monkeypatch.setattr(binaries, "PUBLIC_PLACES", (tmp_path / "unreachable", public_dir))
    psql = binary("psql")
    assert psql.is_relative_to(public_dir)
    nobody = binaries.Account.of().become()
    assert subprocess.run([psql, "--version"], capture_output=True, check=True, **nobody).stdout
    psql.write_bytes(b"")  # as a power loss may leave it
    assert binary("psql") == psql
    assert subprocess.run([psql, "--version"], capture_output=True, check=True, **nobody).stdout
    assert len(list(public_dir.iterdir())) == 1


@as_root
@pytest.mark.parametrize("uid", [65534, 12345])
def test_an_ordinary_user(public_dir: Path, uid: int) -> None:
    """Also one whose number has no name. This user finds the state of another closed, and is told so."""
    account = binaries.Account(uid, uid)
    python = next(
        (p for p in (Path(sys.executable), Path("/usr/bin/python3")) if p.exists() and account.can_read(p)),
        None,
    )
    if python is None:
        pytest.skip("no Python that every user can run")
    own, foreign = public_dir / "own", public_dir / "foreign"
    own.mkdir()
    os.chown(own, uid, uid)
    (foreign / "postgres").mkdir(mode=0o700, parents=True)
    script = f"""
        import json, subprocess
        from pathlib import Path
        from backend.kit.embedded.cluster import Cluster, EmbeddedError, binary
        try:
            Cluster(Path({str(foreign)!r})).start()
        except EmbeddedError as error:
            code = error.code
        cluster = Cluster(Path({str(own)!r}))
        url = cluster.start().url(user="postgres", database="postgres")
        ask = [binary("psql"), "-XAtqc", "show data_directory", url]
        said = subprocess.run(ask, capture_output=True, text=True)
        cluster.destroy()
        print(json.dumps([code, said.stdout.strip(), said.stderr]))
    """
    done = subprocess.run(
        [python, "-B", "-c", textwrap.dedent(script)],
        env={"PATH": os.defpath, "PYTHONPATH": f"{ROOT}:{binaries._site()}"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        **account.become(),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["STATE_UNUSABLE", str(own / "postgres" / "data"), ""]
    eventually(lambda: not living(own))
