"""What stops an inventory, and what is warned of before: evidence that is demanded, methods that are passed over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from asyncpg.exceptions import CheckViolationError

from backend.kit.objects.files import FileStore
from tenants.access import Role
from tests.accounting.test_inventories import Office
from tests.evidence.test_documents import stored
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.methods import choose, method, set_method, streams
from tests.fixtures.world import World

LACKING = """query Q($id: ID!, $after: String) { node(id: $id) { ... on Inventory {
  recordsWithoutEvidence(first: 1, after: $after) { nodes { id kind firstMonth code source { code } }
    pageInfo { hasNextPage endCursor } } } } }"""
FINDINGS = "findings { code message months source { code } }"


@pytest.fixture
async def office(world: World) -> Office:
    return await Office.create(world)


async def demand(works: Works, at: str, *kinds: str) -> None:
    """Stored documents for kinds of records, of an organisation and all below."""
    admin = await works.world.caller(Role.TENANT_ADMINISTRATOR)
    given = {"organisationId": at, "value": {"evidenceDocuments": list(kinds)}, "validFrom": "2024-01-01"}
    await admin.do("setBoundary", {**given, "reason": "核查要求"}, "setting { value { evidenceDocuments } }")


async def lacking(office: Office, key: str) -> list[dict[str, Any]]:
    """All pages of one."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        answer = await office.works.engineer.ask(LACKING, id=key, after=after)
        page = answer["node"]["recordsWithoutEvidence"]
        found += page["nodes"]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found


async def submit(office: Office, key: str) -> list[str]:
    done = await office.works.engineer.attempt("submitInventory", {"id": key, "dryRun": True}, "inventory { id }")
    return [e["code"] for e in done["errors"]]


async def test_a_reference_in_words_does_by_default(office: Office) -> None:
    key = await office.open()
    assert await lacking(office, key) == []
    assert await submit(office, key) == []


async def test_a_document_is_demanded_from_above_and_let_off_below(office: Office, objects: FileStore) -> None:
    works = office.works
    key = await office.open()
    cems = await works.source("CEMS")
    await works.declare(sourceId=cems, firstMonth="2024-01", months=1, massT="5", evidence="报告 1")
    await demand(works, works.group_id, "ENTRY", "DECLARED")
    refused = await works.engineer.attempt("submitInventory", {"id": key})
    (error,) = refused["errors"]
    assert (error["code"], "3 records" in error["message"]) == ("EVIDENCE_NOT_STORED", True)
    found = await lacking(office, key)
    assert [(r["kind"], r["firstMonth"], r["code"], r["source"]["code"]) for r in found] == [
        ("DECLARED", "2024-01", "EVIDENCE_NOT_STORED", "CEMS"),
        ("ENTRY", "2024-01", "EVIDENCE_NOT_STORED", "BOILER"),
        ("ENTRY", "2024-02", "EVIDENCE_NOT_STORED", "BOILER"),
    ]
    document = await stored(works, objects)
    for record in found[:2]:
        await works.monitor.do("attachEvidence", {"id": document, "subjectIds": [record["id"]]}, "attached")
    assert [r["id"] for r in await lacking(office, key)] == [found[2]["id"]]
    # A document that was only announced proves nothing; the site is let off, so nothing is lacking.
    await demand(works, works.site_id)
    assert await lacking(office, key) == []
    assert (await office.go(key, "submitInventory"))["state"] == "SUBMITTED"


async def test_a_month_of_the_ledger_is_documented_at_its_row(office: Office, objects: FileStore) -> None:
    works = office.works
    (stream,) = (await streams(works, await works.fuel("无烟煤"))).values()
    row = {"streamId": stream, "month": "2024-03", "unit": "t", "parts": {"purchased": "8"}, "evidence": "台账 3"}
    done = await works.monitor.do("recordStocks", {"rows": [row]}, "outcomes { row { id } error { message } }")
    (outcome,) = done["outcomes"]
    await demand(works, works.site_id, "STOCK")
    key = await office.open()
    assert [r["kind"] for r in await lacking(office, key)] == ["STOCK"]
    document = await stored(works, objects)
    await works.monitor.do("attachEvidence", {"id": document, "subjectIds": [outcome["row"]["id"]]}, "attached")
    assert await lacking(office, key) == []


async def test_the_database_refuses_it_too(office: Office, database_url: str) -> None:
    key = await office.open()
    await demand(office.works, office.works.group_id, "ENTRY")
    connection = await asyncpg.connect(database_url, server_settings={"role": "tanheng_app"})
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(office.works.world.tenant_id))
    with pytest.raises(CheckViolationError, match="lack their evidence"):
        await connection.execute(
            "UPDATE inventory SET state = 'SUBMITTED', round = 1, sha256 = repeat('0', 64), submitted_by = id "
            "WHERE id = $1",
            uuid_of(key),
        )
    await connection.close()


