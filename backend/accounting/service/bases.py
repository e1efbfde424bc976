"""Bases of streams: made ready, kept, replaced, and what follows for coefficients and results.

For use cases inside a unit of work: setting a method, creating sources with methods, and measured parameters that
become a basis each month.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from backend.accounting.domain.bases import BASIS_OVERLAPS, PARAMETER_TWICE, Part, StreamBasis
from backend.accounting.domain.choices import (
    DEVIATION_NEEDS_REASON,
    RESTATEMENT_NEEDS_REASON,
    choices_at_first,
    preferred,
)
from backend.accounting.domain.factors import DEFAULT_GWP_SET, Library
from backend.accounting.domain.inventories import PERIOD_LOCKED
from backend.accounting.domain.measured_once import check_measured_once
from backend.accounting.domain.methods.allowed import check_allowed, precedence
from backend.accounting.domain.methods.kinds import METHOD_OF
from backend.accounting.domain.methods.registry import METHODS
from backend.accounting.domain.months import ALWAYS, Span, checked_span
from backend.accounting.domain.parameters import NewBasis
from backend.accounting.domain.records import Method
from backend.accounting.domain.results import MonthChange
from backend.accounting.domain.sources import EmissionSource, Programme, Stream
from backend.accounting.repository import inventories as inventory_rows
from backend.accounting.repository import methods as rows
from backend.accounting.repository import results as result_rows
from backend.accounting.service.adopted import library_at
from backend.accounting.service.coefficients import derived, rederive
from backend.kit.database import ReadSession
from backend.kit.errors import CodedError, rule
from backend.kit.ids import uuid7
from backend.kit.text import tidy
from tenants.access import Permission
from tenants.commands import Change

REPLACED: Final = "被后来的设置取代 (replaced by a later one)"

_NOT_YET: Final = datetime.min.replace(tzinfo=UTC)

METHOD_TERM = rule(
    "METHOD_TERM_DOES_NOT_FIT",
    en="The method {method} does not account {term}; it is for: {fitting}.",
    zh="方法 {method} 不适用于 {term}；适用于：{fitting}。",
)


@dataclass(frozen=True, slots=True)
class BasisSet:
    """The basis that holds now (None: it was withdrawn), and each stream-month whose emission changes with it."""

    basis: StreamBasis | None
    changes: tuple[MonthChange, ...]


def prepared_basis(source: EmissionSource, stream: Stream, new: NewBasis, library: Library, today: date) -> StreamBasis:
    """A basis ready to be kept; its coefficient for the latest month up to today is derived to see that it can be.

    Errors: METHOD_NOT_ALLOWED, METHOD_TERM_DOES_NOT_FIT, PARAMETER_TWICE, BAD_MONTHS, those of the method.
    """
    spec = METHODS[new.kind]
    check_allowed(METHOD_OF[new.kind], source.category, source.direct_kind)
    if not spec.fits_source(source.category, source.direct_kind):
        within_direct = source.direct_kind is not None and source.category in spec.categories
        fitting = tuple(sorted(spec.direct_kinds if within_direct else spec.categories))
        term = source.direct_kind or source.category
        raise METHOD_TERM(path=("kind",), method=new.kind, term=term, fitting=fitting)
    names = [p.name for p in new.parameters]
    for name in (n for n in names if names.count(n) > 1):
        raise PARAMETER_TWICE(path=("parameters", name), name=name[:60])
    made = StreamBasis(
        id=uuid7(),
        stream_id=stream.id,
        method=METHOD_OF[new.kind],
        kind=new.kind,
        parameters=tuple(replace(p, source=tidy(p.source), unit=tidy(p.unit)) for p in new.parameters),
        gas=tidy(new.gas),
        formula=tidy(new.formula),
        span=checked_span(new.span.first, new.span.last, "firstMonth"),
        reason=tidy(new.reason),
        evidence=tidy(new.evidence),
        recorded_at=_NOT_YET,
    )
    latest = max(made.span.first, min(made.span.end, today.replace(day=1)))
    derived(stream, Part(made.method, latest, latest, made), library, DEFAULT_GWP_SET)
    return made


async def keep_bases(change: Change, made: Sequence[StreamBasis]) -> None:
    """Errors: BASIS_OVERLAPS."""
    if made:
        await rows.insert_bases(change.unit, made, change.actor.principal.member_id)


async def first_choices(
    change: Change, sources: Sequence[EmissionSource], streams: Mapping[UUID, Stream], bases: Sequence[StreamBasis],
    asked: Mapping[UUID, Method] = MappingProxyType({}),
) -> None:  # fmt: skip
    """Keep the bases of new streams, and for each new source the class that counts: the one asked for, else by
    precedence of what it has.
    """
    await keep_bases(change, bases)
    programmes: dict[UUID, set[Programme]] = {}
    with_default: set[UUID] = set()
    spans: dict[UUID, list[tuple[Method, Span]]] = {}
    for stream in streams.values():
        programmes.setdefault(stream.source_id, set()).add(stream.programme)
        if stream.has_default:
            with_default.add(stream.source_id)
    for basis in bases:
        spans.setdefault(streams[basis.stream_id].source_id, []).append((basis.method, basis.span))
    chosen = []
    for s in sources:
        if s.id in asked:
            chosen.append((s.id, asked[s.id], ALWAYS, ""))
            continue
        by_default = {Method.FACTOR} if s.id in with_default else set()
        found = choices_at_first(spans.get(s.id, []), by_default, precedence_of(programmes.get(s.id, set())))
        chosen += [(s.id, method, span, "") for method, span in found]
    if chosen:
        await rows.insert_choices(change.unit, chosen, change.actor.principal.member_id)


def check_first_choice(
    method: Method, source: EmissionSource, streams: Sequence[Stream], bases: Sequence[StreamBasis]
) -> None:
    """Whether a class may count for a new source from the beginning. Errors: METHOD_NOT_ALLOWED,
    DEVIATION_NEEDS_REASON where a class its streams have comes first.
    """
    check_allowed(method, source.category, source.direct_kind)
    available = {method} | {b.method for b in bases} | {Method.FACTOR for s in streams if s.has_default}
    first = preferred(available, precedence_of({s.programme for s in streams}))
    if method is not first:
        raise DEVIATION_NEEDS_REASON(path=("method",), preferred=first, method=method, source="8.2.5")


def precedence_of(programmes: Sequence[Programme] | set[Programme]) -> tuple[Method, ...]:
    """Of a source: the programme's, where one of its streams follows one that differs."""
    special = [p for p in Programme if p in programmes and p is not Programme.GENERAL]
    return precedence(special[0] if special else Programme.GENERAL)


