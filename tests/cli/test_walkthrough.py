"""The walkthrough of the accounting README, run as it stands there on a fresh installation."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest

from backend.kit.embedded.cluster import Cluster
from tests.cli.test_cli import ROOT, Shell
from tests.fixtures.servers import folder, free_port, running

README = (ROOT / "backend" / "accounting" / "README.md").read_text()
DATES = re.compile(r"\d{4}-\d\d-\d\d")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shell, int]]:
    state = tmp_path_factory.mktemp("state")
    shell, port = Shell(state), free_port()
    shell.environment.pop("TANHENG_TOKEN", None)
    with folder() as home:
        command = [sys.executable, "-m", "backend.cli.main", "serve", "--port", str(port)]
        with running(command, home, port, shell.environment | {"PYTHONPATH": str(ROOT)}):
            yield shell, port
    Cluster(state).destroy()


def block(kind: str) -> list[str]:
    found = re.search(rf"```{kind}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1].splitlines()


def lines(said: str) -> list[str]:
    """Without the day it was run on, and without the spaces that a terminal cuts off."""
    return [DATES.sub("DAY", line).rstrip() for line in said.strip().splitlines()]


def test_the_commands_say_what_the_readme_shows(installation: tuple[Shell, int]) -> None:
    (shell, port), (serve, export, *commands) = installation, block("sh")
    assert serve == "tanheng serve"
    words = export.partition("$(tanheng ")[2].rstrip(")").split()
    token = shell.run(*words).strip()
    said = ""
    for command in commands:
        _, verb, *arguments = command.split()
        told = shell.run(verb, *arguments, "--url", f"http://127.0.0.1:{port}", TANHENG_TOKEN=token)
        said += "" if verb == "load" else told
    assert lines(said) == lines("\n".join(block("text")))


def test_files_are_swept(installation: tuple[Shell, int]) -> None:
    shell, _ = installation
    shell.run("tenant", "create", "swept")
    assert "swept" in shell.run("evidence", "sweep")
