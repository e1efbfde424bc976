"""Nothing of tenant A reaches tenant B: through the application, and again with the application's filters removed.

The calls are generated from the built schema: every query, every mutation, every node id of A, as a member of B who
holds every role there. A's records carry a marker that must not appear in any answer, and must not change.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson
import pytest
from sqlalchemy import true

from backend.capabilities import metadata, modules
from backend.kit.database import connect
from backend.kit.graphql.nodes import to_id
from backend.kit.provision import APP, AUDITOR, WORKER
from schema.build import build_schema, core
from tenants import access
from tenants.access import Role
from tests.fixtures.documents import operations
from tests.fixtures.group import MARKER, fill
from tests.fixtures.world import Caller, World

SCHEMA = core(build_schema())
TABLES = [t.name for t in metadata().sorted_tables if "tenant_id" in t.columns]
NODE_TABLES = {
    "Organisation": "organisation",
}


@pytest.fixture
async def foreign(world: World) -> World:
    """Tenant A, with something in every slice."""
    await fill(world)
    return world


@pytest.fixture
async def stranger(foreign: World) -> Caller:
    """A member of tenant B who may do everything there."""
    other = await World.create(foreign.owner, foreign.services)
    await other.root()
    roles = [(role, None) for role in Role if role is not Role.OVERALL_LEAD]
    return await other.member(*roles, name="李四")


async def contents(world: World) -> dict[str, Any]:
    """Every row of the tenant, as the owner sees it from inside the tenant."""
    found = {}
    async with world.owner.read(world.tenant_id) as session:
        for table in TABLES:
            rows = await session.rows(f"SELECT to_jsonb(t) AS row FROM {table} t ORDER BY 1")
            found[table] = [r.row for r in rows]
    return found


async def node_ids(world: World) -> list[str]:
    found: list[str] = []
    async with world.owner.read(world.tenant_id) as session:
        for type_name, table in NODE_TABLES.items():
            rows = await session.rows(f"SELECT id FROM {table} ORDER BY id LIMIT 3")
            assert rows, f"tenant A has no {type_name}: extend tests/fixtures/group.py"
            found += [to_id(type_name, r.id) for r in rows]
    return found


async def try_everything(stranger: Caller, ids: list[str]) -> int:
    """Call every root field with every id of A; the number of calls. Fails on the first mark of A."""
    calls = 0
    for target in ids:
        for operation in operations(SCHEMA, lambda _name, target=target: target):  # type: ignore[misc]
            if target is not ids[0] and "ID" not in operation.document.partition("{")[0] and operation.kind == "query":
                continue  # takes no id: once is enough
            response = await stranger.run(operation.document, **operation.variables)
            assert MARKER.encode() not in orjson.dumps(response.body()), (operation.field, response.body())
            calls += 1
    answer = await stranger.run("query N($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert answer.data is None or answer.data["nodes"] == [None] * len(ids)
    return calls


def test_every_node_type_is_tried() -> None:
    declared = {name for module in modules("graphql") for name in getattr(module, "NODES", {})}
    assert declared == set(NODE_TABLES)


async def test_every_table_of_a_is_empty_for_b(foreign: World, database_url: str) -> None:
    other = await World.create(foreign.owner, foreign.services)
    for role in (APP, WORKER, AUDITOR):
        database = connect(database_url, role=role)
        async with database.read(other.tenant_id) as session:
            for table in TABLES:
                if not await session.scalar(f"SELECT has_table_privilege('{table}', 'SELECT')"):
                    continue
                seen = await session.scalar(
                    f"SELECT count(*) FROM {table} WHERE tenant_id = :other", {"other": foreign.tenant_id}
                )
                assert seen == 0 or (role, table) == (WORKER, "job"), (role, table)
        await database.close()


async def test_the_filled_tenant_has_rows_in_every_table(foreign: World) -> None:
    assert [table for table, rows in (await contents(foreign)).items() if not rows] == []


async def test_nothing_crosses_through_the_application(foreign: World, stranger: Caller) -> None:
    before, ids = await contents(foreign), await node_ids(foreign)
    calls = await try_everything(stranger, ids)
    assert calls > len(ids)
    assert await contents(foreign) == before


async def test_nothing_crosses_by_row_level_security_alone(
    foreign: World, stranger: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def allow(*_: object) -> None:
        return None

    for module in list(sys.modules.values()):
        for name, instead in (("within", lambda *_: true()), ("reachable", lambda *_: true()), ("require", allow)):
            if getattr(module, name, None) is getattr(access, name) and module is not access:
                monkeypatch.setattr(module, name, instead)
    before, ids = await contents(foreign), await node_ids(foreign)
    assert await try_everything(stranger, ids) > len(ids)
    assert await contents(foreign) == before
