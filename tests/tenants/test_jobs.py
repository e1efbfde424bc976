"""Jobs through the public door: who sees them, who may stop them or try them again."""

from __future__ import annotations

from uuid import UUID

import pytest

from backend.kit.database import Database
from backend.kit.graphql.nodes import from_id, to_id
from backend.kit.jobs.context import JobContext
from tenants.access import Role
from tests.fixtures.jobs import Gate, Register, ask, job_row, until, working
from tests.fixtures.world import Caller, World

pytestmark = pytest.mark.usefixtures("empty_queue")

JOB = (
    "id name organisationId state progress { done total note } attempts maxAttempts errorCode errorMessage "
    "cancelRequested createdAt runAt startedAt finishedAt"
)


async def organisation(admin: Caller, code: str) -> UUID:
    group = {"kind": "GROUP", "code": code, "nameZh": code, "enteredOn": "2020-01-01"}
    made = await admin.do("createOrganisation", group, "organisation { id }")
    return from_id(made["organisation"]["id"])[1]


def owner_of(caller: Caller) -> UUID:
    assert caller.principal is not None
    return caller.principal.member_id


async def names(caller: Caller) -> set[str]:
    listed = await caller.ask("{ jobs { nodes { name } } }")
    return {node["name"] for node in listed["jobs"]["nodes"]}


async def test_who_sees_which_job(world: World, owner_database: Database) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    here, there = await organisation(admin, "甲"), await organisation(admin, "乙")
    reader = await world.member((Role.GROUP_TOTALS_VIEWER, here))
    staff = await world.member((Role.MONITORING_STAFF, here))
    await ask(world, "test.here", organisation_id=here)
    key = await ask(world, "test.there", organisation_id=there)
    await ask(world, "test.tenant")
    await ask(world, "test.own", created_by=owner_of(staff))
    assert await names(admin) == {"test.here", "test.there", "test.tenant", "test.own"}
    assert await names(reader) == {"test.here"}
    assert await names(staff) == {"test.own"}
    stranger = await (await World.create(owner_database, world.services)).caller(Role.TENANT_ADMINISTRATOR)
    for caller in (reader, staff, stranger):
        found = await caller.ask("query Q($id: ID!) { node(id: $id) { id } }", id=to_id("Job", key))
        assert found == {"node": None}
        refused = await caller.attempt("cancelJob", {"id": to_id("Job", key)}, "job { id }")
        assert (refused["job"], refused["errors"][0]["code"]) == (None, "NOT_FOUND")