async def test_a_preferred_method_that_does_not_count_is_warned_of(office: Office) -> None:
    works = office.works
    (coal,) = (await streams(works, office.boiler)).values()
    balance = method("MASS_BALANCE", ("2024-02", None), carbonContent="0.5 tC/t", reason="新增")
    await set_method(works, coal, balance)
    key = await office.open()
    query = f"query Q($id: ID!) {{ node(id: $id) {{ ... on Inventory {{ {FINDINGS} }} }} }}"
    (found,) = (await works.engineer.ask(query, id=key))["node"]["findings"]
    assert (found["code"], found["source"]["code"]) == ("METHOD_PASSED_OVER", "BOILER")
    assert found["months"] == [f"2024-{m:02}" for m in range(2, 13)]
    assert "MASS_BALANCE" in found["message"]
    chinese = await replace(works.engineer, locale="zh-CN").ask(query, id=key)
    assert "优先级更高的物料平衡法" in chinese["node"]["findings"][0]["message"]
    done = await works.engineer.do("submitInventory", {"id": key, "dryRun": True}, f"inventory {{ id }} {FINDINGS}")
    assert [f["code"] for f in done["findings"]] == ["METHOD_PASSED_OVER"]
    chosen = await choose(works, office.boiler, "MASS_BALANCE", firstMonth="2024-02", reason="优先")
    assert not chosen["errors"]
    assert (await works.engineer.ask(query, id=key))["node"]["findings"] == []


async def test_months_in_which_nothing_counts_are_found_before(office: Office) -> None:
    works = office.works
    flare = await works.source("FLARE", {"code": "gas", "unit": "1e4Nm3"})
    await works.burn(flare, "2024-02", "12", "1e4Nm3", stream="gas")
    key = await office.open()
    query = f"query Q($id: ID!) {{ node(id: $id) {{ ... on Inventory {{ {FINDINGS} }} }} }}"
    (found,) = (await works.engineer.ask(query, id=key))["node"]["findings"]
    assert (found["code"], found["months"], found["source"]["code"]) == ("NOTHING_COUNTS", ["2024-02"], "FLARE")


BACK = [
    """INSERT INTO stream_basis (tenant_id, id, stream_id, method, kind, parameters, first_month, recorded_by)
       SELECT tenant_id, gen_random_uuid(), stream_id, method, 'LIBRARY', '[]', '2024-06-01', recorded_by
       FROM stream_basis WHERE stream_id = $1""",
    """UPDATE stream_basis SET superseded_at = now(), superseded_because = 'x' WHERE stream_id = $1""",
    """WITH gone AS (UPDATE stream_basis SET superseded_at = now(), superseded_because = 'x' WHERE stream_id = $1
         RETURNING *)
       INSERT INTO stream_basis (tenant_id, id, stream_id, method, kind, parameters, first_month, last_month,
                                 recorded_by)
       SELECT tenant_id, gen_random_uuid(), stream_id, 'MASS_BALANCE', 'FUEL_COMBUSTION', '[]', first_month, last_month,
              recorded_by FROM gone""",
]


@pytest.mark.parametrize("statement", BACK)
async def test_the_database_holds_measured_to_measured(works: Works, database_url: str, statement: str) -> None:
    source = await works.fuel("烟煤")
    (stream,) = (await streams(works, source)).values()
    await set_method(works, stream, method("FUEL_COMBUSTION", ("2024-03", "2024-05"), ncv="22 GJ/t", reason="实测"))
    connection = await asyncpg.connect(database_url, server_settings={"role": "tanheng_app"})
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(works.world.tenant_id))
    with pytest.raises(CheckViolationError, match="measured parameter"):
        await connection.execute(statement, uuid_of(stream))
    # With the name of who lets it go back, it may.
    named = statement.replace("superseded_because = 'x'", "superseded_because = 'x', went_back_by = recorded_by")
    named = named.replace("recorded_by)\n", "recorded_by, went_back_by)\n").replace(
        "recorded_by\n", "recorded_by, recorded_by\n"
    )
    named = named.replace("recorded_by FROM gone", "recorded_by, recorded_by FROM gone")
    await connection.execute(named, uuid_of(stream))
    await connection.close()


async def test_pieces_of_a_default_that_a_measured_month_cuts_stay(works: Works) -> None:
    """A default through the year, measured in March, then in August: what is left of the default is as it was."""
    source = await works.fuel("烟煤")
    (stream,) = (await streams(works, source)).values()
    await set_method(works, stream, method("LIBRARY", ("2024-01", "2024-12")))
    for month in ("2024-03", "2024-08"):
        given = method("FUEL_COMBUSTION", (month, month), ncv="22 GJ/t", reason="实测")
        await set_method(works, stream, given)
    query = """query Q($id: ID!) { node(id: $id) { ... on EmissionStream { bases { kind firstMonth lastMonth } } } }"""
    bases = (await works.engineer.ask(query, id=stream))["node"]["bases"]
    assert [(b["kind"], b["firstMonth"], b["lastMonth"]) for b in bases] == [
        ("LIBRARY", "2024-01", "2024-02"),
        ("FUEL_COMBUSTION", "2024-03", "2024-03"),
        ("LIBRARY", "2024-04", "2024-07"),
        ("FUEL_COMBUSTION", "2024-08", "2024-08"),
        ("LIBRARY", "2024-09", "2024-12"),
    ]
