"""Activity lines on their way into the books: what refuses them, and how they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from backend.accounting.domain.activity import (
    MONTH_ALREADY_RECORDED,
    Batch,
    Line,
    as_recorded,
    month_is_derived,
    new_batch_id,
    pack,
    slot,
)
from backend.accounting.domain.records import (
    DERIVED,
    RESULT_OVERLAPS,
    ActivityRecord,
    BatchOrigin,
    NewActivity,
    Period,
)
from backend.accounting.domain.sources import Cadence, EmissionSource, Stream
from backend.accounting.repository import activity as rows
from backend.accounting.repository import measurements as measured_rows
from backend.accounting.repository import records as declared_rows
from backend.accounting.repository.coefficients import counting_gases
from backend.accounting.service.batches import Errors, refuse_locked
from backend.accounting.service.coefficients import ensure_coefficients
from backend.kit.ids import global_id
from backend.kit.text import tidy
from tenants.commands import Change


@dataclass(frozen=True, slots=True)
class Understood:
    """A row understood: its source, its stream, its month, the quantity in canonical units and as entered."""

    row: NewActivity
    source: EmissionSource
    stream: Stream
    day: date
    quantity: Decimal
    entered: Decimal

    @property
    def shared(self) -> tuple[str, str, str]:
        """What it may share with other lines of its batch: unit, evidence and note."""
        return tidy(self.row.unit), tidy(self.row.evidence), tidy(self.row.note)


async def refuse(change: Change, lines: dict[int, Understood], errors: Errors, *, derived: bool = False) -> None:
    """What only the database knows. `derived`: a line that is to stand alone in its month, whatever the cadence."""
    spans = {i: (x.source.organisation_id, Period(x.row.month)) for i, x in lines.items()}
    for i, error in (await refuse_locked(change.unit, spans)).items():
        errors[i] = error
        del lines[i]
    await _refuse_what_follows(change, lines, errors)
    await _refuse_what_is_there(change, lines, errors, derived=derived)
    await _refuse_what_has_no_factor(change, lines, errors)
    await _refuse_what_is_declared(change, lines, errors)


async def _refuse_what_has_no_factor(change: Change, lines: dict[int, Understood], errors: Errors) -> None:
    wanted = [(x.stream, x.row.month.year) for x in lines.values()]
    missing = await ensure_coefficients(change.unit, wanted)
    for i, line in list(lines.items()):
        error = missing.get((line.stream.id, line.row.month.year))
        if error is not None:
            errors[i] = error.at("stream")
            del lines[i]


async def _refuse_what_is_there(change: Change, lines: dict[int, Understood], errors: Errors, *, derived: bool) -> None:
    """A stream that is recorded once a month (a day) has one record then: earlier ones and earlier rows stay."""

    def cadence(stream: Stream) -> Cadence:
        return Cadence.MONTHLY if derived else stream.cadence

    limited = {i: x for i, x in lines.items() if cadence(x.stream) is not Cadence.EVENT}
    earlier = await rows.taken(change.unit, [(x.stream.id, x.row.month) for x in limited.values()])
    of = {x.stream.id: cadence(x.stream) for x in limited.values()}
    known = {
        (stream, slot(of[stream], day)): (global_id("ActivityRecord", record),) * 2 for stream, day, record in earlier
    }
    for i, line in limited.items():
        key = (line.stream.id, slot(of[line.stream.id], line.day))
        if key not in known:
            known[key] = (f"row {i + 1} of this call", f"本次调用的第 {i + 1} 行")
            continue
        errors[i] = MONTH_ALREADY_RECORDED(
            path=("month",),
            stream=line.stream.code,
            cadence=of[line.stream.id],
            when=as_recorded(of[line.stream.id], line.day),
            earlier=known[key][0],
            earlier_zh=known[key][1],
        )
        del lines[i]


async def _refuse_what_follows(change: Change, lines: dict[int, Understood], errors: Errors) -> None:
    """A month that follows from a ledger, meters or a monitor takes no other record, so nothing is counted twice."""
    causes = await measured_rows.causes(change.unit, [(x.stream.id, x.row.month) for x in lines.values()])
    for i, line in list(lines.items()):
        cause = causes.get((line.stream.id, line.row.month))
        if cause is not None:
            errors[i] = month_is_derived(BatchOrigin(cause), line.stream.code, line.row.month)
            del lines[i]


async def _refuse_what_is_declared(change: Change, lines: dict[int, Understood], errors: Errors) -> None:
    """What counts once may not count twice; a quantity that does not count may stand beside a declared result."""
    gases = await counting_gases(change.unit, {(x.stream.id, x.row.month) for x in lines.values()})
    asked = [(i, gas) for i, x in lines.items() for gas in sorted(gases.get((x.stream.id, x.row.month), ()))]
    wanted = [(lines[i].source.id, gas, Period(lines[i].row.month)) for i, gas in asked]
    clashes = await declared_rows.overlapping(change.unit, wanted, only_declared=True)
    for at, earlier in clashes.items():
        i, gas = asked[at]
        errors[i] = RESULT_OVERLAPS(path=("month",), gas=gas, earlier=earlier)
        lines.pop(i, None)


async def keep(
    change: Change,
    lines: dict[int, Understood],
    line_id: UUID | None = None,
    origin: BatchOrigin = BatchOrigin.ENTRY,
) -> dict[int, ActivityRecord]:
    """Write the lines, those that share unit, evidence and note in one batch; the records they became.

    What is derived has a batch of its own for each line: its cause names it.
    """
    apart = origin in DERIVED
    shared = {i: (x.shared, i if apart else 0) for i, x in lines.items()}
    batches = {
        key: Batch(new_batch_id(), *key[0], origin=origin, line_id=line_id) for key in dict.fromkeys(shared.values())
    }
    place = {key: n for n, key in enumerate(batches)}
    positions = sorted(lines, key=lambda i: (place[shared[i]], i))
    narrow = [Line(place[shared[i]], lines[i].stream.id, lines[i].day, lines[i].quantity) for i in positions]
    packs, ids = pack(narrow, list(batches.values()))
    await rows.store(change.unit, list(batches.values()), packs, change.actor.principal.member_id)
    moment = await declared_rows.now(change.unit)
    made = {i: _record(lines[i], key, line_id, moment, origin) for i, key in zip(positions, ids, strict=True)}
    return dict(sorted(made.items()))


def _record(line: Understood, key: UUID, line_id: UUID | None, moment: datetime, origin: BatchOrigin) -> ActivityRecord:
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
        origin=origin,
    )
