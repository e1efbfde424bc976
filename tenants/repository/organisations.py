"""Writing the tree: organisations, their links, their production lines. Callers hold the tree's lock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import date
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from tenants.access import Permission, Principal, within
from tenants.domain.organisations import CODE_TAKEN, LeavingReason, Organisation, ProductionLine
from tenants.domain.tree import PARENT_ABSENT, WOULD_CYCLE, Link
from tenants.repository.rows import LINK, ORGANISATION, is_one_of, to_link, to_organisation
from tenants.tables import organisation, organisation_link, production_line


async def lock_tree(unit: UnitOfWork) -> None:
    """Writers of one tenant's tree go one at a time; readers do not wait."""
    await unit.execute("SELECT lock_tree()")


@asynccontextmanager
async def guarded(unit: UnitOfWork, *, code: str = "", since: date | None = None) -> AsyncIterator[None]:
    """What the database refuses inside is told by its code; the tree's deferred rules are judged at the end."""
    refusals: Mapping[str, Callable[[], CodedError]] = {
        "organisation_code_key": lambda: CODE_TAKEN(path=("code",), code=code),
        "organisation_no_cycle": lambda: WOULD_CYCLE(path=("parentId",)),
        "organisation_link_not_self": lambda: WOULD_CYCLE(path=("parentId",)),
        "organisation_parent_present": lambda: PARENT_ABSENT(path=("parentId",), since=since),
    }
    try:
        yield
        await unit.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except DBAPIError as error:
        raise translate(error, refusals) from error


async def organisations(
    session: ReadSession, keys: Collection[UUID], principal: Principal | None = None
) -> dict[UUID, Organisation]:
    """By id; with a principal, only those it may read."""
    statement = ORGANISATION.where(is_one_of(organisation.c.id, keys))
    if principal is not None:
        statement = statement.where(within(principal, Permission.ORGANISATION_READ, organisation.c.id))
    return {row.id: to_organisation(row) for row in await session.rows(statement)}


async def by_codes(session: ReadSession, codes: Collection[str]) -> dict[str, Organisation]:
    statement = ORGANISATION.where(organisation.c.code.in_(codes))
    return {row.code: to_organisation(row) for row in await session.rows(statement)}


_INSERT: Final = """
INSERT INTO organisation (tenant_id, id, kind, code, name_zh, name_en, credit_code, address, division_code,
                          industry_code, founded_on, business, capacity, present, entered_because)
SELECT :tenant_id, r.id, r.kind, r.code, r.name_zh, r.name_en, r.credit_code, r.address, r.division_code,
       r.industry_code, r.founded_on, r.business, r.capacity, daterange(r.entered_on, NULL), r.entered_because
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
  AS r(id uuid, kind text, code text, name_zh text, name_en text, credit_code text, address text, division_code text,
       industry_code text, founded_on date, business text, capacity text, entered_on date, entered_because text)
"""
_LINK: Final = """
INSERT INTO organisation_link (tenant_id, id, child_id, parent_id, valid, equity_share, operational_control,
                               financial_control, reason)
SELECT :tenant_id, r.id, r.child_id, r.parent_id, daterange(r.valid_from, r.valid_until), o.equity_share,
       o.operational_control, o.financial_control, r.reason
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
  AS r(id uuid, child_id uuid, parent_id uuid, valid_from date, valid_until date, ownership jsonb, reason text),
  jsonb_to_record(r.ownership)
  AS o(equity_share numeric, operational_control boolean, financial_control boolean)
"""


async def insert_organisations(unit: UnitOfWork, made: Sequence[Organisation], links: Sequence[Link]) -> None:
    """All of them in two statements, so that the closure is rebuilt twice and not once for each."""
    await unit.execute(_INSERT, {"tenant_id": unit.tenant_id, "rows": orjson.dumps(made, default=str).decode()})
    await insert_links(unit, links)


