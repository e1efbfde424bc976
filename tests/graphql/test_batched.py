"""Batched fields: one call per level, whatever the number of parents; keyset pages: stable while rows come in."""

from __future__ import annotations

from typing import Any

from backend.kit.database import Database, count_statements
from backend.kit.graphql.nodes import to_id
from tenants.access import Role
from tests.fixtures.world import Caller, World

PARENTS = "query P($first: Int!) { organisations(first: $first) { nodes { code parent { code } } } }"


async def grow(world: World, caller: Caller, codes: list[str]) -> None:
    root = to_id("Organisation", await world.root())
    rows = [{"kind": "SITE", "code": c, "nameZh": c, "parentId": root, "enteredOn": "2020-01-01"} for c in codes]
    await caller.do("createOrganisations", {"organisations": rows}, "results { code }")


async def test_a_level_is_one_statement_for_any_number_of_parents(world: World, database: Database) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    await grow(world, admin, [f"S{i:03d}" for i in range(60)])
    counts = []
    for first in (2, 50):
        seen: list[str] = []
        stop = count_statements(database, seen)
        answer = await admin.ask(PARENTS, first=first)
        stop()
        assert len(answer["organisations"]["nodes"]) == first
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 3, counts


async def page(caller: Caller, first: int, after: str | None) -> dict[str, Any]:
    query = """query P($first: Int!, $after: String) {
      organisations(first: $first, after: $after) {
        nodes { code } pageInfo { hasNextPage hasPreviousPage endCursor } } }"""
    found: dict[str, Any] = (await caller.ask(query, first=first, after=after))["organisations"]
    return found


async def test_pages_neither_repeat_nor_lose_a_row_while_others_are_added(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    await grow(world, admin, [f"B{i:02d}" for i in range(0, 40, 2)])
    seen: list[str] = []
    after, added = None, 1
    while True:
        found = await page(admin, 6, after)
        assert found["pageInfo"]["hasPreviousPage"] == (after is not None)
        seen += [node["code"] for node in found["nodes"]]
        if not found["pageInfo"]["hasNextPage"]:
            break
        after = found["pageInfo"]["endCursor"]
        # One row before the place reached and one behind it.
        await grow(world, admin, [f"A{added:02d}", f"B{39 - 2 * added:02d}"])
        added += 1
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen)
    assert {f"B{i:02d}" for i in range(0, 40, 2)} <= set(seen)


async def test_a_cursor_that_is_none_and_a_page_too_large(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    for arguments, code in (({"first": 5, "after": "x"}, "BAD_CURSOR"), ({"first": 1001, "after": None}, "BAD_PAGE")):
        response = await admin.run(
            "query P($first: Int!, $after: String) { organisations(first: $first, after: $after) { nodes { code } } }",
            **arguments,
        )
        assert response.errors[0]["extensions"]["code"] == code
