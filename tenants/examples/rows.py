"""Rows of published CSV files: each becomes a value or a trap that says where it stands and what is wrong."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Final, TypeVar

GRAM: Final = Decimal("0.000001")
"""One gram in tonnes, the grain of mass read from the records.

Published figures went through binary floats of 15 significant digits (5656.07135999999 is 5656.07136). The
largest is below 1e8 t, so the noise stands at 1e-7 t or below: rounding to the gram removes it, and no figure
moves by more than half a gram.
"""

_WHOLE = re.compile(r"\d{1,15}", re.ASCII)
_DECIMAL = re.compile(r"\d{1,15}(\.\d+)?", re.ASCII)
_YEAR = re.compile(r"(19|20)\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Trap:
    """A row, or the rest of a file, that was not taken, and why. `line` counts from 1, the header line."""

    file: str
    line: int
    code: str
    message: str


class UnreadableRow(Exception):  # noqa: N818 - it becomes a trap, it is never the caller's error
    """Why a row cannot be taken: a stable code, and what was wrong and what would be right."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file; each method reads a cell as what it must be, or raises `UnreadableRow`."""

    line: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Return the cell, outer blanks dropped and inner runs of blanks made one; not empty."""
        value = self.optional(column)
        if not value:
            raise UnreadableRow("EMPTY_CELL", f"{column} is empty; it must be given")
        return value

    def optional(self, column: str) -> str:
        """As `text`, and empty where the file leaves the cell empty."""
        return " ".join(self.cells[column].split())

    def whole_t(self, column: str) -> int:
        """Whole tonnes CO2e, not negative."""
        value = self.text(column)
        if not _WHOLE.fullmatch(value):
            raise UnreadableRow("NOT_WHOLE_TONNES", f"{column} is {value!r}; it must be whole tonnes, digits only")
        return int(value)

    def mass_t(self, column: str) -> Decimal:
        """Tonnes CO2e to the gram, not negative."""
        value = self.text(column)
        if not _DECIMAL.fullmatch(value):
            raise UnreadableRow("NOT_A_NUMBER", f"{column} is {value!r}; it must be a decimal such as 5656.07136")
        return Decimal(value).quantize(GRAM, ROUND_HALF_UP)

    def year(self, column: str) -> int:
        value = self.text(column)
        if not _YEAR.fullmatch(value):
            raise UnreadableRow("NOT_A_YEAR", f"{column} is {value!r}; it must be a year such as 2013")
        return int(value)

    def day(self, column: str) -> date:
        value = self.text(column)
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise UnreadableRow("NOT_A_DATE", f"{column} is {value!r}; it must be YYYY-MM-DD") from None


T = TypeVar("T")


def read_rows(
    path: Path,
    columns: str,
    parse: Callable[[Row], T],
    traps: list[Trap],
    key: Callable[[T], Hashable] | None = None,
) -> list[T]:
    """Every row of the file that `parse` takes; the others go to `traps`.

    `columns` names the columns that must be there, separated by blanks. `key` names what may stand once only:
    the first row is kept, a second one is a trap. A missing file is the caller's error (`FileNotFoundError`),
    a missing column is a trap at line 1.
    """
    taken: list[T] = []
    seen: dict[Hashable, int] = {}
    for row in _rows(path, columns, traps):
        try:
            value = parse(row)
            if key is not None and (first := seen.setdefault(key(value), row.line)) != row.line:
                raise UnreadableRow("DUPLICATE_ROW", f"{key(value)} stands on line {first} already")  # noqa: TRY301
        except UnreadableRow as why:
            traps.append(Trap(path.name, row.line, why.code, why.message))
        else:
            taken.append(value)
    return taken


def _rows(path: Path, columns: str, traps: list[Trap]) -> Iterator[Row]:
    # `replace` so that one bad byte spoils its own row, not the file; the mark it leaves is looked for below.
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        lines = csv.reader(text, strict=True)
        header = next(lines, [])
        if missing := [column for column in columns.split() if column not in header]:
            traps.append(Trap(path.name, 1, "MISSING_COLUMN", f"no column {', '.join(missing)}; no row was read"))
            return
        line = lines.line_num + 1
        try:
            for cells in lines:
                if (why := _flaw(cells, len(header))) is not None:
                    traps.append(Trap(path.name, line, why.code, why.message))
                else:
                    yield Row(line, dict(zip(header, cells, strict=True)))
                line = lines.line_num + 1
        except csv.Error as error:
            traps.append(Trap(path.name, line, "BROKEN_CSV", f"{error}; from this line on nothing was read"))


def _flaw(cells: Sequence[str], width: int) -> UnreadableRow | None:
    if len(cells) != width:
        return UnreadableRow("WRONG_WIDTH", f"{len(cells)} cells; the header has {width}")
    if any("\N{REPLACEMENT CHARACTER}" in cell for cell in cells):
        return UnreadableRow("NOT_UTF8", "a cell is not UTF-8 text")
    return None
