"""A cursor that is none of the list's own is refused as such, on every list there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from graphql import GraphQLField, GraphQLObjectType, get_named_type, is_required_argument

from backend.kit.ids import uuid7
from backend.kit.pages import encode_cursor
from schema.build import build_schema, core
from tenants.access import Role
from tests.fixtures.documents import SAMPLES
from tests.fixtures.group import NODE_TABLES, fill, ids_of
from tests.fixtures.world import World

SCHEMA: Final = core(build_schema())
FORGED: Final = (
    (),
    ("",),
    ("x",),
    ("x", "y"),
    ("1", "2", "3"),
    (str(uuid7()), "x"),
    ("x", "y", "z", "u"),
    ("\0",),
    (str(2**31), "x", str(uuid7())),
)


def lists(kind: GraphQLObjectType, trail: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The way to every connection that can be asked for from here, through other connections too."""
    for name, field in kind.fields.items():
        named = get_named_type(field.type)
        if named.name.endswith("Connection") and "after" in field.args and not unfit(field):
            yield (*trail, name)
            node = get_named_type(named.fields["nodes"].type)
            if isinstance(node, GraphQLObjectType) and node.name not in NODE_TABLES and len(trail) < 2:
                yield from lists(node, (*trail, name))


def unfit(field: GraphQLField) -> bool:
    return any(is_required_argument(a) and get_named_type(a.type).name not in SAMPLES for a in field.args.values())


def asked(trail: tuple[str, ...]) -> str:
    name, *deeper = trail
    if deeper:
        return f"{name} {{ nodes {{ {asked(tuple(deeper))} }} }}"
    return f"{name}(after: $after) {{ pageInfo {{ hasNextPage }} }}"


def documents() -> dict[str, tuple[str | None, str]]:
    """A document for each list, and the type whose id it takes if it takes one."""
    assert SCHEMA.query_type
    found: dict[str, tuple[str | None, str]] = {}
    for trail in lists(SCHEMA.query_type):
        found[".".join(trail)] = None, f"query Q($after: String) {{ {asked(trail)} }}"
    for name in NODE_TABLES:
        kind = SCHEMA.type_map[name]
        assert isinstance(kind, GraphQLObjectType)
        for trail in lists(kind):
            head = f"query Q($after: String, $id: ID!) {{ node(id: $id) {{ ... on {name}"
            found[f"{name}.{'.'.join(trail)}"] = name, f"{head} {{ {asked(trail)} }} }} }}"
    return found


DOCUMENTS: Final = documents()


def test_there_are_lists() -> None:
    assert {"organisations", "jobs", "AssetAccount.balances", "ConsolidationRun.nodes.rejectedAssets"} <= set(DOCUMENTS)


async def test_a_cursor_of_another_list_is_refused(world: World, empty_queue: None) -> None:
    await fill(world)
    ids = await ids_of(world)
    caller = await world.member(*[(role, None) for role in Role if role is not Role.OVERALL_LEAD])
    wrong = []
    for name, (kind, document) in DOCUMENTS.items():
        for key in FORGED:
            node = {"id": ids[kind][0]} if kind else {}
            response = await caller.run(document, after=encode_cursor(key), **node)
            codes = {e["extensions"]["code"] for e in response.errors}
            if codes - {"BAD_CURSOR"}:
                wrong.append((name, key, codes))
    assert wrong == []
