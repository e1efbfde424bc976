"""Rows of bulk calls that GraphQL itself cannot read.

GraphQL refuses all variables for one malformed value. In a list of rows (`row_type`) such a row is set aside before
the others are coerced and put back in its place as `Unread`, with what is wrong: the call judges it with the rest.
The schema stays as strict as it is written, and a call without such rows pays nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, dataclass_transform

import strawberry
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    get_named_type,
    get_nullable_type,
    get_operation_ast,
    is_input_object_type,
    is_input_type,
    is_list_type,
    type_from_ast,
)
from graphql.execution import Executor
from graphql.utilities import validate_input_value
from strawberry.schema.schema_converter import GraphQLCoreConverter

from backend.kit.errors import CodedError
from backend.kit.graphql.types import input_type
from backend.kit.graphql.wording import coded

C = TypeVar("C", bound=type)
R = TypeVar("R")
T = TypeVar("T")
Path = list[str | int]
_ROW: Final = "__tanheng_row__"
MOST_PROBLEMS: Final = 50


@dataclass(frozen=True, slots=True)
class Unread:
    """Stands where a row stood that could not be read; `error` counts its path from the row."""

    error: CodedError


@dataclass(frozen=True, slots=True)
class Problem:
    """A value of the variables that cannot be read; the path begins with the variable's name."""

    path: Path
    error: CodedError


@dataclass(frozen=True, slots=True)
class SetAside:
    """Variables without the rows that cannot be read, and those rows by the way to them."""

    variables: dict[str, Any]
    rows: Sequence[tuple[Path, Unread]]


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def row_type(cls: C) -> C:
    """An input that is judged on its own wherever it stands in a list: `each_row` reads such lists."""
    made = input_type(cls)
    setattr(made, _ROW, made.__name__)
    return made


def each_row(rows: Sequence[R], read: Callable[[R], T]) -> list[T | CodedError]:
    """What `read` makes of each row, or why the row cannot be read; one wrong value stops no other row."""
    made: list[T | CodedError] = []
    for row in rows:
        if isinstance(row, Unread):
            made.append(row.error)
            continue
        try:
            made.append(read(row))
        except CodedError as error:
            made.append(error)
    return made


def all_rows(name: str, rows: Sequence[R], read: Callable[[R], T]) -> list[T]:
    """What `read` makes of all rows, for calls that do all or nothing; an ExceptionGroup names each row it cannot."""
    made: list[T] = []
    wrong: list[CodedError] = []
    for i, row in enumerate(each_row(rows, read)):
        if isinstance(row, CodedError):
            wrong.append(row.at(name, str(i)))
        else:
            made.append(row)
    if wrong:
        message = "rows that cannot be read"
        raise ExceptionGroup(message, wrong)
    return made


def problems(
    schema: GraphQLSchema, document: DocumentNode, operation_name: str | None, variables: Mapping[str, Any]
) -> list[Problem]:
    """Every value of the variables that does not fit its declared type."""
    found: list[Problem] = []
    operation = get_operation_ast(document, operation_name)
    for declared in (operation.variable_definitions or ()) if operation else ():
        name, kind = declared.variable.name.value, type_from_ast(schema, declared.type)
        if name not in variables or kind is None or not is_input_type(kind):
            continue

        def note(error: GraphQLError, path: Path, name: str = name) -> None:
            found.append(Problem([name, *path], coded(error)))

        validate_input_value(variables[name], kind, note)
    return found


def set_aside(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation_name: str | None,
    variables: Mapping[str, Any],
    wrong: Sequence[Problem],
) -> SetAside | None:
    """The variables without the rows that hold what is wrong; None when something is wrong outside of rows."""
    operation = get_operation_ast(document, operation_name)
    kinds = {
        d.variable.name.value: type_from_ast(schema, d.type)
        for d in ((operation.variable_definitions or ()) if operation else ())
    }
    rows: dict[tuple[str | int, ...], Unread] = {}
    for problem in wrong:
        depth = _row_depth(kinds[str(problem.path[0])], problem.path)
        if depth is None:
            return None
        error = problem.error.at(*map(str, problem.path[depth:]))
        rows.setdefault(tuple(problem.path[:depth]), Unread(error))
    if not rows:
        return None
    rest = copy.deepcopy(dict(variables))
    for path in sorted(rows, key=lambda p: (p[:-1], p[-1]), reverse=True):
        del _at(rest, path[:-1])[path[-1]]
    return SetAside(rest, [(list(path), rows[path]) for path in sorted(rows, key=lambda p: (p[:-1], p[-1]))])


def _row_depth(kind: Any, path: Path) -> int | None:
    """How many steps of the path lead to the outermost row it goes through."""
    for depth, step in enumerate(path[1:], start=2):
        kind = get_nullable_type(kind)
        if is_list_type(kind) and isinstance(step, int):
            kind = kind.of_type
            if _is_row(get_named_type(kind)):
                return depth
        elif is_input_object_type(kind) and step in kind.fields:
            kind = kind.fields[step].type
        else:
            return None
    return None


def _is_row(kind: object) -> bool:
    if not isinstance(kind, GraphQLInputObjectType):
        return False
    definition = kind.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    origin = getattr(definition, "origin", None)
    return getattr(origin, _ROW, None) == getattr(origin, "__name__", "")


def _at(value: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        value = value[step]
    return value


class RowExecutor(Executor[Any]):
    """Executes with the rows that were set aside back in their places."""

    @classmethod
    def build(cls, *arguments: Any, **named: Any) -> Any:
        aside: SetAside = named.pop("aside")
        built = super().build(*arguments, **named)
        if isinstance(built, Executor):
            for path, unread in aside.rows:
                _at(built.variable_values.coerced, path[:-1]).insert(path[-1], unread)
        return built
