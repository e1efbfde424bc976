"""Tables written as CSV that a spreadsheet opens without harm, and that can be read in again unchanged."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from backend.accounting.files.headers import ALIASES

# A spreadsheet takes a text that begins so for a formula; an apostrophe keeps it a text, and reading drops it.
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r")
# What an apostrophe of ours stands before; one in front of anything else is part of the text.
_ESCAPED: Final = tuple(f"'{mark}" for mark in (*_DANGEROUS, "'"))
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")
HEADERS: Final = {field: names[0] for field, names in ALIASES.items()}
Write = Callable[[Sequence[object]], None]


@contextmanager
def csv_file(path: Path, header: Sequence[str]) -> Iterator[Write]:
    """A function that writes a row. UTF-8 with a mark, so that Chinese opens as Chinese."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        yield lambda row: writer.writerow(harmless(str(cell)) for cell in row)


def harmless(text: str) -> str:
    """A text no spreadsheet takes for a formula; plain numbers stay as they are."""
    dangerous = text.startswith((*_DANGEROUS, "'")) and not _NUMBER.fullmatch(text)
    return f"'{text}" if dangerous else text


def as_written(cell: str) -> str:
    """The text that `harmless` wrote."""
    return cell[1:] if cell.startswith(_ESCAPED) else cell
