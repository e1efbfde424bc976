"""The role scripts can be run again, and by a login that is no superuser."""

from __future__ import annotations

import asyncpg

from backend.kit.ids import uuid7
from backend.kit.provision import prepare
from tests.conftest import at


async def test_scripts_may_be_repeated(database_url: str) -> None:
    await prepare(database_url)
    await prepare(database_url)


async def test_the_auditor_cannot_write(database_url: str) -> None:
    connection = await asyncpg.connect(database_url, server_settings={"role": "tanheng_auditor"})
    try:
        rights = await connection.fetchval(
            """
            SELECT bool_or(has_table_privilege('tanheng_auditor', c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE'))
            FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            """
        )
        assert rights is False
    finally:
        await connection.close()


async def test_a_login_that_may_only_create_roles_is_enough(server_url: str) -> None:
    name = f"dba_{uuid7().hex[-10:]}"
    admin = await asyncpg.connect(server_url)
    try:
        await admin.execute(f"CREATE ROLE {name} LOGIN CREATEROLE CREATEDB")
        # Where an earlier administrator made the roles, a later one must be allowed to hand them on.
        await admin.execute(
            f"GRANT tanheng_owner, tanheng_app, tanheng_worker, tanheng_auditor TO {name} WITH ADMIN OPTION"
        )
        await admin.execute(f"CREATE DATABASE {name} OWNER {name}")
        await prepare(at(server_url, name).replace("//postgres@", f"//{name}@"))
    finally:
        await admin.execute(f"DROP DATABASE IF EXISTS {name}")
        await admin.execute(f"DROP ROLE {name}")
        await admin.close()
