"""Role × root field, generated: each role gets past exactly the guards its permissions open."""

from __future__ import annotations

import pytest
from strawberry.types.base import get_object_definition

from backend.kit.graphql.fields import GUARD
from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from schema.build import build_schema, core
from tenants.access import ROLES, Permission, Role
from tenants.context import Public, Requires, RequiresOneOf, SignedIn
from tests.fixtures.documents import Operation, operations
from tests.fixtures.world import World

SCHEMA = build_schema()
NOBODY_KNOWS = to_id("Organisation", uuid7())
OPERATIONS = {o.field: o for o in operations(core(SCHEMA), lambda _name: NOBODY_KNOWS)}


def guards() -> dict[str, object]:
    roots = [r for r in (SCHEMA.query, SCHEMA.mutation) if r]
    name_of = SCHEMA.config.name_converter.get_graphql_name
    fields = [f for root in roots for f in get_object_definition(root, strict=True).fields]
    return {name_of(f): f.metadata[GUARD] for f in fields}


GUARDS = guards()


def needed(field: str) -> set[Permission] | None:
    """The permissions any one of which opens the field; None when it is open to every member."""
    guard = GUARDS[field]
    if isinstance(guard, Requires):
        return {guard.permission}
    if isinstance(guard, RequiresOneOf):
        return set(guard.permissions)
    assert isinstance(guard, SignedIn | Public)
    return None


def codes(operation: Operation, data: dict[str, object] | None, errors: list[dict[str, object]]) -> set[str]:
    found = {str(e["extensions"]["code"]) for e in errors}  # type: ignore[index]
    payload = (data or {}).get(operation.field)
    if operation.kind == "mutation" and isinstance(payload, dict):
        found |= {str(e["code"]) for e in payload["errors"]}
    return found


@pytest.mark.parametrize("role", list(Role), ids=lambda r: r.value)
async def test_each_role_passes_exactly_its_guards(world: World, role: Role) -> None:
    caller = await world.caller(role)
    wrong: list[str] = []
    for field, operation in OPERATIONS.items():
        response = await caller.run(operation.document, **operation.variables)
        refused = "FORBIDDEN" in codes(operation, dict(response.data or {}), [dict(e) for e in response.errors])
        permissions = needed(field)
        if refused != (permissions is not None and not permissions & ROLES[role]):
            wrong.append(f"{field}: {'refused' if refused else 'let through'} {response.errors[:1]}")
    assert wrong == []


async def test_nobody_gets_past_a_guard_without_signing_in(world: World) -> None:
    nobody = await world.nobody()
    for field, operation in OPERATIONS.items():
        response = await nobody.run(operation.document, **operation.variables)
        found = codes(operation, dict(response.data or {}), [dict(e) for e in response.errors])
        assert ("UNAUTHENTICATED" in found) == (not isinstance(GUARDS[field], Public)), (field, response.errors)
