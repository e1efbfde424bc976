"""Relay connections over `backend.kit.pages`."""

from __future__ import annotations

from typing import Generic, TypeVar

from backend.kit.graphql.types import object_type
from backend.kit.pages import Page, encode_cursor

T = TypeVar("T")


@object_type
class PageInfo:
    """Where a page stands in its list."""

    has_next_page: bool
    """Whether rows follow."""
    has_previous_page: bool
    """Whether rows precede."""
    start_cursor: str | None
    """Cursor of the first row, if any."""
    end_cursor: str | None
    """Cursor of the last row, if any: pass it as `after` for the next page."""


@object_type
class Edge(Generic[T]):
    """A row of a list with its cursor."""

    node: T
    """The row."""
    cursor: str
    """Where it stands; pass it as `after` to go on behind it."""


@object_type
class Connection(Generic[T]):
    """A page of a list."""

    edges: list[Edge[T]]
    """Rows with their cursors."""
    nodes: list[T]
    """Rows alone."""
    page_info: PageInfo
    """Where this page stands."""

    @classmethod
    def of(cls, page: Page[T]) -> Connection[T]:
        cursors = [encode_cursor(key) for key in page.keys]
        edges = [Edge(node=row, cursor=cursor) for row, cursor in zip(page.rows, cursors, strict=True)]
        info = PageInfo(
            has_next_page=page.more,
            has_previous_page=page.has_previous,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        )
        return cls(edges=edges, nodes=list(page.rows), page_info=info)
