"""Activity from files, as a user brings them: uploaded, imported by a job, judged row by row."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from openpyxl.workbook.workbook import Workbook

from backend.kit.objects.files import FileStore
from tests.evidence.test_documents import send
from tests.fixtures.accounting import Works
from tests.fixtures.jobs import STEADY, working
from tests.fixtures.measurements import record_stocks, stock, stream_of
from tests.fixtures.world import World

HEADER = ("组织", "排放源", "流", "月份", "数量", "单位", "凭证", "备注")
IMPORT = """activityImport { id state rows stored present refused problem { code message } errorFile { id fileName }
  job { state } refusals(first: 1000) { nodes { row column code message written } } }"""

_BOOK: Any = Workbook


@pytest.fixture
async def works(world: World) -> Works:
    return await Works.create(world)


def csv_bytes(rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER, encoding: str = "utf-8-sig") -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue().encode(encoding)


def xlsx_bytes(rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER, merge: str = "") -> bytes:
    book: Any = _BOOK()
    page = book.active
    for row in (header, *rows):
        page.append(list(row))
    if merge:
        page.merge_cells(merge)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


async def upload(works: Works, objects: FileStore, content: bytes, name: str) -> str:
    announced = {
        "organisationId": works.site_id,
        "fileName": name,
        "mediaType": "application/octet-stream",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    selection = "document { id } upload { method url headers { name value } }"
    made = await works.monitor.do("createEvidenceUpload", announced, selection)
    assert (await send(objects, made["upload"], content)).status_code == 200
    await works.monitor.do("completeEvidenceUpload", {"id": made["document"]["id"]}, "document { state }")
    return str(made["document"]["id"])


async def bring(
    works: Works, objects: FileStore, content: bytes, name: str = "活动数据.csv", **fields: Any
) -> dict[str, Any]:
    """Upload and import; what became of it."""
    document = await upload(works, objects, content, name)
    call = {"organisationId": works.group_id, "documentId": document, **fields}
    made = (await works.monitor.do("importActivity", call, IMPORT))["activityImport"]
    url = works.world.owner.engine.url.render_as_string(hide_password=False)
    async with working(url, objects=objects, pace=STEADY):
        return await finished(works, made["id"])


async def finished(works: Works, key: str) -> dict[str, Any]:
    query = f"query Q($id: ID!) {{ node(id: $id) {{ ... on ActivityImport {{ {IMPORT[17:-1]} }} }} }}"
    for _ in range(600):
        shown: dict[str, Any] = (await works.monitor.ask(query, id=key))["node"]
        if shown["state"] != "QUEUED":
            return shown
        await asyncio.sleep(0.05)
    raise AssertionError(shown)


ROWS: list[tuple[object, ...]] = [
    ("S1", "锅炉", "烟煤", "2024-01", "１,２３４.５", "吨", "磅单 1", ""),
    ("", "BOILER", "", "2024年2月", "1,000", "kg", "磅单 2", "=1+1"),
    ("S1 厂区", "boiler", "BITUMINOUS_COAL", "2024/3", "-5", "t", "", "外售"),
]


async def boiler(works: Works, **stream: Any) -> str:
    return await works.source("BOILER", {"code": "烟煤", "material": "烟煤", **stream}, nameZh="锅炉")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
async def test_csv_as_chinese_spreadsheets_write_it(works: Works, objects: FileStore, encoding: str) -> None:
    source = await boiler(works)
    done = await bring(works, objects, csv_bytes(ROWS, encoding=encoding))
    assert (done["state"], done["rows"], done["stored"], done["refused"]) == ("DONE", 3, 3, 0), done
    results = await works.results(source, 2024)
    assert [(r["firstMonth"], r["records"]) for r in results] == [(f"2024-0{m}", 1) for m in (1, 2, 3)]
    query = "query Q($f: EmissionRecordFilter) { activityRecords(filter: $f) { nodes { quantity enteredUnit note } } }"
    nodes = (await works.engineer.ask(query, f={"sourceId": source}))["activityRecords"]["nodes"]
    assert [n["quantity"] for n in nodes] == ["1234.5", "1", "-5"]
    assert nodes[1]["note"] == "=1+1"


async def test_xlsx_with_numbers_and_dates(works: Works, objects: FileStore) -> None:
    source = await boiler(works, cadence="DAILY")
    rows = [("S1", "BOILER", "烟煤", date(2024, 1, d), 0.1 + d, "t", "", "") for d in range(1, 6)]
    done = await bring(works, objects, xlsx_bytes(rows), "活动数据.xlsx")
    assert (done["state"], done["stored"]) == ("DONE", 5), done
    (result,) = await works.results(source, 2024)
    assert result["records"] == 5


BAD: list[tuple[tuple[object, ...], str, str]] = [
    (("S1", "没有", "", "2024-04", "1", "t"), "UNKNOWN_SOURCE", "source"),
    (("别家", "BOILER", "", "2024-04", "1", "t"), "SOURCE_IS_ELSEWHERE", "source"),
    (("S1", "BOILER", "石油", "2024-04", "1", "t"), "UNKNOWN_STREAM", "stream"),
    (("S1", "BOILER", "", "四月", "1", "t"), "UNKNOWN_MONTH", "month"),
    (("S1", "BOILER", "", "2099-04", "1", "t"), "MONTH_OUT_OF_RANGE", "month"),
    (("S1", "BOILER", "", "2024-13", "1", "t"), "UNKNOWN_MONTH", "month"),
    (("S1", "BOILER", "", "2024-04", "1", "桶"), "UNKNOWN_UNIT", "unit"),
    (("S1", "BOILER", "", "2024-04", "1", "GJ"), "UNIT_DOES_NOT_FIT", "unit"),
    (("S1", "BOILER", "", "2024-04", "NaN", "t"), "BAD_NUMBER", "quantity"),
    (("S1", "BOILER", "", "2024-04", "1,23", "t"), "NUMBER_HAS_SEPARATORS", "quantity"),
    (("S1", "BOILER", "", "2024-04", "9" * 40, "t"), "NUMBER_OUT_OF_RANGE", "quantity"),
    (("S1", "BOILER", "", "2024-04", "0.0000000000001", "t"), "NUMBER_OUT_OF_RANGE", "quantity"),
    (("S1", "BOILER", "", "2024-04", "", "t"), "CELL_EMPTY", "quantity"),
    (("S1", "BOILER", "", "", "1", "t"), "CELL_EMPTY", "month"),
    (("S1", "KILN", "", "2024-04", "-1", "t"), "NEGATIVE_QUANTITY", "quantity"),
    (("S1", "BOILER", "", "2024-01", "7", "t"), "MONTH_ALREADY_RECORDED", "month"),
    (("S1", "BOILER", "", "2024-08", "7", "t"), "MONTH_ALREADY_RECORDED", "month"),
    (("S1", "BOILER", "", "2019-01", "7", "t"), "FACTOR_NOT_FOUND", "month"),
    (("S1", "BOILER", "", "2024-09", "7", "t"), "RESULT_OVERLAPS", "month"),
]


async def a_site_with_a_past(works: Works) -> str:
    source = await boiler(works)
    await works.source("KILN", {"code": "l", "material": "石灰石"}, directKind="PROCESS")
    await works.burn(source, "2024-08", "1", "t")
    await works.declare(sourceId=source, firstMonth="2024-09", months=1, massT="1")
    return source


async def test_each_bad_row_is_told_apart(works: Works, objects: FileStore) -> None:
    source = await a_site_with_a_past(works)
    good = ("S1", "BOILER", "", "2024-01", "5", "t")
    content = csv_bytes([good, *(row for row, _, _ in BAD)], HEADER[:6])
    done = await bring(works, objects, content)
    assert (done["state"], done["stored"], done["refused"]) == ("DONE", 1, len(BAD))
    told = [(r["row"], r["code"], r["column"]) for r in done["refusals"]["nodes"]]
    assert told == [(i, code, column) for i, (_, code, column) in enumerate(BAD, start=3)]
    assert all(r["message"] for r in done["refusals"]["nodes"])
    place = {"organisation": 0, "source": 1, "stream": 2, "month": 3, "quantity": 4, "unit": 5}
    assert [r["written"] for r in done["refusals"]["nodes"]] == [row[place[column]] for row, _, column in BAD]
    assert [r["firstMonth"] for r in await works.results(source, 2024) if r["origin"] == "ACTIVITY"] == [
        "2024-01",
        "2024-08",
    ]


async def test_full_width_digits_alone(works: Works, objects: FileStore) -> None:
    source = await boiler(works)
    await bring(works, objects, csv_bytes([("S1", "BOILER", "", "2024-01", "３９１２０", "t", "", "")]))
    (result,) = await works.results(source, 2024)
    assert result["records"] == 1


async def test_a_broken_import_gives_its_place_free(works: Works, objects: FileStore) -> None:
    await boiler(works)
    document = await upload(works, objects, csv_bytes(ROWS), "活动数据.csv")
    call = {"organisationId": works.group_id, "documentId": document}
    first = (await works.monitor.do("importActivity", call, IMPORT))["activityImport"]
    same = await works.monitor.do("importActivity", call, f"{IMPORT} replayed")
    assert (same["activityImport"]["id"], same["replayed"]) == (first["id"], True)
    job = "query Q($id: ID!) { node(id: $id) { ... on ActivityImport { job { id } } } }"
    job_id = (await works.monitor.ask(job, id=first["id"]))["node"]["job"]["id"]
    await works.monitor.do("cancelJob", {"id": job_id}, "job { state }")
    answer = await works.monitor.do("importActivity", call, f"{IMPORT} replayed")
    second = answer["activityImport"]
    assert (second["id"] != first["id"], answer["replayed"]) == (True, False)
    query = "query Q($id: ID!) { node(id: $id) { ... on ActivityImport { state problem { code } } } }"
    shown = (await works.monitor.ask(query, id=first["id"]))["node"]
    assert shown == {"state": "FAILED", "problem": {"code": "IMPORT_BROKEN"}}


async def error_file(works: Works, objects: FileStore, done: dict[str, Any]) -> list[list[str]]:
    """The rows of the file that is to be corrected."""
    query = "query Q($id: ID!) { node(id: $id) { ... on Document { sha256 } } }"
    digest = (await works.engineer.ask(query, id=done["errorFile"]["id"]))["node"]["sha256"]
    text = (objects.folder / str(works.world.tenant_id) / digest).read_bytes().decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


async def test_all_or_nothing(works: Works, objects: FileStore) -> None:
    source = await boiler(works)
    content = csv_bytes([ROWS[0], ("S1", "BOILER", "", "2024-02", "x", "t", "", "")])
    done = await bring(works, objects, content, mode="ALL_OR_NOTHING")
    assert (done["state"], done["stored"], done["refused"]) == ("REFUSED", 0, 1)
    assert await works.results(source, 2024) == []
    # Nothing was stored, so what is corrected and sent again is the whole file.
    lines = await error_file(works, objects, done)
    assert [line[-3:-1] for line in lines[1:]] == [["2", ""], ["3", "BAD_NUMBER"]]


async def test_the_error_file_is_corrected_and_sent_again(works: Works, objects: FileStore) -> None:
    source = await boiler(works)
    rows = [ROWS[0], ("S1", "BOILER", "烟煤", "2024-02", "一百", "t", "磅单", "")]
    done = await bring(works, objects, csv_bytes(rows))
    lines = await error_file(works, objects, done)
    text = "\n".join(",".join(line) for line in lines)
    assert lines[0][-3:] == ["行号", "错误代码", "错误"]
    assert lines[1][-3:-1] == ["3", "BAD_NUMBER"]
    again = await bring(works, objects, text.replace("一百", "100").encode("utf-8-sig"), "更正.csv")
    assert (again["state"], again["stored"], again["refused"]) == ("DONE", 1, 0)
    assert [r["firstMonth"] for r in await works.results(source, 2024)] == ["2024-01", "2024-02"]


async def test_the_same_file_is_imported_once(works: Works, objects: FileStore) -> None:
    source = await boiler(works, cadence="EVENT")
    content = csv_bytes(ROWS)
    first = await bring(works, objects, content)
    second = await bring(works, objects, content, "另存.csv")
    assert second["id"] == first["id"]
    assert sum(r["records"] for r in await works.results(source, 2024)) == 3


FILES: list[tuple[bytes, str]] = [
    (b"\x00\x01\x02", "FILE_FORMAT"),
    (b"\xff\xfe\xfd\x80", "FILE_FORMAT"),
    (csv_bytes([], HEADER), "FILE_EMPTY"),
    (csv_bytes([ROWS[0]], ("甲", "乙", "丙", "丁", "戊", "己", "庚", "辛")), "HEADERS_MISSING"),
    (csv_bytes([ROWS[0]], ("组织", "排放源", "流", "月份", "数量", "单位", "凭证", "日期")), "HEADER_TWICE"),
    (xlsx_bytes([*ROWS, *ROWS], merge="A2:A3"), "MERGED_CELLS"),
    (b"PK\x03\x04 and nothing more", "FILE_FORMAT"),
]


@pytest.mark.parametrize(("content", "code"), FILES, ids=[c for _, c in FILES])
async def test_files_that_cannot_be_read(works: Works, objects: FileStore, content: bytes, code: str) -> None:
    done = await bring(works, objects, content, f"活动数据.{'xlsx' if content.startswith(b'PK') else 'csv'}")
    assert (done["state"], done["problem"]["code"]) == ("FAILED", code)
    assert done["job"]["state"] == "SUCCEEDED"


async def test_a_month_that_follows_from_the_ledger_is_refused(works: Works, objects: FileStore) -> None:
    stream = await stream_of(works, await boiler(works, cadence="EVENT"))
    await record_stocks(works, stock(stream, "2024-01", opening="10"))
    done = await bring(works, objects, csv_bytes(ROWS))
    assert (done["state"], done["stored"], done["refused"]) == ("DONE", 2, 1), done
    assert done["refusals"]["nodes"][0]["code"] == "MONTH_IS_DERIVED"
