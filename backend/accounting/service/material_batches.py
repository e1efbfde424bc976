"""Use cases on batches with quality: record, supersede, means, and the bases that follow from means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from backend.accounting.domain.bases import StreamBasis
from backend.accounting.domain.months import Span, checked_year
from backend.accounting.domain.parameters import BasisParameter, NewBasis
from backend.accounting.domain.quality_batches import (
    BATCH_TAKEN,
    MEAN_OF_BATCHES,
    NO_BASIS_OF_MEAN,
    TAKES,
    MaterialBatch,
    NewBatch,
    QualityMean,
    QualityParameter,
    applied,
    checked_batch,
    means,
)
from backend.accounting.domain.records import ALREADY_SUPERSEDED, checked_month, checked_reason, when_superseded
from backend.accounting.domain.results import MonthChange
from backend.accounting.domain.sources import Stream
from backend.accounting.repository import measurements as rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.service.bases import set_basis
from backend.accounting.service.batches import check_size, read_apart, refused_rows, sift, stop_if_refused
from backend.accounting.service.derivation import reach, reach_streams
from backend.kit.database import ReadSession
from backend.kit.errors import not_found
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal
from tenants.commands import Actor, Change, Done, Refused, perform


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What became of one row: the batch, or why there is none."""

    batch: MaterialBatch | None
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class MaterialBatches:
    """What became of a call, row by row."""

    outcomes: tuple[BatchOutcome, ...]


@dataclass(frozen=True, slots=True)
class Applied:
    """The mean that was applied, the basis it became, and what changes with it."""

    mean: QualityMean
    basis: StreamBasis
    changes: tuple[MonthChange, ...]


