"""The one character that text may not hold: PostgreSQL stores every Unicode character but U+0000."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import DocumentNode, StringValueNode, Visitor, visit

from backend.kit.errors import invalid

NUL_CHARACTER = invalid(
    "NUL_CHARACTER",
    en="Text must not contain the character U+0000; there is one in {where}.",
    zh="文本不得包含字符 U+0000（位于 {where}）。",
)


class _Strings(Visitor):
    def enter_string_value(self, node: StringValueNode, *_: Any) -> None:
        if "\0" in node.value:
            raise NUL_CHARACTER(where="the document", where_zh="文档")


def check_document(document: DocumentNode) -> None:
    """Errors: NUL_CHARACTER."""
    visit(document, _Strings())


def check_variables(variables: Mapping[str, Any]) -> None:
    """Errors: NUL_CHARACTER, naming the variable."""
    for name, value in variables.items():
        if _holds_nul(value):
            raise NUL_CHARACTER(where=f"the variable ${name}", where_zh=f"变量 ${name}")


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(map(_holds_nul, value.values()))
    return isinstance(value, list) and any(map(_holds_nul, value))
