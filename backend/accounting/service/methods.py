"""Use cases on methods: setting and withdrawing a method of a stream, and choosing which class of a source counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain.bases import StreamBasis
from backend.accounting.domain.choices import (
    DEVIATION_NEEDS_REASON,
    METHOD_ABSENT,
    METHOD_UNCHANGED,
    NOTHING_WOULD_COUNT,
    THRESHOLD_RANGE,
    Chosen,
    Derived,
    NewChoice,
    NewDerivation,
    SourceMethod,
    preferred,
)
from backend.accounting.domain.methods.allowed import allowed, check_allowed
from backend.accounting.domain.months import checked_span
from backend.accounting.domain.parameters import NewBasis
from backend.accounting.domain.records import ALREADY_SUPERSEDED, Method, checked_reason
from backend.accounting.domain.sources import EmissionSource, Stream
from backend.accounting.repository import coefficients as coefficient_rows
from backend.accounting.repository import methods as rows
from backend.accounting.repository import results as result_rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.service.bases import (
    REPLACED,
    BasisSet,
    precedence_of,
    refuse_frozen,
    refuse_restatement,
    set_basis,
    withdraw_basis,
)
from backend.accounting.service.batches import reach_record, reach_sources
from backend.accounting.service.coefficients import Rederivation, rederive
from backend.accounting.service.long_work import Asked, Report, check_rehearsal, put_off, unheard
from backend.kit.database import UnitOfWork
from backend.kit.errors import NOT_FOUND, CodedError, not_found
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require_organisation
from tenants.commands import STALE_VERSION, Actor, Change, Done, perform

MOST_SHOWN: Final = 1000
REHEARSED: Final = "预演 rehearsal"
JOB: Final = "accounting.derive_anew"
CHOICE_JOB: Final = "accounting.choose_method"
CHOOSE: Final = "chooseSourceMethod"
DERIVE: Final = "deriveCoefficientsAnew"


@dataclass(frozen=True, slots=True)
class DerivedOrJob:
    """What deriving anew did, or the job that will do it."""

    done: Derived | None = None
    job_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class NewThreshold:
    """From which share of what counts a divergence is looked into; None: as the boundary's materiality says."""

    source_id: UUID
    share: Decimal | None
    reason: str