class BatchService:
    """Batches of streams (Table 3: quality by batch, day or month)."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def record(
        self, actor: Actor, new: Sequence[NewBatch | Refused], *, all_or_nothing: bool
    ) -> Done[MaterialBatches]:
        """Record up to 1000 batches, each judged on its own unless all or nothing is asked.

        Errors: BATCH_SIZE; per row NOT_FOUND, FORBIDDEN, BATCH_TAKEN, BAD_BATCH, QUALITY_UNIT, QUALITY_RANGE,
        QUALITY_BASIS, UNIT_DOES_NOT_FIT, MONTH_OUT_OF_RANGE.
        """
        check_size(len(new))

        async def work(change: Change) -> MaterialBatches:
            read, errors = read_apart(new)
            find = await reach_streams(change, Permission.EMISSION_RECORD, (n.stream_id for n in read.values()))
            streams = sorted({n.stream_id for n in read.values()})
            kept = await rows.current(
                change.unit, MaterialBatch, ("id",), stream_id=streams, day=[n.day for n in read.values()]
            )
            taken = {(b.stream_id, b.day, b.code) for b in kept}

            def judged(row: NewBatch) -> MaterialBatch:
                made = self._checked(row, find(row.stream_id).stream)
                if (made.stream_id, made.day, made.code) in taken:
                    raise BATCH_TAKEN(path=("code",), code=made.code, day=made.day)
                taken.add((made.stream_id, made.day, made.code))
                return made

            made = sift(read, judged, errors)
            refused = refused_rows(errors)
            stop_if_refused(errors, all_or_nothing, lambda: _batch(len(new), {}, refused))
            if made:
                await rows.insert(change.unit, list(made.values()), actor.principal.member_id)
                owners = {find(b.stream_id).organisation_id for b in made.values()}
                about = owners.pop() if len(owners) == 1 else None
                await change.audit("MaterialBatch", next(iter(made.values())).id, about, after=list(made.values()))
            return _batch(len(new), made, refused)

        body = {"rows": list(new), "all_or_nothing": all_or_nothing}
        return await perform(self.toolbox, actor, "recordMaterialBatches", body, MaterialBatches, work)

    def _checked(self, row: NewBatch, stream: Stream) -> MaterialBatch:
        checked_month(row.day, self.toolbox.clock.today(), "day")
        return checked_batch(row, stream)

    async def supersede(self, actor: Actor, key: UUID, reason: str, new: NewBatch | None) -> Done[MaterialBatch]:
        """Put another version in the place of a batch of the same stream, or withdraw it.

        Errors: NOT_FOUND, FORBIDDEN, ALREADY_SUPERSEDED, REASON_MISSING and those of recording.
        """

        async def work(change: Change) -> MaterialBatch:
            because = checked_reason(reason)
            old, place = await reach(change, Permission.EMISSION_RECORD, MaterialBatch, key)
            if old.superseded_at or not await rows.supersede(change.unit, old, because):
                raise ALREADY_SUPERSEDED(path=("id",), **when_superseded(old.superseded_at))
            latest = (await rows.by_ids(change.unit, MaterialBatch, [key]))[key]
            if new is not None:
                if new.stream_id != old.stream_id:
                    raise not_found("EmissionStream", new.stream_id, "change", "streamId")
                latest = self._checked(new, place.stream)
                await rows.insert(change.unit, [latest], actor.principal.member_id)
            await change.audit("MaterialBatch", latest.id, place.organisation_id, before=old, after=latest)
            return latest

        body = {"id": key, "reason": reason, "new": new}
        return await perform(self.toolbox, actor, "supersedeMaterialBatch", body, MaterialBatch, work)

    async def means(self, principal: Principal, stream_id: UUID, year: int) -> list[QualityMean]:
        """The means of a stream the caller may read, by month and of the year. Errors: NOT_FOUND, YEAR_OUT_OF_RANGE."""
        checked_year(year, "year")
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            stream = (await source_rows.streams(session, [stream_id], principal)).get(stream_id)
            if stream is None:
                raise not_found("EmissionStream", stream_id, "streamId")
            return await _means(session, stream, year)

    async def apply(
        self, actor: Actor, stream_id: UUID, month: date, parameter: QualityParameter, reason: str
    ) -> Done[Applied]:
        """Account a month of a stream by the mean of its batches: measured NCV, or measured carbon.

        Errors: NOT_FOUND, FORBIDDEN, NOT_TESTED, PERIOD_LOCKED, RESTATEMENT_NEEDS_REASON, BASIS_OVERLAPS, those of the
        method.
        """

        async def work(change: Change) -> Applied:
            place = (await reach_streams(change, Permission.EMISSION_MANAGE, [stream_id]))(stream_id)
            checked_month(month, self.toolbox.clock.today(), "month")
            if parameter not in TAKES:
                raise NO_BASIS_OF_MEAN(path=("parameter",), parameter=parameter, known=tuple(TAKES))
            mean = applied(await _means(change.unit, place.stream, month.year), month, parameter)
            basis = _basis(mean, month, tidy(reason))
            done = await set_basis(change, place.source, place.stream, basis, self.toolbox.clock.today())
            assert done.basis is not None
            return Applied(mean, done.basis, done.changes)

        body = {"stream": stream_id, "month": month, "parameter": parameter, "reason": reason}
        return await perform(self.toolbox, actor, "applyQualityMeans", body, Applied, work)


async def _means(session: ReadSession, stream: Stream, year: int) -> list[QualityMean]:
    batches = await rows.batches_of(session, stream.id, year)
    return means(stream, batches, await rows.consumed(session, stream.id, year))


def _basis(mean: QualityMean, month: date, reason: str) -> NewBasis:
    kind, name = TAKES[mean.parameter]
    codes = ", ".join(b.code + ("*" if b.defaulted else "") for b in mean.batches)
    source = f"{MEAN_OF_BATCHES} {month:%Y-%m}: {codes[:200] or '缺省值 default*'}"
    given = BasisParameter(name, mean.value, mean.unit, source)
    return NewBasis(kind, (given,), Span(month, month), reason=reason)


def _batch(count: int, made: dict[int, MaterialBatch], refused: dict[int, Refused]) -> MaterialBatches:
    return MaterialBatches(tuple(BatchOutcome(made.get(i), refused.get(i)) for i in range(count)))
