"""Use cases on activity: record, supersede, read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from backend.accounting.domain.activity import (
    MONTH_ALREADY_RECORDED,
    Batch,
    Line,
    batch_and_line,
    new_batch_id,
    pack,
    slot,
)
from backend.accounting.domain.records import (
    ALREADY_SUPERSEDED,
    RESULT_OVERLAPS,
    ActivityChange,
    ActivityRecord,
    NewActivity,
    Period,
    RecordFilter,
    checked_month,
    checked_reason,
)
from backend.accounting.domain.sources import Cadence, EmissionSource, Stream, pick_stream
from backend.accounting.repository import activity as rows
from backend.accounting.repository import records as declared_rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.repository.coefficients import counting_gases
from backend.accounting.service.batches import (
    Errors,
    check_size,
    common_organisation,
    reach_record,
    reach_sources,
    refuse_locked,
    refused_rows,
    sift,
    stop_if_refused,
)
from backend.accounting.service.coefficients import ensure_coefficients
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import read_number, to_canonical
from backend.kit.text import tidy
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


@dataclass(frozen=True, slots=True)
class _Line:
    """A row understood: its source, its stream, its month, the quantity in canonical units and as entered."""

    row: NewActivity
    source: EmissionSource
    stream: Stream
    day: date
    quantity: Decimal
    entered: Decimal


class ActivityService:
    """Activity data by the factor method, formula (2): E = Σ quantity × coefficient per stream and month."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def record(self, actor: Actor, new: Sequence[NewActivity], *, all_or_nothing: bool) -> Done[ActivityBatch]:
        """Record up to 1000 quantities, each judged on its own unless all or nothing is asked.

        Errors: BATCH_SIZE; per row NOT_FOUND, FORBIDDEN, STREAM_NOT_CHOSEN, MONTH_OUT_OF_RANGE, BAD_NUMBER,
        NUMBER_HAS_SEPARATORS, NUMBER_OUT_OF_RANGE, UNKNOWN_UNIT, UNIT_DOES_NOT_FIT, FACTOR_NOT_FOUND, RESULT_OVERLAPS.
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

    async def _judge(self, change: Change, new: Sequence[NewActivity]) -> tuple[dict[int, _Line], Errors]:
        errors: Errors = {}
        today = self.toolbox.clock.today()
        look_up = await reach_sources(change, Permission.EMISSION_RECORD, (n.source_id for n in new))
        streams = await source_rows.streams_of(change.unit, sorted({n.source_id for n in new}))

        def line(row: NewActivity) -> _Line:
            source = look_up(row.source_id)
            stream = pick_stream(streams.get(source.id, []), row.stream, source.code)
            checked_month(row.month, today, "month")
            entered = read_number(row.quantity)
            return _Line(row, source, stream, row.day, to_canonical(entered, row.unit, stream.unit), entered)

        lines = sift(dict(enumerate(new)), line, errors)
        await self._refuse(change, lines, errors)
        return lines, errors

    async def _refuse(self, change: Change, lines: dict[int, _Line], errors: Errors) -> None:
        """What only the database knows."""
        spans = {i: (x.source.organisation_id, Period(x.row.month)) for i, x in lines.items()}
        for i, error in (await refuse_locked(change.unit, spans)).items():
            errors[i] = error
            del lines[i]
        await self._refuse_what_is_there(change, lines, errors)
        await self._refuse_what_has_no_factor(change, lines, errors)
        await self._refuse_what_is_declared(change, lines, errors)

    @staticmethod
    async def _refuse_what_has_no_factor(change: Change, lines: dict[int, _Line], errors: Errors) -> None:
        wanted = [(x.stream, x.row.month.year) for x in lines.values()]
        missing = await ensure_coefficients(change.unit, wanted)
        for i, line in list(lines.items()):
            error = missing.get((line.stream.id, line.row.month.year))
            if error is not None:
                errors[i] = error.at("stream")
                del lines[i]

    @staticmethod
    async def _refuse_what_is_there(change: Change, lines: dict[int, _Line], errors: Errors) -> None:
        """A stream that is recorded once a month (a day) has one record then: earlier ones and earlier rows stay."""
        limited = {i: x for i, x in lines.items() if x.stream.cadence is not Cadence.EVENT}
        earlier = await rows.taken(change.unit, [(x.stream.id, x.row.month) for x in limited.values()])
        of = {x.stream.id: x.stream.cadence for x in limited.values()}
        known = {(stream, slot(of[stream], day)): str(record) for stream, day, record in earlier}
        for i, line in limited.items():
            key = (line.stream.id, slot(line.stream.cadence, line.day))
            if key not in known:
                known[key] = f"rows.{i}"
                continue
            errors[i] = MONTH_ALREADY_RECORDED(
                path=("month",),
                stream=line.stream.code,
                cadence=line.stream.cadence,
                when=line.day if line.stream.cadence is Cadence.DAILY else f"{line.day:%Y-%m}",
                earlier=known[key],
            )
            del lines[i]

    @staticmethod
    async def _refuse_what_is_declared(change: Change, lines: dict[int, _Line], errors: Errors) -> None:
        """What counts once may not count twice; a quantity that does not count may stand beside a declared result."""
        gases = await counting_gases(change.unit, {(x.stream.id, x.row.month) for x in lines.values()})
        asked = [(i, gas) for i, x in lines.items() for gas in sorted(gases.get((x.stream.id, x.row.month), ()))]
        wanted = [(lines[i].source.id, gas, Period(lines[i].row.month)) for i, gas in asked]
        clashes = await declared_rows.overlapping(change.unit, wanted, only_declared=True)
        for at, earlier in clashes.items():
            i, gas = asked[at]
            errors[i] = RESULT_OVERLAPS(path=("month",), gas=gas, earlier=earlier)
            lines.pop(i, None)

    @staticmethod
    async def _store(change: Change, lines: dict[int, _Line]) -> dict[int, ActivityRecord]:
        if not lines:
            return {}
        made = await _keep(change, lines)
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
                raise ALREADY_SUPERSEDED(path=("id",), at=str(old.superseded_at or "just now"))
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
        line = _Line(row, source, stream, row.day, to_canonical(entered, row.unit, stream.unit), entered)
        errors: Errors = {}
        await self._refuse(change, {0: line}, errors)
        for error in errors.values():
            raise error
        return (await _keep(change, {0: line}, old.line_id))[0]

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


async def _keep(change: Change, lines: dict[int, _Line], line_id: UUID | None = None) -> dict[int, ActivityRecord]:
    """Write the lines, those that share unit, evidence and note in one batch; the records they became."""
    shared = {i: (tidy(x.row.unit), tidy(x.row.evidence), tidy(x.row.note)) for i, x in lines.items()}
    batches = {key: Batch(new_batch_id(), *key, line_id=line_id) for key in dict.fromkeys(shared.values())}
    place = {key: n for n, key in enumerate(batches)}
    positions = sorted(lines, key=lambda i: (place[shared[i]], i))
    narrow = [Line(place[shared[i]], lines[i].stream.id, lines[i].day, lines[i].quantity) for i in positions]
    packs, ids = pack(narrow, list(batches.values()))
    await rows.store(change.unit, list(batches.values()), packs, change.actor.principal.member_id)
    moment = await declared_rows.now(change.unit)
    made = {i: _record(lines[i], key, line_id, moment) for i, key in zip(positions, ids, strict=True)}
    return dict(sorted(made.items()))


def _record(line: _Line, key: UUID, line_id: UUID | None, moment: datetime) -> ActivityRecord:
    return ActivityRecord(
        id=key,
        line_id=line_id or key,
        stream_id=line.stream.id,
        source_id=line.source.id,
        month=line.row.month,
        occurred_on=line.day,
        quantity=line.quantity,
        unit=line.stream.unit,
        entered_quantity=line.entered,
        entered_unit=tidy(line.row.unit),
        evidence=tidy(line.row.evidence),
        note=tidy(line.row.note),
        recorded_at=moment,
        superseded_at=None,
        superseded_because=None,
    )
