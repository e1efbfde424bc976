"""What a workbook shows is what is read: the sheet people see, dates as dates, numbers without noise, texts in full."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from backend.accounting.files.tables import read_parts
from backend.accounting.files.workbook import workbook_parts
from backend.kit.errors import CodedError
from tests.fixtures.workbooks import row_xml, workbook, write_workbook

HEADER = ("month", "备注", "数量", "unit", "Source Code", "组织")
ROW = (date(2024, 2, 29), "x", 1234.5, "t", "锅炉", "S1")


def read(tmp_path: Path, content: bytes, sheet: str | None = None) -> list[dict[str, object]]:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    return [row for part in read_parts(path, "a.xlsx", sheet) for row in part.iter_rows(named=True)]


def one_cell(xml: str) -> str:
    """A good row whose quantity is the cell."""
    cells = f'<c r="A2" t="str"><v>2024-01</v></c>{xml}<c r="D2" t="str"><v>t</v></c><c r="E2" t="str"><v>B</v></c>'
    return row_xml(1, HEADER) + f'<row r="2">{cells}</row>'


def test_columns_in_any_order_and_either_language(tmp_path: Path) -> None:
    (row,) = read(tmp_path, workbook(row_xml(1, HEADER) + row_xml(2, ROW)))
    assert row == {
        "row": 2,
        "month": "2024-02-29",
        "note": "x",
        "quantity": "1234.5",
        "unit": "t",
        "source": "锅炉",
        "organisation": "S1",
    }


NUMBERS = [
    ("1234.5", "1234.5"),
    ("0.30000000000000004", "0.3"),
    ("1.0009999999999999", "1.001"),
    ("1E-3", "0.001"),
    ("1.5E+6", "1500000"),
    ("-12", "-12"),
    ("123456789012345", "123456789012345"),
]


@pytest.mark.parametrize(("stored", "shown"), NUMBERS)
def test_numbers_as_they_are_shown(tmp_path: Path, stored: str, shown: str) -> None:
    (row,) = read(tmp_path, workbook(one_cell(f'<c r="C2"><v>{stored}</v></c>')))
    assert row["quantity"] == shown


def test_shared_texts_without_reading_aids(tmp_path: Path) -> None:
    texts = ['<t>1</t><rPh sb="0" eb="1"><t>yi</t></rPh>', "<r><t>2</t></r><r><t>3</t></r>"]
    cell = '<c r="C2" t="s"><v>{}</v></c>'
    for position, shown in enumerate(("1", "23")):
        (row,) = read(tmp_path, workbook(one_cell(cell.format(position)), texts=texts))
        assert row["quantity"] == shown
    with pytest.raises(CodedError, match="neither CSV"):
        read(tmp_path, workbook(one_cell(cell.format(7)), texts=texts))


def test_rows_keep_their_numbers_and_empty_ones_are_left(tmp_path: Path) -> None:
    rows = row_xml(2, HEADER) + row_xml(5, ROW) + row_xml(6, ["", " ", "\u3000"]) + row_xml(900, ROW)
    assert [row["row"] for row in read(tmp_path, workbook(rows))] == [5, 900]


def test_the_first_sheet_that_is_shown(tmp_path: Path) -> None:
    rows = row_xml(1, HEADER) + row_xml(2, ROW)
    for state in ("hidden", "veryHidden"):
        assert len(read(tmp_path, workbook(rows, state=state))) == 1
    assert len(read(tmp_path, workbook(rows, state="visible"), "数据")) == 1
    with pytest.raises(CodedError) as caught:
        read(tmp_path, workbook(rows, state="hidden"), "草稿")
    assert (caught.value.code.name, caught.value.params["known"]) == ("SHEET_UNKNOWN", "数据")


def test_a_sheet_of_the_widest_kind(tmp_path: Path) -> None:
    wide = '<c r="XFD2" t="str"><v>far out</v></c>'
    rows = row_xml(1, HEADER) + row_xml(2, ROW).replace("</row>", f"{wide}</row>")
    assert len(read(tmp_path, workbook(rows))) == 1


def test_a_long_sheet_comes_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "long.xlsx"
    write_workbook(path, [HEADER, *[ROW] * 60_000])
    assert [part.height for part in workbook_parts(path, "long.xlsx", None)] == [50_000, 10_000]


def test_elements_with_a_prefix(tmp_path: Path) -> None:
    rows = row_xml(1, HEADER) + row_xml(2, ROW)
    for tag in ("row", "c", "v", "is", "t"):
        for mark in ("<", "</"):
            rows = rows.replace(f"{mark}{tag} ", f"{mark}x:{tag} ").replace(f"{mark}{tag}>", f"{mark}x:{tag}>")
    (row,) = read(tmp_path, workbook(rows))
    assert row["quantity"] == "1234.5"
