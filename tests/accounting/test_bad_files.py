"""What files hold that must not come in: each is refused by a code, at its row, with the remedy; nothing is written.

Every row stands behind a good one, all or nothing: had anything been kept, the counts would show it.
"""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backend.accounting.files import tables
from backend.kit.errors import CodedError
from backend.kit.objects.files import FileStore
from tenants.access import Role
from tests.accounting.test_imports import HEADER, bring, csv_bytes, upload
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.workbooks import row_xml, workbook

GOOD = ("S1", "BOILER", "", "2024-01", "5", "t")
COLUMNS = HEADER[:6]


@dataclass(frozen=True, slots=True)
class Bad:
    """A row, how it is refused, and a word of the message that says what would be right."""

    row: Sequence[object]
    code: str
    column: str
    remedy: str


ROWS = {
    "unknown unit": Bad(
        ("S1", "BOILER", "", "2024-02", "1", "桶"), "UNKNOWN_UNIT", "unit", "write one of: t, kg, g, kt, Mt, 万吨, 吨"
    ),
    "unknown unit of electricity": Bad(
        ("S1", "GRID", "", "2024-02", "1", "瓩时"), "UNKNOWN_UNIT", "unit", "MWh, kWh, GWh, 万kWh, 万千瓦时, 兆瓦时"
    ),
    "another dimension than electricity": Bad(
        ("S1", "GRID", "", "2024-02", "1", "t"), "UNIT_DOES_NOT_FIT", "unit", "that do: MWh, kWh, GWh, 万kWh"
    ),
    "wrong dimension": Bad(("S1", "BOILER", "", "2024-02", "1", "GJ"), "UNIT_DOES_NOT_FIT", "unit", "that do: t, kg"),
    "a month twice in the file": Bad(GOOD, "MONTH_ALREADY_RECORDED", "month", "Supersede"),
    "a month recorded before": Bad(
        ("S1", "BOILER", "", "2024-08", "2", "t"), "MONTH_ALREADY_RECORDED", "month", "Supersede"
    ),
    "overlapping periods": Bad(("S1", "BOILER", "", "2024-10", "1", "t"), "RESULT_OVERLAPS", "month", "upersede"),
    "negative": Bad(("S1", "KILN", "", "2024-02", "-1", "t"), "NEGATIVE_QUANTITY", "quantity", "sold on"),
    "not a number": Bad(("S1", "BOILER", "", "2024-02", "NaN", "t"), "BAD_NUMBER", "quantity", "1234.5"),
    "infinity": Bad(("S1", "BOILER", "", "2024-02", "-Infinity", "t"), "BAD_NUMBER", "quantity", "1234.5"),
    "forty digits": Bad(
        ("S1", "BOILER", "", "2024-02", "9" * 40, "t"), "NUMBER_OUT_OF_RANGE", "quantity", "at most 15"
    ),
    "forty digits of another unit": Bad(
        ("S1", "BOILER", "", "2024-02", f"0.{'9' * 11}", "g"), "NUMBER_OUT_OF_RANGE", "quantity", "12 behind"
    ),
    "no factor then": Bad(("S1", "BOILER", "", "2019-01", "1", "t"), "FACTOR_NOT_FOUND", "month", "factor"),
    "a month to come": Bad(("S1", "BOILER", "", "2099-01", "1", "t"), "MONTH_OUT_OF_RANGE", "month", "1990"),
    "locked": Bad(("S1", "BOILER", "", "2025-03", "1", "t"), "PERIOD_LOCKED", "month", "eopen"),
    "a formula": Bad(("S1", "BOILER", "", "2024-02", "=1+1", "t"), "CELL_IS_A_FORMULA", "quantity", "paste its value"),
    "a command": Bad(
        ("=cmd|'/c calc'!A1", "BOILER", "", "2024-02", "1", "t"), "CELL_IS_A_FORMULA", "organisation", "paste"
    ),
    "separators nobody quoted": Bad(
        ("S1", "BOILER", "", "2024-02", "1", "t", "234"), "CELLS_BEYOND_HEADER", "beyond", "1234"
    ),
    "nowhere": Bad(("S9", "STOVE", "", "2024-02", "1", "t"), "UNKNOWN_SOURCE", "source", "at 'S9' that you may"),
    "nowhere here": Bad(("", "STOVE", "", "2024-02", "1", "t"), "UNKNOWN_SOURCE", "source", "at 'HD' that you may"),
    "elsewhere": Bad(("S9", "BOILER", "", "2024-02", "1", "t"), "SOURCE_IS_ELSEWHERE", "source", "at: S1. Name the"),
    "one of two streams": Bad(
        ("S1", "TWO", "", "2024-02", "1", "t"), "STREAM_NOT_CHOSEN", "stream", "一, 二. Name one"
    ),
    "no stream": Bad(
        ("S1", "BOILER", "石油", "2024-02", "1", "t"), "UNKNOWN_STREAM", "stream", "'石油' is not a stream"
    ),
}


