"""Explains a frozen inventory: from its total over its lines to the records as they were known when it was submitted.

What was recorded, corrected or withdrawn since changes nothing here; the coefficient of a line is the one it was
frozen with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from backend.accounting.domain.explain import Explained, ExplainKind, Frame, Frozen, NodeKey, Words, named
from backend.accounting.domain.inventories import INVENTORY_STATE
from backend.accounting.domain.sources import Category
from backend.accounting.repository import frozen as rows
from backend.accounting.repository import inventories as inventory_rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.service.summands import month_of, pages_of, record_of, source_of
from backend.kit.database import ReadSession
from backend.kit.errors import not_found
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import trimmed
from tenants.access import Principal
from tenants.domain import ConsolidationApproach

Nodes = Sequence[Explained]
_ALL: Final = PageRequest(1000)


async def submitted(
    session: ReadSession, principal: Principal, inventory_id: UUID, round_: int | None = None
) -> Explained:
    """An inventory the caller may read, as it was submitted last, or in an earlier round.

    Errors: NOT_FOUND, INVENTORY_STATE before it was submitted.
    """
    absent = not_found("Inventory", inventory_id, "subject", "inventory")
    found = (await inventory_rows.inventories(session, [inventory_id], principal)).get(inventory_id)
    if found is None:
        raise absent
    if found.round == 0:
        raise INVENTORY_STATE(path=("subject", "inventory"), state=found.state, needed="SUBMITTED")
    frozen = Frozen(inventory_id, found.round if round_ is None else round_)
    row = await rows.total(session, frozen)
    if row is None or not 1 <= frozen.round <= found.round:
        raise absent
    approach = ConsolidationApproach.OPERATIONAL_CONTROL
    frame = Frame(found.organisation_id, found.first_month.year, approach, tuple(Category), frozen)
    name = named(row.code, row.name_zh, row.name_en)
    at = f"{row.submitted_at:%Y-%m-%d %H:%M}Z"
    return Explained(
        kind=ExplainKind.FROZEN,
        frame=frame,
        subject_id=inventory_id,
        organisation_id=found.organisation_id,
        label=Words(f"{name.zh} {found.period} 排放清单", f"{name.en} {found.period} inventory"),
        detail=Words(
            f"第 {found.version} 版，第 {frozen.round} 次提交于 {at}",
            f"version {found.version}, submission {frozen.round} of {at}",
        ),
        value=trimmed(row.co2e_t),
        records=row.records,
    )


async def again(session: ReadSession, principal: Principal, key: NodeKey) -> Explained:
    """A node of a frozen tree, found again by its id. Errors: NOT_FOUND."""
    assert key.frame.frozen is not None
    root = await submitted(session, principal, key.frame.frozen.inventory_id, key.frame.frozen.round)
    if key.kind is ExplainKind.FROZEN:
        return root
    what = "EmissionSource" if key.kind is ExplainKind.SOURCE else "EmissionStream"
    absent = not_found(what, key.subject_id, "subject", "node")
    if key.kind is ExplainKind.SOURCE:
        for row in await rows.sources(session, key.frame.frozen, _ALL, only=key.subject_id):
            return replace(source_of(root, row), whole=None)
        raise absent
    stream = (await source_rows.streams(session, [key.subject_id], principal)).get(key.subject_id)
    above = await rows.sources(session, key.frame.frozen, _ALL, only=stream.source_id) if stream else []
    for source in above:
        parent = source_of(root, source)
        found = await rows.lines(session, rows.Level(key.frame.frozen, [parent.subject_id], _ALL), only=key.subject_id)
        for row in found.get(0, []):
            if row.first_month == key.month:
                return replace(month_of(parent, row), whole=None)
    raise absent


async def _sources(session: ReadSession, frame: Frame, parents: Nodes, request: PageRequest) -> list[Page[Explained]]:
    assert frame.frozen is not None
    listed = await rows.sources(session, frame.frozen, request)
    return pages_of(parents, dict.fromkeys(range(len(parents)), listed), request, source_of, lambda row: (row.code,))


async def _lines(session: ReadSession, frame: Frame, parents: Nodes, request: PageRequest) -> list[Page[Explained]]:
    assert frame.frozen is not None
    listed = await rows.lines(session, rows.Level(frame.frozen, [p.subject_id for p in parents], request))
    return pages_of(parents, listed, request, month_of, lambda row: (row.first_month, row.rank, row.id))


async def _records(session: ReadSession, frame: Frame, parents: Nodes, request: PageRequest) -> list[Page[Explained]]:
    assert frame.frozen is not None
    total = await rows.total(session, frame.frozen)
    assert total is not None
    level = rows.Level(frame.frozen, [p.subject_id for p in parents], request)
    listed = await rows.records(session, level, [p.month for p in parents], total.submitted_at)
    return pages_of(parents, listed, request, _record, lambda row: (row.batch_id, row.line))


def _record(parent: Explained, row: Row[Any]) -> Explained:
    """A record as it was then; that it was withdrawn or corrected since is said beside it."""
    node = record_of(parent, row)
    if row.withdrawn_at is None:
        return node
    since: datetime = row.withdrawn_at
    zh = f"{node.detail.zh}；此后于 {since:%Y-%m-%d} 撤回或更正：{row.because}"
    return replace(
        node, detail=Words(zh, f"{node.detail.en}; withdrawn or corrected on {since:%Y-%m-%d}: {row.because}")
    )


_Level = Callable[[ReadSession, Frame, Nodes, PageRequest], Awaitable[list[Page[Explained]]]]
CHILDREN: Final[Mapping[ExplainKind, _Level]] = {
    ExplainKind.FROZEN: _sources,
    ExplainKind.SOURCE: _lines,
    ExplainKind.STREAM_MONTH: _records,
}
