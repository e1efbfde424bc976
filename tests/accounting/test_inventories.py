"""Inventories: frozen, checked by others, locked; pending records stay out of approved totals."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

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


async def test_the_digest_is_of_the_lines(office: Office, database: Database) -> None:
    shown = await office.go(await office.open(), "submitInventory")
    async with database.read(office.works.world.tenant_id) as session:
        rows = await session.rows("SELECT * FROM inventory_line ORDER BY n")
    text = "".join(
        f"{r.n}\t{r.source_id}\t{r.stream_id}\t{r.coefficient_id}\t{r.category}\t{r.first_month}\t{r.months}\t"
        f"{Decimal(r.quantity).normalize():f}\t{r.co2e_t}\t{r.records}\n"
        for r in rows
    )
    assert shown["sha256"] == hashlib.sha256(text.encode()).hexdigest()


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


async def test_bad_requests(office: Office) -> None:
    key = await office.open()
    overlap = {"organisationId": office.works.site_id, "firstMonth": "2024-12", "months": 1}
    for call, given, code in (
        ("createInventory", overlap, "INVENTORY_OVERLAPS"),
        ("createInventory", {**overlap, "months": 13}, "BAD_PERIOD"),
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
