"""Use the embedded PostgreSQL of a project: attach to the one that runs, or have it started.

Synchronous on purpose: called before an event loop runs.
"""

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from backend.kit.embedded.binaries import Account, binary, installation
from backend.kit.embedded.errors import EmbeddedError
from backend.kit.embedded.home import PORT, Home, hold, is_held, is_same
from backend.kit.embedded.launch import OWN_SETTINGS, START_PATIENCE_S, SUPERUSER
from backend.kit.embedded.server import is_ready, postmaster, shut_down

__all__ = ["Cluster", "EmbeddedError", "Endpoint", "Status", "binary"]

PATIENCE_S = START_PATIENCE_S + 20.0
ATTEMPTS = 3  # a supervisor may be killed before it can answer
IMPORT_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the server listens. The owner of the state folder and root get there, as any role; none else."""

    socket_dir: Path
    port: int
    superuser: str

    def url(self, *, user: str, database: str) -> str:
        """Write a URL that asyncpg and libpq understand."""
        return (
            f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}"
            f"?host={quote(os.fsencode(self.socket_dir), safe='/')}&port={self.port}"
        )


@dataclass(frozen=True, slots=True)
class Status:
    running: bool
    pid: int | None  # of the postmaster
    supervisor_pid: int | None
    version: str | None  # major version that made the data; None where there is none yet
    data_dir: Path
    has_users: bool


class Cluster:
    """The embedded PostgreSQL under `state_dir`, shared by all processes that name the same folder.

    `options` are server settings; they apply when this call is the one that starts the server.
    """

    def __init__(self, state_dir: Path, *, options: Mapping[str, str] | None = None) -> None:
        self._home = Home.under(state_dir)
        self._options = dict(options or {})
        self._use: int | None = None  # the shared lock that says: this process uses the server
        self._mutex = threading.RLock()
        if reserved := sorted(OWN_SETTINGS.keys() & {name.lower() for name in self._options}):
            raise EmbeddedError("OPTION_RESERVED", f"{', '.join(reserved)}: not for the caller; leave it out")

    def start(self) -> Endpoint:
        """Attach to the running server or start it, and count this process among its users.

        The server stays until the last user has released it or died. Raises EmbeddedError: STATE_UNUSABLE,
        BINARIES_MISSING, DATA_VERSION, DATA_IN_USE, INIT_FAILED, START_FAILED (with the server's own words),
        START_TIMEOUT.
        """
        with self._mutex:
            self._home.prepare()
            self._join()
            try:
                if not self._is_served():
                    self._bring_up()
            except BaseException:
                self.release()
                raise
            return Endpoint(self._home.socket_dir(), PORT, SUPERUSER)

    def release(self) -> None:
        """Give up the use of the server. The end of the process does the same, however it ends."""
        with self._mutex:
            if self._use is None:
                return
            os.close(self._use)
            self._use = None
            atexit.unregister(self.release)
            self._see_out()

    def stop(self) -> None:
        """End the server now, whoever uses it. Raises STOP_FAILED, DATA_IN_USE."""
        with self._mutex:
            if not self._home.exists():
                return
            turn = self._take_turn()
            try:
                self._end_supervisor()
                shut_down(self._home)
            finally:
                os.close(turn)
            self.release()

    def status(self) -> Status:
        """Look without touching: makes and starts nothing. Raises STATE_UNUSABLE."""
        self._home.exists()
        main, version = postmaster(self._home), self._home.data / "PG_VERSION"
        return Status(
            running=main is not None,
            pid=main.pid if main else None,
            supervisor_pid=self._home.supervisor_pid(),
            version=version.read_text("ascii").strip() if version.exists() else None,
            data_dir=self._home.data,
            has_users=is_held(self._home.users_lock),
        )

    def destroy(self) -> None:
        """Stop, and remove the data for good."""
        self.stop()
        self._home.forget_alias()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._home.root)

    def _join(self) -> None:
        if self._use is not None and is_same(self._use, self._home.users_lock):
            return
        self.release()
        # Refused only while the supervisor sees the last user out, which a fast shutdown bounds.
        self._use = hold(self._home.users_lock, shared=True, patience_s=PATIENCE_S)
        if self._use is None:
            raise EmbeddedError("START_TIMEOUT", f"a server that is ending still holds {self._home.users_lock}")
        atexit.register(self.release)

    def _is_served(self) -> bool:
        return is_held(self._home.supervisor_lock, shared=True) and is_ready(self._home)

    def _take_turn(self) -> int:
        turn = hold(self._home.start_lock, patience_s=PATIENCE_S)
        if turn is None:
            raise EmbeddedError("START_TIMEOUT", f"another process has held {self._home.start_lock} for too long")
        return turn

    def _bring_up(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        attempts = 0
        turn = self._take_turn()
        try:
            while not self._is_served():
                if is_held(self._home.supervisor_lock, shared=True):
                    time.sleep(0.01)
                elif not self._spawn_supervisor():
                    attempts += 1
                if attempts == ATTEMPTS:
                    said = self._home.log_tail()
                    raise EmbeddedError("START_FAILED", f"the supervisor ended without a word:\n{said}")
                if time.monotonic() >= deadline:
                    raise EmbeddedError("START_TIMEOUT", f"the server is silent:\n{self._home.log_tail()}")
        finally:
            os.close(turn)

    def _spawn_supervisor(self) -> bool:
        """Start a supervisor that is nobody's child; say whether it answered. Raises the error it answers."""
        prefix = installation(Account.of(self._home))
        log = self._home.open_log()
        command = [sys.executable, "-S", "-m", "backend.kit.embedded.supervisor"]
        try:
            parent = subprocess.Popen(
                [*command, str(self._home.root), str(prefix), json.dumps(self._options)],
                cwd="/",
                env={**os.environ, "PYTHONPATH": str(IMPORT_ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        with parent:
            answer = _read_line(parent)
        if answer:
            raise EmbeddedError(answer["code"], answer["message"])
        return answer is not None

    def _see_out(self) -> None:
        """If the supervisor was killed, have another one end the server after its last user.

        Best effort: at the end of the interpreter no process may be startable any more, and the next start
        adopts the server anyway.
        """
        if postmaster(self._home) is None or is_held(self._home.supervisor_lock, shared=True):
            return
        turn = hold(self._home.start_lock)
        if turn is None:
            return
        with contextlib.suppress(EmbeddedError, RuntimeError, OSError):
            self._spawn_supervisor()
        os.close(turn)

    def _end_supervisor(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while is_held(self._home.supervisor_lock, shared=True):
            pid = self._home.supervisor_pid()
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            if time.monotonic() >= deadline:
                raise EmbeddedError("STOP_FAILED", f"the supervisor (pid {pid}) does not end")
            time.sleep(0.01)


def _read_line(process: subprocess.Popen[bytes]) -> dict[str, Any] | None:
    """Wait for one JSON object on a program's output; None when it ends, or time does, without a word."""
    if process.stdout is None or not select.select([process.stdout], [], [], PATIENCE_S)[0]:
        return None
    line = process.stdout.readline()
    return json.loads(line) if line else None