class MethodService:
    """Several methods of one source, and the one that counts (8.2.5; 6.2.3 note 3)."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def set(self, actor: Actor, stream_id: UUID, new: NewBasis) -> Done[BasisSet]:
        """Account a stream by a method in a span of months.

        Errors: NOT_FOUND, FORBIDDEN, METHOD_NOT_ALLOWED, METHOD_TERM_DOES_NOT_FIT, PERIOD_LOCKED, BASIS_OVERLAPS,
        RESTATEMENT_NEEDS_REASON, and those of the method and its parameters.
        """

        async def work(change: Change) -> BasisSet:
            stream, source = await _stream(change, stream_id)
            try:
                return await set_basis(change, source, stream, new, self.toolbox.clock.today())
            except CodedError as error:
                raise error.at("method") from error

        return await perform(
            self.toolbox, actor, "setStreamMethod", {"stream_id": stream_id, "new": new}, BasisSet, work
        )

    async def withdraw(self, actor: Actor, key: UUID, reason: str) -> Done[BasisSet]:
        """Take a basis away. Errors: NOT_FOUND, FORBIDDEN, REASON_MISSING, ALREADY_SUPERSEDED, PERIOD_LOCKED."""

        async def work(change: Change) -> BasisSet:
            because = checked_reason(reason)
            found = (await rows.bases(change.unit, [key])).get(key)
            if found is None:
                raise not_found("StreamBasis", key, "id")
            try:
                stream, source = await _stream(change, found.stream_id)
            except CodedError as error:
                absent = not_found("StreamBasis", key, "id")
                raise (absent if error.code is NOT_FOUND else error) from None
            if found.superseded_at is not None:
                raise ALREADY_SUPERSEDED(path=("id",), at=str(found.superseded_at))
            return await withdraw_basis(change, source, stream, found, because)

        return await perform(self.toolbox, actor, "withdrawStreamMethod", {"id": key, "reason": reason}, BasisSet, work)

    async def choose(self, actor: Actor, new: NewChoice) -> Done[Chosen]:
        """Let a class count for a source in a span of months; results follow in the same transaction.

        Errors: NOT_FOUND, FORBIDDEN, METHOD_NOT_ALLOWED, METHOD_ABSENT, METHOD_UNCHANGED, STALE_VERSION,
        DEVIATION_NEEDS_REASON, RESTATEMENT_NEEDS_REASON, NOTHING_WOULD_COUNT, PERIOD_LOCKED, BAD_MONTHS,
        RESULT_OVERLAPS, of a rehearsal REHEARSAL_TOO_LARGE. What concerns more months than a request may work on is
        left to a job; what does not depend on results is refused before.
        A rehearsal needs no reason: it shows what one would be given for.
        """
        reason = tidy(new.reason) or (REHEARSED if actor.dry_run else "")
        asked = replace(new, reason=reason, span=checked_span(new.span.first, new.span.last, "firstMonth"))

        async def work(change: Change) -> Chosen:
            source, streams = await _check_choice(change, asked)
            span = asked.span.first, asked.span.end
            months = await result_rows.how_many(change.unit, [s.id for s in streams], *span)
            if actor.dry_run:
                check_rehearsal(months)
            elif months > self.toolbox.at_once:
                job_id = await put_off(change, CHOICE_JOB, asked, source.organisation_id)
                return Chosen(source.id, job_id=job_id)
            return await _choose(change, source, streams, asked)

        done = await perform(self.toolbox, actor, CHOOSE, asked, Chosen, work)
        self.toolbox.wake_relay()
        return done

    async def carry_out_choice(self, unit: UnitOfWork, asked: Asked, report: Report) -> dict[str, Any]:
        """Choose what was left to a job, if who asked still may. Errors: as of `choose`."""
        change, new = await asked.change(unit, CHOOSE), asked.read(NewChoice)
        source, streams = await _check_choice(change, new)
        await report(0, 1, "choosing")
        done = await _choose(change, source, streams, new)
        await report(1, 1, "choosing")
        return {"source_id": str(source.id), "changed_months": len(done.changes)}

    async def derive_anew(self, actor: Actor, new: NewDerivation) -> Done[DerivedOrJob]:
        """Derive the coefficients of an organisation and all below it anew: after a change of the boundary's GWP set,
        or of what the library says. Submitted inventories keep theirs.

        Errors: NOT_FOUND, FORBIDDEN, REASON_MISSING, BAD_MONTHS, of a rehearsal REHEARSAL_TOO_LARGE. What concerns
        more months than a request may work on is left to a job.
        """
        asked = replace(new, span=checked_span(new.span.first, new.span.last, "firstMonth"))

        async def work(change: Change) -> DerivedOrJob:
            streams = await _streams_to_derive(change, asked)
            months = await result_rows.how_many(change.unit, streams, asked.span.first, asked.span.end)
            if actor.dry_run:
                check_rehearsal(months)
            elif months > self.toolbox.at_once:
                return DerivedOrJob(job_id=await put_off(change, JOB, asked, asked.organisation_id))
            return DerivedOrJob(await _derive_anew(change, asked, streams))

        done = await perform(self.toolbox, actor, DERIVE, asked, DerivedOrJob, work)
        self.toolbox.wake_relay()
        return done

    async def carry_out(self, unit: UnitOfWork, asked: Asked, report: Report) -> dict[str, Any]:
        """Derive anew what was left to a job, if who asked still may. Errors: as of `derive_anew`."""
        change, new = await asked.change(unit, DERIVE), asked.read(NewDerivation)
        done = await _derive_anew(change, new, await _streams_to_derive(change, new), report)
        return {"superseded": done.superseded, "made": done.made, "changed_months": done.changed_months}

    async def set_threshold(self, actor: Actor, new: NewThreshold) -> Done[EmissionSource]:
        """Set the share from which a divergence of this source raises an alarm. Errors: NUMBER_OUT_OF_RANGE …"""

        async def work(change: Change) -> EmissionSource:
            look_up = await reach_sources(change, Permission.EMISSION_MANAGE, [new.source_id])
            source, because = look_up(new.source_id), checked_reason(new.reason)
            if new.share is not None and not 0 <= new.share <= 1:
                raise THRESHOLD_RANGE(path=("share",), share=new.share)
            await rows.lock_source(change.unit, source.id)
            await rows.set_threshold(change.unit, source.id, new.share, because, actor.principal.member_id)
            await change.audit("EmissionSource", source.id, source.organisation_id, after=new)
            return source

        return await perform(self.toolbox, actor, "setDivergenceThreshold", new, EmissionSource, work)

    async def bases(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, StreamBasis]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.bases(session, keys, principal)

    async def bases_of(
        self, principal: Principal, stream_ids: Sequence[UUID], *, superseded: bool
    ) -> dict[UUID, list[StreamBasis]]:
        """The bases of streams the caller was given already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.bases_of(session, stream_ids, superseded=superseded)

    async def choices_of(
        self, principal: Principal, source_ids: Sequence[UUID], *, superseded: bool
    ) -> dict[UUID, list[SourceMethod]]:
        """What counts, or counted, for sources the caller was given already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.choices_of(session, source_ids, superseded=superseded)


async def _stream(change: Change, key: UUID) -> tuple[Stream, EmissionSource]:
    found = (await source_rows.streams(change.unit, [key])).get(key)
    try:
        return await reach_record(change, Permission.EMISSION_MANAGE, "EmissionStream", key, found)
    except CodedError as error:
        raise CodedError(error.code, ("streamId",), error.params) from error


async def _streams_to_derive(change: Change, asked: NewDerivation) -> list[UUID]:
    await change.require(Permission.EMISSION_MANAGE, asked.organisation_id)
    await require_organisation(change.unit, asked.organisation_id, "organisationId")
    checked_reason(asked.reason)
    return await coefficient_rows.streams_below(change.unit, asked.organisation_id)


async def _derive_anew(
    change: Change, asked: NewDerivation, streams: Sequence[UUID], report: Report = unheard
) -> Derived:
    because, at = checked_reason(asked.reason), asked.organisation_id
    span = asked.span.first, asked.span.end
    done = await rederive(change.unit, streams, *span, because, most=MOST_SHOWN, report=report)
    await change.audit("Organisation", at, at, after=asked)
    return _derived(done)


def _derived(done: Rederivation) -> Derived:
    return Derived(
        superseded=done.superseded,
        made=done.made,
        changed_months=done.changes.months,
        old_t=done.changes.old_t,
        new_t=done.changes.new_t,
        changes=tuple(done.changes.first),
        without_value=tuple(sorted({key for key, _ in done.errors}, key=str))[:MOST_SHOWN],
        frozen=tuple(i.period for i in done.frozen),
    )


async def _check_version(change: Change, asked: NewChoice) -> None:
    if asked.expected_version is None:
        return
    ever = await rows.choices_of(change.unit, [asked.source_id], superseded=True)
    actual = len(ever.get(asked.source_id, []))
    if actual != asked.expected_version:
        raise STALE_VERSION(path=("expectedVersion",), actual=actual, expected=asked.expected_version)


async def _check_choice(change: Change, asked: NewChoice) -> tuple[EmissionSource, list[Stream]]:
    """The source and its streams, once nobody else writes and the choice may be made."""
    look_up = await reach_sources(change, Permission.EMISSION_MANAGE, [asked.source_id])
    source = look_up(asked.source_id)
    check_allowed(asked.method, source.category, source.direct_kind)
    await result_rows.alone(change.unit)
    await rows.lock_source(change.unit, source.id)
    await _check_version(change, asked)
    streams = (await source_rows.streams_of(change.unit, [source.id])).get(source.id, [])
    await _check_class(change, source, streams, asked)
    return source, streams


async def _choose(change: Change, source: EmissionSource, streams: Sequence[Stream], asked: NewChoice) -> Chosen:
    before = await _replace_choices(change, asked)
    return await _follow(change, source, streams, asked, before)


async def _check_class(change: Change, source: EmissionSource, streams: Sequence[Stream], asked: NewChoice) -> None:
    await refuse_frozen(change.unit, source.organisation_id, asked.span)
    classes = (await rows.classes_of(change.unit, [source.id], asked.span)).get(source.id, set())
    available = (classes or {Method.FACTOR}) & allowed(source.category, source.direct_kind)
    if asked.method not in available:
        raise METHOD_ABSENT(
            path=("method",), method=asked.method, months=str(asked.span), known=tuple(sorted(available))
        )
    first = preferred(available, precedence_of({s.programme for s in streams}))
    if asked.method is not first and not asked.reason:
        raise DEVIATION_NEEDS_REASON(path=("reason",), preferred=first, method=asked.method, source="8.2.5")


async def _replace_choices(change: Change, asked: NewChoice) -> list[SourceMethod]:
    """Take the months out of what counted in them; what that held outside the span it goes on holding."""
    held = (await rows.choices_of(change.unit, [asked.source_id])).get(asked.source_id, [])
    before = [c for c in held if c.span.meets(asked.span)]
    if all(c.method is asked.method for c in before):
        raise METHOD_UNCHANGED(path=("method",), method=asked.method)
    await rows.supersede_choices(change.unit, [c.id for c in before], asked.reason or REPLACED)
    rest = [(c.source_id, c.method, left, c.reason) for c in before for left in c.span.without(asked.span)]
    new = (asked.source_id, asked.method, asked.span, asked.reason)
    await rows.insert_choices(change.unit, [*rest, new], change.actor.principal.member_id)
    return before


async def _follow(
    change: Change, source: EmissionSource, streams: Sequence[Stream], asked: NewChoice, before: list[SourceMethod]
) -> Chosen:
    which = ([s.id for s in streams], asked.span.first, asked.span.end)
    changes = await result_rows.pending(change.unit, *which)
    refuse_restatement(changes, asked.reason)
    await result_rows.recalculate(change.unit, *which)
    found = await result_rows.months_without_result(change.unit, [source.id], asked.span.first, asked.span.end)
    if empty := found.get(source.id):
        shown = ", ".join(f"{month:%Y-%m}" for month in empty[:12])
        raise NOTHING_WOULD_COUNT(path=("method",), months=shown, method=asked.method, source="8.2.5")
    await change.audit("EmissionSource", source.id, source.organisation_id, before=before, after=asked)
    return Chosen(source.id, tuple(changes))
