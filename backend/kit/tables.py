"""How tables are declared: one MetaData, the tenant leading every primary and foreign key."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, DateTime, ForeignKeyConstraint, MetaData, Table, Text, Uuid, func

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


def text_or_empty(name: str) -> Column[str]:
    """A text that is empty rather than absent."""
    return Column(name, Text, nullable=False, server_default="")


def moment(name: str) -> Column[Any]:
    """When something happened, by the database's clock unless it is said."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())