CELLS = {"source": 1, "stream": 2, "unit": 5}
"""Where in a row the cells stand whose content a refusal repeats."""


async def a_past(works: Works) -> None:
    """Sources with records, declared results and a submitted inventory; another site."""
    boiler = await works.source("BOILER", {"code": "烟煤", "material": "烟煤"}, nameZh="锅炉")
    await works.source("TRUCK", {"code": "d", "material": "柴油"}, directKind="MOBILE")
    two = ({"code": "一", "material": "烟煤"}, {"code": "二", "material": "烟煤"})
    await works.source("TWO", *two)
    await works.source("GRID", {"code": "电", "material": "外购电力"}, category="IMPORTED_ENERGY", directKind=None)
    await works.source("KILN", {"code": "l", "material": "石灰石"}, directKind="PROCESS")
    await works.burn(boiler, "2024-08", "1", "t")
    await works.burn(boiler, "2025-01", "1", "t", evidence="磅单")
    await works.declare(sourceId=boiler, firstMonth="2024-09", months=3, massT="1")
    given = {"organisationId": works.site_id, "firstMonth": "2025-01"}
    made = await works.engineer.do("createInventory", given, "inventory { id }")
    await works.engineer.do("submitInventory", {"id": made["inventory"]["id"]}, "inventory { state }")


async def written(works: Works) -> dict[str, int]:
    """How many rows there are of everything an import can write but its own account of itself."""
    async with works.world.services.toolbox.database.read(works.world.tenant_id) as session:
        tables = ("activity_batch", "activity_pack", "stream_month", "stream_coefficient")
        return {t: await session.scalar(f"SELECT count(*) FROM {t}") for t in tables}


@pytest.mark.parametrize("bad", ROWS.values(), ids=ROWS)
async def test_a_bad_row(works: Works, objects: FileStore, bad: Bad) -> None:
    await a_past(works)
    before = await written(works)
    done = await bring(works, objects, csv_bytes([GOOD, bad.row], COLUMNS), mode="ALL_OR_NOTHING")
    assert (done["state"], done["rows"], done["stored"], done["refused"]) == ("REFUSED", 2, 0, 1), done
    (refusal,) = done["refusals"]["nodes"]
    assert (refusal["row"], refusal["column"], refusal["code"]) == (3, bad.column, bad.code)
    assert bad.remedy in refusal["message"], refusal["message"]
    if bad.column in CELLS:
        assert refusal["written"] == bad.row[CELLS[bad.column]]
    after = await written(works)
    assert {**after, "stream_coefficient": 0} == {**before, "stream_coefficient": 0}


async def test_a_site_outside_the_callers_reach(works: Works, objects: FileStore) -> None:
    await a_past(works)
    far = await works.site("S2")
    await works.source("BOILER", {"code": "烟煤", "material": "烟煤"}, organisationId=far)
    before = await written(works)
    works.monitor = await works.world.member((Role.MONITORING_STAFF, uuid_of(works.site_id)))
    document = await upload(works, objects, csv_bytes([GOOD], COLUMNS), "a.csv")
    for where, code in ((works.group_id, "NOT_FOUND"), (far, "NOT_FOUND")):
        refused = await works.monitor.attempt("importActivity", {"organisationId": where, "documentId": document})
        assert [e["code"] for e in refused["errors"]] == [code]
    content = csv_bytes([GOOD, ("S2", *GOOD[1:])], COLUMNS)
    done = await bring(works, objects, content, organisationId=works.site_id, mode="ALL_OR_NOTHING")
    (refusal,) = done["refusals"]["nodes"]
    assert (done["state"], refusal["row"], refusal["code"]) == ("REFUSED", 3, "SOURCE_IS_ELSEWHERE")
    assert refusal["message"].endswith("but at: S1. Name the organisation in the row.")
    assert await written(works) == before


def bomb(*, lying: bool) -> bytes:
    """A workbook of 400 MB of spaces; `lying` says in its directory that it is small."""
    content = workbook(f"<row r='1'><c r='A1'><v>{' ' * 400_000_000}</v></c></row>")
    if not lying:
        return content
    sheet = content.rindex(b"PK\x01\x02", 0, content.rindex(b"xl/worksheets/sheet2.xml"))
    return content[: sheet + 24] + struct.pack("<I", 5_000) + content[sheet + 28 :]


