"""What the database itself refuses about runs, whoever asks."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError

from backend.consolidation.domain.inputs import digest
from backend.consolidation.service import ConsolidationService
from backend.kit.clock import Clock
from backend.kit.database import Database, UnitOfWork
from backend.kit.graphql.nodes import from_id, to_id
from backend.kit.toolbox import Toolbox
from tenants.access import Role
from tests.fixtures.consolidation import Holding

TABLES = ("consolidation_input", "consolidation_run", "consolidation_node", "consolidation_rejected_asset")


async def refused(database: Database, tenant_id: UUID, statement: str, **parameters: Any) -> str:
    """The state by which the server refuses a statement."""

    async def work(unit: UnitOfWork) -> None:
        await unit.execute(statement, parameters)

    with pytest.raises(DBAPIError) as refusal:
        await database.write(tenant_id, work)
    return str(getattr(refusal.value.orig, "sqlstate", ""))


async def count(database: Database, tenant_id: UUID | None, table: str) -> int:
    async with database.read(tenant_id) as session:
        return int(await session.scalar(f"SELECT count(*) FROM {table}"))


async def a_run(holding: Holding) -> UUID:
    await holding.emit("S1", "10")
    await holding.use("surrenderAssets", "S1", 4, asset_class="ALLOWANCE")
    return from_id((await holding.run())["id"])[1]


async def test_nothing_found_can_be_changed(
    holding: Holding, database: Database, worker_database: Database, owner_database: Database
) -> None:
    await a_run(holding)
    tenant = holding.world.tenant_id
    changes = {
        "consolidation_input": "UPDATE consolidation_input SET content = ''",
        "consolidation_run": "UPDATE consolidation_run SET result_sha256 = sha256('x')",
        "consolidation_node": "UPDATE consolidation_node SET neutrality = 'NEUTRAL'",
        "consolidation_rejected_asset": "UPDATE consolidation_rejected_asset SET quantity_t = 1",
    }
    for table in TABLES:
        for statement in (changes[table], f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
            for role in (database, worker_database):
                assert await refused(role, tenant, statement) in {"42501", "TH003"}, statement
            assert await refused(owner_database, tenant, statement) == "TH003", statement
    assert [await count(database, tenant, table) for table in TABLES] == [1, 1, 7, 1]


async def test_the_api_cannot_write_findings(holding: Holding, database: Database) -> None:
    run_id = await a_run(holding)
    tenant = holding.world.tenant_id
    another = (
        "INSERT INTO consolidation_node SELECT tenant_id, run_id, 99, organisation_id, neutrality, compliance, result "
        "FROM consolidation_node WHERE tenant_id = :t LIMIT 1"
    )
    statements = (
        another,
        "INSERT INTO consolidation_input (tenant_id, sha256, content) VALUES (:t, sha256('x'), 'x')",
        "UPDATE consolidation_run SET finished_at = now() WHERE tenant_id = :t",
    )
    for statement in statements:
        assert await refused(database, tenant, statement, t=tenant) == "42501", statement
    asked = (
        "INSERT INTO consolidation_run (tenant_id, id, organisation_id, from_year, to_year, approach, job_id, "
        "requested_by, finished_at) SELECT tenant_id, gen_random_uuid(), organisation_id, from_year, to_year, "
        "approach, gen_random_uuid(), requested_by, now() FROM consolidation_run WHERE id = :run"
    )
    assert await refused(database, tenant, asked, run=run_id) == "42501"


async def test_an_input_cannot_belie_its_digest(holding: Holding, worker_database: Database) -> None:
    statement = "INSERT INTO consolidation_input (tenant_id, sha256, content) VALUES (:t, :digest, 'forged')"
    tenant = holding.world.tenant_id
    assert await refused(worker_database, tenant, statement, t=tenant, digest=digest(b"true")) == "23514"


async def test_a_run_is_determined_once(holding: Holding, worker_database: Database) -> None:
    run_id = await a_run(holding)
    tenant = holding.world.tenant_id
    service = ConsolidationService(Toolbox(worker_database, Clock()))

    async def report(done: int, total: int) -> None:
        assert done <= total

    found = await service.find(tenant, run_id, report)

    async def store(unit: UnitOfWork) -> None:
        await service.store(unit, run_id, found)

    with pytest.raises(DBAPIError) as refusal:
        await worker_database.write(tenant, store)
    assert getattr(refusal.value.orig, "sqlstate", "") == "TH003"


async def test_no_row_is_seen_from_another_tenant(
    holding: Holding, database: Database, worker_database: Database, owner_database: Database
) -> None:
    await a_run(holding)
    for role in (database, worker_database, owner_database):
        for stranger in (None, UUID(int=7)):
            assert [await count(role, stranger, table) for table in TABLES] == [0, 0, 0, 0]


async def test_a_run_outlives_its_row_in_the_queue(holding: Holding, database_url: str) -> None:
    run_id = await a_run(holding)
    superuser = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.exceptions.ForeignKeyViolationError):
        await superuser.execute("DELETE FROM job WHERE tenant_id = $1", holding.world.tenant_id)
    await superuser.execute("SET session_replication_role = replica")
    await superuser.execute("DELETE FROM job")
    await superuser.close()
    auditor = await holding.world.caller(Role.INTERNAL_AUDITOR)
    seen = await holding.read(auditor, to_id("ConsolidationRun", run_id))
    assert (seen["state"], seen["job"], seen["startedAt"], seen["nodeCount"]) == ("SUCCEEDED", None, None, 7)
