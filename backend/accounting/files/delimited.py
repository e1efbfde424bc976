"""CSV as people's programs write it: UTF-8 with or without a mark, or GB18030; commas, semicolons or tabs; any newline.

Blocks without a quotation mark, which are nearly all of them, are split in columns; from the first quotation mark on
the rows are read one by one, by the rules of RFC 4180, so that nothing is swallowed by a quotation that never ends.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import chain, islice
from pathlib import Path
from typing import Final

import polars as pl

from backend.accounting.domain.imports import FILE_FORMAT
from backend.accounting.files.headers import BEYOND, ROW, meanings

BLOCK = 4 * 1024 * 1024
_ROWS_AT_ONCE: Final = 100_000
_MARK: Final = b"\xef\xbb\xbf"


def delimited_parts(path: Path, name: str) -> Iterator[pl.DataFrame]:
    """Errors: FILE_FORMAT, HEADERS_MISSING, HEADER_TWICE."""
    blocks = _whole_lines(_utf8(path, _encoding(path, name)))
    first, begins, rest = next(blocks, b"").partition(b"\n")
    separator = _separator(first.decode())
    header = next(_rows([first.decode()], separator, name), [])
    if first.count(b'"') % 2:
        raise FILE_FORMAT(name=name[:80], problem="the header holds a line break", problem_zh="表头含有换行")
    columns = meanings(header)
    row = 2
    for block in chain([rest] if begins else [], blocks):
        if b'"' in block:
            yield from _one_by_one(chain([block], blocks), separator, columns, len(header), row, name)
            return
        part = _at_once(block, separator, columns, len(header), row)
        row += part.height
        yield part


def _encoding(path: Path, name: str) -> str:
    """UTF-8, or else GB18030; nothing is guessed beyond that. Errors: FILE_FORMAT."""
    for encoding in ("utf-8", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    if b"\0" in block:
                        raise FILE_FORMAT(
                            name=name[:80], problem="binary, or UTF-16", problem_zh="二进制内容，或 UTF-16 编码"
                        )
                    decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise FILE_FORMAT(name=name[:80], problem="neither UTF-8 nor GB18030", problem_zh="既非 UTF-8 也非 GB18030 编码")


def _utf8(path: Path, encoding: str) -> Iterator[bytes]:
    """The text in blocks; every newline is LF, also those of old and of mixed files."""
    decoder = codecs.getincrementaldecoder(encoding)()
    held = b""
    with path.open("rb") as file:
        if file.read(len(_MARK)) != _MARK:
            file.seek(0)
        while block := file.read(BLOCK):
            block = held + (block if encoding == "utf-8" else decoder.decode(block).encode())
            held = b"\r" if block.endswith(b"\r") else b""
            block = block.removesuffix(b"\r")
            yield block.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in block else block
    if held:
        yield b"\n"


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest: list[bytes] = []
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        if cut:
            yield b"".join([*rest, block[:cut]])
            rest = []
        rest.append(block[cut:])
    if any(rest):
        yield b"".join(rest)


def _separator(first: str) -> str:
    found = Counter(c for c in first if c in ",;\t").most_common(1)
    return found[0][0] if found else ","


def _at_once(block: bytes, separator: str, columns: dict[str, int], width: int, row: int) -> pl.DataFrame:
    names = [f"c{i}" for i in range(width + 1)]
    table = pl.read_csv(
        separator.join(names).encode() + b"\n" + block,
        separator=separator,
        schema=dict.fromkeys(names, pl.String),
        truncate_ragged_lines=True,
        quote_char=None,
    )
    wanted = columns if table[names[-1]].null_count() == table.height else {**columns, BEYOND: width}
    fields = [_cells(table[names[i]]).alias(field) for field, i in wanted.items()]
    return table.with_row_index(ROW, offset=row).select(pl.col(ROW).cast(pl.Int32), *fields)


def _cells(column: pl.Series) -> pl.Series:
    return column.fill_null("") if column.null_count() else column


def _one_by_one(
    blocks: Iterable[bytes], separator: str, columns: dict[str, int], width: int, row: int, name: str
) -> Iterator[pl.DataFrame]:
    lines = (line for block in blocks for line in StringIO(block.decode(), newline="\n"))
    wanted = {**columns, BEYOND: width}
    schema = {ROW: pl.Int32, **dict.fromkeys(wanted, pl.String)}
    rows = enumerate(_rows(lines, separator, name, row), start=row)
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        kept = {f: [cells[i] if i < len(cells) else "" for _, cells in some] for f, i in wanted.items()}
        yield pl.DataFrame({ROW: [n for n, _ in some], **kept}, schema=schema)


def _rows(lines: Iterable[str], separator: str, name: str, first: int = 1) -> Iterator[list[str]]:
    """Errors: FILE_FORMAT, naming the row in which a quotation goes wrong."""
    reader = csv.reader(lines, delimiter=separator, strict=True)
    row = first
    try:
        for cells in reader:
            yield cells
            row += 1
    except csv.Error as error:
        raise FILE_FORMAT(name=name[:80], problem=f"row {row}: {error}", problem_zh=f"第 {row} 行无法读取") from error
