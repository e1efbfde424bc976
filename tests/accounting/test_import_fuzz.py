"""Files nobody thought of: every row is a line, or is refused by a code at its row and column; none is lost."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from hypothesis import example, given, settings
from hypothesis import strategies as st

from backend.accounting.domain.imports import FILE_EMPTY, UNKNOWN_SOURCE
from backend.accounting.domain.sources import Cadence
from backend.accounting.files import delimited
from backend.accounting.files.headers import BEYOND
from backend.accounting.files.tables import read_parts
from backend.accounting.files.understood import StreamEntry, Understood, understand
from backend.accounting.files.writer import as_written, harmless
from backend.kit.errors import CodedError, code_named
from tests.fixtures.workbooks import row_xml, workbook

HEADER = ("组织", "source", "流", "月份", "数量", "unit", "凭证", "备注")
TODAY = date(2026, 1, 1)
COAL = StreamEntry(uuid4(), uuid4(), uuid4(), "煤", "t", "CO2", Cadence.EVENT, may_be_negative=False)


def resolve(_organisation: str, source: str, _stream: str) -> StreamEntry:

    if source != "锅炉":
        raise UNKNOWN_SOURCE(path=("source",), source=source, organisation="-")
    return COAL


@contextmanager
def on_disk(content: bytes) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        path.write_bytes(content)
        yield path


def understood(content: bytes) -> Understood:
    with on_disk(content) as path:
        return understand(read_parts(path, "x.csv"), resolve, TODAY)


def every_row_is_accounted_for(found: Understood) -> None:
    refused = found.refused
    assert found.lines.height + refused.height == found.rows
    rows = [*found.lines["row"], *refused["row"]]
    assert len(set(rows)) == found.rows
    for code, column, params in refused.select("code", "column", "params").iter_rows():
        error = code_named(code)(**json.loads(params))
        assert column, code
        is_told(error)


def is_told(error: CodedError) -> None:
    """In both languages, all particulars filled in."""
    assert error.message("en")
    assert error.message("zh-CN")


def csv_of(rows: Sequence[Sequence[str]], **how: str) -> bytes:
    text = io.StringIO()
    newline = how.get("newline", "\n")
    # The writer quotes its own newline only.
    quoting: Any = csv.QUOTE_ALL if newline == "\r" else csv.QUOTE_MINIMAL
    csv.writer(text, lineterminator=newline, delimiter=how.get("delimiter", ","), quoting=quoting).writerows(rows)
    return text.getvalue().encode(how.get("encoding", "utf-8"))


ANY_FILE = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=300).map(lambda text: csv_of([HEADER]) + text.encode("utf-8", "replace")),
    st.binary(max_size=200).map(lambda tail: b"PK\x03\x04" + tail),
    st.tuples(st.integers(0, 900), st.binary(min_size=1, max_size=8)).map(lambda cut: _damaged(*cut)),
)


def _damaged(at: int, by: bytes) -> bytes:
    good = workbook(row_xml(1, HEADER) + row_xml(2, ("", "锅炉", "", "2024-01", 1, "t")))
    return good[:at] + by + good[at + len(by) :]


@settings(max_examples=300, deadline=None)
@given(content=ANY_FILE)
def test_nothing_a_file_holds_is_a_fault(content: bytes) -> None:
    try:
        every_row_is_accounted_for(understood(content))
    except CodedError as error:
        is_told(error)


NEARLY = ["锅炉", "t", "kg", "GJ", "2024-01", "2024年2月", "1,234.5", "１２３", "-1", "NaN", "=1+1", "", " ", "\u3000"]
ODD = ["9" * 40, "1e5", "+7", "0x10", "1.2.3", "'-5", "−3", "٣", "\ufeff1", "1 000", "45292", "2024-02-30"]
WORDS = st.one_of(
    st.sampled_from(NEARLY),
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=12),
)
TABLES = st.lists(st.lists(WORDS, min_size=8, max_size=8), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(rows=TABLES, newline=st.sampled_from(["\n", "\r\n", "\r"]), delimiter=st.sampled_from([",", ";", "\t"]))
@example(rows=[["", "锅炉", "", "2024-01", "5", "t", "a\nb", 'c"d']], newline="\r\n", delimiter=",")
def test_whatever_the_cells_say(rows: list[list[str]], newline: str, delimiter: str) -> None:
    said = sum(any(cell.strip() for cell in row) for row in rows)
    try:
        found = understood(csv_of([HEADER, *rows], newline=newline, delimiter=delimiter))
    except CodedError as error:
        if error.code is not FILE_EMPTY:
            raise
        assert not said
        return
    assert found.rows == said
    every_row_is_accounted_for(found)


NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**14, places=6)


@settings(max_examples=100, deadline=None)
@given(quantities=st.lists(NUMBERS, min_size=1, max_size=30), quoted=st.booleans(), grouped=st.booleans())
def test_good_rows_come_through_exactly(quantities: list[Decimal], *, quoted: bool, grouped: bool) -> None:
    written = [f"{q:,}" if grouped else f"{q:f}" for q in quantities]
    rows = [["", "锅炉", "", "2024-01", w, "kg", 'say "hi"' if quoted else "x", ""] for w in written]
    found = understood(csv_of([HEADER, *rows]))
    assert not found.refused.height
    assert found.lines.sort("row")["quantity"].to_list() == [q / 1000 for q in quantities]


def parts(content: bytes) -> list[dict[str, object]]:
    with on_disk(content) as path:
        return [
            {name: cell for name, cell in row.items() if name != BEYOND}
            for part in read_parts(path, "x.csv")
            for row in part.iter_rows(named=True)
        ]


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.lists(st.text("锅炉ab1 ,\n;.'", max_size=6), min_size=8, max_size=8), min_size=1, max_size=20))
def test_blocks_and_rows_read_the_same(rows: list[list[str]]) -> None:
    """Small blocks, whose ends fall anywhere, and one large one."""
    content = csv_of([HEADER, *rows, ["z"] * 8])
    whole = parts(content)
    large, delimited.BLOCK = delimited.BLOCK, 7
    try:
        assert parts(content) == whole
    finally:
        delimited.BLOCK = large


@given(st.text())
def test_a_harmless_text_is_read_back(text: str) -> None:
    shown = harmless(text)
    assert as_written(shown) == text
    assert not shown.startswith(("=", "+", "@", "\t", "\r"))
    assert not shown.startswith("-") or Decimal(shown) < 0 or not Decimal(shown)
