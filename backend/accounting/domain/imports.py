"""Imports of activity from files: what can be wrong with a file, and what became of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from backend.kit.errors import invalid

MOST_BYTES: Final = 100 * 1024 * 1024
MOST_ROWS: Final = 2_000_000

FILE_TOO_LARGE = invalid(
    "FILE_TOO_LARGE",
    en="The file has {size} bytes; at most {most} are read. Split it by site or by month.",
    zh="文件有 {size} 字节，最多读取 {most} 字节。请按厂区或月份拆分。",
)
FILE_FORMAT = invalid(
    "FILE_FORMAT",
    en="'{name}' is neither CSV nor XLSX ({problem}); save it as CSV (UTF-8 or GB18030) or XLSX.",
    zh="“{name}”不是 CSV 或 XLSX 文件（{problem}）；请另存为 CSV（UTF-8 或 GB18030）或 XLSX。",
)
NOT_A_WORKBOOK = invalid(
    "NOT_A_WORKBOOK",
    en="This is not a workbook, although it is called '{name}'; save it as XLSX, or name it .csv when it is text.",
    zh="这不是工作簿，虽然名为“{name}”；请另存为 XLSX，文本文件请以 .csv 命名。",
)
FILE_IS_A_BOMB = invalid(
    "FILE_IS_A_BOMB",
    en="'{name}' unpacks to {size} bytes, far more than its {packed}; it was not opened. Save it anew as CSV.",
    zh="“{name}”解压后为 {size} 字节，远大于其 {packed} 字节，未打开。请另存为 CSV。",
)
MERGED_CELLS = invalid(
    "MERGED_CELLS",
    en="Sheet '{sheet}' has merged cells ({cells}); unmerge them and write the value into each row.",
    zh="工作表“{sheet}”含有合并单元格（{cells}）；请取消合并，并在每行填写数值。",
)
SHEET_UNKNOWN = invalid(
    "SHEET_UNKNOWN",
    en="The file has no sheet '{sheet}'; it has: {known}.",
    zh="文件中没有工作表“{sheet}”；现有：{known}。",
)
HEADERS_MISSING = invalid(
    "HEADERS_MISSING",
    en="The first row lacks the columns {missing}; it has: {found}. Known headers: {known}.",
    zh="首行缺少列 {missing}；现有：{found}。可用表头：{known}。",
)
HEADER_TWICE = invalid(
    "HEADER_TWICE",
    en="The columns '{first}' and '{second}' mean the same; keep one.",
    zh="列“{first}”与“{second}”含义相同，请保留其一。",
)
FILE_EMPTY = invalid("FILE_EMPTY", en="The file has no rows below its header.", zh="文件除表头外没有数据行。")
FILE_TOO_LONG = invalid(
    "FILE_TOO_LONG",
    en="The file has {rows} rows; at most {most} are read at once. Split it.",
    zh="文件有 {rows} 行，一次最多读取 {most} 行。请拆分。",
)
IMPORT_BROKEN = invalid(
    "IMPORT_BROKEN",
    en="The job that read this file ended without a result; nothing was stored. Import the file again.",
    zh="读取该文件的任务未能完成，未存入任何数据。请重新导入。",
)
CELL_IS_A_FORMULA = invalid(
    "CELL_IS_A_FORMULA",
    en="The cell holds a formula, whose result can change without notice; paste its value instead.",
    zh="单元格为公式，其结果可能变化；请粘贴为数值。",
)
CELLS_BEYOND_HEADER = invalid(
    "CELLS_BEYOND_HEADER",
    en="The row has more cells than the header; write 1,234 in quotation marks, or as 1234.",
    zh="该行单元格多于表头；1,234 请加引号或写成 1234。",
)
CELL_EMPTY = invalid(
    "CELL_EMPTY",
    en="The cell is empty; a {field} is needed.",
    zh="单元格为空；须填写{field}。",
)
UNKNOWN_MONTH = invalid(
    "UNKNOWN_MONTH",
    en="'{written}' is not a month or a day; write 2026-01, 2026/1, 2026年1月 or 2026-01-15.",
    zh="“{written}”不是月份或日期；请写成 2026-01、2026/1、2026年1月 或 2026-01-15。",
)
UNKNOWN_SOURCE = invalid(
    "UNKNOWN_SOURCE",
    en="There is no emission source '{source}' at '{organisation}' that you may record for.",
    zh="“{organisation}”没有您可记录的排放源“{source}”。",
)
SOURCE_IS_ELSEWHERE = invalid(
    "SOURCE_IS_ELSEWHERE",
    en="There is no emission source '{source}' at '{organisation}', but at: {elsewhere}. Name the organisation in the "
    "row.",
    zh="“{organisation}”没有排放源“{source}”；该排放源在：{elsewhere}。请在该行写明组织。",
)


class ImportMode(StrEnum):
    """What becomes of the good rows of a file that has bad ones."""

    PARTIAL = "PARTIAL"
    """They are stored; the others are listed."""
    ALL_OR_NOTHING = "ALL_OR_NOTHING"
    """Nothing is stored."""


class ImportState(StrEnum):
    """How far an import is."""

    QUEUED = "QUEUED"
    """Waits for a worker, or is being read."""
    DONE = "DONE"
    """Every row was judged; good ones are stored."""
    REFUSED = "REFUSED"
    """Nothing was stored: all or nothing was asked and a row was refused."""
    FAILED = "FAILED"
    """The file could not be read at all."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was refused: where, by which code, with which particulars, and what was written."""

    row: int
    column: str
    code: str
    params: dict[str, str]
    written: str


@dataclass(frozen=True, slots=True)
class NewImport:
    """A stored document to read activity from, for an organisation and all below it."""

    organisation_id: UUID
    document_id: UUID
    mode: ImportMode = ImportMode.PARTIAL
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class ActivityImport:
    """A file of activity and what became of it. Rows are counted as a spreadsheet does: the header is row 1."""

    id: UUID
    organisation_id: UUID
    document_id: UUID
    sheet: str | None
    mode: ImportMode
    state: ImportState
    job_id: UUID
    rows: int | None
    stored: int | None
    present: int | None
    refused: int | None
    problem: dict[str, Any] | None
    error_document_id: UUID | None
    sha256: str
    asked_by: UUID
    created_at: datetime
    finished_at: datetime | None
