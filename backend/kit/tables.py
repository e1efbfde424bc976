"""How tables are declared: one MetaData, the tenant leading every primary and foreign key."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, ForeignKeyConstraint, MetaData, Table, Uuid

METADATA: Final = MetaData()


def tenant_table(name: str, *parts: Any, keys: tuple[str, ...] = ("id",)) -> Table:
    """A table of a tenant: `tenant_id` first, and the primary key is the tenant and `keys`."""
    for part in parts:
        if isinstance(part, Column) and part.name in keys:
            part.primary_key = True
            part.nullable = False
    return Table(name, METADATA, Column("tenant_id", Uuid, primary_key=True), *parts)


def belongs_to(table: str, column: str) -> ForeignKeyConstraint:
    """A reference that cannot leave the tenant."""
    return ForeignKeyConstraint(["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"])
