"""The image and the compose file, as far as they can be checked without an engine: by what they name."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from backend.config import ApiSettings, BrokerSettings, DatabaseSettings, LogSettings, ObjectSettings, StateSettings

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
DOCKERFILE = (INFRA / "Dockerfile").read_text().splitlines()
COMPOSE: dict[str, Any] = yaml.safe_load((INFRA / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def known_variables() -> set[str]:
    settings = (ApiSettings, BrokerSettings, DatabaseSettings, LogSettings, ObjectSettings, StateSettings)
    return {
        f"{kind.model_config.get('env_prefix', '')}{field}".upper() for kind in settings for field in kind.model_fields
    }


def instructions(word: str) -> list[str]:
    return [line.removeprefix(word).strip() for line in DOCKERFILE if line.startswith(word + " ")]


def test_the_image_copies_what_exists_and_leaves_out_tests() -> None:
    sources = [part for line in instructions("COPY") if not line.startswith("--from") for part in line.split()[:-1]]
    assert [s for s in sources if not (ROOT / s).exists()] == []
    assert not any(s.startswith("tests") for s in sources)
    packages = {
        p.removesuffix("*")
        for p in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"][
            "include"
        ]
    }
    assert packages <= set(sources)


def test_the_image_runs_as_an_ordinary_user_with_locked_packages() -> None:
    assert instructions("USER") == ["tanheng"]
    assert any("--require-hashes" in line for line in DOCKERFILE)
    version = re.search(r"python:3\.(\d+)", DOCKERFILE[1])
    assert version
    assert int(version[1]) >= 11


def test_compose_has_the_parts_of_a_distributed_installation() -> None:
    assert {"postgres", "rabbitmq", "objects", "api", "worker", "migrate"} <= set(SERVICES)
    assert SERVICES["worker"]["command"] == ["worker"]
    assert all("healthcheck" in SERVICES[name] for name in ("postgres", "rabbitmq"))


def test_compose_sets_only_variables_the_code_reads() -> None:
    for name in ("api", "worker", "migrate"):
        assert set(SERVICES[name]["environment"]) <= known_variables(), name


def test_compose_has_no_default_password_and_mounts_what_exists() -> None:
    text = (INFRA / "compose.yaml").read_text()
    for variable in re.findall(r"\$\{([A-Z_]*PASSWORD)([^}]*)\}", text):
        assert variable[1] == ":?", variable
    mounts = [v for service in SERVICES.values() for v in service.get("volumes", []) if v.startswith("./")]
    assert [m for m in mounts if not (INFRA / m.split(":")[0]).exists()] == []
    assert {d for s in SERVICES.values() for d in s.get("depends_on", {})} <= set(SERVICES)


def test_every_setting_is_in_the_table_of_config() -> None:
    import backend.config

    table = backend.config.__doc__ or ""
    assert [name for name in sorted(known_variables()) if name not in table] == []
