"""Explains totals: each call answers one level of the tree, for all nodes that are opened at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from backend.accounting.domain.explain import (
    HIDDEN,
    MADE_OF,
    OWN_SOURCES,
    SUMMED,
    Explained,
    ExplainKind,
    Frame,
    NodeKey,
    Words,
    checked_year,
    named,
)
from backend.accounting.domain.sources import Category
from backend.accounting.repository import explain as rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.service import frozen, made_of
from backend.accounting.service.summands import month_of, pages_of, record_of, source_of
from backend.kit.database import ReadSession
from backend.kit.errors import NOT_FOUND, not_found
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import trimmed
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, refusals, require
from tenants.domain import ConsolidationApproach
from tenants.service import BoundaryReader

Nodes = Sequence[Explained]
_ALL: Final = PageRequest(1000)
EMPTY: Final[Page[Explained]] = Page([], [], more=False)


@dataclass(frozen=True, slots=True)
class TotalSubject:
    """The total of an organisation with all below it in a year; of one category, or of all that are accounted."""

    organisation_id: UUID
    year: int
    category: Category | None = None
    approach: ConsolidationApproach | None = None


@dataclass(frozen=True, slots=True)
class SourceSubject:
    """What a source emitted in a year."""

    source_id: UUID
    year: int


class ExplainService:
    """From any total down to records. Who may read totals alone sees the organisations, not the sources."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def total(self, principal: Principal, subject: TotalSubject) -> Explained:
        """Errors: NOT_FOUND, FORBIDDEN, BAD_EXPLAINED_YEAR."""
        checked_year(subject.year)
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await _require_totals(session, principal, [subject.organisation_id])
            frame = await frame_of(session, subject)
            return await _total(session, frame, subject.organisation_id, ExplainKind.TOTAL)

    async def source(self, principal: Principal, subject: SourceSubject) -> Explained:
        """Errors: NOT_FOUND, FORBIDDEN, BAD_EXPLAINED_YEAR."""
        checked_year(subject.year)
        async with self.toolbox.database.read(principal.tenant_id) as session:
            owner = await _owner(session, principal, subject.source_id)
            categories = tuple(Category)
            frame = Frame(owner, subject.year, ConsolidationApproach.OPERATIONAL_CONTROL, categories)
            return await _source(session, frame, owner, subject.source_id)

    async def inventory(self, principal: Principal, inventory_id: UUID) -> Explained:
        """As it was submitted last. Errors: NOT_FOUND, FORBIDDEN, INVENTORY_STATE before it is submitted."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await frozen.submitted(session, principal, inventory_id)

    async def node(self, principal: Principal, key: NodeKey) -> Explained:
        """A node that has children, found again by its id. Errors: NOT_FOUND, FORBIDDEN."""
        frame, subject = key.frame, key.subject_id
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if frame.frozen is not None and key.kind in SUMMED:
                return await frozen.again(session, principal, key)
            await _require_totals(session, principal, [frame.root_id])
            if key.kind in {ExplainKind.TOTAL, ExplainKind.OWN}:
                await _require_totals(session, principal, [subject])
                return await _total(session, frame, subject, key.kind)
            if key.kind is ExplainKind.SOURCE:
                return await _source(session, frame, await _owner(session, principal, subject), subject)
            behind = await made_of.stream_of(session, principal, key) if key.kind in MADE_OF else subject
            stream = (await source_rows.streams(session, [behind], principal)).get(behind) if behind else None
            absent = not_found("EmissionStream", subject, "subject", "node")
            if stream is None:
                raise absent
            if key.kind in MADE_OF:
                again = await made_of.again(session, key, await _owner(session, principal, stream.source_id))
                if again is None:
                    raise absent
                return again
            source = await _source(session, frame, await _owner(session, principal, stream.source_id), stream.source_id)
            found = (await _months(session, frame, [source], _ALL, only=subject))[0].rows
            for month in found:
                if month.month == key.month:
                    return replace(month, whole=None)
            raise absent

    async def children(
        self, principal: Principal, parents: Nodes, request: PageRequest
    ) -> list[Page[Explained] | None]:
        """For each node a page of its summands, which add up to it exactly; None where the caller may not see them."""
        answer: list[Page[Explained] | None] = [EMPTY] * len(parents)
        groups: dict[tuple[ExplainKind, Frame], list[int]] = {}
        async with self.toolbox.database.read(principal.tenant_id) as session:
            seen = await Seen.of(session, principal, (p.organisation_id for p in parents))
            for place, parent in enumerate(parents):
                if not seen.opens(parent):
                    answer[place] = None
                elif parent.kind in _CHILDREN or parent.kind in frozen.CHILDREN:
                    groups.setdefault((parent.kind, parent.frame), []).append(place)
            for (kind, frame), places in groups.items():
                level = frozen.CHILDREN if frame.frozen and kind in frozen.CHILDREN else _CHILDREN
                pages = await level[kind](session, frame, [parents[i] for i in places], request)
                for place, page in zip(places, pages, strict=True):
                    answer[place] = page
            return await _hide(session, principal, answer)


@dataclass(frozen=True, slots=True)
class Seen:
    """Of which organisations a caller may see records, and of which at least totals."""

    details: frozenset[UUID]
    totals: frozenset[UUID]

    @classmethod
    async def of(cls, session: ReadSession, principal: Principal, organisations: Iterable[UUID]) -> Seen:
        asked = set(organisations)
        details = asked - set(await refusals(session, principal, Permission.EMISSION_READ, asked))
        totals = asked - set(await refusals(session, principal, Permission.TOTALS_READ, asked))
        return cls(frozenset(details), frozenset(totals | details))

    def opens(self, node: Explained) -> bool:
        """Whether the caller may see what the node is made of, and what it rests on."""
        return node.organisation_id in (self.totals if node.kind is ExplainKind.TOTAL else self.details)


async def _hide(
    session: ReadSession, principal: Principal, pages: list[Page[Explained] | None]
) -> list[Page[Explained] | None]:
    """An organisation that lay below in that year and is out of the caller's reach today keeps its sum alone."""
    asked = {n.organisation_id for page in pages if page for n in page.rows if n.kind is ExplainKind.TOTAL}
    if not asked:
        return pages
    seen = await Seen.of(session, principal, asked)

    def shown(node: Explained) -> Explained:
        if node.kind is not ExplainKind.TOTAL or seen.opens(node):
            return node
        return replace(node, label=HIDDEN, detail=Words("", ""))

    return [page and page.map(shown) for page in pages]


