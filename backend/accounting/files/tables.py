"""A file as a table of texts: one column a field, one row a row, and the number each row has in a spreadsheet."""

from __future__ import annotations

import csv
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Final

import polars as pl
from openpyxl.reader.excel import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from backend.accounting.domain.imports import (
    FILE_EMPTY,
    FILE_FORMAT,
    FILE_IS_A_BOMB,
    FILE_TOO_LARGE,
    FILE_TOO_LONG,
    MERGED_CELLS,
    MOST_BYTES,
    MOST_ROWS,
    SHEET_UNKNOWN,
)
from backend.accounting.files.headers import ALIASES, meanings

ROW: Final = "row"
ESCAPED: Final = r"^'([=+\-@\t\r'].*)$"
_MOST_UNPACKED: Final = 1024**3
_MOST_RATIO: Final = 200
_SAMPLE: Final = 64 * 1024


def read_table(path: Path, name: str, sheet: str | None = None) -> pl.DataFrame:
    """The rows of a CSV or XLSX file: a text column for each field it has (headers.ALIASES), and `row`.

    Errors: FILE_TOO_LARGE, FILE_FORMAT, FILE_IS_A_BOMB, MERGED_CELLS, SHEET_UNKNOWN, HEADERS_MISSING, HEADER_TWICE,
    FILE_EMPTY, FILE_TOO_LONG.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise FILE_TOO_LARGE(size=size, most=MOST_BYTES)
    with path.open("rb") as file:
        begins = file.read(4)
    table = _xlsx(path, name, sheet) if begins == b"PK\x03\x04" else _csv(path, name)
    if not table.height:
        raise FILE_EMPTY()
    if table.height > MOST_ROWS:
        raise FILE_TOO_LONG(rows=table.height, most=MOST_ROWS)
    return table


def _csv(path: Path, name: str) -> pl.DataFrame:
    raw = _as_utf8(path.read_bytes(), name)
    first = raw[:_SAMPLE].split(b"\n", 1)[0].rstrip(b"\r").decode()
    delimiters = Counter(c for c in first if c in ",;\t").most_common(1)
    separator = delimiters[0][0] if delimiters else ","
    try:
        header = next(csv.reader([first], delimiter=separator), [])
    except csv.Error as error:
        raise FILE_FORMAT(name=name[:80], problem=str(error)) from error
    columns = meanings(header)
    schema = {f"c{i}": pl.String for i in range(len(header))}
    try:
        table = pl.read_csv(
            raw,
            separator=separator,
            has_header=False,
            skip_rows=1,
            schema=schema,
            truncate_ragged_lines=True,
        )
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise FILE_FORMAT(name=name[:80], problem=str(error).splitlines()[0][:120]) from error
    del raw
    fields = [pl.col(f"c{i}").fill_null("").alias(field) for field, i in columns.items()]
    table = table.with_row_index(ROW, offset=2).select(pl.col(ROW).cast(pl.Int32), *fields)
    texts = [f for f in columns if f not in {"quantity", "month"}]
    table = table.with_columns(pl.col(f).str.replace(ESCAPED, "$1") for f in texts)
    return table.filter(pl.any_horizontal(pl.col(f) != "" for f in columns))


def _as_utf8(raw: bytes, name: str) -> bytes:
    """UTF-8 with or without a mark, or else GB18030; nothing is guessed beyond that. Errors: FILE_FORMAT."""
    if b"\0" in raw[:_SAMPLE]:
        raise FILE_FORMAT(name=name[:80], problem="binary")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        raw.decode()
    except UnicodeDecodeError:
        try:
            return raw.decode("gb18030").encode()
        except UnicodeDecodeError as error:
            raise FILE_FORMAT(name=name[:80], problem="neither UTF-8 nor GB18030") from error
    return raw


def _xlsx(path: Path, name: str, sheet: str | None) -> pl.DataFrame:
    _refuse_bombs(path, name)
    with path.open("rb") as file:
        book = _opened(file, name)
        try:
            page = _sheet(book, sheet)
            _refuse_merged(path, page)
            return _rows(page.iter_rows(values_only=True))
        finally:
            book.close()


def _opened(file: BinaryIO, name: str) -> Any:
    load: Any = load_workbook
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that do not concern us
            return load(file, read_only=True, data_only=True, keep_links=False)
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError) as error:
        raise FILE_FORMAT(name=name[:80], problem=str(error)[:120]) from error


def _refuse_bombs(path: Path, name: str) -> None:
    """Sizes are judged by the directory of the archive, and reading stops at them: nothing is unpacked to find out."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            names = {entry.filename for entry in archive.infolist()}
    except zipfile.BadZipFile as error:
        raise FILE_FORMAT(name=name[:80], problem=str(error)[:120]) from error
    packed = path.stat().st_size
    if unpacked > _MOST_UNPACKED or unpacked > packed * _MOST_RATIO + 1024**2:
        raise FILE_IS_A_BOMB(name=name[:80], size=unpacked, packed=packed)
    if "xl/workbook.xml" not in names:
        raise FILE_FORMAT(name=name[:80], problem="a zip archive, not a workbook")


def _sheet(book: Any, wanted: str | None) -> Any:
    shown = [s for s in book.worksheets if s.sheet_state == "visible"]
    if wanted is None and shown:
        return shown[0]
    for page in shown:
        if page.title == wanted:
            return page
    raise SHEET_UNKNOWN(sheet=wanted or "-", known=", ".join(s.title for s in shown) or "-")


def _refuse_merged(path: Path, page: Any) -> None:
    """Read-only sheets do not tell of merged cells; their XML does, behind the rows."""
    part = page._worksheet_path.lstrip("/")  # noqa: SLF001 - the only way to the part of a read-only sheet
    with zipfile.ZipFile(path) as archive, archive.open(part) as file:
        tail = b""
        while chunk := file.read(1 << 20):
            window = tail + chunk
            at = window.find(b"<mergeCell ")
            if at >= 0:
                cells = (window[at:] + file.read(200)).split(b'ref="', 1)[1].split(b'"', 1)[0].decode()
                raise MERGED_CELLS(sheet=page.title, cells=cells)
            tail = window[-16:]


def _rows(rows: Iterator[Sequence[Any]]) -> pl.DataFrame:
    header = [_text(cell) for cell in next(rows, ())]
    columns = meanings(header)
    kept: dict[str, list[str]] = {field: [] for field in columns}
    numbers: list[int] = []
    for number, cells in enumerate(rows, start=2):
        if number > MOST_ROWS + 1:
            raise FILE_TOO_LONG(rows=number, most=MOST_ROWS)
        texts = {f: _text(cells[i]) if i < len(cells) else "" for f, i in columns.items()}
        if any(texts.values()):
            numbers.append(number)
            for field, text in texts.items():
                kept[field].append(text)
    schema = {ROW: pl.Int32, **dict.fromkeys(kept, pl.String)}
    return pl.DataFrame({ROW: numbers, **kept}, schema=schema)


def _text(cell: Any) -> str:
    """A cell as somebody would write it. Numbers keep the digits they show, not the noise of binary fractions."""
    if cell is None:
        return ""
    if isinstance(cell, datetime | date):
        return f"{cell:%Y-%m-%d}"
    if isinstance(cell, float):
        return str(Decimal(repr(cell)).normalize().__format__("f"))
    return str(cell)


def fields_of(table: pl.DataFrame) -> Iterable[str]:
    """The fields a table has, in the order a file is written in."""
    return (field for field in ALIASES if field in table.columns)
