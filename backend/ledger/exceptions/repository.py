"""All SQL of exceptions from rules. Judging reads those that stand with what else it asks of the books."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.dialects.postgresql import insert

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.exceptions.domain import NewException, RuleException
from backend.ledger.exceptions.tables import rule_exception
from tenants.access import Permission, Principal, within


async def record(unit: UnitOfWork, new: dict[UUID, NewException], member_id: UUID) -> dict[UUID, RuleException]:
    """By id, those that were recorded; one is left out where an exception stands already."""
    same = {"tenant_id": unit.tenant_id, "recorded_by": member_id}
    rows = [asdict(n) | same | {"id": key} for key, n in new.items()]
    statement = insert(rule_exception).values(rows).on_conflict_do_nothing().returning(rule_exception)
    return {r.id: _exception(r) for r in await unit.rows(statement)}


async def withdraw(unit: UnitOfWork, key: UUID, member_id: UUID, because: str) -> bool:
    """False when it was withdrawn before."""
    standing = rule_exception.update().where(rule_exception.c.id == key, rule_exception.c.withdrawn_at.is_(None))
    values = {"withdrawn_at": func.now(), "withdrawn_by": member_id, "withdrawn_because": because}
    return bool(await unit.execute(standing.values(values)))


async def exceptions(
    session: ReadSession, keys: Collection[UUID], principal: Principal | None = None
) -> dict[UUID, RuleException]:
    """By id; with a principal, only those of organisations whose assets it may read."""
    statement = select(rule_exception).where(rule_exception.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(within(principal, Permission.ASSET_READ, rule_exception.c.organisation_id))
    return {r.id: _exception(r) for r in await session.rows(statement)}


async def page_of_exceptions(
    session: ReadSession, principal: Principal, request: PageRequest, organisation_id: UUID | None
) -> Page[RuleException]:
    """The latest first, the withdrawn ones too."""
    statement = select(rule_exception).where(within(principal, Permission.ASSET_READ, rule_exception.c.organisation_id))
    if organisation_id is not None:
        statement = statement.where(rule_exception.c.organisation_id == organisation_id)
    rows: Sequence[Row[Any]] = await session.rows(keyset(statement, request, rule_exception.c.id, latest_first=True))
    return Page.cut([_exception(r) for r in rows], request, lambda x: (x.id,))


def _exception(row: Row[Any]) -> RuleException:
    return RuleException(**{name: getattr(row, name) for name in RuleException.__dataclass_fields__})
