"""What must hold for every table, whoever adds one: the tenant leads its keys, and row-level security is forced."""

from __future__ import annotations

import pytest
from sqlalchemy import ForeignKeyConstraint, Table

from backend.capabilities import metadata
from backend.kit.database import Database

TABLES = sorted(metadata().tables.values(), key=lambda t: t.name)
# Tables that belong to no tenant, and why.
GLOBAL = {
    "tenant": "the list of tenants itself; its policy shows each tenant its own row",
    "signing_key": "of the installation: every tenant trusts its issuer; private parts are granted to nobody",
}


def tenant_tables() -> list[Table]:
    return [t for t in TABLES if t.name not in GLOBAL]


@pytest.mark.parametrize("table", tenant_tables(), ids=lambda t: t.name)
def test_the_tenant_leads_every_key(table: Table) -> None:
    assert next(iter(table.primary_key.columns)).name == "tenant_id"
    for constraint in table.constraints:
        if isinstance(constraint, ForeignKeyConstraint) and constraint.elements[0].target_fullname != "tenant.id":
            assert constraint.column_keys[0] == "tenant_id", constraint.column_keys


async def test_row_level_security_is_forced_everywhere(owner_database: Database) -> None:
    async with owner_database.read(None) as session:
        rows = await session.rows(
            """
            SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,
                   EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AS has_policy
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')
              AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id')
            """
        )
    assert rows
    assert [r.name for r in rows if not (r.forced and r.has_policy)] == []


async def test_every_table_is_known_to_a_slice(owner_database: Database) -> None:
    async with owner_database.read(None) as session:
        rows = await session.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {r.tablename for r in rows} - {"alembic_version"} == {t.name for t in TABLES}


@pytest.mark.parametrize("role", ["tanheng_app", "tanheng_worker", "tanheng_auditor"])
async def test_no_role_but_the_owner_may_change_the_shape(owner_database: Database, role: str) -> None:
    async with owner_database.read(None) as session:
        facts = await session.first(
            """
            SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb AS powerful,
                   has_schema_privilege(rolname, 'public', 'CREATE') AS may_create,
                   (SELECT count(*) FROM pg_class WHERE relowner = r.oid) AS owned,
                   (SELECT count(*) FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
                      AND has_table_privilege(r.oid, c.oid, 'TRUNCATE')) AS may_truncate
            FROM pg_roles r WHERE rolname = :role
            """,
            {"role": role},
        )
    assert facts is not None
    assert (facts.powerful, facts.may_create, facts.owned, facts.may_truncate) == (False, False, 0, 0)


@pytest.mark.parametrize("table", tenant_tables(), ids=lambda t: t.name)
async def test_without_a_tenant_there_are_no_rows(database: Database, table: Table) -> None:
    async with database.read(None) as session:
        allowed = await session.scalar(f"SELECT has_table_privilege('{table.name}', 'SELECT')")
        assert not allowed or await session.scalar(f"SELECT count(*) FROM {table.name}") == 0
