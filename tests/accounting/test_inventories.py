"""Inventories: frozen, checked by others, locked; pending records stay out of approved totals."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from asyncpg.exceptions import PostgresError

from backend.accounting.domain.sources import Category
from backend.accounting.service.results import EmissionReader
from backend.kit.database import Database
from backend.kit.objects.files import FileStore
from tenants.access import Role
from tests.accounting.test_imports import bring, csv_bytes
from tests.evidence.test_documents import stored
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.world import Caller, World

INVENTORY = """inventory { id state version sha256 firstMonth months reason totals { category directKind co2eT records }
  events { state note sha256 } lines { nodes { firstMonth quantity co2eT source { code } stream { code } } } }"""
STEPS = ("submitInventory", "confirmInventory", "approveInventory", "completeInventoryVerification", "lockInventory")


@dataclass(slots=True)
class Office:
    """A site with coal for two months, and the people an inventory goes through."""

    works: Works
    boiler: str
    people: tuple[Caller, ...]

    @classmethod
    async def create(cls, world: World) -> Office:
        works = await Works.create(world)
        boiler = await works.source("BOILER", {"code": "烟煤", "material": "烟煤"})
        await works.burn(boiler, "2024-01", "100", "t", evidence="磅单 1")
        await works.burn(boiler, "2024-02", "50", "t", evidence="磅单 2")
        roles = (Role.NEUTRALITY_TEAM, Role.TOP_MANAGEMENT, Role.THIRD_PARTY_VERIFIER, Role.TOP_MANAGEMENT)
        others = [await world.member((role, uuid_of(works.group_id))) for role in roles]
        return cls(works, boiler, (works.engineer, *others))

    async def open(self, **fields: Any) -> str:
        given = {"organisationId": self.works.site_id, "firstMonth": "2024-01", **fields}
        return str((await self.works.engineer.do("createInventory", given, INVENTORY))["inventory"]["id"])

    async def go(self, key: str, upto: str) -> dict[str, Any]:
        """Take the steps in their order, each by the one whose turn it is."""
        shown: dict[str, Any] = {}
        for step, who in zip(STEPS, self.people, strict=True):
            shown = (await who.do(step, {"id": key, "note": f"{step} 完成"}, INVENTORY))["inventory"]
            if step == upto:
                break
        return shown

    async def try_to_burn(self, month: str = "2024-03") -> list[str]:
        row = {"sourceId": self.boiler, "month": month, "quantity": "1", "unit": "t"}
        done = await self.works.monitor.attempt("recordActivity", {"rows": [row]}, "outcomes { error { code } }")
        refused = [o["error"]["code"] for o in done["outcomes"] or () if o["error"]]
        return [e["code"] for e in done["errors"]] + refused


@pytest.fixture
async def office(world: World) -> Office:
    return await Office.create(world)


async def test_from_open_to_locked(office: Office) -> None:
    key = await office.open()
    shown = await office.go(key, "lockInventory")
    assert (shown["state"], shown["version"]) == ("LOCKED", 1)
    states = ["OPEN", "SUBMITTED", "REVIEWED", "APPROVED", "VERIFIED", "LOCKED"]
    assert [e["state"] for e in shown["events"]] == states
    assert {e["sha256"] for e in shown["events"][1:]} == {shown["sha256"]}
    (total,) = shown["totals"]
    assert Decimal(total["co2eT"]) == Decimal("338.356917360")
    assert sum(Decimal(x["co2eT"]) for x in shown["lines"]["nodes"]) == Decimal(total["co2eT"])


async def test_the_digest_can_be_recomputed_by_who_has_only_the_api(office: Office) -> None:
    key = await office.open()
    await office.go(key, "submitInventory")
    query = """query Q($id: ID!) { node(id: $id) { ... on Inventory { sha256 heading firstMonth version
      lines { nodes { n firstMonth months category directKind quantity co2eT records written source { id } } } } } }"""
    shown = (await office.people[3].ask(query, id=key))["node"]
    lines = shown["lines"]["nodes"]
    text = shown["heading"] + "".join(x["written"] for x in lines)
    assert shown["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    site = uuid_of(office.works.site_id)
    assert shown["heading"] == f"tanheng.inventory/1\t{site}\t2024-01-01\t12\t1\t1\n"
    for line in lines:
        n, source, _, _, category, kind, month, months, quantity, co2e_t, records = line["written"].strip().split("\t")
        assert (int(n), uuid_of(line["source"]["id"])) == (line["n"], UUID(source))
        assert (category, kind, month[:7]) == (line["category"], line["directKind"], line["firstMonth"])
        assert (int(months), int(records)) == (line["months"], line["records"])
        assert (Decimal(quantity), Decimal(co2e_t)) == (Decimal(line["quantity"]), Decimal(line["co2eT"]))


async def test_maker_is_not_checker(office: Office, database_url: str) -> None:
    key = await office.open()
    await office.go(key, "submitInventory")
    mine = await office.works.engineer.attempt("confirmInventory", {"id": key})
    assert [e["code"] for e in mine["errors"]] == ["CHECKER_TOOK_PART"]
    early = await office.people[2].attempt("approveInventory", {"id": key})
    assert [e["code"] for e in early["errors"]] == ["INVENTORY_STATE"]
    connection = await asyncpg.connect(database_url, server_settings={"role": "tanheng_owner"})
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(office.works.world.tenant_id))
    for statement in (
        "UPDATE inventory SET state = 'REVIEWED', reviewed_by = submitted_by",
        "UPDATE inventory SET state = 'APPROVED'",
        "UPDATE inventory_line SET co2e_t = 0",
        "DELETE FROM inventory_event",
        "UPDATE inventory SET state = 'OPEN', sha256 = NULL",
        "UPDATE inventory SET sha256 = repeat('0', 64)",
        "UPDATE inventory SET state = 'LOCKED', reviewed_by = gen_random_uuid(), approved_by = gen_random_uuid()",
    ):
        with pytest.raises(PostgresError):
            await connection.execute(statement)
    await connection.close()


async def test_what_is_submitted_does_not_move(office: Office, objects: FileStore) -> None:
    works = office.works
    record = await works.burn(office.boiler, "2024-04", "1", "t", evidence="x")
    key = await office.open()
    await office.go(key, "submitInventory")
    assert await office.try_to_burn() == ["PERIOD_LOCKED"]
    assert await office.try_to_burn("2025-01") == []
    gone = await works.monitor.attempt("supersedeActivity", {"id": record["id"], "reason": "误报"})
    assert [e["code"] for e in gone["errors"]] == ["PERIOD_LOCKED"]
    row = {"sourceId": await works.source("K"), "firstMonth": "2024-06", "gas": "CO2", "massT": "1"}
    given = {"rows": [{**row, "method": "MEASURED"}]}
    done = await works.monitor.do("recordDeclaredResults", given, "outcomes { error { code } }")
    assert [o["error"]["code"] for o in done["outcomes"]] == ["PERIOD_LOCKED"]
    content = csv_bytes([("S1", "BOILER", "", "2024-05", "1", "t"), ("S1", "BOILER", "", "2025-02", "1", "t")], HEAD)
    told = await bring(works, objects, content)
    assert [(r["row"], r["code"]) for r in told["refusals"]["nodes"]] == [(2, "PERIOD_LOCKED")]
    assert told["stored"] == 1


HEAD = ("组织", "排放源", "流", "月份", "数量", "单位")


async def test_reopening_says_why(office: Office) -> None:
    key = await office.open()
    chinese = replace(office.people[2], locale="zh-CN")
    mute = await chinese.attempt("reopenInventory", {"id": key, "reason": " "}, INVENTORY)
    assert [e["code"] for e in mute["errors"]] == ["REOPENING_REASON"]
    early = await chinese.attempt("reopenInventory", {"id": key, "reason": "更正"}, INVENTORY)
    assert early["errors"][0]["message"] == (
        "清单状态为“编制中”；此步骤需要状态：已提交 / 已复核 / 已批准 / 已核查 / 已锁定。"
    )


async def test_given_back_it_is_open_again(office: Office) -> None:
    key = await office.open()
    await office.go(key, "submitInventory")
    mute = await office.people[1].attempt("rejectInventory", {"id": key, "note": " "})
    assert [e["code"] for e in mute["errors"]] == ["REASON_MISSING"]
    await office.people[1].do("rejectInventory", {"id": key, "note": "二月磅单缺失"}, INVENTORY)
    assert await office.try_to_burn() == []
    shown = await office.go(key, "submitInventory")
    assert len(shown["lines"]["nodes"]) == 3


async def test_a_restatement_has_a_reason_and_keeps_what_was(office: Office) -> None:
    key = await office.open()
    await office.go(key, "approveInventory")
    lead = office.people[4]
    made = await lead.do("reopenInventory", {"id": key, "reason": "补录三月用煤"}, INVENTORY)
    again = made["inventory"]
    assert (again["version"], again["state"], again["reason"]) == (2, "OPEN", "补录三月用煤")
    assert await office.try_to_burn() == []
    await office.go(again["id"], "approveInventory")
    query = "query { inventories { nodes { version state totals { co2eT } } } }"
    nodes = (await office.works.engineer.ask(query))["inventories"]["nodes"]
    assert [(n["version"], n["state"]) for n in nodes] == [(2, "APPROVED"), (1, "REOPENED")]
    new, old = (Decimal(n["totals"][0]["co2eT"]) for n in nodes)
    assert new - old == Decimal("2.255712782")


async def test_what_a_restatement_changed(office: Office) -> None:
    key = await office.open()
    await office.go(key, "approveInventory")
    reopen = {"id": key, "reason": "系数更正", "cause": "METHOD"}
    again = (await office.people[4].do("reopenInventory", reopen, INVENTORY))["inventory"]["id"]
    query = """query { restatements { nodes { differenceT previous { version } inventory { version reason cause state }
      differences { category directKind beforeT afterT differenceT } } } }"""
    (pending,) = (await office.works.engineer.ask(query))["restatements"]["nodes"]
    assert (pending["differences"], pending["inventory"]["cause"]) == ([], "METHOD")
    await office.try_to_burn()
    meter = {"code": "e", "material": "外购电力"}
    power = await office.works.source("E", meter, category="IMPORTED_ENERGY", directKind=None)
    await office.works.burn(power, "2024-03", "10", "MWh")
    await office.go(again, "submitInventory")
    (told,) = (await office.works.engineer.ask(query))["restatements"]["nodes"]
    direct, energy = told["differences"]
    assert (direct["category"], direct["directKind"], energy["category"]) == ("DIRECT", "STATIONARY", "IMPORTED_ENERGY")
    assert Decimal(direct["differenceT"]) == Decimal("2.255712782")
    assert Decimal(energy["beforeT"]) == 0
    assert Decimal(energy["differenceT"]) == Decimal(energy["afterT"])
    assert Decimal(told["differenceT"]) == Decimal(direct["differenceT"]) + Decimal(energy["differenceT"])
    stranger = await office.works.world.member((Role.ACCOUNTING_ENGINEER, uuid_of(await office.works.site("S9"))))
    assert (await stranger.ask(query))["restatements"]["nodes"] == []


async def test_what_was_known_at_any_moment(office: Office) -> None:
    site = office.works.site_id
    query = """query K($id: ID!, $at: DateTime!) { inventoriesKnownAt(organisationId: $id, knownAt: $at) {
      state sha256 totals { co2eT records } inventory { version state } } }"""

    async def known(at: datetime) -> list[tuple[Any, ...]]:
        found = (await office.works.engineer.ask(query, id=site, at=at.isoformat()))["inventoriesKnownAt"]
        return [(f["inventory"]["version"], f["state"], *(Decimal(t["co2eT"]) for t in f["totals"])) for f in found]

    before = datetime.now(UTC)
    key = await office.open()
    opened = datetime.now(UTC)
    await office.works.burn(office.boiler, "2024-04", "1", "t")
    await office.go(key, "approveInventory")
    approved = datetime.now(UTC)
    lead = office.people[4]
    await lead.do("reopenInventory", {"id": key, "reason": "补录"}, INVENTORY)
    reopened = datetime.now(UTC)
    await office.works.burn(office.boiler, "2024-05", "1", "t")
    first, each = Decimal("338.356917360"), Decimal("2.255712782")
    assert await known(before) == []
    assert await known(opened) == [(1, "OPEN", first)]
    assert await known(approved) == [(1, "APPROVED", first + each)]
    assert await known(reopened) == [(1, "REOPENED", first + each), (2, "OPEN", first + each)]
    now = await known(datetime.now(UTC))
    assert now[1][:2] == (2, "OPEN")
    assert abs(now[1][2] - first - 2 * each) < Decimal("1e-8")


async def test_a_result_that_reaches_beyond_the_inventory_is_not_lost(office: Office) -> None:
    source = await office.works.source("K")
    await office.works.declare(sourceId=source, firstMonth="2024-01", massT="5")
    half = await office.open(months=6)
    refused = await office.works.engineer.attempt("submitInventory", {"id": half})
    assert [e["code"] for e in refused["errors"]] == ["RESULT_CUT"]
    assert "K CO2 2024-01 (12)" in refused["errors"][0]["message"]


async def test_pending_records_stay_out_of_approved_totals(office: Office, database: Database) -> None:
    site = uuid_of(office.works.site_id)

    async def totals() -> tuple[list[Any], list[Any]]:
        async with database.read(office.works.world.tenant_id) as session:
            live = await EmissionReader.category_totals(session, [site], 2024, 2024)
            approved = await EmissionReader.approved_totals(session, [site], 2024, 2024)
        return list(live), list(approved)

    key = await office.open()
    await office.go(key, "confirmInventory")
    live, approved = await totals()
    assert (len(live), approved) == (1, [])
    await office.people[2].do("approveInventory", {"id": key}, INVENTORY)
    live, approved = await totals()
    assert [(t.category, t.co2e_t, t.records) for t in approved] == [(Category.DIRECT, live[0].co2e_t, 2)]


async def test_no_evidence_no_submission(office: Office, objects: FileStore) -> None:
    works = office.works
    meter = await works.source(
        "E",
        {"code": "e", "material": "外购电力", "evidenceRequired": True},
        category="IMPORTED_ENERGY",
        directKind=None,
    )
    record = await works.burn(meter, "2024-03", "10", "MWh")
    key = await office.open()
    refused = await works.engineer.attempt("submitInventory", {"id": key})
    assert [e["code"] for e in refused["errors"]] == ["EVIDENCE_MISSING"]
    assert "e 2024-03" in refused["errors"][0]["message"]
    document = await stored(works, objects)
    await works.monitor.do("attachEvidence", {"id": document, "subjectIds": [record["id"]]}, "attached")
    assert (await office.go(key, "submitInventory"))["state"] == "SUBMITTED"


async def test_a_declared_result_may_need_evidence_too(office: Office, objects: FileStore) -> None:
    source = await office.works.source("CEMS", evidenceRequired=True)
    result = await office.works.declare(sourceId=source, firstMonth="2024-01", massT="5")
    key = await office.open()
    refused = await office.works.engineer.attempt("submitInventory", {"id": key})
    assert [e["code"] for e in refused["errors"]] == ["EVIDENCE_MISSING"]
    assert "CEMS CO2 2024-01" in refused["errors"][0]["message"]
    document = await stored(office.works, objects)
    await office.works.monitor.do("attachEvidence", {"id": document, "subjectIds": [result["id"]]}, "attached")
    assert (await office.go(key, "submitInventory"))["state"] == "SUBMITTED"


async def test_bad_requests(office: Office) -> None:
    key = await office.open()
    overlap = {"organisationId": office.works.site_id, "firstMonth": "2024-12", "months": 1}
    for call, given, code in (
        ("createInventory", overlap, "INVENTORY_OVERLAPS"),
        ("createInventory", {**overlap, "months": 13}, "INVENTORY_MONTHS"),
        ("createInventory", {**overlap, "firstMonth": "2099-01"}, "MONTH_OUT_OF_RANGE"),
        ("confirmInventory", {"id": key}, "INVENTORY_STATE"),
    ):
        answer = await office.works.engineer.attempt(call, given)
        assert [e["code"] for e in answer["errors"]] == [code], call
    empty = await office.works.engineer.do(
        "createInventory", {**overlap, "firstMonth": "2023-01", "months": 1}, INVENTORY
    )
    nothing = await office.works.engineer.attempt("submitInventory", {"id": empty["inventory"]["id"]})
    assert [e["code"] for e in nothing["errors"]] == ["INVENTORY_EMPTY"]


async def test_writing_while_submitting_is_in_it_or_refused(office: Office, database: Database) -> None:
    key = await office.open()
    months = [f"2024-{m:02}" for m in range(3, 13)]
    answers = await asyncio.gather(
        office.go(key, "submitInventory"), *(office.try_to_burn(month) for month in months), return_exceptions=True
    )
    assert [a for a in answers if isinstance(a, BaseException)] == []
    async with database.read(office.works.world.tenant_id) as session:
        live = await session.scalar("SELECT count(*) FROM stream_month WHERE month < '2025-01-01'")
        frozen = await session.scalar("SELECT count(*) FROM inventory_line")
    refused = [a for a in answers[1:] if a]
    assert live == frozen == 2 + len(months) - len(refused)


async def test_months_in_which_nothing_counts_need_a_reason(office: Office) -> None:
    """Quantities of which nothing counts would go unseen: they are listed, and submitted only with a reason."""
    works = office.works
    flare = await works.source("FLARE", {"code": "gas", "unit": "1e4Nm3"})
    await works.burn(flare, "2024-02", "12", "1e4Nm3", stream="gas")
    key = await office.open()
    refused = await works.engineer.attempt("submitInventory", {"id": key}, "inventory { id }")
    (error,) = refused["errors"]
    assert (error["code"], error["path"]) == ("NOTHING_COUNTS", ["incompleteReason"])
    assert "FLARE 2024-02" in error["message"]
    given = {"id": key, "note": "一季度", "incompleteReason": "火炬气全部回收，无排放"}
    done = (await works.engineer.do("submitInventory", given, INVENTORY))["inventory"]
    assert done["events"][-1]["note"] == "一季度 [FLARE 2024-02: 火炬气全部回收，无排放]"