async def _require_totals(session: ReadSession, principal: Principal, organisations: Collection[UUID]) -> None:
    """Totals may be seen by who sees records, too. Errors: NOT_FOUND, FORBIDDEN."""
    seen = await Seen.of(session, principal, organisations)
    for organisation in organisations:
        if organisation not in seen.totals:
            await require(session, principal, Permission.TOTALS_READ, organisation)


async def _owner(session: ReadSession, principal: Principal, source_id: UUID) -> UUID:
    """The organisation of a source the caller may read. Errors: NOT_FOUND, FORBIDDEN."""
    found = (await source_rows.sources(session, [source_id])).get(source_id)
    absent = not_found("EmissionSource", source_id, "subject", "sourceId")
    if found is None:
        raise absent
    refused = await refusals(session, principal, Permission.EMISSION_READ, [found.organisation_id])
    for error in refused.values():
        raise (absent if error.code is NOT_FOUND else error)
    return found.organisation_id


async def frame_of(session: ReadSession, subject: TotalSubject) -> Frame:
    """How consolidation puts the year together, by the boundary of its last day."""
    named_frame = Frame(subject.organisation_id, subject.year, ConsolidationApproach.OPERATIONAL_CONTROL, ())
    found = await BoundaryReader.effective(session, [subject.organisation_id], named_frame.day)
    boundary = found[subject.organisation_id]
    categories = tuple(Category(c.value) for c in boundary.categories)
    if subject.category is not None:
        categories = (subject.category,)
    approach = subject.approach or boundary.approach
    return replace(named_frame, approach=approach, categories=categories)


