"""The process that owns the server: `python -m backend.kit.embedded.supervisor HOME PREFIX OPTIONS`.

It outlives whoever started it, keeps postgres running while anybody uses it, and ends it cleanly afterwards.
If it is killed the server lives on, and the next supervisor adopts it. PREFIX is the folder of the programs,
OPTIONS a JSON object of server settings. On standard output it says one JSON object: empty when the server is
ready, else `code` and `message`.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from backend.kit.embedded.errors import EmbeddedError
from backend.kit.embedded.home import Home, hold, is_same
from backend.kit.embedded.launch import Launcher
from backend.kit.embedded.server import kill_all, postmaster, shut_down

TICK_S = 0.25  # how soon the end of the last user is noticed
GRACE_S = 2.0  # a command that follows another finds the server still there
STEADY_S = 2.0  # a server that dies sooner after its start is not started again by us
ABANDON_PATIENCE_S = 10.0  # for a clean end on files that may be gone
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
SIGNALS = STOP_SIGNALS | {signal.SIGCHLD, signal.SIGHUP}


class Supervisor:
    def __init__(self, home: Home, prefix: Path, options: Mapping[str, str]) -> None:
        self._home = home
        self._launcher = Launcher(home, prefix, options)
        self._child: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    def bring_up(self) -> None:
        """Adopt the living server of the home, or start one."""
        self._started = time.monotonic()
        lock = hold(self._home.server_lock)
        if lock is None and postmaster(self._home) is not None:
            self._say("adopts the running server")
            return
        if lock is None:
            self._say("ends what a dead server left behind")
            lock = self._cleared()
        try:
            self._child = self._launcher.start(lock)
        finally:
            os.close(lock)

    def watch(self, own_lock: int) -> None:
        """Return when the server has ended: nobody used it, a signal asked, or it cannot be kept up."""
        unused_since: float | None = None
        while True:
            event = signal.sigtimedwait(SIGNALS, TICK_S)
            if event is not None and event.si_signo in STOP_SIGNALS:
                self._end("asked to stop")
                return
            if not is_same(own_lock, self._home.supervisor_lock):
                self._abandon()
                return
            if not self._is_up() and not self._restarted():
                return
            everybody_gone = hold(self._home.users_lock)
            if everybody_gone is None:
                unused_since = None
                continue
            # Whoever comes now waits for this lock, and so meets either a running server or none at all.
            unused_since = unused_since or time.monotonic()
            if time.monotonic() - unused_since >= GRACE_S:
                self._end("unused")
                return
            os.close(everybody_gone)

    def _cleared(self) -> int:
        kill_all(self._home)
        lock = hold(self._home.server_lock, patience_s=1.0)
        if lock is None:
            raise EmbeddedError("DATA_IN_USE", f"another has just taken {self._home.data}; try again")
        return lock

    def _is_up(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return postmaster(self._home) is not None

    def _restarted(self) -> bool:
        if time.monotonic() - self._started < STEADY_S:
            self._say("the server ended soon after its start: left down until it is asked for again")
            return False
        self._say("the server ended by itself: starts it again")
        self.bring_up()
        return True

    def _end(self, why: str) -> None:
        self._say(f"{why}: ends the server")
        shut_down(self._home)

    def _abandon(self) -> None:
        """Let go of a folder that was moved or deleted. An adopted server notices that within a minute."""
        if self._child is None:
            return
        self._child.send_signal(signal.SIGINT)
        try:
            self._child.wait(ABANDON_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._child.send_signal(signal.SIGQUIT)

    def _say(self, what: str) -> None:
        moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        sys.stderr.write(f"{moment} UTC [{os.getpid()}] SUPERVISOR:  {what}\n")


def main() -> None:
    root, prefix, options = sys.argv[1:]
    if os.fork():
        os._exit(0)  # whoever started us has no child to wait for
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    home = Home(Path(root))
    # Others may look at the lock for a moment; only another supervisor keeps it.
    own_lock = hold(home.supervisor_lock, patience_s=1.0)
    if own_lock is None:
        _report({})
        return
    os.ftruncate(own_lock, 0)
    os.pwrite(own_lock, str(os.getpid()).encode(), 0)
    supervisor = Supervisor(home, Path(prefix), json.loads(options))
    try:
        supervisor.bring_up()
    except EmbeddedError as error:
        _report({"code": error.code, "message": error.message})
        return
    _report({})
    supervisor.watch(own_lock)


def _report(answer: Mapping[str, str]) -> None:
    """Answer and let go of the pipe. Whoever asked may be dead; the server is there for others, too."""
    with contextlib.suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    main()
