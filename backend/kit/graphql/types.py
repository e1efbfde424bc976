"""GraphQL types whose descriptions stand where Python puts them: in the class and below each attribute.

@object_type
class Site(Node):
    '''A place with one boundary (clause 8.2.1).'''

    name: str
    '''Name in Chinese.'''
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import fields as dataclass_fields
from enum import Enum
from itertools import pairwise
from typing import Any, TypeVar, dataclass_transform

import strawberry
from strawberry.types.base import get_object_definition
from strawberry.types.enum import StrawberryEnumDefinition

C = TypeVar("C", bound=type)
E = TypeVar("E", bound=type[Enum])
T = TypeVar("T")


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def object_type(cls: C) -> C:
    return _described(strawberry.type(cls, description=_summary(cls)), cls)


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def input_type(cls: C) -> C:
    return _described(strawberry.input(cls, description=_summary(cls)), cls)


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def one_of_input_type(cls: C) -> C:
    """An input of which exactly one field is given (`@oneOf`); the fields default to UNSET."""
    return _described(strawberry.input(cls, one_of=True, description=_summary(cls)), cls)


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def interface_type(cls: C) -> C:
    return _described(strawberry.interface(cls, description=_summary(cls)), cls)


def enum_type(cls: E, *, name: str | None = None) -> E:
    """Expose an enum of the domain, its members described by the strings below them."""
    strawberry.enum(cls, name=name, description=_summary(cls))
    definition: StrawberryEnumDefinition = cls.__strawberry_definition__  # type: ignore[attr-defined]
    notes = attribute_docs(cls)
    for value in definition.values:
        value.description = value.description or notes.get(value.name)
    return cls


def build(cls: Callable[..., T], source: object, **extra: Any) -> T:
    """A `cls` from the equally named attributes of `source`; `extra` overrides and completes."""
    names = _attributes(cls)
    return cls(**{n: getattr(source, n) for n in names if n not in extra and hasattr(source, n)} | extra)


@functools.cache
def _attributes(cls: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(f.name for f in dataclass_fields(cls) if f.init)  # type: ignore[arg-type]


def attribute_docs(cls: type) -> dict[str, str]:
    """The strings that stand below the attributes of a class body, by attribute name."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    notes: dict[str, str] = {}
    for statement, below in pairwise(body):
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            for name in _assigned(statement):
                notes[name] = inspect.cleandoc(str(below.value.value))
    return notes


def _assigned(statement: ast.stmt) -> list[str]:
    targets = (
        [statement.target]
        if isinstance(statement, ast.AnnAssign)
        else statement.targets
        if isinstance(statement, ast.Assign)
        else []
    )
    return [t.id for t in targets if isinstance(t, ast.Name)]


def _summary(cls: type) -> str | None:
    return inspect.cleandoc(cls.__doc__) if cls.__doc__ else None


def _described(made: C, written: type) -> C:
    definition = get_object_definition(made, strict=True)
    notes: dict[str, str] = {}
    for base in reversed(written.__mro__[:-1]):
        notes |= attribute_docs(base)
    for field in definition.fields:
        doc = field.base_resolver.wrapped_func.__doc__ if field.base_resolver else None
        field.description = field.description or notes.get(field.python_name) or (doc and inspect.cleandoc(doc))
    return made
