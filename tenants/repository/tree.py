"""Reading the tree as of a day, always through what the caller may see; batched for whole levels of parents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, column, exists, func, literal, select, true
from sqlalchemy.types import Uuid

from backend.kit.database import ReadSession
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.kit.text import clean
from tenants.access import Permission, Principal, below, within
from tenants.domain.organisations import Organisation, OrganisationFilter, OrganisationOrder
from tenants.domain.tree import Link, Relative
from tenants.repository.rows import COLUMNS, LINK, ORGANISATION, holds, is_one_of, to_link, to_organisation, uuids
from tenants.tables import organisation, organisation_closure, organisation_link


async def page_of_organisations(
    session: ReadSession,
    principal: Principal,
    wanted: OrganisationFilter,
    order: OrganisationOrder,
    request: PageRequest,
) -> Page[Organisation]:
    """Those the caller may read, by code or by name."""
    first = organisation.c.code if order is OrganisationOrder.CODE else organisation.c.name_order
    statement = ORGANISATION.where(_visible(principal), *_conditions(wanted))
    statement = keyset(statement, request, first, organisation.c.id)
    rows = await session.rows(statement)
    return Page.cut(rows, request, lambda row: (getattr(row, first.name), row.id)).map(to_organisation)


def _visible(principal: Principal) -> ColumnElement[bool]:
    return within(principal, Permission.ORGANISATION_READ, organisation.c.id)


def _conditions(wanted: OrganisationFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.search is not None and clean(wanted.search):
        conditions.append(func.strpos(organisation.c.search, func.folded(clean(wanted.search))) > 0)
    if wanted.kind is not None:
        conditions.append(organisation.c.kind == wanted.kind.value)
    if wanted.as_of is not None:
        conditions.append(holds(organisation.c.present, wanted.as_of))
    if wanted.within is not None and wanted.as_of is None:
        conditions.append(below(organisation.c.id, [wanted.within]))
    elif wanted.within is not None:
        closure = organisation_closure.c
        linked = and_(closure.ancestor_id == wanted.within, closure.descendant_id == organisation.c.id)
        conditions.append(exists(select(literal(1)).where(linked, holds(closure.valid, wanted.as_of))))
    return conditions


async def places(session: ReadSession, children: Collection[UUID], as_of: date | None) -> dict[UUID, Link]:
    """Where each child hangs on a day; absent for a GROUP and on days it is not there."""
    statement = LINK.where(is_one_of(organisation_link.c.child_id, children), holds(organisation_link.c.valid, as_of))
    return {row.child_id: to_link(row) for row in await session.rows(statement)}


async def children(
    session: ReadSession, principal: Principal, parents: Collection[UUID], as_of: date | None, request: PageRequest
) -> dict[UUID, Page[Organisation]]:
    """A page of the children of each parent on a day, by code."""
    wanted = func.unnest(uuids(parents)).table_valued(column("key", Uuid), name="wanted").render_derived()
    link = organisation_link.c
    hanging = (
        select(*COLUMNS)
        .join(organisation_link, link.child_id == organisation.c.id)
        .where(link.parent_id == wanted.c.key, holds(link.valid, as_of), _visible(principal))
    )
    page = keyset(hanging, request, organisation.c.code, organisation.c.id).lateral("page")
    statement = select(wanted.c.key.label("parent"), page).select_from(wanted.join(page, true()))
    found: dict[UUID, list[Organisation]] = defaultdict(list)
    for row in await session.rows(statement.order_by(wanted.c.key, page.c.code, page.c.id)):
        found[row.parent].append(to_organisation(row))
    return {key: Page.cut(found[key], request, lambda x: (x.code, x.id)) for key in parents}


async def ancestors(
    session: ReadSession, principal: Principal, keys: Collection[UUID], as_of: date | None
) -> dict[UUID, list[Relative]]:
    """All above each node on a day that the caller may read, the nearest first."""
    closure = organisation_closure.c
    statement = (
        select(*COLUMNS, closure.descendant_id, *_SHARES)
        .join(organisation_closure, closure.ancestor_id == organisation.c.id)
        .where(
            is_one_of(closure.descendant_id, keys),
            closure.depth > 0,
            holds(closure.valid, as_of),
            _visible(principal),
        )
        .order_by(closure.depth)
    )
    found: dict[UUID, list[Relative]] = {key: [] for key in keys}
    for row in await session.rows(statement):
        found[row.descendant_id].append(_relative(row))
    return found


async def descendants(
    session: ReadSession, principal: Principal, keys: Collection[UUID], as_of: date | None, request: PageRequest
) -> dict[UUID, Page[Relative]]:
    """A page of all below each node on a day, level by level, by code inside a level."""
    wanted = func.unnest(uuids(keys)).table_valued(column("key", Uuid), name="wanted").render_derived()
    closure = organisation_closure.c
    lying = (
        select(*COLUMNS, *_SHARES)
        .join(organisation_closure, closure.descendant_id == organisation.c.id)
        .where(
            closure.ancestor_id == wanted.c.key,
            closure.depth > 0,
            holds(closure.valid, as_of),
            _visible(principal),
        )
    )
    order = (closure.depth, organisation.c.code, organisation.c.id)
    page = keyset(lying, request, *order).lateral("page")
    statement = select(wanted.c.key.label("top"), page).select_from(wanted.join(page, true()))
    found: dict[UUID, list[Relative]] = defaultdict(list)
    for row in await session.rows(statement.order_by(wanted.c.key, page.c.depth, page.c.code, page.c.id)):
        found[row.top].append(_relative(row))
    return {
        key: Page.cut(found[key], request, lambda x: (x.depth, x.organisation.code, x.organisation.id)) for key in keys
    }


def _relative(row: Row[Any]) -> Relative:
    share = row.equity_share.normalize()
    return Relative(to_organisation(row), row.depth, share, row.operational_control, row.financial_control)


_SHARES: Final = (
    organisation_closure.c.depth,
    organisation_closure.c.equity_share,
    organisation_closure.c.operational_control,
    organisation_closure.c.financial_control,
)
