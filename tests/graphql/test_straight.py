"""A plain mutation goes the straight way, and is answered as the general executor answers it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from typing import Any

import pytest
import strawberry
from graphql import GraphQLSchema, parse

from backend.kit.errors import not_found
from backend.kit.graphql.context import RequestContext
from backend.kit.graphql.execute import Executor, GraphQLRequest, GraphQLResponse
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.straight import Straight
from backend.kit.graphql.types import enum_type, input_type, object_type
from backend.kit.toolbox import Services
from schema.build import core

Info = strawberry.Info[Any, None]
RAN: list[str] = []


class Open:
    def check(self, context: Any) -> None:
        """Everybody may."""

    def describe(self) -> str:
        return "open"


@enum_type
class Colour(Enum):
    """A colour."""

    RED = "red"
    """Red."""
    BLUE = "blue"
    """Blue."""


@input_type
class PartInput:
    """A part."""

    weight: int
    """Its weight."""


@input_type
class MakeInput(MutationInput):
    """A thing to make."""

    name: str
    """Its name."""
    colour: Colour = Colour.RED
    """Its colour."""
    day: date | None = None
    """Its day."""
    parts: list[PartInput] | None = None
    """Its parts."""


@object_type
class Part:
    """A part."""

    weight: int
    """Its weight."""


@object_type
class Thing:
    """A thing."""

    name: str
    """Its name."""
    colour: Colour
    """Its colour."""
    day: date | None
    """Its day."""
    parts: list[Part]
    """Its parts."""

    @strawberry.field
    def loud(self) -> str:
        """Its name, loud."""
        return self.name.upper()


@object_type
class MakePayload(Payload):
    """What was made."""

    thing: Thing | None = None
    """The thing."""
    size: int = 0
    """How many parts it has."""


@strawberry.type
class Query:
    @query(Open())
    async def nothing(self, info: Info) -> int:
        """Nothing."""
        return 0


@strawberry.type
class Mutation:
    @mutation(Open())
    async def make(self, info: Info, input: MakeInput) -> MakePayload:
        """Make a thing."""
        RAN.append(input.name)
        if input.name == "refused":
            raise not_found("Thing", "1", "name")
        if input.name == "broken":
            raise RuntimeError(input.name)
        parts: Any = [Part(weight=x.weight) for x in input.parts or ()]
        if input.name == "hollow":
            parts = [None]
        thing = Thing(name=input.name, colour=input.colour, day=input.day, parts=parts)
        return MakePayload(errors=[], thing=thing, size=len(parts))


@dataclass(slots=True)
class Both:
    schema: GraphQLSchema = field(default_factory=lambda: core(strawberry.Schema(Query, Mutation)))

    async def straight(self, document: str, variables: dict[str, Any]) -> GraphQLResponse:
        return await Executor(self.schema).run(GraphQLRequest(document, variables), _context())

    async def general(self, document: str, variables: dict[str, Any]) -> GraphQLResponse:
        executor = Executor(self.schema)
        prepare = executor._prepare
        executor._prepare = lambda text: replace(prepare(text), straight=None)
        return await executor.run(GraphQLRequest(document, variables), _context())


def _context() -> RequestContext:
    return RequestContext(services=Services.__new__(Services), locale="en", correlation_id="c")


HEAD = "mutation M($input: MakeInput!) { "
WHOLE = (
    HEAD
    + "make(input: $input) { thing { name c: colour day parts { __typename weight } } size replayed errors { code } } }"
)
ALIASED = HEAD + "made: make(input: $input) { __typename size } }"
ROUND = [
    HEAD + "make(input: $input) { thing { loud } } }",
    HEAD + "a: make(input: $input) { size } b: make(input: $input) { size } }",
    HEAD + "make(input: $input) { ...F } } fragment F on MakePayload { size }",
    HEAD + "make(input: $input) @include(if: true) { size } }",
    'mutation { make(input: {name: "x"}) { size } }',
    'mutation M($input: MakeInput = {name: "x"}) { make(input: $input) { size } }',
    HEAD + "make(input: $input) { size size } }",
    "{ nothing }",
]  # fmt: skip
INPUTS: list[Any] = [
    {"name": "a"},
    {"name": "a", "colour": "BLUE", "day": "2026-01-02", "parts": [{"weight": 1}, {"weight": 2}]},
    {"name": "a", "day": None, "parts": None},
    {"name": "a", "parts": {"weight": 1}},
    {"name": "a", "parts": [None]},
    {"name": "a", "parts": [{"weight": "heavy"}]},
    {"name": "a", "colour": "GREEN"},
    {"name": "a", "day": "tomorrow"},
    {"name": "a", "other": 1},
    {"name": None},
    {"colour": "RED"},
    {"name": "refused"},
    {"name": "broken"},
    {"name": "hollow", "parts": []},
    "a",
    None,
]


@pytest.mark.parametrize("input", INPUTS, ids=str)
@pytest.mark.parametrize("document", [WHOLE, ALIASED])
async def test_both_ways_answer_the_same_and_run_once(document: str, input: Any) -> None:
    both = Both()
    assert Straight.of(both.schema, parse(document)) is not None
    RAN.clear()
    ours = await both.straight(document, {"input": input})
    assert len(RAN) <= 1
    ran = list(RAN)
    assert ours.body() == (await both.general(document, {"input": input})).body()
    assert ran * 2 == RAN


async def test_no_variable_at_all_answers_the_same() -> None:
    both = Both()
    assert (await both.straight(WHOLE, {})).body() == (await both.general(WHOLE, {})).body()


@pytest.mark.parametrize("document", ROUND)
def test_what_is_not_plain_goes_the_general_way(document: str) -> None:
    assert Straight.of(Both().schema, parse(document)) is None
