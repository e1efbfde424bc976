"""Tables written as CSV that a spreadsheet opens without harm, and that can be read in again unchanged."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from backend.accounting.files.headers import ALIASES

# What an apostrophe of ours stands before; one in front of anything else is part of the text.
_ESCAPED: Final = ("'=", "'+", "'-", "'@", "'\t", "'\r", "''")
# A spreadsheet takes a text that begins so for a formula; an apostrophe keeps it a text, and reading drops it.
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r")
HEADERS: Final = {field: names[0] for field, names in ALIASES.items()}


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]], numbers: Sequence[int] = ()) -> None:
    """UTF-8 with a mark, so that Chinese opens as Chinese. Columns in `numbers` hold numbers, which are left alone."""
    left_alone = frozenset(numbers)
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            writer.writerow(c if i in left_alone else harmless(str(c)) for i, c in enumerate(row))


def harmless(text: str) -> str:
    """A text no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith((*_DANGEROUS, "'")) else text


def as_written(cell: str) -> str:
    """The text that `harmless` wrote."""
    return cell[1:] if cell.startswith(_ESCAPED) else cell
