"""What must hold for every table, whoever adds one: the tenant leads its keys, and row-level security is forced."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import ForeignKeyConstraint, Table

from backend.capabilities import metadata
from backend.kit.database import Database

ROOT: Final = Path(__file__).resolve().parents[2]
TABLES = sorted(metadata().tables.values(), key=lambda t: t.name)
LIBRARY = "of the factor library, the same for every tenant: everybody reads it, only the owner writes it"
# Tables that belong to no tenant, and why.
GLOBAL = {
    "factor": LIBRARY,
    "factor_region": LIBRARY,
    "factor_set": LIBRARY,
    "tenant": "the list of tenants itself; its policy shows each tenant its own row",
    "signing_key": "of the installation: every tenant trusts its issuer; private parts are granted to nobody",
}
# Policies beside the one of every table, and why.
EXCEPTIONS = {
    ("tenant", "provisioning"),  # the owner makes tenants
    ("tenant", "whole_queue"),  # a worker that is bound to no tenant takes jobs of all
    ("job", "whole_queue"),
    ("scheduled_run", "whole_queue"),
    ("signing_key", "operator"),  # keys are the installation's; the API reads their public part
    ("signing_key", "public_part"),
}


def tenant_tables() -> list[Table]:
    return [t for t in TABLES if t.name not in GLOBAL]


@pytest.mark.parametrize("table", tenant_tables(), ids=lambda t: t.name)
def test_the_tenant_leads_every_key(table: Table) -> None:
    assert next(iter(table.primary_key.columns)).name == "tenant_id"
    for constraint in table.constraints:
        if isinstance(constraint, ForeignKeyConstraint) and constraint.referred_table.name not in GLOBAL:
            assert constraint.column_keys[0] == "tenant_id", constraint.column_keys


@pytest.mark.parametrize("table", sorted(name for name, why in GLOBAL.items() if why is LIBRARY))
@pytest.mark.parametrize("role", ["tanheng_app", "tanheng_worker", "tanheng_auditor"])
async def test_the_library_is_read_only(owner_database: Database, role: str, table: str) -> None:
    async with owner_database.read(None) as session:
        rights = await session.first(
            """SELECT has_table_privilege(:role, :table, 'SELECT') AS reads,
                      has_any_column_privilege(:role, :table, 'INSERT, UPDATE')
                      OR has_table_privilege(:role, :table, 'DELETE, TRUNCATE, TRIGGER') AS writes""",
            {"role": role, "table": table},
        )
    assert rights is not None
    assert (rights.reads, rights.writes) == (True, False)


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


async def test_views_show_no_more_than_the_caller_may_see(owner_database: Database) -> None:
    """A view reads with the rights of its owner, past every policy, unless it is told not to."""
    async with owner_database.read(None) as session:
        rows = await session.rows(
            """
            SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'public' AND c.relkind IN ('v', 'm')
              AND NOT coalesce(c.reloptions @> '{security_invoker=true}', false)
            """
        )
    assert [r.name for r in rows] == []


async def test_the_trail_is_read_where_all_events_are(owner_database: Database) -> None:
    """`audit_trail` has what transfers tell by themselves too; who reads `audit_event` alone misses them."""
    async with owner_database.read(None) as session:
        rows = await session.rows(
            "SELECT table_name AS of, column_name AS name, data_type AS type FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name IN ('audit_event', 'audit_trail') ORDER BY ordinal_position"
        )
    told = {of: [(r.name, r.type) for r in rows if r.of == of] for of in ("audit_event", "audit_trail")}
    assert told["audit_trail"] == told["audit_event"]
    reading = re.compile(r"(FROM|JOIN) audit_event|select\(audit_event")
    sources = [p for folder in ("backend", "tenants") for p in (ROOT / folder).rglob("*.py")]
    assert [str(p) for p in sources if reading.search(p.read_text(encoding="utf-8"))] == []


async def test_balances_are_met_in_one_order(owner_database: Database) -> None:
    """Who moves balances locks them in the order of their key. However the planner joins them to legs, it looks each up
    in that order, or goes through a tenant's in the order of an index: of this one, for no other begins with the
    tenant, and a join that cannot be merged gives no reason to go through one by lot.
    """
    async with owner_database.read(None) as session:
        indexes = await session.rows("SELECT indexdef AS said FROM pg_indexes WHERE tablename = 'asset_balance'")
        writers = await session.rows(
            "SELECT proname AS name, proconfig AS settings FROM pg_proc WHERE prosrc ~ 'INSERT INTO asset_leg '"
        )
        trigger = await session.scalar("SELECT prosrc FROM pg_proc WHERE proname = 'asset_legs_post'")
    ordered = [i.said.partition(" USING ")[2] for i in indexes]
    assert [o for o in ordered if "(tenant_id" in o] == ["btree (tenant_id, account_id, lot_id)"]
    assert "b.account_id = c.account_id AND b.lot_id = ANY (ARRAY[c.lot_id])" in trigger
    other_ways = {f"enable_{way}=off" for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")}
    assert {w.name for w in writers if other_ways <= set(w.settings)} == {
        "ledger_post", "ledger_issue", "ledger_cut", "ledger_commit", "ledger_commit_list"
    } == {w.name for w in writers}  # fmt: skip


async def test_policies_bind_who_owns_the_functions(owner_database: Database) -> None:
    """The trigger on legs relies on them: it asks for lots, accounts and transfers by id alone."""
    async with owner_database.read(None) as session:
        free = await session.scalar(
            "SELECT bool_or(r.rolsuper OR r.rolbypassrls) FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner "
            "WHERE p.prosecdef AND p.pronamespace = 'public'::regnamespace"
        )
    assert free is False


async def test_every_policy_binds_to_the_tenant(owner_database: Database) -> None:
    """One policy for everyone, the same on every table, for what is read and for what is written."""
    async with owner_database.read(None) as session:
        rows = await session.rows("SELECT * FROM pg_policies WHERE schemaname = 'public'")
    usual = {(r.tablename, r.qual, r.with_check) for r in rows if r.policyname == "tenant_only"}
    (own,) = {qual for table, qual, _ in usual if table != "tenant"}
    assert "tenant_id = ( SELECT (NULLIF(current_setting('app.tenant_id'" in own
    assert {(t.name, own, own) for t in tenant_tables()} == {u for u in usual if u[0] != "tenant"}
    assert {(r.tablename, r.policyname) for r in rows if r.policyname != "tenant_only"} == EXCEPTIONS


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