async def test_pages_and_states(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    made = [await ask(world, f"test.n{i}") for i in range(5)]
    await admin.do("cancelJob", {"id": to_id("Job", made[0])}, "job { state }")
    page = """query Q($after: String, $state: JobState) {
        jobs(first: 2, after: $after, state: $state) { nodes { name state } pageInfo { hasNextPage endCursor } } }"""
    first = (await admin.ask(page))["jobs"]
    assert [n["name"] for n in first["nodes"]] == ["test.n4", "test.n3"]
    await ask(world, "test.newer")
    second = (await admin.ask(page, after=first["pageInfo"]["endCursor"]))["jobs"]
    assert [n["name"] for n in second["nodes"]] == ["test.n2", "test.n1"]
    stopped = (await admin.ask(page, state="CANCELLED"))["jobs"]
    assert [n["name"] for n in stopped["nodes"]] == ["test.n0"]
    astray = await admin.run(page, after="WyJ4Il0")
    assert astray.errors[0]["extensions"]["code"] == "BAD_CURSOR"


async def test_cancel_before_and_while_it_runs(world: World, database_url: str, register: Register) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    gate = Gate.closed()

    async def run(context: JobContext) -> None:
        await gate.passing()

    name = register(run)
    waiting = await ask(world, name)
    done = await admin.do("cancelJob", {"id": to_id("Job", waiting), "idempotencyKey": "停"}, f"job {{ {JOB} }}")
    assert (done["job"]["state"], done["job"]["cancelRequested"]) == ("CANCELLED", True)
    again = await admin.do("cancelJob", {"id": to_id("Job", waiting), "idempotencyKey": "停"}, f"job {{ {JOB} }}")
    assert again == {**done, "replayed": True}
    late = await admin.attempt("cancelJob", {"id": to_id("Job", waiting)})
    assert late["errors"][0]["code"] == "JOB_FINISHED"
    async with working(database_url):
        running = await ask(world, name)
        await gate.reached.wait()
        asked = await admin.do("cancelJob", {"id": to_id("Job", running)}, "job { state cancelRequested }")
        assert asked["job"] == {"state": "RUNNING", "cancelRequested": True}
        await until(world, running, "CANCELLED")


async def test_a_job_that_shows_progress_hears_of_the_cancellation_there(
    world: World, database_url: str, register: Register
) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    gate, beyond = Gate.closed(), []

    async def run(context: JobContext) -> None:
        await gate.passing()
        await context.progress(1)
        beyond.append("went on")

    async with working(database_url):
        key = await ask(world, register(run))
        await gate.reached.wait()
        await admin.do("cancelJob", {"id": to_id("Job", key)}, "job { id }")
        gate.opened.set()
        await until(world, key, "CANCELLED")
    assert not beyond


async def test_a_dead_letter_says_why_and_is_tried_again(world: World, database_url: str, register: Register) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    broken = [True]

    async def run(context: JobContext) -> None:
        await context.progress(1, 4, "汇总")
        if broken:
            raise ValueError

    name = register(run)
    async with working(database_url):
        key = await ask(world, name, max_attempts=2, deduplication_key="k")
        await until(world, key, "FAILED")
        shown = await admin.ask(
            "query Q($id: ID!) { node(id: $id) { ... on Job { " + JOB + " } } }", id=to_id("Job", key)
        )
        job = shown["node"]
        assert (job["state"], job["errorCode"], job["attempts"]) == ("FAILED", "JOB_CRASHED", 2)
        assert "ValueError" in job["errorMessage"]
        assert job["progress"] == {"done": 1, "total": 4, "note": "汇总"}
        broken.clear()
        await admin.do("retryJob", {"id": to_id("Job", key), "dryRun": True}, "job { state }")
        assert (await job_row(world, key)).state == "FAILED"
        retried = await admin.do("retryJob", {"id": to_id("Job", key)}, "job { state attempts }")
        assert retried["job"] == {"state": "QUEUED", "attempts": 0}
        await until(world, key, "SUCCEEDED")
    over = await admin.attempt("retryJob", {"id": to_id("Job", key)})
    assert over["errors"][0]["code"] == "JOB_NOT_OVER"


async def test_a_retry_gives_way_to_the_same_work_queued_since(world: World) -> None:
    admin = await world.caller(Role.TENANT_ADMINISTRATOR)
    old = await ask(world, "test.same", deduplication_key="k")
    await admin.do("cancelJob", {"id": to_id("Job", old)}, "job { id }")
    await ask(world, "test.same", deduplication_key="k")
    refused = await admin.attempt("retryJob", {"id": to_id("Job", old)})
    assert refused["errors"][0]["code"] == "JOB_ALREADY_QUEUED"


async def test_others_jobs_need_the_right_one_s_own_do_not(world: World) -> None:
    reader = await world.caller(Role.GROUP_TOTALS_VIEWER)
    others = await ask(world, "test.others")
    own = await ask(world, "test.own", created_by=owner_of(reader))
    refused = await reader.attempt("cancelJob", {"id": to_id("Job", others)})
    assert refused["errors"][0]["code"] == "FORBIDDEN"
    assert (await job_row(world, others)).state == "QUEUED"
    done = await reader.do("cancelJob", {"id": to_id("Job", own)}, "job { state }")
    assert done["job"]["state"] == "CANCELLED"
