"""What every migration of a tenant's tables says, said once: row-level security, grants, append-only."""

from __future__ import annotations

from alembic import op

TENANT = "(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)"


def run(*statements: str) -> None:
    """Run SQL statements one by one, as they stand: no parameter is read into them."""
    for statement in statements:
        op.get_bind().exec_driver_sql(statement)


def said(function: str) -> str:
    """The definition of a function as it stands."""
    # By name, and not by `::regproc`: the driver keeps the statement with the key of a function that was dropped since.
    asked = f"SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = '{function}'"  # noqa: S608 - a constant
    definition: str = op.get_bind().exec_driver_sql(asked).scalar_one()
    return definition


def span(function: str, first: str, end: str) -> str:
    """What a function says from one text up to another."""
    _, found, rest = said(function).partition(first)
    passage, ended, _ = rest.partition(end)
    if not (found and ended):
        raise ValueError(f"{function} does not say {first} and then {end}")
    return first + passage


def amend(function: str, *changes: tuple[str, str], drop: bool = False) -> None:
    """Let a function say something else in places, each of which it must have said so far. `drop` it first, where
    what it takes changes; then its grants have to be given anew.
    """
    text = said(function)
    for was, becomes in changes:
        if was not in text:
            raise ValueError(f"{function} does not say {was}")
        text = text.replace(was, becomes)
    run(*([f"DROP FUNCTION {function}"] if drop else []), text)


def protect(table: str, *, writes: str = "", tenant_column: str = "tenant_id", worker: str | None = None) -> None:
    """Row-level security for everyone, the owner too; SELECT for all roles; `writes` for API and worker.

    `writes` is a comma list such as "INSERT, UPDATE"; `worker` says what the worker may do instead, when it differs.
    """
    rights = ", ".join(["SELECT", *([writes] if writes else [])])
    own = f"{tenant_column} = {TENANT}"
    worker_rights = rights if worker is None else ", ".join(["SELECT", *([worker] if worker else [])])
    run(
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY tenant_only ON {table} USING ({own}) WITH CHECK ({own})",
        f"GRANT {rights} ON {table} TO tanheng_app",
        f"GRANT {worker_rights} ON {table} TO tanheng_worker",
        f"GRANT SELECT ON {table} TO tanheng_auditor",
    )


def unforced(*tables: str) -> None:
    """Let the owner see the rows of all tenants, to move them: when forced, security shows it none."""
    run(*(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY" for table in tables))


def forced(*tables: str) -> None:
    """Row-level security for the owner too, again."""
    run(*(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY" for table in tables))


def append_only(table: str) -> None:
    """Refuse UPDATE, DELETE and TRUNCATE to everyone, the owner included (a migration drops the trigger first)."""
    run(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
