"""Role × root field, generated: each role gets past exactly the guards its permissions open."""

from __future__ import annotations

import pytest
from strawberry.types.base import get_object_definition

from backend.kit.errors import FORBIDDEN
from backend.kit.graphql.execute import GraphQLResponse
from backend.kit.graphql.fields import GUARD, Guard
from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from schema.build import build_schema, core
from tenants.access import ROLES, Permission, Role
from tenants.context import Public, Requires, RequiresOneOf, SignedIn
from tests.fixtures.documents import Operation, operations
from tests.fixtures.world import World

SCHEMA = build_schema()
NOBODY_KNOWS = to_id("Organisation", uuid7())
OPERATIONS = {o.field: o for o in operations(core(SCHEMA), lambda _owner, _name: NOBODY_KNOWS)}


def guards() -> dict[str, Guard]:
    roots = [r for r in (SCHEMA.query, SCHEMA.mutation) if r]
    name_of = SCHEMA.config.name_converter.get_graphql_name
    fields = [f for root in roots for f in get_object_definition(root, strict=True).fields]
    return {name_of(f): f.metadata[GUARD] for f in fields}


GUARDS = guards()


def needed(field: str) -> tuple[Permission, ...] | None:
    """The permissions any one of which opens the field; None when it is open to every member."""
    guard = GUARDS[field]
    if isinstance(guard, Requires):
        return (guard.permission,)
    if isinstance(guard, RequiresOneOf):
        return guard.permissions
    assert isinstance(guard, SignedIn | Public)
    return None


def complaints(operation: Operation, response: GraphQLResponse) -> list[tuple[str, str]]:
    """Code and message of every error about the field as a whole, of a payload too."""
    assert not response.request_error, (operation.field, response.errors)
    found = [(str(e["extensions"]["code"]), str(e["message"])) for e in response.errors]
    payload = (response.data or {}).get(operation.field)
    if operation.kind == "mutation" and payload is not None:
        found += [(str(e["code"]), str(e["message"])) for e in payload["errors"]]
    return found


@pytest.mark.parametrize("role", list(Role), ids=lambda r: r.value)
async def test_each_role_passes_exactly_its_guards(world: World, role: Role) -> None:
    caller = await world.caller(role)
    wrong: list[str] = []
    for field, operation in OPERATIONS.items():
        found = complaints(operation, await caller.run(operation.document, **operation.variables))
        permissions = needed(field)
        # A check deeper down may refuse too, but names the permission that it misses.
        refusal = permissions and ("FORBIDDEN", FORBIDDEN(permission=tuple(permissions)).message("en"))
        if (refusal in found) != (permissions is not None and ROLES[role].isdisjoint(permissions)):
            wrong.append(f"{field}: {found}")
    assert wrong == []


async def test_nobody_gets_past_a_guard_without_signing_in(world: World) -> None:
    nobody = await world.nobody()
    for field, operation in OPERATIONS.items():
        found = complaints(operation, await nobody.run(operation.document, **operation.variables))
        refused = "UNAUTHENTICATED" in {code for code, _ in found}
        assert refused == (not isinstance(GUARDS[field], Public)), (field, found)
