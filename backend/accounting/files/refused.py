"""The refused rows of a file, as a file to be corrected and sent again."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import orjson
import polars as pl

from backend.accounting.files.headers import BEYOND, ROW
from backend.accounting.files.tables import fields_of
from backend.accounting.files.writer import HEADERS, as_written, csv_file
from backend.kit.errors import code_named


def write_errors(path: Path, parts: Iterator[pl.DataFrame], refused: pl.DataFrame, *, whole: bool) -> pl.DataFrame:
    """Write the refused rows as they stand in the file, which is read a second time for them, with what is wrong with
    each. `whole`: the other rows too, with nothing in the columns of errors.

    Answers what the cells say that were found wrong. Columns: row, written.
    """
    told = refused.select(ROW, "column", "code", "params")
    first = next(parts)
    fields = list(fields_of(first))
    cells: list[pl.DataFrame] = []
    with csv_file(path, [*(HEADERS[f] for f in fields), "行号", "错误代码", "错误"]) as write:
        for part in chain([first], parts):
            shown = part.join(told, on=ROW, how="left" if whole else "inner").sort(ROW)
            cells.append(_cells(shown.filter(pl.col("column").is_not_null())))
            for *row, number, code, params in shown.select(*fields, ROW, "code", "params").iter_rows():
                written = (as_written(cell).removeprefix("\0") for cell in row)
                write([*written, number, code or "", _told(code, params) if code else ""])
    return pl.concat(cells)


def _cells(bad: pl.DataFrame) -> pl.DataFrame:
    """What stands in the column each row was refused for; nothing where the file has no such column."""
    written = pl.lit("")
    for name in (*HEADERS, BEYOND):
        if name in bad.columns:
            written = pl.when(pl.col("column") == name).then(pl.col(name).str.strip_prefix("\0")).otherwise(written)
    return bad.select(ROW, written.alias("written"))


@functools.lru_cache(maxsize=10_000)
def _told(code: str, params: str) -> str:
    found: dict[str, str] = orjson.loads(params)
    return code_named(code)(**found).message("zh-CN")
