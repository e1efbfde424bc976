"""Documents: announced, uploaded by a signed request, verified, attached, kept."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from asyncpg.exceptions import PostgresError
from httpx import ASGITransport, AsyncClient
from starlette.applications import Starlette

from backend.evidence.domain import Swept
from backend.evidence.sweep import sweep
from backend.kit.clock import Clock
from backend.kit.objects.files import FileStore
from tenants.access import Role
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.measurements import fuel_stream
from tests.fixtures.world import World

PDF = "application/pdf"
DOCUMENT = "document { id state sha256 fileName storedAt keepUntil legalHold withdrawnBecause download { url method } }"
UPLOAD = f"{DOCUMENT} upload {{ method url headers {{ name value }} }}"


@pytest.fixture
async def works(world: World) -> Works:
    return await Works.create(world)


def announced(works: Works, content: bytes, **fields: Any) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    base = {"organisationId": works.site_id, "fileName": "一月煤炭发票.pdf", "mediaType": PDF}
    return {**base, "size": len(content), "sha256": digest, **fields}


def client(objects: FileStore) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(Starlette(routes=objects.routes())), base_url="http://objects.test")


async def send(objects: FileStore, upload: dict[str, Any], content: bytes, **changes: str) -> Any:
    headers = {h["name"]: h["value"] for h in upload["headers"]} | changes
    async with client(objects) as http:
        return await http.request(upload["method"], upload["url"], content=content, headers=headers)


async def stored(works: Works, objects: FileStore, content: bytes = b"%PDF-1.7 ...", **fields: Any) -> str:
    made = await works.monitor.do("createEvidenceUpload", announced(works, content, **fields), UPLOAD)
    assert (await send(objects, made["upload"], content)).status_code == 200
    done = await works.monitor.do("completeEvidenceUpload", {"id": made["document"]["id"]}, DOCUMENT)
    assert done["document"]["state"] == "STORED"
    return str(made["document"]["id"])


async def test_from_upload_to_download(works: Works, objects: FileStore) -> None:
    content = "一月份煤炭采购发票".encode()
    key = await stored(works, objects, content)
    query = "query Q($id: ID!) { node(id: $id) { ... on Document { download { url method } fileName } } }"
    shown = (await works.engineer.ask(query, id=key))["node"]
    async with client(objects) as http:
        answer = await http.get(shown["download"]["url"])
    assert answer.content == content
    assert answer.headers["content-type"] == PDF
    assert "%E4%B8%80%E6%9C%88" in answer.headers["content-disposition"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_only_what_was_announced_is_taken(works: Works, objects: FileStore) -> None:
    content = b"a" * 1000
    made = await works.monitor.do("createEvidenceUpload", announced(works, content), UPLOAD)
    upload, key = made["upload"], made["document"]["id"]
    refused = [
        await send(objects, upload, content[:-1]),
        await send(objects, upload, content + b"a"),
        await send(objects, upload, b"b" * 1000),
        await send(objects, upload, content, **{"content-type": "text/html"}),
    ]
    assert [(r.status_code, r.json()["code"]) for r in refused] == [(400, "OBJECT_DIFFERS")] * 4
    forged = {**upload, "url": upload["url"].replace("size=1000", "size=1001")}
    assert (await send(objects, forged, content + b"a")).json()["code"] == "SIGNATURE_REFUSED"
    early = await works.monitor.attempt("completeEvidenceUpload", {"id": key})
    assert [e["code"] for e in early["errors"]] == ["OBJECT_MISSING"]
    assert not [p for p in objects.folder.rglob("*") if p.is_file() and p.name != ".secret"]


async def test_a_url_expires(works: Works, objects: FileStore) -> None:
    made = await works.monitor.do("createEvidenceUpload", announced(works, b"x"), UPLOAD)
    objects._clock = Clock(lambda: Clock().now() + timedelta(minutes=16))
    late = await send(objects, made["upload"], b"x")
    assert (late.status_code, late.json()["code"]) == (403, "URL_EXPIRED")


async def test_the_same_content_is_kept_once(works: Works, objects: FileStore) -> None:
    first, second = await stored(works, objects), await stored(works, objects, fileName="副本.pdf")
    assert first != second
    assert len([p for p in objects.folder.rglob("*") if p.is_file() and p.name != ".secret"]) == 1


async def test_completing_at_once_is_harmless(works: Works, objects: FileStore) -> None:
    made = await works.monitor.do("createEvidenceUpload", announced(works, b"x"), UPLOAD)
    await send(objects, made["upload"], b"x")
    call = {"id": made["document"]["id"]}
    answers = await asyncio.gather(*(works.monitor.do("completeEvidenceUpload", call, DOCUMENT) for _ in range(8)))
    assert len({a["document"]["storedAt"] for a in answers}) == 1


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"sha256": "xyz"}, "BAD_DOCUMENT", "sha256"),
        ({"fileName": "../../etc/passwd"}, "BAD_DOCUMENT", "fileName"),
        ({"mediaType": "pdf"}, "BAD_DOCUMENT", "mediaType"),
        ({"size": 200 * 1024 * 1024}, "OBJECT_TOO_LARGE", "size"),
        ({"size": 0}, "OBJECT_EMPTY", "size"),
    ],
)
async def test_bad_announcements(works: Works, fields: dict[str, Any], code: str, path: str) -> None:
    answer = await works.monitor.attempt("createEvidenceUpload", announced(works, b"x", **fields))
    assert [(e["code"], e["path"]) for e in answer["errors"]] == [(code, [path])]


async def test_what_must_stay_stays(works: Works, objects: FileStore, database_url: str) -> None:
    lead = await works.world.caller(Role.TOP_MANAGEMENT)
    key = await stored(works, objects)
    await lead.do("setEvidenceRetention", {"id": key, "keepUntil": "2099-12-31", "legalHold": True}, DOCUMENT)
    shorter = await lead.attempt("setEvidenceRetention", {"id": key, "keepUntil": "2030-01-01"})
    gone = await works.monitor.attempt("withdrawEvidence", {"id": key, "reason": "误传"})
    assert [a["errors"][0]["code"] for a in (shorter, gone)] == ["DOCUMENT_IS_KEPT"] * 2
    connection = await asyncpg.connect(database_url, server_settings={"role": "tanheng_owner"})
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(works.world.tenant_id))
    for statement in (
        "UPDATE document SET keep_until = NULL",
        "UPDATE document SET state = 'WITHDRAWN', withdrawn_because = 'x'",
        "UPDATE document SET sha256 = repeat('0', 64)",
        "DELETE FROM document",
        "TRUNCATE document CASCADE",
    ):
        with pytest.raises(PostgresError):
            await connection.execute(statement)
    await connection.close()
    free = await stored(works, objects, b"other")
    done = await works.monitor.do("withdrawEvidence", {"id": free, "reason": "误传"}, DOCUMENT)
    assert (done["document"]["state"], done["document"]["download"]) == ("WITHDRAWN", None)


async def test_documents_of_a_record(works: Works, objects: FileStore) -> None:
    record = await works.burn(await works.fuel("烟煤"), "2024-01", "1", "t")
    key = await stored(works, objects)
    attach = {"id": key, "subjectIds": [record["id"]]}
    assert (await works.monitor.do("attachEvidence", attach, "attached"))["attached"] == 1
    assert (await works.monitor.do("attachEvidence", attach, "attached"))["attached"] == 0
    query = "query Q($id: ID!) { node(id: $id) { ... on ActivityRecord { documents { id fileName } } } }"
    shown = (await works.engineer.ask(query, id=record["id"]))["node"]["documents"]
    assert shown == [{"id": key, "fileName": "一月煤炭发票.pdf"}]
    wrong = await works.monitor.attempt("attachEvidence", {"id": key, "subjectIds": [works.site_id]})
    assert wrong["errors"][0]["code"] == "SUBJECT_UNKNOWN"


async def test_who_may(works: Works, objects: FileStore) -> None:
    elsewhere = await works.site("S2")
    stranger = await works.world.member((Role.MONITORING_STAFF, uuid_of(elsewhere)))
    key = await stored(works, objects)
    query = "query Q($id: ID!) { node(id: $id) { id } }"
    assert (await stranger.ask(query, id=key))["node"] is None
    for call, given in (
        ("createEvidenceUpload", announced(works, b"x")),
        ("withdrawEvidence", {"id": key, "reason": "x"}),
        ("attachEvidence", {"id": key, "subjectIds": [key]}),
    ):
        answer = await stranger.attempt(call, given)
        assert [e["code"] for e in answer["errors"]] == ["NOT_FOUND"], call


async def test_who_may_see_the_record_may_see_its_proof(works: Works, objects: FileStore) -> None:
    """A document of the group proves a record of a site: a verifier of that site alone can fetch it."""
    content = b"%PDF group contract"
    key = await stored(works, objects, content, organisationId=works.group_id)
    elsewhere = await works.world.member((Role.THIRD_PARTY_VERIFIER, uuid_of(await works.site("S2"))))
    verifier = await works.world.member((Role.THIRD_PARTY_VERIFIER, uuid_of(works.site_id)))
    other = await World.create(works.world.owner, works.world.services)
    foreign = await other.member(*[(role, None) for role in Role if role is not Role.OVERALL_LEAD])
    query = "query Q($id: ID!) { node(id: $id) { ... on Document { download { url } } } }"
    assert (await verifier.ask(query, id=key))["node"] is None
    record = await works.burn(await works.fuel("烟煤"), "2024-01", "1", "t")
    await works.monitor.do("attachEvidence", {"id": key, "subjectIds": [record["id"]]}, "attached")
    shown = (await verifier.ask(query, id=key))["node"]
    async with client(objects) as http:
        assert (await http.get(shown["download"]["url"])).content == content
    of_record = "query Q($id: ID!) { documentsOf(recordId: $id) { id } }"
    assert (await verifier.ask(of_record, id=record["id"]))["documentsOf"] == [{"id": key}]
    for stranger in (elsewhere, foreign):
        assert (await stranger.ask(query, id=key))["node"] is None
        assert "NOT_FOUND" in str((await stranger.run(of_record, id=record["id"])).errors)


MADE: dict[str, tuple[dict[str, Any], str]] = {
    "createInventory": ({"firstMonth": "2024-01"}, "made: inventory { id }"),
    "setEmissionTarget": ({"year": 2024, "value": "1"}, "made: target { id }"),
    "createEmissionUnit": ({"code": "U", "nameZh": "炼钢", "kind": "GROUP"}, "made: unit { id }"),
}


async def test_any_record_can_be_proven(works: Works, objects: FileStore) -> None:
    engineer, site = works.engineer, works.site_id
    source = await works.source("B", {"code": "烟煤", "material": "烟煤"})
    query = "query Q($id: ID!) { node(id: $id) { ... on EmissionSource { streams { id } } } }"
    stream = (await engineer.ask(query, id=source))["node"]["streams"][0]["id"]
    output = {"organisationId": site, "product": "钢", "month": "2024-01", "quantity": "1", "unit": "t"}
    produced = await engineer.do("recordProductOutputs", {"rows": [output]}, "outputs { id }")
    records = [source, stream, produced["outputs"][0]["id"]]
    for mutation, (given, selection) in MADE.items():
        done = await engineer.do(mutation, {"organisationId": site, **given}, selection)
        records.append(done["made"]["id"])
    key = await stored(works, objects)
    for record in records:
        done = await works.monitor.do("attachEvidence", {"id": key, "subjectIds": [record]}, "attached")
        assert done["attached"] == 1
        of_record = "query Q($id: ID!) { documentsOf(recordId: $id) { id } }"
        assert (await engineer.ask(of_record, id=record))["documentsOf"] == [{"id": key}]


async def test_versions_know_each_other(works: Works, objects: FileStore) -> None:
    first = await stored(works, objects)
    second = await stored(works, objects, b"better", replacesId=first)
    query = "query Q($id: ID!) { node(id: $id) { ... on Document { replaces { id } replacedBy { id } } } }"
    assert (await works.engineer.ask(query, id=first))["node"] == {"replaces": None, "replacedBy": {"id": second}}
    assert (await works.engineer.ask(query, id=second))["node"] == {"replaces": {"id": first}, "replacedBy": None}
    again = await works.monitor.attempt("createEvidenceUpload", announced(works, b"z", replacesId=first))
    assert [e["code"] for e in again["errors"]] == ["DOCUMENT_REPLACED"]


def kept(objects: FileStore) -> int:
    return len([p for p in objects.folder.rglob("*") if p.is_file() and p.name != ".secret"])


async def test_the_sweep_clears_what_nobody_needs(works: Works, objects: FileStore) -> None:
    toolbox, tenant = works.world.services.toolbox, works.world.tenant_id
    shared, twin = await stored(works, objects), await stored(works, objects, fileName="副本.pdf")
    alone = await stored(works, objects, b"alone")
    held = await stored(works, objects, b"held")
    lost = await works.monitor.do("createEvidenceUpload", announced(works, b"lost"), UPLOAD)
    await send(objects, lost["upload"], b"lost")
    for key in (shared, alone):
        await works.monitor.do("withdrawEvidence", {"id": key, "reason": "误传"}, DOCUMENT)
    assert kept(objects) == 4
    assert await sweep(toolbox, tenant) == Swept(abandoned=0, removed=1, shared=1)
    assert kept(objects) == 3
    late = replace(toolbox, clock=Clock(lambda: Clock().now() + timedelta(days=2)))
    assert await sweep(late, tenant) == Swept(abandoned=1, removed=1, shared=0)
    assert await sweep(late, tenant) == Swept(abandoned=0, removed=0, shared=0)
    assert kept(objects) == 2
    query = "query Q($ids: [ID!]!) { nodes(ids: $ids) { ... on Document { state contentRemovedAt } } }"
    nodes = (await works.engineer.ask(query, ids=[twin, held, lost["document"]["id"]]))["nodes"]
    assert [n["state"] for n in nodes] == ["STORED", "STORED", "ABANDONED"]
    finish = await works.monitor.attempt("completeEvidenceUpload", {"id": lost["document"]["id"]})
    assert [e["code"] for e in finish["errors"]] == ["DOCUMENT_STATE"]
    await works.monitor.do("withdrawEvidence", {"id": twin, "reason": "误传"}, DOCUMENT)
    assert await sweep(toolbox, tenant) == Swept(abandoned=0, removed=1, shared=0)


async def test_completing_and_sweeping_at_once_loses_nothing(works: Works, objects: FileStore) -> None:
    toolbox, tenant = works.world.services.toolbox, works.world.tenant_id
    gone = await stored(works, objects, b"same")
    await works.monitor.do("withdrawEvidence", {"id": gone, "reason": "误传"}, DOCUMENT)
    made = await works.monitor.do("createEvidenceUpload", announced(works, b"same"), UPLOAD)
    await send(objects, made["upload"], b"same")
    call = {"id": made["document"]["id"]}
    done, _ = await asyncio.gather(works.monitor.do("completeEvidenceUpload", call, DOCUMENT), sweep(toolbox, tenant))
    assert done["document"]["state"] == "STORED"
    assert kept(objects) == 1


async def test_a_report_proves_a_batch(works: Works, objects: FileStore) -> None:
    stream = await fuel_stream(works)
    row = {"streamId": stream, "day": "2024-03-01", "code": "A", "quantity": "1", "unit": "t"}
    made = await works.monitor.do("recordMaterialBatches", {"rows": [row]}, "outcomes { batch { id } }")
    batch = made["outcomes"][0]["batch"]["id"]
    report = await stored(works, objects, "煤质化验报告".encode())
    await works.monitor.do("attachEvidence", {"id": report, "subjectIds": [batch]}, "attached")
    query = "query Q($id: ID!) { node(id: $id) { ... on MaterialBatch { documents { id } } } }"
    assert (await works.engineer.ask(query, id=batch))["node"]["documents"] == [{"id": report}]
