"""The walkthrough of the accounting README, run as it stands there on a fresh installation."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.kit.embedded.cluster import Cluster
from tests.cli.test_cli import ROOT, Shell
from tests.fixtures.servers import folder, free_port, running

README = (ROOT / "backend" / "accounting" / "README.md").read_text()
DATES = re.compile(r"\d{4}-\d\d-\d\d")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shell, int, Path]]:
    state = tmp_path_factory.mktemp("state")
    shell, port = Shell(state), free_port()
    shell.environment.pop("TANHENG_TOKEN", None)
    with folder() as home:
        command = [sys.executable, "-m", "backend.cli.main", "serve", "--port", str(port)]
        with running(command, home, port, shell.environment | {"PYTHONPATH": str(ROOT)}):
            yield shell, port, home / "output.log"
    Cluster(state).destroy()


def block(kind: str) -> list[str]:
    found = re.search(rf"```{kind}\n(.*?)```", README, re.DOTALL)
    assert found is not None
    return found[1].splitlines()


def lines(said: str) -> list[str]:
    """Without the day it was run on, and without the spaces that a terminal cuts off."""
    return [DATES.sub("DAY", line).rstrip() for line in said.strip().splitlines()]


def test_the_commands_say_what_the_readme_shows(installation: tuple[Shell, int, Path]) -> None:
    (shell, port, _), (serve, export, *commands) = installation, block("sh")
    assert serve == "tanheng serve"
    words = export.partition("$(tanheng ")[2].rstrip(")").split()
    token = shell.run(*words).strip()
    said = ""
    for command in commands:
        _, verb, *arguments = command.split()
        told = shell.run(verb, *arguments, "--url", f"http://127.0.0.1:{port}", TANHENG_TOKEN=token)
        said += "" if verb == "load" else told
    assert lines(said) == lines("\n".join(block("text")))


def test_files_are_swept(installation: tuple[Shell, int, Path]) -> None:
    shell, *_ = installation
    shell.run("tenant", "create", "swept")
    assert "swept" in shell.run("evidence", "sweep")


def test_what_an_import_says(installation: tuple[Shell, int, Path], tmp_path: Path) -> None:
    """After the walkthrough: its tenant is there, with what was loaded."""
    shell, port, _ = installation
    staff = ("token", "--tenant", "huadong", "--role", "MONITORING_STAFF", "--organisation", "HDS-01", "--name", "李工")
    token = shell.run(*staff).strip()

    def bring(name: str, text: str, *options: str, code: int) -> str:
        file = tmp_path / name
        file.write_text(text)
        words = ("import", str(file), "--organisation", "HDS-01", "--url", f"http://127.0.0.1:{port}", *options)
        return shell.run(*words, code=code, TANHENG_TOKEN=token)

    def sheet(*rows: str) -> str:
        return "".join(
            ["排放源,流,月份,数量,单位\n", *(f"HDS-01-RJ,SHS,2025-0{n},{row}\n" for n, row in enumerate(rows, 2))]
        )

    assert "CreateEvidenceUpload: OBJECT_EMPTY The file is empty" in bring("nothing.csv", "", code=1)
    assert "This is not a workbook" in bring("text.xlsx", sheet("1,t"), code=1)
    chinese = bring("bad.csv", sheet("1,桶"), "--language", "zh-CN", code=1)
    assert "未知单位 '桶'；可用单位：t, kg" in chinese
    whole = bring("whole.csv", sheet("1,t", "x,t"), "--all-or-nothing", code=1)
    assert "Nothing was stored: all or nothing was asked" in whole
    assert "whole-全部行.csv (every row, the refused ones marked)" in whole
    good = sheet("1,t")
    assert "imported here before" not in bring("good.csv", good, code=0)
    assert "imported here before, on 20" in bring("again.csv", good, code=0)
    assert "1 rows: 0 stored, 1 there already, 0 refused." in bring("spaced.csv", good + "\n", code=0)


def test_addresses_are_named(installation: tuple[Shell, int, Path]) -> None:
    shell, port, log = installation
    assert f'"url": "http://127.0.0.1:{port}"' in log.read_text()
    words = ("explain", "--organisation", "HD", "--year", "2024", "--url", "http://127.0.0.1:1", "--token", "x")
    assert "The server at http://127.0.0.1:1 did not answer" in shell.run(*words, code=1)
