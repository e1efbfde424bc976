"""The postgres processes of a home: which live, whether they answer, how they are ended."""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.kit.embedded.errors import EmbeddedError
from backend.kit.embedded.home import SOCKET_NAME, Home, is_held

# Fast (roll back, checkpoint), then immediate (recovery at the next start). Seconds of patience for each.
SHUTDOWN_STEPS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0))
KILL_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Postmaster:
    pid: int
    state: str  # "starting", "ready", "stopping", … as the server itself writes it


def postmaster(home: Home) -> Postmaster | None:
    """Find the living main process of the server, or None.

    A pid file alone proves nothing: it survives kill -9 and power loss, and its number may be another
    program's by now. So the process must be postgres and stand in our data folder.
    """
    found = _pid_file(home)
    return found if found is not None and belongs(home, found.pid) else None


def belongs(home: Home, pid: int) -> bool:
    """Whether a living process (a zombie has no folder) is postgres or initdb at work in this home."""
    try:
        here = Path(f"/proc/{pid}/cwd").stat()
        program = Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return False
    return program.startswith(("postgres", "initdb")) and any(
        folder.exists() and os.path.samestat(here, folder.stat()) for folder in (home.data, home.unborn)
    )


def processes(home: Home) -> Iterator[int]:
    """Every postgres process of the home, also those whose postmaster was killed."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return (pid for pid in pids if belongs(home, pid))


def is_ready(home: Home) -> bool:
    """Whether the server says it is ready and something listens on its socket."""
    found = _pid_file(home)
    if found is None or found.state != "ready":
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fsencode(home.socket_dir() / SOCKET_NAME))
        except OSError:
            return False
    return True


def shut_down(home: Home) -> None:
    """End every postgres process of the home, politely first. Raises DATA_IN_USE."""
    for sign, patience_s in SHUTDOWN_STEPS:
        main = postmaster(home)
        if main is None:
            break
        _send(main.pid, sign)
        if _emptied(home, patience_s):
            return
    kill_all(home)


def kill_all(home: Home) -> None:
    """End what a dead postmaster left behind. Committed work is in the log, which the next start replays.

    Raises DATA_IN_USE.
    """
    for pid in processes(home):
        _send(pid, signal.SIGKILL)
    if not _emptied(home, KILL_PATIENCE_S):
        raise EmbeddedError(
            "DATA_IN_USE",
            f"processes that cannot be seen from here hold {home.server_lock}; "
            "stop the container or user that runs them",
        )


def _send(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)


def _emptied(home: Home, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while is_held(home.server_lock, shared=True):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.01)
    return True


def _pid_file(home: Home) -> Postmaster | None:
    try:
        lines = (home.data / "postmaster.pid").read_text("utf-8", "replace").splitlines()
        return Postmaster(int(lines[0]), lines[7].strip() if len(lines) > 7 else "starting")
    except (OSError, ValueError, IndexError):
        return None
