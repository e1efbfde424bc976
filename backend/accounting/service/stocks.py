"""Use cases on the ledger of purchases, stock and sales (购产销存台账)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from backend.accounting.domain.activity import batch_and_line
from backend.accounting.domain.months import checked_year, month_before, next_month
from backend.accounting.domain.records import ActivityRecord, BatchOrigin, checked_month, checked_reason
from backend.accounting.domain.stock_ledger import (
    STOCK_MONTH_TAKEN,
    NewStockRow,
    StockChange,
    StockGap,
    StockRow,
    check_continuity,
    checked_parts,
    gaps,
)
from backend.accounting.repository import measurements as rows
from backend.accounting.service.batches import (
    Errors,
    check_size,
    common_organisation,
    read_apart,
    refused_rows,
    sift,
    stop_if_refused,
)
from backend.accounting.service.derivation import (
    Place,
    follow,
    follow_one,
    line_of,
    reach,
    reach_streams,
    take_back,
)
from backend.accounting.service.lines import Understood
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import fitted_unit
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, Refused, perform

Known = dict[tuple[UUID, date], tuple[Decimal, Decimal, str]]
"""What is known of a stream's month: opening, closing, unit."""


@dataclass(frozen=True, slots=True)
class StockOutcome:
    """What became of one row: the ledger row, or why there is none."""

    row: StockRow | None
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class StockBatch:
    """What became of a call, row by row."""

    outcomes: tuple[StockOutcome, ...]