async def set_basis(change: Change, source: EmissionSource, stream: Stream, new: NewBasis, today: date) -> BasisSet:
    """Account a stream by a method in a span of months, instead of what it had of that class.

    Coefficients are derived anew and results follow, in the same transaction. Errors: those of `prepared_basis`,
    PERIOD_LOCKED, MEASURED_STAYS_MEASURED, BASIS_OVERLAPS and RESTATEMENT_NEEDS_REASON without a reason.
    """
    await result_rows.alone(change.unit)
    library = await library_at(change.unit, source.organisation_id)
    made = prepared_basis(source, stream, new, library, today)
    await refuse_frozen(change.unit, source.organisation_id, made.span)
    held = (await rows.bases_of(change.unit, [stream.id])).get(stream.id, [])
    before = [b for b in held if b.method is made.method and b.span.meets(made.span)]
    if before and not made.reason:
        months = ", ".join(str(b.span) for b in before)
        raise BASIS_OVERLAPS(path=("reason",), method=made.method, months=months)
    by = await _measured_once(change, source, stream, held, made.span, made, made.reason)
    await _replace(change, before, made.span, made.reason, by)
    await keep_bases(change, [replace(made, went_back_by=by)])
    changes = await _follow(change, stream, made.method, made.span, made.reason)
    kept = (await rows.bases(change.unit, [made.id]))[made.id]
    await change.audit("StreamBasis", made.id, source.organisation_id, before=before, after=kept)
    return BasisSet(kept, changes)


async def withdraw_basis(
    change: Change, source: EmissionSource, stream: Stream, basis: StreamBasis, reason: str
) -> BasisSet:
    """Take a basis away; where it was of the class FACTOR, the library's defaults come back.

    Errors: PERIOD_LOCKED, MEASURED_STAYS_MEASURED.
    """
    await result_rows.alone(change.unit)
    await refuse_frozen(change.unit, source.organisation_id, basis.span)
    held = (await rows.bases_of(change.unit, [stream.id])).get(stream.id, [])
    by = await _measured_once(change, source, stream, held, basis.span, None, reason)
    await _replace(change, [basis], basis.span, reason, by)
    changes = await _follow(change, stream, basis.method, basis.span, reason)
    await change.audit("StreamBasis", basis.id, source.organisation_id, before=basis, after={"reason": reason})
    return BasisSet(None, changes)


async def _measured_once(
    change: Change, source: EmissionSource, stream: Stream, held: Sequence[StreamBasis], span: Span,
    new: StreamBasis | None, reason: str,
) -> UUID | None:  # fmt: skip
    """A measured parameter stays measured, but where somebody who may approve emissions says why it does not: who.

    The database holds the same, and takes such a change only with that name. Errors: MEASURED_STAYS_MEASURED.
    """
    if not stream.material:
        return None
    try:
        check_measured_once(held, span, new)
    except CodedError:
        refused = await change.refusals(Permission.EMISSION_APPROVE, [source.organisation_id])
        if refused or not reason:
            raise
        return change.actor.principal.member_id
    return None


async def _replace(
    change: Change, before: Sequence[StreamBasis], span: Span, reason: str, went_back_by: UUID | None
) -> None:
    """Supersede bases; what they held outside the span they go on holding."""
    await rows.supersede_bases(change.unit, [b.id for b in before], reason or REPLACED, went_back_by)
    rest = [replace(b, id=uuid7(), span=left) for b in before for left in b.span.without(span)]
    await keep_bases(change, rest)


async def _follow(change: Change, stream: Stream, method: Method, span: Span, reason: str) -> tuple[MonthChange, ...]:
    done = await rederive(change.unit, [stream.id], span.first, span.end, reason or REPLACED)
    for (_, failed), error in done.errors.items():
        if failed is method:
            raise error
    changes = tuple(done.changes.first)
    refuse_restatement(changes, reason)
    return changes


def refuse_restatement(changes: Sequence[MonthChange], reason: str) -> None:
    """What changes results needs a reason; a month that had no coefficient so far gets its first result.

    Errors: RESTATEMENT_NEEDS_REASON.
    """
    moved = [c.month for c in changes if c.old_coefficient_id is not None and c.old_t != c.new_t]
    if moved and not reason:
        raise RESTATEMENT_NEEDS_REASON(
            path=("reason",), count=len(moved), first=f"{min(moved):%Y-%m}", last=f"{max(moved):%Y-%m}"
        )


async def refuse_frozen(session: ReadSession, organisation_id: UUID, span: Span) -> None:
    """Errors: PERIOD_LOCKED when an inventory of the organisation that is submitted lies in the span."""
    for found in await inventory_rows.frozen(session, [organisation_id]):
        if span.meets(Span(found.first_month, found.each_month[-1])):
            raise PERIOD_LOCKED(path=("firstMonth",), period=found.period, state=found.state)
