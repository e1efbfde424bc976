"""The list of breaks stays true: what each replaces is there, and its tests are (`broken.py` runs them)."""

from __future__ import annotations

import asyncpg
import pytest

from tests.ledger.breaks import BREAKS
from tests.ledger.broken import ROOT, break_database, by_place, changed, source


@pytest.mark.parametrize("name", BREAKS)
async def test_a_break_finds_what_it_breaks(database_url: str, name: str) -> None:
    found = BREAKS[name]
    assert found.changes or found.statements
    for module, changes in by_place(found, modules=True):
        compile(changed(source(module).read_text(), changes), module, "exec")
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("BEGIN")
        await break_database(connection, found)
    finally:
        await connection.close()
    for test in found.tests:
        file, _, function = test.partition("[")[0].partition("::")
        assert f"async def {function}(" in (ROOT / "tests" / "ledger" / file).read_text()