def sheet(*rows: Sequence[object], **more: Any) -> bytes:
    return workbook("".join(row_xml(n, row) for n, row in enumerate([COLUMNS, GOOD, *rows], start=1)), **more)


def replaced(part: str, content: str) -> bytes:
    """A good workbook, one part of which holds something else."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sheet())) as good, zipfile.ZipFile(out, "w") as archive:
        for entry in good.namelist():
            archive.writestr(entry, content if entry == part else good.read(entry))
    return out.getvalue()


FORMULA_CELL = '<row r="3"><c r="A3" t="str"><f>A2</f><v>S1</v></c><c r="B3" t="str"><v>BOILER</v></c></row>'
ENTITIES = '<!DOCTYPE w [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><w>&b;</w>'
FILES: dict[str, tuple[bytes, str, str]] = {
    "a bomb": (bomb(lying=False), "FILE_IS_A_BOMB", "Save it anew"),
    "a bomb that lies about its size": (bomb(lying=True), "FILE_FORMAT", "save it as CSV"),
    "merged cells": (
        sheet(behind='<mergeCells><mergeCell ref="A2:A3"/></mergeCells>'),
        "MERGED_CELLS",
        "(A2:A3); unmerge",
    ),
    "entities": (replaced("xl/styles.xml", ENTITIES), "FILE_FORMAT", "save it as CSV"),
    "an archive of something else": (replaced("xl/workbook.xml", ""), "FILE_FORMAT", "save it as CSV"),
    "cut off": (sheet()[:-200], "FILE_FORMAT", "save it as CSV"),
    "a row that never comes": (workbook('<row r="9999999999"/>'), "FILE_FORMAT", "save it as CSV"),
    "a quotation that never ends": (
        csv_bytes([GOOD], COLUMNS) + b'"S1,BOILER,,2024-02,1,t\n' * 3,
        "FILE_FORMAT",
        "row 3",
    ),
    "a text that is called a workbook": (b"month,quantity\n2024-01,1\n", "NOT_A_WORKBOOK", "This is not a workbook"),
    "UTF-16": ("组织,排放源".encode("utf-16"), "FILE_FORMAT", "UTF-8 or GB18030"),
}


TEXTS = ("组织".encode("utf-16"), "组织".encode("utf-8-sig"))
"""How files begin that are called .csv."""


@pytest.mark.parametrize(("content", "code", "remedy"), FILES.values(), ids=FILES)
async def test_a_bad_file(works: Works, objects: FileStore, content: bytes, code: str, remedy: str) -> None:
    await a_past(works)
    before = await written(works)
    called = "活动数据.csv" if content.startswith(TEXTS) else "活动数据.xlsx"
    done = await bring(works, objects, content, called)
    assert (done["state"], done["problem"]["code"], done["job"]["state"]) == ("FAILED", code, "SUCCEEDED")
    assert remedy in done["problem"]["message"], done["problem"]["message"]
    assert await written(works) == before


async def test_more_than_a_hundred_megabytes(works: Works, objects: FileStore) -> None:
    announced = {"organisationId": works.site_id, "fileName": "a.csv", "mediaType": "text/csv", "sha256": "0" * 64}
    refused = await works.monitor.attempt("createEvidenceUpload", {**announced, "size": 100 * 1024**2 + 1})
    (error,) = refused["errors"]
    assert (error["code"], error["path"]) == ("OBJECT_TOO_LARGE", ["size"])
    assert "104857600" in error["message"]


async def test_more_rows_than_are_read(works: Works, objects: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await a_past(works)
    before = await written(works)
    monkeypatch.setattr(tables, "MOST_ROWS", 2)
    done = await bring(works, objects, csv_bytes([GOOD] * 3, COLUMNS))
    assert (done["state"], done["problem"]["code"]) == ("FAILED", "FILE_TOO_LONG")
    assert "Split it" in done["problem"]["message"]
    assert await written(works) == before


async def test_formula_cells_of_a_workbook(works: Works, objects: FileStore) -> None:
    await a_past(works)
    rows = row_xml(1, COLUMNS) + row_xml(2, GOOD) + FORMULA_CELL
    done = await bring(works, objects, workbook(rows), "a.xlsx")
    (refusal,) = done["refusals"]["nodes"]
    assert (done["stored"], refusal["row"], refusal["column"]) == (1, 3, "organisation")
    assert (refusal["code"], refusal["written"]) == ("CELL_IS_A_FORMULA", "=A2")


def test_a_lying_bomb_is_read_as_far_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xlsx"
    path.write_bytes(bomb(lying=True))
    tracemalloc.start()
    with pytest.raises(CodedError):
        list(tables.read_parts(path, "bomb.xlsx"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
