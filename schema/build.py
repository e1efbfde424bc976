"""Builds the one public schema from the slices that `capabilities` lists."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from uuid import UUID

import strawberry
from graphql import GraphQLInputObjectType, GraphQLSchema, print_schema
from strawberry.schema.config import StrawberryConfig
from strawberry.tools import merge_types
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition

from backend.capabilities import modules
from backend.kit.errors import Kind, published_codes
from backend.kit.graphql.fields import GUARD, query
from backend.kit.graphql.inputs import InputPlan
from backend.kit.graphql.nodes import Node, from_id
from backend.kit.graphql.payloads import ERROR_TYPES, RuleError
from backend.kit.graphql.scalars import SCALARS
from backend.kit.graphql.types import enum_type, object_type
from backend.kit.pages import MAX_PAGE
from tenants.access import ROLES, Role
from tenants.context import Info, Public, Requires, RequiresOneOf, SignedIn

NodeFetcher = Callable[[Sequence[UUID], Any], Awaitable[dict[UUID, Any]]]

enum_type(Kind, name="ErrorKind")


@object_type
class ErrorCode:
    """One entry of the published list of error codes."""

    code: str
    """The code, never translated and never reused."""
    kind: Kind
    """Which error type carries it."""
    retryable: bool
    """Whether the same request may succeed later."""
    message_zh: str
    """Message template in Chinese."""
    message_en: str
    """Message template in English."""


@object_type
class ErrorCodes:
    """The published list of error codes."""

    codes: list[ErrorCode]
    """All codes, by name."""


def _node_queries(fetchers: dict[str, tuple[type, NodeFetcher]]) -> type:
    async def fetch(ids: Sequence[str], info: Info) -> list[Any]:
        wanted: dict[str, list[UUID]] = {}
        asked = [from_id(value, *fetchers, path=("ids", str(i))) for i, value in enumerate(ids)]
        for type_name, key in asked:
            wanted.setdefault(type_name, []).append(key)
        found = {name: await fetchers[name][1](keys, info) for name, keys in wanted.items()}
        return [found[name].get(key) for name, key in asked]

    @object_type
    class NodeQueries:
        """Root queries that belong to no slice."""

        @query(SignedIn("each node type shows only what the caller may read"))
        async def node(self, info: Info, id: strawberry.ID) -> Node | None:
            """Any object by its id; null when it does not exist or is out of the caller's reach."""
            return (await fetch([id], info))[0]  # type: ignore[no-any-return]

        @query(SignedIn("each node type shows only what the caller may read"))
        async def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
            """Several objects by id, in the order asked for; at most 1000."""
            return await fetch(ids[:MAX_PAGE], info)

        @query(Public("a list that is part of the public contract"))
        async def error_codes(self, info: Info) -> ErrorCodes:
            """Every error code the service can answer with."""
            return ErrorCodes(
                codes=[
                    ErrorCode(code=c.name, kind=c.kind, retryable=c.retryable, message_zh=c.zh, message_en=c.en)
                    for c in published_codes()
                ]
            )

    return NodeQueries


ARGUMENTS: Final = {
    "first": "How many rows, 1 to 1000; 50 when not given.",
    "after": "Cursor of the last row seen; rows behind it follow.",
    "input": "What to do.",
    "id": "Global id of the object.",
    "ids": "Global ids of the objects.",
    "organisation_id": "The organisation it is about.",
    "as_of": "The day the answer holds for; today when not given.",
}


def build_schema() -> strawberry.Schema:
    slices = list(modules("graphql"))
    fetchers = {name: entry for module in slices for name, entry in getattr(module, "NODES", {}).items()}
    queries = (*(m.Queries for m in slices if hasattr(m, "Queries")), _node_queries(fetchers))
    mutations = tuple(m.Mutations for m in slices if hasattr(m, "Mutations"))
    subscriptions = tuple(m.Subscriptions for m in slices if hasattr(m, "Subscriptions"))
    query_root, mutation_root = merge_types("Query", queries), merge_types("Mutation", mutations)
    _describe(query_root, "Everything that can be asked.")
    _describe(mutation_root, "Everything that can be changed.")
    schema = strawberry.Schema(
        query=query_root,
        mutation=mutation_root,
        subscription=merge_types("Subscription", subscriptions) if subscriptions else None,
        types=[*ERROR_TYPES.values(), RuleError, *(entry[0] for entry in fetchers.values())],
        config=StrawberryConfig(scalar_map={**StrawberryConfig().scalar_map, **SCALARS}),
    )
    _finish_inputs(schema)
    return schema


def _finish_inputs(schema: strawberry.Schema) -> None:
    """Strawberry enforces oneOf as values come in; graphql-core, told here, also prints it and introspects it."""
    for made in core(schema).type_map.values():
        written = made.extensions.get("strawberry-definition")
        if isinstance(made, GraphQLInputObjectType) and isinstance(written, StrawberryObjectDefinition):
            made.is_one_of = written.is_one_of
            written.from_input = InputPlan(written)


def _describe(root: type, summary: str) -> None:
    definition = get_object_definition(root, strict=True)
    definition.description = summary
    for field in definition.fields:
        for argument in field.arguments:
            argument.description = argument.description or ARGUMENTS.get(argument.python_name)


def core(schema: strawberry.Schema) -> GraphQLSchema:
    """The graphql-core schema beneath."""
    return schema._schema  # noqa: SLF001 - the one door strawberry leaves to it


def sdl(schema: strawberry.Schema) -> str:
    return print_schema(core(schema)) + "\n"


def error_list() -> str:
    """The published list of error codes, as a page to read."""
    build_schema()
    rows = [
        f"| `{c.name}` | {c.kind.value} | {'yes' if c.retryable else ''} | {c.en} | {c.zh} |" for c in published_codes()
    ]
    head = [
        "# Error codes",
        "",
        "Generated by `make docs` from the codes the slices declare; also served by the query `errorCodes`.",
        "",
        "| code | kind | retry | English | 中文 |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def access_list() -> str:
    """Which role gets past the guard of which root field, as a page to read."""
    schema, name_of = build_schema(), StrawberryConfig().name_converter.get_graphql_name
    roots = [root for root in (schema.query, schema.mutation, schema.subscription) if root]
    fields = [f for root in roots for f in get_object_definition(root, strict=True).fields]
    rows = [
        f"| `{name_of(f)}` | {f.metadata[GUARD].describe()} | {' | '.join(_opened(f.metadata[GUARD]))} |"
        for f in fields
    ]
    head = [
        "# Roles and root fields",
        "",
        "Generated by `make docs` from the guards of the fields and the table in `tenants/domain/roles.py`. A ✓ says",
        "that the role gets past the guard; where in the tree it may then act is asked of its assignments.",
        "",
        f"| field | needs | {' | '.join(role.value.replace('_', ' ').lower() for role in Role)} |",
        f"|---|---|{':-:|' * len(Role)}",
    ]
    return "\n".join([*head, *rows]) + "\n"


def _opened(guard: Public | SignedIn | Requires | RequiresOneOf) -> list[str]:
    if isinstance(guard, Public | SignedIn):
        return ["✓"] * len(Role)
    needed = {guard.permission} if isinstance(guard, Requires) else set(guard.permissions)
    return ["✓" if needed & ROLES[role] else "" for role in Role]
