"""The SQL of a page: the rows behind a cursor in the order of the columns that the cursor is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Select, Uuid, tuple_

from backend.kit.pages import PageRequest


def whole(part: str) -> int:
    """A part of a cursor that is a PostgreSQL integer. Raises ValueError."""
    number = int(part)
    if not -(2**31) <= number < 2**31:
        raise ValueError(part)
    return number


_READ: Final[tuple[tuple[type, Callable[[str], Any]], ...]] = ((Uuid, UUID), (Integer, whole))


def _kind(column: ColumnElement[Any]) -> Callable[[str], Any]:
    return next((read for kind, read in _READ if isinstance(column.type, kind)), str)


def keyset(
    statement: Select[Any], request: PageRequest, *columns: ColumnElement[Any], latest_first: bool = False
) -> Select[Any]:
    """The page of `statement` in the order of these columns (unique together), and one row more, for `Page.cut`.

    Errors: BAD_CURSOR for the cursor of another list.
    """
    if request.after is not None:
        row, seen = tuple_(*columns), tuple_(*request.key(*map(_kind, columns)))
        statement = statement.where(row < seen if latest_first else row > seen)
    order = (column.desc() for column in columns) if latest_first else columns
    return statement.order_by(*order).limit(request.first + 1)