async def insert_links(unit: UnitOfWork, links: Sequence[Link]) -> None:
    if not links:
        return
    await unit.execute(_LINK, {"tenant_id": unit.tenant_id, "rows": orjson.dumps(links, default=str).decode()})


async def update_organisation(unit: UnitOfWork, key: UUID, values: Mapping[str, Any]) -> None:
    """Set columns, and the version one further."""
    changed = dict(values) | {"version": organisation.c.version + 1}
    await unit.execute(organisation.update().where(organisation.c.id == key).values(changed))


async def links_of(session: ReadSession, children: Collection[UUID]) -> dict[UUID, list[Link]]:
    """The places of each child over time, the earliest first."""
    statement = LINK.where(is_one_of(organisation_link.c.child_id, children)).order_by(organisation_link.c.valid)
    found: dict[UUID, list[Link]] = {key: [] for key in children}
    for row in await session.rows(statement):
        found[row.child_id].append(to_link(row))
    return found


async def replace_links(unit: UnitOfWork, old: Sequence[Link], new: Sequence[Link]) -> None:
    """Take away what is no longer so, then add what is new."""
    gone = [link.id for link in old if link not in new]
    if gone:
        await unit.execute(organisation_link.delete().where(is_one_of(organisation_link.c.id, gone)))
    await insert_links(unit, [link for link in new if link not in old])


_BELOW: Final = """
SELECT c.descendant_id AS id FROM organisation_closure c
WHERE c.ancestor_id = :node AND c.valid @> CAST(:on AS date) ORDER BY c.depth, c.descendant_id
"""
_STRAY: Final = """
SELECT o.id FROM organisation_link l JOIN organisation o ON o.tenant_id = l.tenant_id AND o.id = l.child_id
WHERE l.parent_id = ANY (CAST(:leaving AS uuid[])) AND l.child_id <> ALL (CAST(:leaving AS uuid[]))
  AND (upper_inf(l.valid) OR upper(l.valid) > CAST(:on AS date))
ORDER BY o.code LIMIT 1
"""


async def subtree(session: ReadSession, node: UUID, on: date) -> list[UUID]:
    """A node and all below it on a day, from the top."""
    return [row.id for row in await session.rows(_BELOW, {"node": node, "on": on})]


async def stray(session: ReadSession, leaving: Collection[UUID], on: date) -> UUID | None:
    """An organisation that does not leave and yet lies below one that does, on that day or later."""
    found: UUID | None = await session.scalar(_STRAY, {"leaving": list(leaving), "on": on})
    return found


async def leave(unit: UnitOfWork, leaving: Sequence[Organisation], on: date, because: LeavingReason) -> None:
    """End the presence of organisations; their links first."""
    values = {
        "present": func.daterange(func.lower(organisation.c.present), on),
        "left_because": because.value,
        "version": organisation.c.version + 1,
    }
    keys = [x.id for x in leaving]
    await unit.execute(organisation.update().where(is_one_of(organisation.c.id, keys)).values(values))


async def production_lines(session: ReadSession, keys: Collection[UUID]) -> dict[UUID, list[ProductionLine]]:
    """By organisation, by name."""
    lines = production_line.c
    statement = select(production_line).where(is_one_of(lines.organisation_id, keys)).order_by(lines.name)
    found: dict[UUID, list[ProductionLine]] = {key: [] for key in keys}
    for row in await session.rows(statement):
        capacity = row.capacity if row.capacity is None else row.capacity.normalize()
        line = ProductionLine(row.name, row.product, capacity, row.capacity_unit, row.commissioned_on)
        found[row.organisation_id].append(line)
    return found


async def set_production_lines(unit: UnitOfWork, key: UUID, lines: Sequence[ProductionLine]) -> None:
    await unit.execute(production_line.delete().where(production_line.c.organisation_id == key))
    same = {"tenant_id": unit.tenant_id, "organisation_id": key}
    for line in lines:
        await unit.execute(production_line.insert(), asdict(line) | same | {"id": uuid7()})
