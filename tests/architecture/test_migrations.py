"""The migrations and the tables say the same, and the migrations form one line."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic.script import ScriptDirectory

from backend.cli.drift import compare
from backend.kit.database import Database
from backend.kit.provision import alembic_config

ROOT: Final = Path(__file__).resolve().parents[2]


async def test_migrations_match_the_tables(owner_database: Database) -> None:
    assert await compare(owner_database) == []


def test_migrations_form_one_line() -> None:
    script = ScriptDirectory.from_config(alembic_config("postgresql://nowhere"))
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1


def test_functions_are_amended_by_one_means() -> None:
    """By `support.amend`, which fails when a function does not say what is taken away; older ones did so themselves."""
    versions = sorted((ROOT / "migrations" / "versions").glob("*.py"))
    rewriting = [p.stem.split("_")[3] for p in versions if "pg_get_functiondef" in p.read_text(encoding="utf-8")]
    assert [number for number in rewriting if number > "0028"] == []