async def _total(session: ReadSession, frame: Frame, organisation: UUID, kind: ExplainKind) -> Explained:
    found = (await rows.totals(session, frame, [organisation])).get(organisation)
    if found is None:
        raise not_found("Organisation", organisation, "subject")
    return _of_organisation(frame, found, kind)


async def _source(session: ReadSession, frame: Frame, owner: UUID, key: UUID) -> Explained:
    own = await _total(session, frame, owner, ExplainKind.OWN)
    for source in (await _sources(session, frame, [own], _ALL, only=key))[0].rows:
        return replace(source, whole=None)
    raise not_found("EmissionSource", key, "subject")


def _of_organisation(frame: Frame, row: Row[Any], kind: ExplainKind, whole: Decimal | None = None) -> Explained:
    own = kind is ExplainKind.OWN
    name = named(row.code, row.name_zh, row.name_en)
    part = trimmed(row.part)
    told = Words(f"{name.zh}（{OWN_SOURCES.zh}）", f"{name.en} ({OWN_SOURCES.en})") if own else name
    counted = Words(f"计入比例 {part}", f"part that counts: {part}") if part != 1 else Words("", "")
    return Explained(
        kind=kind,
        frame=frame,
        subject_id=row.id,
        organisation_id=row.id,
        label=told,
        detail=counted,
        value=trimmed(row.own_t if own else row.co2e_t),
        part=part,
        whole=whole,
        records=row.own_records if own else row.records,
    )


async def _organisations(
    session: ReadSession, frame: Frame, parents: Nodes, request: PageRequest
) -> list[Page[Explained]]:
    listed = await rows.organisations_below(session, frame, [p.subject_id for p in parents], request)
    known = await rows.totals(session, frame, list({row.id for some in listed.values() for row in some}))

    def node(parent: Explained, row: Row[Any]) -> Explained:
        kind = ExplainKind.TOTAL if row.rank else ExplainKind.OWN
        return _of_organisation(frame, known[row.id], kind, parent.value)

    return pages_of(parents, listed, request, node, lambda row: (row.rank, row.code))


async def _sources(
    session: ReadSession, frame: Frame, parents: Nodes, request: PageRequest, only: UUID | None = None
) -> list[Page[Explained]]:
    listed = await rows.sources_of(session, frame, [p.subject_id for p in parents], request, only)

    return pages_of(parents, listed, request, source_of, lambda row: (row.code,))


async def _months(
    session: ReadSession, frame: Frame, parents: Nodes, request: PageRequest, only: UUID | None = None
) -> list[Page[Explained]]:
    listed = await rows.months_of(session, frame, [p.subject_id for p in parents], request, only)
    return pages_of(parents, listed, request, month_of, lambda row: (row.first_month, row.rank, row.id))


async def _records(session: ReadSession, _frame: Frame, parents: Nodes, request: PageRequest) -> list[Page[Explained]]:
    listed = await rows.records_of(session, [(p.subject_id, p.month) for p in parents], request)
    return pages_of(parents, listed, request, record_of, lambda row: (row.batch_id, row.line))


_Level = Callable[[ReadSession, Frame, Nodes, PageRequest], Awaitable[list[Page[Explained]]]]
_CHILDREN: Final[dict[ExplainKind, _Level]] = {
    ExplainKind.TOTAL: _organisations,
    ExplainKind.OWN: _sources,
    ExplainKind.SOURCE: _months,
    ExplainKind.STREAM_MONTH: _records,
    **dict.fromkeys(MADE_OF, made_of.pages),
}
