"""Activity written into a file that a spreadsheet opens without harm and that is imported again unchanged."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

from backend.kit.objects.files import FileStore
from tenants.access import Role
from tests.accounting.test_imports import HEADER, bring, csv_bytes
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.jobs import STEADY, working
from tests.fixtures.measurements import record_stocks, stock, stream_of

EXPORT = "activityExport { id rows file { sha256 fileName download { url } } job { state } }"
ROWS: list[tuple[str, ...]] = [
    ("S1", "BOILER", "煤", "2024-01-03", "1234.5", "吨", "=cmd|'/c calc'!A1", ""),
    ("S1", "BOILER", "煤", "2024-01-03", "-7", "kg", "'引号", "+86 21"),
    ("S1", "BOILER", "煤", "2024-02-01", "0.000000001", "t", "@A1", '两行, 一格 "引"'),
    ("S1", "BOILER", "煤", "2024-02-29", "1", "万吨", "-1+1", "\u3000"),
]


async def export(works: Works, objects: FileStore, organisation: str, **fields: Any) -> tuple[dict[str, Any], str]:
    """What became of an export of 2024, and the text of its file."""
    given = {"organisationId": organisation, "firstMonth": "2024-01", "lastMonth": "2024-12", **fields}
    made = (await works.monitor.do("exportActivity", given, EXPORT))["activityExport"]
    query = f"query Q($id: ID!) {{ node(id: $id) {{ ... on ActivityExport {{ {EXPORT[17:-1]} }} }} }}"
    url = works.world.owner.engine.url.render_as_string(hide_password=False)
    async with working(url, objects=objects, pace=STEADY):
        for _ in range(600):
            shown: dict[str, Any] = (await works.monitor.ask(query, id=made["id"]))["node"]
            if shown["file"] is not None:
                break
            await asyncio.sleep(0.05)
    content = await asyncio.to_thread(
        (objects.folder / str(works.world.tenant_id) / shown["file"]["sha256"]).read_bytes
    )
    return shown, content.decode("utf-8-sig")


async def two_alike(works: Works) -> str:
    """Two sites with the same source; the second one."""
    other = await works.site("S2")
    for site in (works.site_id, other):
        stream = {"code": "煤", "material": "烟煤", "cadence": "EVENT"}
        await works.source("BOILER", stream, organisationId=site)
    return other


async def test_what_is_exported_is_imported_unchanged(works: Works, objects: FileStore) -> None:
    other = await two_alike(works)
    assert (await bring(works, objects, csv_bytes(ROWS)))["stored"] == len(ROWS)
    shown, text = await export(works, objects, works.site_id)
    assert (shown["rows"], shown["file"]["fileName"]) == (len(ROWS), "活动数据 2024-01—2024-12.csv")
    moved = text.replace("S1,BOILER", "S2,BOILER")
    done = await bring(works, objects, moved.encode("utf-8-sig"), "再导入.csv")
    assert (done["state"], done["stored"], done["refused"]) == ("DONE", len(ROWS), 0), done
    _, again = await export(works, objects, other)
    assert sorted(again.splitlines()) == sorted(moved.splitlines())


async def test_an_own_export_changes_nothing(works: Works, objects: FileStore) -> None:
    """Also where rows are alike, months follow from a ledger or are recorded once: all of it is there already."""
    await two_alike(works)
    monthly = await works.source("KILN", {"code": "煤", "material": "烟煤"})
    await works.burn(monthly, "2024-05", "10", "t")
    ledger = await stream_of(works, await works.source("STOVE", {"code": "煤", "material": "烟煤", "cadence": "EVENT"}))
    await record_stocks(works, stock(ledger, "2024-01", opening="10"))
    await bring(works, objects, csv_bytes([*ROWS, ROWS[0]]))
    shown, text = await export(works, objects, works.group_id)
    done = await bring(works, objects, text.encode("utf-8-sig"), "再导入.csv", mode="ALL_OR_NOTHING")
    assert (done["state"], done["stored"], done["present"], done["refused"]) == ("DONE", 0, shown["rows"], 0), done
    assert shown["rows"] == len(ROWS) + 3
    _, again = await export(works, objects, works.group_id)
    assert again == text


async def test_what_is_new_beside_what_is_there(works: Works, objects: FileStore) -> None:
    """Of rows alike as many are there as were recorded; a withdrawn one is not; any other word makes another row."""
    await two_alike(works)
    row = ("S1", "BOILER", "煤", "2024-01-03", "5", "t", "磅单", "")
    first = await bring(works, objects, csv_bytes([row, row]))
    assert (first["stored"], first["present"]) == (2, 0)
    others = [(*row[:n], word, *row[n + 1 :]) for n, word in ((3, "2024-01-04"), (4, "6"), (6, "磅单 2"), (7, "另"))]
    second = await bring(works, objects, csv_bytes([row, *others, row, row, (*row[:4], "5000", "kg", *row[6:])]))
    assert (second["rows"], second["stored"], second["present"]) == (8, 6, 2), second
    query = "{ activityRecords { nodes { id quantity occurredOn evidence note } } }"
    nodes = (await works.engineer.ask(query))["activityRecords"]["nodes"]
    same = [n["id"] for n in nodes if (n["quantity"], n["evidence"], n["note"]) == ("5", "磅单", "")]
    await works.monitor.do("supersedeActivity", {"id": same[0], "reason": "重复"}, "record { id }")
    third = await bring(works, objects, csv_bytes([row] * 4))
    assert (third["stored"], third["present"]) == (2, 2), third


async def test_a_changed_month_is_to_be_superseded(works: Works, objects: FileStore) -> None:
    source = await works.source("KILN", {"code": "煤", "material": "烟煤"})
    record = await works.burn(source, "2024-05", "10", "t")
    row = ("S1", "KILN", "煤", "2024-05", "11", "t", "", "")
    done = await bring(works, objects, csv_bytes([row, row]))
    before, repeated = done["refusals"]["nodes"]
    assert before["code"] == repeated["code"] == "MONTH_ALREADY_RECORDED"
    assert "supersedeActivity" in before["message"]
    assert "2024-05 " in before["message"]
    assert record["id"] in before["message"]
    assert "本文件第 2 行" in repeated["message"] or "row 2 of this file" in repeated["message"]


async def test_an_export_does_no_harm(works: Works, objects: FileStore) -> None:
    await two_alike(works)
    await bring(works, objects, csv_bytes(ROWS))
    _, text = await export(works, objects, works.group_id)
    header, *rows = csv.reader(io.StringIO(text))
    assert tuple(header)[:3] == HEADER[:3]
    for row in rows:
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row), row
        assert not any(cell.startswith("-") for n, cell in enumerate(row) if n != 4), row
    assert "-0.007" not in text
    assert {row[4] for row in rows} == {"1234.5", "-7", "0.000000001", "1"}


async def test_what_was_withdrawn_is_not_exported(works: Works, objects: FileStore) -> None:
    source = await works.fuel("烟煤")
    kept = await works.burn(source, "2024-01", "1", "t")
    gone = await works.burn(source, "2024-02", "2", "t")
    await works.monitor.do("supersedeActivity", {"id": gone["id"], "reason": "重复"}, "record { id }")
    shown, text = await export(works, objects, works.group_id)
    assert kept["month"] == "2024-01"
    assert (shown["rows"], len(text.splitlines())) == (1, 2)


async def test_only_who_may_see_it(works: Works) -> None:
    far = await works.site("S2")
    stranger = await works.world.member((Role.MONITORING_STAFF, uuid_of(far)))
    given = {"organisationId": works.site_id, "firstMonth": "2024-01", "lastMonth": "2024-12"}
    refused = await stranger.attempt("exportActivity", given)
    assert [e["code"] for e in refused["errors"]] == ["NOT_FOUND"]
    turned = {**given, "firstMonth": "2024-12", "lastMonth": "2024-01"}
    backwards = await works.monitor.attempt("exportActivity", turned)
    assert [(e["code"], e["path"]) for e in backwards["errors"]] == [("EXPORT_PERIOD", ["lastMonth"])]


async def test_what_is_there_already_is_left_as_it_is(works: Works, objects: FileStore) -> None:
    """An export of the same place stores nothing; a delivery that the file has once more is stored once."""
    stream = {"code": "煤", "material": "烟煤", "cadence": "EVENT"}
    source = await works.source("BOILER", stream)
    assert (await bring(works, objects, csv_bytes(ROWS)))["stored"] == len(ROWS)
    before = await works.results(source, 2024)
    _, text = await export(works, objects, works.site_id)
    done = await bring(works, objects, text.encode("utf-8-sig"), "再导入.csv")
    assert (done["stored"], done["present"], done["refused"]) == (0, len(ROWS), 0), done
    assert await works.results(source, 2024) == before
    more = text + text.splitlines(keepends=True)[1]
    done = await bring(works, objects, more.encode("utf-8-sig"), "又一车.csv")
    assert (done["stored"], done["present"], done["refused"]) == (1, len(ROWS), 0), done
