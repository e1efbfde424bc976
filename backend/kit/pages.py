"""Pages of a list by keyset: stable while rows are inserted around them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import orjson

from backend.kit.errors import invalid

T = TypeVar("T")
N = TypeVar("N")

DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 1000

BAD_CURSOR = invalid(
    "BAD_CURSOR",
    en="'{value}' is not a cursor of this list; pass an `endCursor` it returned.",
    zh="'{value}' 不是此列表的游标；请传入其返回的 endCursor。",
)
BAD_PAGE = invalid(
    "BAD_PAGE",
    en="`first` must lie between 1 and {most}; got {asked}.",
    zh="first 须在 1 至 {most} 之间，收到 {asked}。",
)


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many rows, and after which key (the values of the sort columns of the last row seen)."""

    first: int = DEFAULT_PAGE
    after: tuple[Any, ...] | None = None

    @classmethod
    def read(cls, first: int | None, after: str | None) -> PageRequest:
        size = DEFAULT_PAGE if first is None else first
        if not 1 <= size <= MAX_PAGE:
            raise BAD_PAGE(path=("first",), asked=size, most=MAX_PAGE)
        return cls(size, None if after is None else decode_cursor(after))

    def key(self, *kinds: Callable[[str], Any]) -> list[Any]:
        """The parts of `after`, each read by its kind (`str, UUID`). Errors: BAD_CURSOR for another list's cursor."""
        parts = self.after or ()
        try:
            return [kind(part) for kind, part in zip(kinds, parts, strict=True)]
        except ValueError as error:
            raise BAD_CURSOR(path=("after",), value=encode_cursor(parts)[:80]) from error


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows in order, each with its key; whether more follow; how many there are in all, when asked for."""

    rows: Sequence[T]
    keys: Sequence[tuple[Any, ...]]
    more: bool
    has_previous: bool = False

    @classmethod
    def cut(cls, fetched: Sequence[T], request: PageRequest, key: Callable[[T], tuple[Any, ...]]) -> Page[T]:
        """From up to `first + 1` fetched rows."""
        rows = fetched[: request.first]
        return cls(rows, [key(r) for r in rows], len(fetched) > request.first, request.after is not None)

    def map(self, make: Callable[[T], N]) -> Page[N]:
        return Page([make(r) for r in self.rows], self.keys, self.more, self.has_previous)


def encode_cursor(key: tuple[Any, ...]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([str(part) for part in key])).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> tuple[str, ...]:
    refused = BAD_CURSOR(path=("after",), value=cursor[:80])
    try:
        parts = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as error:
        raise refused from error
    if not isinstance(parts, list) or not all(isinstance(p, str) and "\0" not in p for p in parts):
        raise refused
    return tuple(parts)
