"""No root field without a guard, no public field but a short list, and every word of the contract described."""

from __future__ import annotations

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    is_introspection_type,
    is_specified_scalar_type,
)
from strawberry.types.base import get_object_definition

from backend.kit.graphql.fields import GUARD
from schema.build import build_schema, core
from tenants.context import Public, SignedIn

SCHEMA = build_schema()
# Fields that ask for no permission, and why.
PUBLIC = {"errorCodes": "part of the published contract"}
SIGNED_IN = {
    "viewer": "the caller's own membership",
    "node": "each node type shows what the caller may read",
    "nodes": "each node type shows what the caller may read",
    "jobs": "the caller's own jobs, and those of organisations whose totals it may see",
    "cancelJob": "the caller's own jobs; others' by job.manage where they belong",
    "retryJob": "the caller's own jobs; others' by job.manage where they belong",
    "emissionFactors": "the factor library is the same for everyone",
    "materials": "the factor library is the same for everyone; own sets are those the caller may read",
    "emissionSubtypes": "the categories of the standards are the same for everyone",
    "methodKinds": "the registry of methods is the same for everyone",
    "markets": "the rulebook is the same for everyone",
    "rules": "the rulebook is the same for everyone",
    "allowanceEntitlement": "plans are the same for everyone; nothing but what is sent goes into the answer",
    "projectRegimes": "regimes are the same for everyone",
    "methodologies": "methodologies are the same for everyone",
}


def guards() -> dict[str, object]:
    roots = (SCHEMA.query, SCHEMA.mutation, SCHEMA.subscription)
    fields = [f for root in roots if root for f in get_object_definition(root, strict=True).fields]
    return {SCHEMA.config.name_converter.get_graphql_name(f): f.metadata.get(GUARD) for f in fields}


def test_every_root_field_has_a_guard() -> None:
    assert [name for name, guard in guards().items() if guard is None] == []


@pytest.mark.parametrize(("kind", "allowed"), [(Public, PUBLIC), (SignedIn, SIGNED_IN)])
def test_fields_open_to_many_are_on_the_list(kind: type, allowed: dict[str, str]) -> None:
    assert {name for name, guard in guards().items() if isinstance(guard, kind)} == set(allowed)


def test_everything_is_described() -> None:
    missing: list[str] = []
    for name, kind in core(SCHEMA).type_map.items():
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        if not kind.description:
            missing.append(name)
        if isinstance(kind, GraphQLEnumType):
            missing += [f"{name}.{v}" for v, value in kind.values.items() if not value.description]
        if isinstance(kind, GraphQLInputObjectType):
            missing += [f"{name}.{f}" for f, field in kind.fields.items() if not field.description]
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            missing += [f"{name}.{f}" for f, field in kind.fields.items() if not field.description]
            missing += [
                f"{name}.{f}({a})"
                for f, field in kind.fields.items()
                for a, argument in field.args.items()
                if not argument.description
            ]
    assert missing == []
