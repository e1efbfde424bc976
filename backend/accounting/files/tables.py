"""A file as parts of a table of texts: one column a field, one row a row, and the number it has in a spreadsheet.

A file is never in memory as a whole: parts of some ten thousand rows are read, understood and let go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import polars as pl

from backend.accounting.domain.imports import (
    FILE_EMPTY,
    FILE_TOO_LARGE,
    FILE_TOO_LONG,
    MOST_BYTES,
    MOST_ROWS,
    NOT_A_WORKBOOK,
)
from backend.accounting.files.delimited import delimited_parts
from backend.accounting.files.headers import ALIASES, ROW
from backend.accounting.files.workbook import workbook_parts

_ZIP: Final = b"PK\x03\x04"
_WORKBOOKS: Final = (".xlsx", ".xlsm")


def read_parts(path: Path, name: str, sheet: str | None = None) -> Iterator[pl.DataFrame]:
    """The rows of a CSV or XLSX file that say anything, part by part: a text column for each field the file has
    (headers.ALIASES), `row`, and `beyond` where cells can stand behind the last header.

    Errors: FILE_TOO_LARGE, FILE_FORMAT, NOT_A_WORKBOOK, FILE_IS_A_BOMB, MERGED_CELLS, SHEET_UNKNOWN, HEADERS_MISSING,
    HEADER_TWICE, FILE_EMPTY, FILE_TOO_LONG; some of them behind parts that were given already.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise FILE_TOO_LARGE(size=size, most=MOST_BYTES)
    with path.open("rb") as file:
        is_zip = file.read(len(_ZIP)) == _ZIP
    if not is_zip and name.casefold().endswith(_WORKBOOKS):
        raise NOT_A_WORKBOOK(name=name[:80])
    rows = 0
    for part in workbook_parts(path, name, sheet) if is_zip else delimited_parts(path, name):
        said = _without_empty(part)
        rows += said.height
        if rows > MOST_ROWS:
            raise FILE_TOO_LONG(rows=rows, most=MOST_ROWS)
        if said.height:
            yield said
    if not rows:
        raise FILE_EMPTY()


def fields_of(part: pl.DataFrame) -> Iterable[str]:
    """The fields a table has, in the order a file is written in."""
    return (field for field in ALIASES if field in part.columns)


def _without_empty(part: pl.DataFrame) -> pl.DataFrame:
    """Rows of nothing but white space are what lies between tables, and below them."""

    def blank(name: str) -> pl.Expr:
        return pl.col(name).str.strip_chars() == ""

    if not part.select(blank("quantity").any()).item():
        return part
    return part.filter(~pl.all_horizontal(blank(name) for name in part.columns if name != ROW))
