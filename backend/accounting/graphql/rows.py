"""Rows of bulk calls: read one by one, and their refusals as the caller reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from backend.kit.errors import CodedError
from backend.kit.graphql.payloads import UserError, user_error
from backend.kit.graphql.rows import each_row
from tenants.commands import Refused
from tenants.context import Info

R = TypeVar("R")
T = TypeVar("T")


def read_rows(rows: Sequence[R], read: Callable[[R], T]) -> list[T | Refused]:
    """Each row as the service takes it, or why it cannot be read: one wrong id or number stops no other row."""
    return [Refused.of(row) if isinstance(row, CodedError) else row for row in each_row(rows, read)]


def why(refusal: Refused | None, info: Info) -> UserError | None:
    """A refusal of a row as the caller reads it."""
    return user_error(refusal.error(), info.context.locale) if refusal else None
