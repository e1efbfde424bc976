"""The migrations and the tables say the same, and the migrations form one line."""

from __future__ import annotations

from alembic.script import ScriptDirectory

from backend.cli.drift import compare
from backend.kit.database import Database
from backend.kit.provision import alembic_config


async def test_migrations_match_the_tables(owner_database: Database) -> None:
    assert await compare(owner_database) == []


def test_migrations_form_one_line() -> None:
    script = ScriptDirectory.from_config(alembic_config("postgresql://nowhere"))
    assert len(script.get_heads()) == 1
    assert len(script.get_bases()) == 1
