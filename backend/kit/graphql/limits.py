"""How much one document may ask for, judged before validation and in time linear in its size.

Each fragment is measured once and remembered by name, so nested spreads that would unfold to millions of fields
cost nothing to refuse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from backend.kit.errors import invalid
from backend.kit.words import in_chinese

in_chinese({"depth": "深度", "fields": "字段数", "root fields": "根字段数"})
QUERY_TOO_LARGE = invalid(
    "QUERY_TOO_LARGE",
    en="The document asks for too much: {what} is {found}, at most {most} is served. Split it.",
    zh="查询过大：{what_zh} 为 {found}，上限 {most}。请拆分查询。",
)
FRAGMENT_CYCLE = invalid("FRAGMENT_CYCLE", en="Fragment '{name}' spreads itself.", zh="片段 '{name}' 引用了自身。")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one document: nesting, fields with all fragments unfolded, root fields, tokens, bytes."""

    depth: int = 16
    fields: int = 2_000
    root_fields: int = 50
    tokens: int = 15_000
    body_bytes: int = 2_000_000


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class _Size:
    depth: int
    fields: int


class _Measure:
    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            d.name.value: d.selection_set for d in document.definitions if isinstance(d, FragmentDefinitionNode)
        }
        self._known: dict[str, _Size] = {}
        self._open: set[str] = set()

    def of(self, selections: SelectionSetNode | None) -> _Size:
        depth = fields = 0
        for selection in selections.selections if selections else ():
            if isinstance(selection, FieldNode):
                below = self.of(selection.selection_set)
                below = _Size(below.depth + 1, below.fields + 1)
            elif isinstance(selection, InlineFragmentNode):
                below = self.of(selection.selection_set)
            else:
                assert isinstance(selection, FragmentSpreadNode)
                below = self._fragment(selection.name.value)
            depth, fields = max(depth, below.depth), fields + below.fields
        return _Size(depth, fields)

    def _fragment(self, name: str) -> _Size:
        if name in self._open:
            raise FRAGMENT_CYCLE(name=name)
        if name not in self._known:
            self._open.add(name)
            self._known[name] = self.of(self._fragments.get(name))
            self._open.remove(name)
        return self._known[name]


def check_size(document: DocumentNode, limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse (QUERY_TOO_LARGE, FRAGMENT_CYCLE) a document beyond the limits."""
    measure = _Measure(document)
    for operation in document.definitions:
        if not isinstance(operation, OperationDefinitionNode):
            continue
        size, roots = measure.of(operation.selection_set), len(operation.selection_set.selections)
        for what, found, most in (
            ("depth", size.depth, limits.depth),
            ("fields", size.fields, limits.fields),
            ("root fields", roots, limits.root_fields),
        ):
            if found > most:
                raise QUERY_TOO_LARGE(what=what, found=found, most=most)
