"""Who may do what with emissions; what the database refuses to whoever asks; what another tenant sees."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from backend.kit.graphql.nodes import to_id
from backend.kit.ids import uuid7
from tenants.access import Role
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.world import Caller, World

READERS = {
    Role.TOP_MANAGEMENT,
    Role.OVERALL_LEAD,
    Role.NEUTRALITY_TEAM,
    Role.DEPARTMENT_MANAGER,
    Role.ACCOUNTING_ENGINEER,
    Role.MONITORING_STAFF,
    Role.PURCHASER,
    Role.INTERNAL_AUDITOR,
    Role.THIRD_PARTY_VERIFIER,
}
RECORDERS = {
    Role.OVERALL_LEAD,
    Role.NEUTRALITY_TEAM,
    Role.DEPARTMENT_MANAGER,
    Role.ACCOUNTING_ENGINEER,
    Role.MONITORING_STAFF,
    Role.PURCHASER,
    Role.PARTNER_CLIENT,
}
MANAGERS = {Role.OVERALL_LEAD, Role.NEUTRALITY_TEAM, Role.ACCOUNTING_ENGINEER}


def a_row(source: str) -> dict[str, object]:
    return {"sourceId": source, "month": "2024-01", "quantity": "1", "unit": "t"}


async def codes(caller: Caller, mutation: str, call: dict[str, object]) -> list[str]:
    answer = await caller.attempt(mutation, call)
    return [e["code"] for e in answer["errors"]]


@pytest.mark.parametrize("role", Role)
async def test_roles_on_the_site(works: Works, role: Role) -> None:
    source = await works.fuel("烟煤")
    caller = await works.world.member((role, uuid_of(works.site_id)))
    read = await caller.run("{ emissionSources { nodes { code } } }")
    assert (read.errors == []) is (role in READERS)
    recorded = await codes(caller, "recordActivity", {"rows": [a_row(source)]})
    assert recorded == ([] if role in RECORDERS else ["FORBIDDEN"])
    created = await codes(caller, "createEmissionSource", works.source_input("NEW"))
    assert created == ([] if role in MANAGERS else ["FORBIDDEN"])
    expected = 1 if role in RECORDERS else 0
    assert len(await works.results(source, 2024)) == expected


async def test_a_site_out_of_reach_is_as_if_it_were_not(works: Works) -> None:
    ours = await works.fuel("烟煤")
    record = await works.burn(ours, "2024-01", "1", "t")
    other_site = await works.site("S2")
    neighbour = await works.world.member((Role.ACCOUNTING_ENGINEER, uuid_of(other_site)))
    selection = "outcomes { record { id } error { code message } }"
    nobody = await neighbour.do("recordActivity", {"rows": [a_row(ours)]}, selection)
    (outcome,) = nobody["outcomes"]
    assert outcome["record"] is None
    assert outcome["error"]["code"] == "NOT_FOUND"
    assert "emission source" in outcome["error"]["message"]
    assert await codes(neighbour, "supersedeActivity", {"id": record["id"], "reason": "x"}) == ["NOT_FOUND"]
    assert await codes(neighbour, "createEmissionSource", works.source_input("X")) == ["NOT_FOUND"]
    query = (
        "query Q($id: ID!) { node(id: $id) { id } emissionSources { nodes { id } } activityRecords { nodes { id } } }"
    )
    for key in (ours, record["id"]):
        seen = await neighbour.ask(query, id=key)
        assert seen == {"node": None, "emissionSources": {"nodes": []}, "activityRecords": {"nodes": []}}


async def test_a_reader_may_not_write_and_learns_so(works: Works) -> None:
    source = await works.fuel("烟煤")
    record = await works.burn(source, "2024-01", "1", "t")
    two_hats = await works.world.member(
        (Role.INTERNAL_AUDITOR, None), (Role.MONITORING_STAFF, uuid_of(await works.site("S2")))
    )
    done = await two_hats.do("recordActivity", {"rows": [a_row(source)]}, "outcomes { error { code } }")
    assert [o["error"]["code"] for o in done["outcomes"]] == ["FORBIDDEN"]
    assert await codes(two_hats, "supersedeActivity", {"id": record["id"], "reason": "x"}) == ["FORBIDDEN"]


async def test_another_tenant_sees_nothing(works: Works, world: World) -> None:
    source = await works.fuel("烟煤")
    record = await works.burn(source, "2024-01", "1", "t")
    result = await works.declare(sourceId=source, firstMonth="2020-01", gas="CH4", massT="1")
    stranger_world = await World.create(world.owner, world.services)
    stranger = await stranger_world.caller(Role.ACCOUNTING_ENGINEER)
    for key in (source, record["id"], result["id"]):
        assert await stranger.ask("query Q($id: ID!) { node(id: $id) { id } }", id=key) == {"node": None}
    done = await stranger.do("recordActivity", {"rows": [a_row(source)]}, "outcomes { error { code } }")
    assert [o["error"]["code"] for o in done["outcomes"]] == ["NOT_FOUND"]
    assert await codes(stranger, "supersedeDeclaredResult", {"id": result["id"], "reason": "x"}) == ["NOT_FOUND"]


TABLES = (
    "emission_source",
    "emission_stream",
    "source_method",
    "stream_coefficient",
    "activity_batch",
    "activity_pack",
    "declared_result",
    "stream_month",
)


@pytest.mark.parametrize("role", ["tanheng_owner", "tanheng_app", "tanheng_worker", "tanheng_auditor"])
async def test_row_level_security_alone(works: Works, database_url: str, role: str) -> None:
    source = await works.fuel("烟煤")
    await works.burn(source, "2024-01", "1", "t")
    await works.declare(sourceId=source, firstMonth="2020-01", gas="CH4", massT="1")
    connection = await asyncpg.connect(database_url, server_settings={"role": role})
    for tenant, expected in ((works.world.tenant_id, 1), ("00000000-0000-0000-0000-000000000001", 0), ("", 0)):
        await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(tenant))
        for table in TABLES:
            assert (await connection.fetchval(f"SELECT count(*) > 0 FROM {table}")) is bool(expected), table
    await connection.close()


ANOTHER_SOURCE = (
    "INSERT INTO emission_source SELECT tenant_id, gen_random_uuid(), organisation_id, 'x', 'x', '', {} "
    "FROM emission_source"
)
REFUSED = [
    "UPDATE activity_pack SET quantity = 0",
    "UPDATE activity_batch SET note = 'y'",
    "UPDATE activity_withdrawal SET because = 'y'",
    "UPDATE declared_result SET co2e_t = 0",
    "UPDATE declared_result SET superseded_at = NULL, superseded_because = NULL",
    "DELETE FROM activity_withdrawal",
    "DELETE FROM activity_pack",
    "DELETE FROM declared_result",
    "DELETE FROM emission_source",
    "UPDATE emission_stream SET unit = 'kg'",
    "UPDATE stream_coefficient SET co2e_per_unit = 0",
    "TRUNCATE activity_batch CASCADE",
    "TRUNCATE declared_result",
    "TRUNCATE emission_source CASCADE",
    ANOTHER_SOURCE.format("'OTHER', 'MOBILE'"),
    ANOTHER_SOURCE.format("'DIRECT', NULL"),
]


PRIVILEGE, CHECK, APPEND_ONLY = "42501", "23514", "TH003"


async def refused(connection: Any, statement: str) -> str:
    """The SQLSTATE by which a statement is refused; empty when it went through."""
    try:
        await connection.execute(statement)
    except Exception as error:
        return str(getattr(error, "sqlstate", error))
    return ""


@pytest.mark.parametrize("role", ["tanheng_owner", "tanheng_app", "tanheng_worker"])
async def test_the_database_refuses_whoever_asks(works: Works, database_url: str, role: str) -> None:
    source = await works.fuel("烟煤")
    record = await works.burn(source, "2024-01", "1", "t")
    await works.declare(sourceId=source, firstMonth="2020-01", gas="CH4", massT="1")
    await works.monitor.do("supersedeActivity", {"id": record["id"], "reason": "x"}, "record { id }")
    connection = await asyncpg.connect(database_url, server_settings={"role": role})
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(works.world.tenant_id))
    for statement in REFUSED:
        assert await refused(connection, statement) in {PRIVILEGE, CHECK, APPEND_ONLY}, statement
    # What was not there cannot be taken away.
    more = (
        "INSERT INTO activity_withdrawal SELECT tenant_id, batch_id, line + 1, stream_id, month, quantity, at, "
        "because, withdrawn_by FROM activity_withdrawal"
    )
    assert await refused(connection, more) == APPEND_ONLY
    await connection.close()


async def test_creating_needs_an_organisation_of_the_tenant(works: Works) -> None:
    nowhere = works.source_input("A", organisationId=to_id("Organisation", uuid7()))
    assert await codes(works.engineer, "createEmissionSource", nowhere) == ["NOT_FOUND"]
