"""Use cases on activity: record, supersede, read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from backend.accounting.domain.activity import batch_and_line
from backend.accounting.domain.records import (
    ALREADY_SUPERSEDED,
    ActivityChange,
    ActivityRecord,
    NewActivity,
    RecordFilter,
    checked_month,
    checked_reason,
    when_superseded,
)
from backend.accounting.domain.sources import EmissionSource, Stream, check_sign, pick_stream
from backend.accounting.repository import activity as rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.service.batches import (
    Errors,
    check_size,
    common_organisation,
    reach_record,
    reach_sources,
    read_apart,
    refused_rows,
    sift,
    stop_if_refused,
)
from backend.accounting.service.lines import Understood, keep, refuse
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import read_number, to_canonical
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, Refused, perform


@dataclass(frozen=True, slots=True)
class ActivityOutcome:
    """What became of one row: the record, or why there is none."""

    record: ActivityRecord | None
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class ActivityBatch:
    """What became of a call, row by row."""

    outcomes: tuple[ActivityOutcome, ...]


class ActivityService:
    """Activity data by the factor method, formula (2): E = Σ quantity × coefficient per stream and month."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def record(
        self, actor: Actor, new: Sequence[NewActivity | Refused], *, all_or_nothing: bool
    ) -> Done[ActivityBatch]:
        """Record up to 1000 quantities, each judged on its own unless all or nothing is asked; a row that could not be
        read stands as its refusal.

        Errors: BATCH_SIZE; per row NOT_FOUND, FORBIDDEN, STREAM_NOT_CHOSEN, UNKNOWN_STREAM, MONTH_OUT_OF_RANGE,
        BAD_NUMBER, NUMBER_HAS_SEPARATORS, NUMBER_OUT_OF_RANGE, NEGATIVE_QUANTITY, UNKNOWN_UNIT, UNIT_DOES_NOT_FIT,
        FACTOR_NOT_FOUND, RESULT_OVERLAPS.
        """
        check_size(len(new))

        async def work(change: Change) -> ActivityBatch:
            lines, errors = await self._judge(change, new)
            refused = refused_rows(errors)
            stop_if_refused(errors, all_or_nothing, lambda: _batch(len(new), {}, refused))
            made = await self._store(change, lines)
            return _batch(len(new), made, refused)

        body = {"rows": list(new), "all_or_nothing": all_or_nothing}
        return await perform(self.toolbox, actor, "recordActivity", body, ActivityBatch, work)

    async def _judge(
        self, change: Change, new: Sequence[NewActivity | Refused]
    ) -> tuple[dict[int, Understood], Errors]:
        read, errors = read_apart(new)
        today = self.toolbox.clock.today()
        look_up = await reach_sources(change, Permission.EMISSION_RECORD, (n.source_id for n in read.values()))
        streams = await source_rows.streams_of(change.unit, sorted({n.source_id for n in read.values()}))

        def line(row: NewActivity) -> Understood:
            source = look_up(row.source_id)
            stream = pick_stream(streams.get(source.id, []), row.stream, source.code)
            checked_month(row.month, today, "month")
            entered = read_number(row.quantity)
            check_sign(entered, source, stream)
            return Understood(row, source, stream, row.day, to_canonical(entered, row.unit, stream.unit), entered)

        lines = sift(read, line, errors)
        await refuse(change, lines, errors)
        return lines, errors

    @staticmethod
    async def _store(change: Change, lines: dict[int, Understood]) -> dict[int, ActivityRecord]:
        if not lines:
            return {}
        made = await keep(change, lines)
        about = common_organisation([x.source for x in lines.values()])
        first, _ = batch_and_line(next(iter(made.values())).id)
        await change.audit("ActivityBatch", first, about, after=list(made.values()))
        return made

    async def supersede(
        self, actor: Actor, key: UUID, reason: str, changed: ActivityChange | None
    ) -> Done[ActivityRecord]:
        """Replace a record by a new version, or (without a change) withdraw it; the old one stays readable.

        Answers the new version, or the withdrawn record. Errors: NOT_FOUND, FORBIDDEN, ALREADY_SUPERSEDED,
        REASON_MISSING and those of recording.
        """

        async def work(change: Change) -> ActivityRecord:
            because = checked_reason(reason)
            old, source = await self._own(change, key)
            member = change.actor.principal.member_id
            if old.superseded_at or not await rows.withdraw(change.unit, old, because, member):
                raise ALREADY_SUPERSEDED(path=("id",), **when_superseded(old.superseded_at))
            stream = (await source_rows.streams(change.unit, [old.stream_id]))[old.stream_id]
            new = await self._replace(change, old, source, stream, changed) if changed else None
            latest = new or (await rows.records(change.unit, [key]))[key]
            await change.audit("ActivityRecord", latest.id, source.organisation_id, before=old, after=latest)
            return latest

        body = {"id": key, "reason": reason, "change": changed}
        return await perform(self.toolbox, actor, "supersedeActivity", body, ActivityRecord, work)

    @staticmethod
    async def _own(change: Change, key: UUID) -> tuple[ActivityRecord, EmissionSource]:
        old = (await rows.records(change.unit, [key])).get(key)
        return await reach_record(change, Permission.EMISSION_RECORD, "ActivityRecord", key, old)

    async def _replace(
        self, change: Change, old: ActivityRecord, source: EmissionSource, stream: Stream, changed: ActivityChange
    ) -> ActivityRecord:
        row = NewActivity(
            source_id=source.id,
            month=checked_month(changed.month or old.month, self.toolbox.clock.today(), "month"),
            quantity=changed.quantity or str(old.entered_quantity),
            unit=changed.unit or old.entered_unit,
            occurred_on=None if changed.month else old.occurred_on,
            evidence=old.evidence if changed.evidence is None else changed.evidence,
            note=old.note if changed.note is None else changed.note,
        )
        entered = read_number(row.quantity)
        check_sign(entered, source, stream)
        line = Understood(row, source, stream, row.day, to_canonical(entered, row.unit, stream.unit), entered)
        errors: Errors = {}
        await refuse(change, {0: line}, errors)
        for error in errors.values():
            raise error
        return (await keep(change, {0: line}, old.line_id))[0]

    async def page(self, principal: Principal, wanted: RecordFilter, request: PageRequest) -> Page[ActivityRecord]:
        """Errors: NOT_FOUND, FORBIDDEN for an organisation out of reach."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if wanted.organisation_id is not None:
                await require(session, principal, Permission.EMISSION_READ, wanted.organisation_id)
            return await rows.page(session, principal, wanted, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, ActivityRecord]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.records(session, keys, principal)

    async def versions(self, principal: Principal, lines: Sequence[UUID]) -> dict[UUID, list[ActivityRecord]]:
        """Every version of lines the caller was given a record of already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.versions(session, lines)


def _batch(count: int, made: dict[int, ActivityRecord], refused: dict[int, Refused]) -> ActivityBatch:
    return ActivityBatch(tuple(ActivityOutcome(made.get(i), refused.get(i)) for i in range(count)))
