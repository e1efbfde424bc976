"""Input objects made from what GraphQL has checked, by a plan drawn up once for each type.

Strawberry looks every field's type and name up again for each value, which costs a mutation more than all its own work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any

from strawberry.scalars import is_scalar
from strawberry.types.arguments import InputContext
from strawberry.types.base import (
    StrawberryList,
    StrawberryMaybe,
    StrawberryObjectDefinition,
    StrawberryOptional,
    has_object_definition,
)
from strawberry.types.enum import StrawberryEnumDefinition
from strawberry.types.unset import UNSET

from backend.kit.graphql.rows import Unread

Convert = Callable[[Any, InputContext], Any]


class InputPlan:
    """How values of one input type are built; drawn up at the first value, when all types are known."""

    def __init__(self, definition: StrawberryObjectDefinition) -> None:
        self._definition = definition
        self._fields: dict[str, tuple[str, Convert | None]] = {}
        self._blank: dict[str, None] = {}

    def __call__(self, made: type, value: Mapping[str, Any], context: InputContext) -> Any:
        """An instance of `made`; what may be left out and has no default is None."""
        if not self._fields:
            self._draw_up(context)
        given: dict[str, Any] = dict(self._blank)
        for name, written in value.items():
            field, convert = self._fields[name]
            given[field] = written if convert is None else convert(written, context)
        return made(**given)

    def _draw_up(self, context: InputContext) -> None:
        fields = self._definition.fields
        self._blank = {
            f.python_name: None for f in fields if f.default_value is MISSING and f.default_factory is MISSING
        }
        self._fields = {
            context.config.name_converter.from_field(f): (
                f.python_name,
                _converter(f.resolve_type(type_definition=self._definition), context),
            )
            for f in fields
        }


def _converter(kind: Any, context: InputContext) -> Convert | None:
    """How a value of this type becomes what Python gets; None when it is that already."""
    if isinstance(kind, StrawberryOptional) and not isinstance(kind, StrawberryMaybe):
        return _converter(kind.of_type, context)
    if isinstance(kind, StrawberryList):
        return _list_of(_converter(kind.of_type, context))
    if isinstance(kind, StrawberryEnumDefinition) or is_scalar(kind, context.scalar_registry):
        return None
    if has_object_definition(kind):
        build = kind.__strawberry_definition__.from_input
        if build is not None:
            return lambda value, below: value if value is None or value is UNSET else build(kind, value, below)
    return lambda value, below: below.convert(value, kind)


def _list_of(item: Convert | None) -> Convert:
    def convert(values: Any, context: InputContext) -> Any:
        if values is None or values is UNSET:
            return values
        if item is None:
            return list(values)
        return [value if type(value) is Unread else item(value, context) for value in values]

    return convert