class StockService:
    """Each row of the ledger stands behind one activity record, its consumption; both come and go together."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def record(
        self, actor: Actor, new: Sequence[NewStockRow | Refused], *, all_or_nothing: bool
    ) -> Done[StockBatch]:
        """Record up to 1000 rows, each judged on its own unless all or nothing is asked.

        Errors: BATCH_SIZE; per row NOT_FOUND, FORBIDDEN, BAD_STOCK_PART, STOCK_BELOW_ZERO, STOCK_NOT_CONTINUOUS,
        STOCK_MONTH_TAKEN, MONTH_OUT_OF_RANGE, UNIT_DOES_NOT_FIT, MONTH_ALREADY_RECORDED, PERIOD_LOCKED …
        """
        check_size(len(new))

        async def work(change: Change) -> StockBatch:
            read, errors = read_apart(new)
            lines = await self._judge(change, read, errors)
            records = await follow(change, lines, errors, BatchOrigin.STOCK)
            refused = refused_rows(errors)
            stop_if_refused(errors, all_or_nothing, lambda: _batch(len(new), {}, refused))
            made = {i: _row(read[i], lines[i], record) for i, record in records.items()}
            if made:
                await rows.insert(change.unit, list(made.values()), actor.principal.member_id)
                about = common_organisation([line.source for line in lines.values()])
                await change.audit("StockRow", next(iter(made.values())).id, about, after=list(made.values()))
            return _batch(len(new), made, refused)

        body = {"rows": list(new), "all_or_nothing": all_or_nothing}
        return await perform(self.toolbox, actor, "recordStocks", body, StockBatch, work)

    async def _judge(self, change: Change, new: dict[int, NewStockRow], errors: Errors) -> dict[int, Understood]:
        """In the order of months, so that the rows of a call are neighbours of one another."""
        find = await reach_streams(change, Permission.EMISSION_RECORD, (n.stream_id for n in new.values()))
        known = await _known(change, [(n.stream_id, n.month) for n in new.values()])
        today = self.toolbox.clock.today()

        def judged(row: NewStockRow) -> Understood:
            place = find(row.stream_id)
            checked_month(row.month, today, "month")
            if (row.stream_id, row.month) in known:
                raise STOCK_MONTH_TAKEN(path=("month",), month=f"{row.month:%Y-%m}")
            line = _judged(row, place, known)
            known[row.stream_id, row.month] = (row.parts.opening, row.parts.closing, tidy(row.unit))
            return line

        in_order = sorted(new.items(), key=lambda x: (x[1].stream_id, x[1].month, x[0]))
        return sift(dict(in_order), judged, errors)

    async def supersede(self, actor: Actor, key: UUID, reason: str, changed: StockChange | None) -> Done[StockRow]:
        """Replace a row and its record by new versions, or (without a change) withdraw both.

        A closing that no longer meets the opening after it is let through and listed by `gaps`: the month after is
        corrected next. Errors: NOT_FOUND, FORBIDDEN, ALREADY_SUPERSEDED, REASON_MISSING and those of recording.
        """

        async def work(change: Change) -> StockRow:
            because = checked_reason(reason)
            old, place = await reach(change, Permission.EMISSION_RECORD, StockRow, key)
            record = await take_back(change, old, because)
            latest = (await rows.by_ids(change.unit, StockRow, [key]))[key]
            if changed is not None:
                new = _changed(old, changed)
                line = _judged(new, place, {})
                latest = _row(new, line, await follow_one(change, line, BatchOrigin.STOCK, record.line_id))
                await rows.insert(change.unit, [latest], actor.principal.member_id)
            await change.audit("StockRow", latest.id, place.organisation_id, before=old, after=latest)
            return latest

        body = {"id": key, "reason": reason, "change": changed}
        return await perform(self.toolbox, actor, "supersedeStock", body, StockRow, work)

    async def gaps(self, principal: Principal, at: UUID, year: int, request: PageRequest) -> Page[StockGap]:
        """Where an organisation's ledgers open a month of a year with something else than the month before closed.

        Errors: NOT_FOUND, FORBIDDEN, YEAR_OUT_OF_RANGE.
        """
        checked_year(year, "year")
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, at)
            kept = await rows.stock_rows_of(session, at, date(year - 1, 12, 1), date(year, 12, 1))
        found = gaps(kept)
        if request.after is not None:
            month, stream = request.key(str, str)
            found = [gap for gap in found if gap.key > (month, stream)]
        return Page.cut(found, request, lambda gap: gap.key)


def _judged(row: NewStockRow, place: Place, known: Known) -> Understood:
    """Errors: BAD_STOCK_PART, STOCK_BELOW_ZERO, STOCK_NOT_CONTINUOUS, UNKNOWN_UNIT, UNIT_DOES_NOT_FIT."""
    fitted_unit(row.unit, place.stream.unit)
    checked_parts(row.parts, row.unit, row.explanation)
    beside = [(m, *known[row.stream_id, m]) for m in _beside(row.month) if (row.stream_id, m) in known]
    check_continuity(row.month, row.parts, tidy(row.unit), row.explanation, beside)
    return line_of(place, row.month, row.parts.consumption, row.unit, row.evidence, row.note)


def _beside(month: date) -> tuple[date, date]:
    return month_before(month), next_month(month)


async def _known(change: Change, wanted: Sequence[tuple[UUID, date]]) -> Known:
    months = {m for _, month in wanted for m in (month, *_beside(month))}
    kept = await rows.current(
        change.unit, StockRow, ("month",), stream_id=sorted({s for s, _ in wanted}), month=sorted(months)
    )
    return {(r.stream_id, r.month): (r.opening, r.closing, r.unit) for r in kept}


def _row(new: NewStockRow, line: Understood, record: ActivityRecord) -> StockRow:
    return StockRow(
        id=uuid7(),
        stream_id=new.stream_id,
        month=new.month,
        unit=tidy(new.unit),
        **asdict(new.parts),
        consumption=new.parts.consumption,
        explanation=tidy(new.explanation),
        quantity=line.quantity,
        batch_id=batch_and_line(record.id)[0],
        evidence=tidy(new.evidence),
        note=tidy(new.note),
        recorded_at=record.recorded_at,
    )


def _changed(old: StockRow, change: StockChange) -> NewStockRow:
    same: dict[str, Any] = {n: getattr(old, n) for n in ("stream_id", "month", "unit", "parts")}
    same |= {n: getattr(old, n) for n in ("explanation", "evidence", "note")}
    given = {n: v for n in StockChange.__dataclass_fields__ if (v := getattr(change, n)) is not None}
    return NewStockRow(**same | given)


def _batch(count: int, made: dict[int, StockRow], refused: dict[int, Refused]) -> StockBatch:
    return StockBatch(tuple(StockOutcome(made.get(i), refused.get(i)) for i in range(count)))
