"""A server to load into: `tanheng serve` as a process of its own, as an operator would start it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

_TANHENG = (sys.executable, "-m", "backend.cli.main")


class ServerError(Exception):
    """The server did not come up, or a verb of the command line failed."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the process it runs in."""

    url: str
    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]

    def tenant(self, slug: str, name: str) -> str:
        """Provision a tenant when it is not there yet; a token that may do everything the loading needs."""
        roles = [x for role in ("TENANT_ADMINISTRATOR", "NEUTRALITY_TEAM") for x in ("--role", role)]
        return self._tanheng("token", "--tenant", slug, "--create", name, *roles).strip()

    def _tanheng(self, *arguments: str) -> str:
        done = subprocess.run(
            [*_TANHENG, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            message = f"tanheng {' '.join(arguments)}: {done.stdout}{done.stderr}"
            raise ServerError(message)
        return done.stdout


@contextmanager
def running(*, port: int | None = None, seconds: float = 180) -> Iterator[Server]:
    """Start `tanheng serve` on loopback and wait until it is ready; stop it at the end. Errors: ServerError."""
    at = port or _free_port()
    if _answers(at):
        message = f"something else listens on port {at} already; name another one"
        raise ServerError(message)
    url = f"http://127.0.0.1:{at}"
    environment = {**os.environ, "TANHENG_PUBLIC_URL": url, "TANHENG_LOG": "json", "COLUMNS": "200"}
    command = [*_TANHENG, "serve", "--port", str(at)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        _wait(url, process, seconds)
        yield Server(url, process, environment)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(url: str, process: subprocess.Popen[bytes], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerError("the server ended before it was ready; `tanheng serve` shows why")
        try:
            if httpx.get(f"{url}/readyz", timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    message = f"the server was not ready within {seconds:.0f} s"
    raise ServerError(message)
