"""Values and texts as callers give them: what the ledger can hold, and their canonical form."""

from __future__ import annotations

from typing import Final

from backend.kit.text import clean, tidy
from backend.ledger import codes

MAX_QUANTITY_T: Final = 9_000_000_000_000_000_000
MAX_ROWS: Final = 500
MOST_LETTERS: Final = 2000
"""Of a purpose, a reference, a reason: what is longer belongs into the document that is referred to."""
FIRST_YEAR, LAST_YEAR = 1990, 2100


def check_quantity(quantity_t: int, *path: str) -> None:
    """Refuse (BAD_QUANTITY) what is no whole number of tonnes the ledger can hold."""
    if not 1 <= quantity_t <= MAX_QUANTITY_T:
        raise codes.BAD_QUANTITY(path=path or ("quantity",), quantity=quantity_t, most=MAX_QUANTITY_T)


def check_year(year: int, *path: str) -> None:
    """Refuse (BAD_YEAR) a year that no inventory or obligation is of."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise codes.BAD_YEAR(path=path, year=year)


def check_size(count: int, what: str) -> None:
    """Refuse (TOO_MANY_ROWS) a request of no rows or of too many."""
    if not 1 <= count <= MAX_ROWS:
        raise codes.TOO_MANY_ROWS(path=(what,), count=count, most=MAX_ROWS)


def worded(text: str, *path: str, most: int = MOST_LETTERS) -> str:
    """A purpose or reference in canonical form. Errors: TEXT_TOO_LONG."""
    said = tidy(text)
    if len(said) > most:
        raise codes.TEXT_TOO_LONG(path=path, what=path[-1], length=len(said), most=most)
    return said


def needed(text: str, *path: str, most: int = MOST_LETTERS) -> str:
    """The same of one that must be given. Errors: MISSING_TEXT, TEXT_TOO_LONG."""
    said = worded(text, *path, most=most)
    if not said:
        raise codes.MISSING_TEXT(path=path, what=path[-1])
    return said


def named_text(written: str, what: str) -> str:
    """A code or reference in canonical form. Errors: MISSING_TEXT."""
    text = clean(written)
    if not text:
        raise codes.MISSING_TEXT(path=(what,), what=what)
    return text


def scheme_code(written: str) -> str:
    """Codes of schemes are in capitals: `cea` is CEA, lest units be there once under each."""
    return clean(written).upper()


def serial_count(first: int, last: int, *path: str) -> int:
    """How many serial numbers a block has. Errors: SERIAL_RANGE."""
    if not 0 <= first <= last <= MAX_QUANTITY_T:
        raise codes.SERIAL_RANGE(path=path, first=first, last=last, most=MAX_QUANTITY_T)
    return last - first + 1
