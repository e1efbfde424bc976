"""The straight way of a mutation: one field, whose variables are read and whose answer is written by a plan.

The general executor looks every type and field up again for each request, which costs a hot mutation more than all its
own work. A plan is drawn up once for a document that is a single plain mutation: no fragments, directives or arguments
below the root, fields that are attributes. It only ever says yes. Whatever does not fit (a variable that is refused, an
error in the payload, a field that fails) goes to the general executor, which knows all the reasons; a field that was
resolved by then hands over what it came to (`Resolved`) and does not run twice.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Undefined,
    VariableNode,
    is_abstract_type,
    is_required_input_field,
    type_from_ast,
)
from graphql.execution.values import VariableValues
from graphql.pyutils import Path, is_awaitable
from graphql.type import GraphQLScalarType
from graphql.type.definition import GraphQLEnumType
from graphql.utilities.coerce_input_value import coerce_default_value

from backend.kit.graphql.context import RequestContext

Step = Callable[[Any], Any]
STRAWBERRY: Final = "strawberry-definition"


class Unsuited(Exception):  # noqa: N818 - not an error: a way to go on
    """The plan cannot tell; the general executor can."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the one field of a mutation came to: the root value by which the general executor goes on from there."""

    value: Any = None
    error: Exception | None = None

    def again(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(frozen=True, slots=True)
class Straight:
    """The plan of one document."""

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    node: FieldNode
    field: GraphQLField
    read: tuple[tuple[str, str, Step], ...]
    """Variable, name of the argument in Python, and how its value is read."""
    write: Step

    @classmethod
    def of(cls, schema: GraphQLSchema, document: DocumentNode) -> Straight | None:
        """The plan of a valid document, or None when it is no plain mutation."""
        try:
            return cls._drawn_up(schema, document)
        except Unsuited:
            return None

    @classmethod
    def _drawn_up(cls, schema: GraphQLSchema, document: DocumentNode) -> Straight:
        operation = document.definitions[0]
        if len(document.definitions) > 1 or not isinstance(operation, OperationDefinitionNode) or operation.directives:
            raise Unsuited
        if operation.operation is not OperationType.MUTATION or schema.mutation_type is None:
            raise Unsuited
        (node, *more) = operation.selection_set.selections
        if more or not isinstance(node, FieldNode) or node.directives or node.name.value.startswith("__"):
            raise Unsuited
        field = schema.mutation_type.fields[node.name.value]
        if not inspect.iscoroutinefunction(field.resolve):
            raise Unsuited
        asked = {d.variable.name.value: d for d in operation.variable_definitions or ()}
        read = []
        for argument in node.arguments or ():
            if not isinstance(argument.value, VariableNode):
                raise Unsuited
            name = argument.value.name.value
            definition = asked.pop(name)
            kind = type_from_ast(schema, definition.type)
            if definition.default_value or definition.directives:
                raise Unsuited
            arg = field.args[argument.name.value]
            read.append((name, arg.out_name or argument.name.value, _reader(kind, ())))
        if asked or len(read) < len(field.args):
            raise Unsuited
        return cls(schema, operation, node, field, tuple(read), _writer(field.type, node.selection_set))

    async def run(self, context: RequestContext, variables: Mapping[str, Any]) -> dict[str, Any] | Resolved | None:
        """The data; or what the field came to, for the general executor; or None when it did not run."""
        try:
            given = {argument: read(variables.get(name, Undefined)) for name, argument, read in self.read}
        except Unsuited:
            return None
        try:
            value = await self.field.resolve(None, self._info(context, variables), **given)  # type: ignore[misc]
        except Exception as error:
            return Resolved(error=error)
        key = (self.node.alias or self.node.name).value
        try:
            return {key: self.write(value)}
        except Unsuited:
            return Resolved(value)

    def _info(self, context: RequestContext, variables: Mapping[str, Any]) -> GraphQLResolveInfo[RequestContext]:
        key = (self.node.alias or self.node.name).value
        parent = self.schema.mutation_type
        assert parent is not None
        return GraphQLResolveInfo(
            self.node.name.value,
            [self.node],
            self.field.type,
            parent,
            Path(None, key, parent.name),
            self.schema,
            {},
            None,
            self.operation,
            VariableValues({}, dict(variables)),
            context,
            is_awaitable,
            None,
            None,  # type: ignore[arg-type]
        )


def _reader(kind: Any, above: tuple[Any, ...]) -> Step:
    """How a variable of this type is read; Unsuited for a type that contains itself, and for values that do not fit."""
    if isinstance(kind, GraphQLNonNull):
        return _present(_reader(kind.of_type, above))
    if isinstance(kind, GraphQLList):
        return _list_reader(_reader(kind.of_type, above))
    if isinstance(kind, GraphQLInputObjectType):
        if kind in above or kind.is_one_of:
            raise Unsuited
        return _object_reader(kind, (*above, kind))
    if not isinstance(kind, GraphQLScalarType | GraphQLEnumType):
        raise Unsuited
    return _leaf(kind.coerce_input_value, may_vanish=True)


def _present(read: Step) -> Step:
    def present(value: Any) -> Any:
        if value is None:
            raise Unsuited
        return read(value)

    return present


def _list_reader(read: Step) -> Step:
    def items(values: Any) -> Any:
        if values is None:
            return None
        if not isinstance(values, list):
            raise Unsuited
        return [read(value) for value in values]

    return items


def _object_reader(kind: GraphQLInputObjectType, above: tuple[Any, ...]) -> Step:
    fields = {name: (field.out_name or name, _reader(field.type, above)) for name, field in kind.fields.items()}
    defaults = {name: coerce_default_value(field) for name, field in kind.fields.items()}
    if any(isinstance(default, list | dict) for default in defaults.values()):
        raise Unsuited
    required = {name for name, field in kind.fields.items() if is_required_input_field(field)}

    def read(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, dict) or not required <= value.keys() or not value.keys() <= fields.keys():
            raise Unsuited
        coerced = {}
        for name, (out, step) in fields.items():
            if name in value:
                coerced[out] = step(value[name])
            elif defaults[name] is not Undefined:
                coerced[out] = defaults[name]
        return kind.out_type(coerced)

    return read


def _leaf(coerce: Step, *, may_vanish: bool) -> Step:
    """A scalar or a word by its type's own rule; `may_vanish`: the rule may make nothing of something."""

    def leaf(value: Any) -> Any:
        if value is None:
            return None
        try:
            coerced = coerce(value)
        except Exception as error:
            raise Unsuited from error
        if coerced is Undefined or (coerced is None and not may_vanish):
            raise Unsuited
        return coerced

    return leaf


def _writer(kind: Any, selections: SelectionSetNode | None) -> Step:
    """How a value of this type is written into the answer."""
    if isinstance(kind, GraphQLNonNull):
        return _present(_writer(kind.of_type, selections))
    if isinstance(kind, GraphQLList):
        return _list_reader(_writer(kind.of_type, selections))
    if isinstance(kind, GraphQLScalarType | GraphQLEnumType):
        return _leaf(kind.coerce_output_value, may_vanish=False)
    if is_abstract_type(kind):
        return _nothing
    assert isinstance(kind, GraphQLObjectType)
    assert selections is not None
    return _object_writer(kind, selections)


def _nothing(value: Any) -> None:
    """Which type a value is of an interface's types is not the plan's to know."""
    if value is not None:
        raise Unsuited


def _object_writer(kind: GraphQLObjectType, selections: SelectionSetNode) -> Step:
    made = kind.extensions[STRAWBERRY].origin
    plan: list[tuple[str, str, Step]] = []
    for node in selections.selections:
        if not isinstance(node, FieldNode) or node.directives or node.arguments:
            raise Unsuited
        if node.name.value == "__typename":
            plan.append(((node.alias or node.name).value, "__class__", lambda _: kind.name))
            continue
        field = kind.fields[node.name.value]
        attribute = field.extensions[STRAWBERRY]
        if not attribute.is_basic_field or field.args:
            raise Unsuited
        key = (node.alias or node.name).value
        plan.append((key, attribute.python_name, _writer(field.type, node.selection_set)))
    if len({key for key, _, _ in plan}) < len(plan):
        raise Unsuited

    def write(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, made):
            raise Unsuited
        return {key: step(getattr(value, name)) for key, name, step in plan}

    return write
