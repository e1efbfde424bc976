"""The factor library: the database says what the files say, and shows where each value comes from."""

from __future__ import annotations

from decimal import Decimal

import asyncpg
import pytest

from backend.accounting.loader import library_rows, load_library
from backend.kit.database import Database
from backend.kit.quantity import read_unit
from tenants.access import Role
from tests.fixtures.world import World


async def test_database_equals_files(database: Database) -> None:
    """If this fails after an edit of the files, add a migration that calls `load_library` again."""
    async with database.read(None) as session:
        rows = await session.rows("SELECT id, value, unit FROM factor WHERE superseded_at IS NULL")
    assert {str(r.id): (str(r.value), r.unit) for r in rows} == {
        str(r["id"]): (r["value"], r["unit"]) for r in library_rows()
    }
    assert len(rows) == 421


def test_standard_coal_is_worth_what_the_library_says() -> None:
    (value,) = [r["value"] for r in library_rows() if r["code"] == "STANDARD_COAL"]
    assert read_unit("kgce").factor * 1_000_000 == Decimal(str(value)), "kJ per kgce"


async def test_loading_again_changes_nothing_and_a_changed_value_is_superseded(owner_database: Database) -> None:
    async with owner_database.engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        await raw.execute("BEGIN")
        before = await raw.fetch("SELECT * FROM factor ORDER BY id")
        await connection.run_sync(load_library)
        assert await raw.fetch("SELECT * FROM factor ORDER BY id") == before
        await raw.execute(
            "UPDATE factor SET id = gen_random_uuid(), value = 1 WHERE code = 'LIGNITE' AND parameter = 'NCV'"
        )
        await connection.run_sync(load_library)
        found = await raw.fetch(
            "SELECT value::text, superseded_at IS NULL AS used FROM factor "
            "WHERE code = 'LIGNITE' AND parameter = 'NCV' ORDER BY used"
        )
        assert [tuple(r) for r in found] == [("1", False), ("15.250", True)]
        await raw.execute("ROLLBACK")


@pytest.mark.parametrize(
    "statement", ["DELETE FROM factor", "UPDATE factor SET value = 0", "TRUNCATE factor_set CASCADE"]
)
@pytest.mark.parametrize("role", ["tanheng_app", "tanheng_worker", "tanheng_auditor"])
async def test_nobody_but_the_owner_writes_it(database_url: str, role: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url, server_settings={"role": role})
    with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)):
        await connection.execute(statement)
    await connection.close()


async def test_listing(world: World) -> None:
    anyone = await world.caller(Role.HUMAN_RESOURCES)
    query = """query Q($f: EmissionFactorFilter, $after: String) {
      emissionFactors(filter: $f, first: 200, after: $after) {
        nodes { id code parameter value unit region { code nameZh } year provenance source set { code purpose } }
        pageInfo { hasNextPage endCursor } } }"""

    async def listed(**wanted: object) -> list[dict[str, object]]:
        nodes: list[dict[str, object]] = []
        after = None
        while True:
            page = (await anyone.ask(query, f=wanted or None, after=after))["emissionFactors"]
            nodes += page["nodes"]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return nodes

    everything = await listed()
    assert len({n["id"] for n in everything}) == len(everything) == 421
    (shandong,) = await listed(code="GRID_ELECTRICITY", region="CN-SD", year=2023)
    assert (shandong["value"], shandong["provenance"]) == ("0.6191", "OFFICIAL_COPY")
    assert shandong["region"] == {"code": "CN-SD", "nameZh": "山东"}
    assert {n["code"] for n in await listed(text="高炉煤气")} == {"BLAST_FURNACE_GAS"}
    assert {n["code"] for n in await listed(text="ｂｌａｓｔ furnace GAS")} == {"BLAST_FURNACE_GAS"}
    assert {n["set"]["code"] for n in await listed(parameter="GWP", code="CH4")} == {"SAR", "AR4", "AR5", "AR6"}  # type: ignore[index]
    node = await anyone.ask(
        "query Q($id: ID!) { node(id: $id) { ... on EmissionFactor { value } } }", id=shandong["id"]
    )
    assert node == {"node": {"value": "0.6191"}}
