"""XLSX workbooks as a stream of rows; what is in them that cannot be trusted is refused before it is unpacked."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple
from zipfile import ZipFile

import polars as pl
from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format

from backend.accounting.domain.imports import FILE_FORMAT, FILE_IS_A_BOMB, MERGED_CELLS, SHEET_UNKNOWN
from backend.accounting.files.headers import FORMULA, ROW, meanings
from backend.accounting.files.sheet import BrokenSheetError, Sheet, elements, shared_texts

_MOST_UNPACKED: Final = 1024**3
_MOST_HELD: Final = 256 * 1024**2
_MOST_RATIO: Final = 200
_MOST_ENTRIES: Final = 10_000
_ROWS_AT_ONCE: Final = 50_000
_WORKBOOK: Final = "xl/workbook.xml"
_is_date: Callable[[str], bool] = is_date_format
_EPOCH, _EPOCH_1904 = date(1899, 12, 30), date(1904, 1, 1)
# Dates as East Asian spreadsheets number them: the standard leaves these to the language.
_LOCAL_DATES: Final = frozenset({*range(27, 37), *range(50, 59)})
_BROKEN: Final = (
    BrokenSheetError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,  # encrypted
    NotImplementedError,
    UnicodeDecodeError,
)


class _Page(NamedTuple):
    name: str
    part: str
    shown: bool


def workbook_parts(path: Path, name: str, sheet: str | None) -> Iterator[pl.DataFrame]:
    """The rows of the sheet of that name, or of the first one that is not hidden.

    Errors: FILE_FORMAT, FILE_IS_A_BOMB, SHEET_UNKNOWN, HEADERS_MISSING, HEADER_TWICE; MERGED_CELLS behind the last row.
    """
    with _archive(path, name) as archive:
        page, epoch = _chosen(archive, sheet)
        names = set(archive.namelist())
        strings = "xl/sharedStrings.xml"
        texts = shared_texts(archive.open(strings)) if strings in names else []
        reader = Sheet(texts, _date_styles(archive, names), epoch)
        with archive.open(page.part) as file:
            rows = reader.rows(file)
            header = next((cells for _, cells in rows if cells), {})
            last = max(header, default=-1)
            columns = meanings([header.get(i, "").removeprefix(FORMULA) for i in range(last + 1)])
            schema = {ROW: pl.Int32, **dict.fromkeys(columns, pl.String)}
            while some := list(islice(rows, _ROWS_AT_ONCE)):
                kept = {f: [cells.get(i, "") for _, cells in some] for f, i in columns.items()}
                yield pl.DataFrame({ROW: [n for n, _ in some], **kept}, schema=schema)
        if reader.merged:
            raise MERGED_CELLS(sheet=page.name, cells=", ".join(reader.merged[:5]))


@contextmanager
def _archive(path: Path, name: str) -> Iterator[ZipFile]:
    try:
        with ZipFile(path) as archive:
            _refuse_bombs(archive, path.stat().st_size, name)
            yield archive
    except _BROKEN as error:
        raise FILE_FORMAT(name=name[:80], problem=str(error)[:120], problem_zh="工作簿已损坏") from error


def _refuse_bombs(archive: ZipFile, packed: int, name: str) -> None:
    """Sizes are judged by the directory of the archive, and reading stops at them: nothing is unpacked to find out."""
    entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    held = max((e.file_size for e in entries if not e.filename.startswith("xl/worksheets/")), default=0)
    too_large = unpacked > _MOST_UNPACKED or unpacked > packed * _MOST_RATIO + 1024**2
    if too_large or held > _MOST_HELD or len(entries) > _MOST_ENTRIES:
        raise FILE_IS_A_BOMB(name=name[:80], size=unpacked, packed=packed)
    if _WORKBOOK not in {entry.filename for entry in entries}:
        raise FILE_FORMAT(name=name[:80], problem="a zip archive, not a workbook", problem_zh="是压缩包而非工作簿")


def _chosen(archive: ZipFile, wanted: str | None) -> tuple[_Page, date]:
    """The sheet, and the day from which the workbook counts. Errors: SHEET_UNKNOWN."""
    targets: dict[str, str] = {}
    for _, a in elements(archive.open("xl/_rels/workbook.xml.rels"), ["Relationship"]):
        if a["Type"].endswith("/worksheet"):
            targets[a["Id"]] = posixpath.normpath(posixpath.join("/xl", a["Target"])).lstrip("/")
    pages: list[_Page] = []
    epoch = _EPOCH
    for element, a in elements(archive.open(_WORKBOOK), ["sheet", "workbookPr"]):
        if element == "workbookPr":
            epoch = _EPOCH_1904 if a.get("date1904") in {"1", "true"} else epoch
        elif a["id"] in targets:
            pages.append(_Page(a["name"], targets[a["id"]], a.get("state", "visible") == "visible"))
    shown = [page for page in pages if page.shown]
    found = [page for page in shown if wanted in {None, page.name}]
    if not found:
        raise SHEET_UNKNOWN(sheet=wanted or "-", known=", ".join(page.name for page in shown) or "-")
    return found[0], epoch


def _date_styles(archive: ZipFile, names: set[str]) -> frozenset[int]:
    """The positions of the styles by which cells say that their number is a date."""
    if "xl/styles.xml" not in names:
        return frozenset()
    formats = {number: _is_date(code) for number, code in BUILTIN_FORMATS.items()}
    formats |= dict.fromkeys(_LOCAL_DATES, True)
    of_cells: list[int] = []
    inside = False
    for element, a in elements(
        archive.open("xl/styles.xml"), ["numFmt", "cellStyleXfs", "cellXfs", "xf", "cellStyles"]
    ):
        if element == "numFmt":
            formats[int(a["numFmtId"])] = _is_date(a["formatCode"])
        elif element == "xf" and inside:
            of_cells.append(int(a.get("numFmtId", 0)))
        else:
            inside = element == "cellXfs"
    return frozenset(n for n, number in enumerate(of_cells) if formats.get(number))
