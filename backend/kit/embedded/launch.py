"""Make the data folder and start postgres on it. Only the supervisor does this."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from backend.kit.embedded.binaries import Account
from backend.kit.embedded.errors import EmbeddedError
from backend.kit.embedded.home import PORT, SOCKET_NAME, Home
from backend.kit.embedded.server import is_ready

SUPERUSER = "postgres"
# What the socket, the files and the supervisor rest on; everything else may be set by the caller.
OWN_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",  # relative to the data folder, so its path may have any length
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "logging_collector": "off",
    "log_destination": "stderr",
}
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "max_connections": "200",
    "shared_buffers": "192MB",
    "max_wal_size": "2GB",
    "huge_pages": "off",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}
# initdb wants a name for its user, but a container may run us under a number that has none: in a user
# namespace of its own, initdb sees nobody's number. A shell runs it, so that even its absence is in the log.
NAMED = ("/bin/sh", "-c", 'exec unshare --user --map-user=65534 "$@"', "initdb")
# Replaying 2 GB of WAL on a slow disk takes minutes; while the server works on it we wait.
START_PATIENCE_S = 300.0


class Launcher:
    """Starts the programs of one installation as the account that owns the data."""

    def __init__(self, home: Home, prefix: Path, options: Mapping[str, str]) -> None:
        self._home = home
        self._prefix = prefix
        self._settings = {**SETTINGS, **options, **OWN_SETTINGS}

    def start(self, server_lock: int) -> subprocess.Popen[bytes]:
        """Start postgres, making its data first where there is none, and wait until it is ready.

        `server_lock` is held by the caller and proves that no process of an earlier server lives, so files
        that one left are stale. Comes back early when SIGTERM is pending. Raises INIT_FAILED, DATA_VERSION,
        START_FAILED, START_TIMEOUT.
        """
        if not self._home.data.exists():
            self._initialise(server_lock)
        self._check_version()
        for stale in ("postmaster.pid", SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            (self._home.data / stale).unlink(missing_ok=True)
        since = self._home.log_size()
        server = self._launch(server_lock)
        self._await(server, since)
        return server

    def _initialise(self, server_lock: int) -> None:
        account, folder, since = Account.of(), self._home.unborn, self._home.log_size()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        if account.is_other:
            os.chown(folder, account.uid, account.gid)
        arguments = [f"--username={SUPERUSER}", "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8"]
        arguments += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        initdb = self._run("initdb", arguments, folder, account, server_lock)
        if initdb.wait() != 0:
            hint = "" if account.is_named else f" (uid {account.uid} has no name; /etc/passwd can give it one)"
            raise EmbeddedError("INIT_FAILED", f"initdb refused{hint}:\n{self._home.log_tail(since)}")
        folder.rename(self._home.data)
        root = os.open(self._home.root, os.O_RDONLY)
        os.fsync(root)
        os.close(root)

    def _check_version(self) -> None:
        ours = subprocess.run(
            [self._prefix / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[2]
        made_by = (self._home.data / "PG_VERSION").read_text("ascii").strip()
        if ours.split(".")[0] != made_by:
            raise EmbeddedError(
                "DATA_VERSION",
                f"{self._home.data} was made by PostgreSQL {made_by}, the installed one is {ours}; "
                f"dump with {made_by} and load into a new state folder",
            )

    def _launch(self, server_lock: int) -> subprocess.Popen[bytes]:
        arguments = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        return self._run("postgres", arguments, self._home.data, Account.of(self._home), server_lock)

    def _run(
        self, program: str, arguments: list[str], folder: Path, account: Account, server_lock: int
    ) -> subprocess.Popen[bytes]:
        """Start a program in `folder`, with its words in our log and nothing of our environment.

        Another account than ours may not be able to walk to the folder (a project below /root), but it may
        stand in it: the folder is entered before the account changes, and named by where the process stands.
        """
        command = [str(self._prefix / "bin" / program), "-D"]
        command += ["/proc/self/cwd" if account.is_other else str(folder), *arguments]
        if program == "initdb" and not account.is_named:
            command = [*NAMED, *command]
        log = self._home.open_log()
        try:
            return subprocess.Popen(
                command,
                cwd=folder,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[server_lock],
                **account.become(),
            )
        finally:
            os.close(log)

    def _await(self, server: subprocess.Popen[bytes], since: int) -> None:
        deadline = time.monotonic() + START_PATIENCE_S
        while not is_ready(self._home) and signal.SIGTERM not in signal.sigpending():
            if server.poll() is not None:
                raise EmbeddedError("START_FAILED", f"PostgreSQL refused:\n{self._home.log_tail(since)}")
            if time.monotonic() >= deadline:
                server.send_signal(signal.SIGQUIT)
                raise EmbeddedError(
                    "START_TIMEOUT", f"no answer in {START_PATIENCE_S:.0f} s:\n{self._home.log_tail(since)}"
                )
            time.sleep(0.005)
