"""Use cases on measured stacks: set a monitor up, record its hours or samples; activity and basis follow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain.activity import batch_and_line
from backend.accounting.domain.measured import OfStream
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.months import Span
from backend.accounting.domain.parameters import BasisParameter, NewBasis
from backend.accounting.domain.records import ALREADY_SUPERSEDED, BatchOrigin, checked_month, checked_reason
from backend.accounting.domain.sources import checked_code
from backend.accounting.domain.stack_months import Made, month_of
from backend.accounting.domain.stacks import (
    COLUMNS,
    MONITOR_TAKEN,
    STACK_UNIT,
    NewMonitor,
    StackKind,
    StackMonitor,
    StackMonth,
    StackRow,
    checked_monitor,
    checked_row,
    hours_of,
    together,
)
from backend.accounting.repository import measurements as rows
from backend.accounting.repository import metering as meter_rows
from backend.accounting.repository import methods as method_rows
from backend.accounting.repository import results as result_rows
from backend.accounting.service.bases import set_basis, withdraw_basis
from backend.accounting.service.batches import check_size
from backend.accounting.service.derivation import Place, follow_one, line_of, reach, reach_streams, take_back
from backend.kit.errors import CodedError, not_found
from backend.kit.ids import uuid7
from backend.kit.quantity import GAS
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission
from tenants.commands import Actor, Change, Done, perform

MORE_ROWS: Final = "补充数据 more data"
_KINDS: Final = {StackKind.CONTINUOUS: MethodKind.CONTINUOUS, StackKind.SAMPLED: MethodKind.SAMPLED}


class StackService:
    """A month of a stack stands behind one activity record and one basis of the class MEASURED."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def set_up(self, actor: Actor, new: NewMonitor, reason: str) -> Done[StackMonitor]:
        """Set a monitor up at a stream, with a reason instead of the one it has; months recorded stay as they are.

        Errors: NOT_FOUND, FORBIDDEN, STACK_UNIT, MONITOR_TAKEN, BAD_STACK_VALUE.
        """

        async def work(change: Change) -> StackMonitor:
            place = (await reach_streams(change, Permission.EMISSION_MANAGE, [new.stream_id]))(new.stream_id)
            if place.stream.unit != GAS:
                raise STACK_UNIT(path=("streamId",), unit=place.stream.unit, source="8.2.5.1")
            checked_monitor(new)
            instruments = await meter_rows.instruments_of(change.unit, place.organisation_id)
            if new.instrument_id is not None and new.instrument_id not in instruments:
                raise not_found("Instrument", new.instrument_id, "instrumentId")
            before = await rows.current(change.unit, StackMonitor, ("id",), stream_id=[new.stream_id])
            for old in before:
                if not tidy(reason) or not await rows.supersede(change.unit, old, tidy(reason)):
                    raise MONITOR_TAKEN(path=("streamId",))
            words = {"code": checked_code(new.code, "code"), "evidence": tidy(new.evidence), "note": tidy(new.note)}
            same = {n: getattr(new, n) for n in NewMonitor.__dataclass_fields__}
            made = StackMonitor(id=uuid7(), organisation_id=place.organisation_id, **same | words)
            await self._insert(change, made)
            await change.audit("StackMonitor", made.id, place.organisation_id, before=before, after=made)
            return made

        return await perform(self.toolbox, actor, "setStackMonitor", {"new": new, "reason": reason}, StackMonitor, work)

    async def record(
        self, actor: Actor, monitor_id: UUID, month: date, given: Sequence[StackRow], reason: str
    ) -> Done[StackMonth]:
        """Add rows to a month of a monitor; the month, its record and its basis are made anew with them.

        Rows recorded before are replaced only with a reason. Errors: BATCH_SIZE, NOT_FOUND, FORBIDDEN, PERIOD_LOCKED,
        ALREADY_SUPERSEDED (the monitor), MONTH_OUT_OF_RANGE, HOUR_TWICE, HOURS_ALREADY_RECORDED, BAD_STACK_VALUE,
        STACK_VALUE_MISSING, NOTHING_VALID, METHOD_NOT_ALLOWED …
        """

        async def work(change: Change) -> StackMonth:
            monitor, place = await reach(change, Permission.EMISSION_RECORD, StackMonitor, monitor_id, "monitorId")
            check_size(len(given))
            if monitor.superseded_at:
                raise ALREADY_SUPERSEDED(path=("monitorId",), at=str(monitor.superseded_at))
            checked_month(month, self.toolbox.clock.today(), "month")
            checked = [_checked(row, monitor, i) for i, row in enumerate(given)]
            await result_rows.alone(change.unit)
            kept = await rows.current(change.unit, StackMonth, ("id",), stream_id=[monitor.stream_id], month=[month])
            old = next(iter(kept), None)
            all_ = together(month, old.rows if old else (), checked, replacing=bool(tidy(reason)))
            made = month_of(monitor, month, all_, self._expected(month, all_))
            return await self._store(change, place, monitor, month, all_, made, old, tidy(reason) or MORE_ROWS)

        body = {"monitor": monitor_id, "month": month, "rows": list(given), "reason": reason}
        return await perform(self.toolbox, actor, "recordStackHours", body, StackMonth, work)

    def _expected(self, month: date, given: Sequence[StackRow]) -> int:
        """All hours of a month that is over; of the present one those up to the last that was given."""
        over = month < self.toolbox.clock.today().replace(day=1)
        return hours_of(month) if over else given[-1].position + 1

    async def _store(
        self, change: Change, place: Place, monitor: StackMonitor, month: date, all_: Sequence[StackRow], made: Made,
        old: StackMonth | None, because: str,
    ) -> StackMonth:  # fmt: skip
        """The basis before the record, so that nothing is restated by halves."""
        line_id = (await take_back(change, old, because)).line_id if old is not None else None
        if made.quantity:
            basis, today = _basis(monitor, month, made, because), self.toolbox.clock.today()
            await set_basis(change, place.source, place.stream, basis, today)
        line = line_of(place, month, made.quantity, GAS, "", f"{monitor.code} {made.valid}/{made.expected}")
        record = await follow_one(change, line, BatchOrigin.MONITOR, line_id)
        columns: dict[str, Any] = {c: tuple(getattr(r, f) for r in all_) for c, f in COLUMNS.items()}
        kept = StackMonth(
            id=uuid7(), stream_id=monitor.stream_id, monitor_id=monitor.id, month=month, **columns,
            expected=made.expected, valid=made.valid, filled=made.filled, concentration=made.concentration,
            mass_t=made.mass_t, quantity=made.quantity, batch_id=batch_and_line(record.id)[0],
        )  # fmt: skip
        await self._insert(change, kept)
        await change.audit("StackMonth", kept.id, place.organisation_id, before=_brief(old), after=_brief(kept))
        return kept

    async def withdraw(self, actor: Actor, key: UUID, reason: str) -> Done[StackMonth]:
        """Take a month, its record and its basis back. Errors: NOT_FOUND, ALREADY_SUPERSEDED, PERIOD_LOCKED."""

        async def work(change: Change) -> StackMonth:
            because = checked_reason(reason)
            await result_rows.alone(change.unit)
            old, place = await reach(change, Permission.EMISSION_RECORD, StackMonth, key)
            await take_back(change, old, because)
            held = (await method_rows.bases_of(change.unit, [old.stream_id])).get(old.stream_id, [])
            for basis in held:
                if basis.kind in _KINDS.values() and basis.span == Span(old.month, old.month):
                    await withdraw_basis(change, place.source, place.stream, basis, because)
            latest = (await rows.by_ids(change.unit, StackMonth, [key]))[key]
            await change.audit("StackMonth", key, place.organisation_id, before=_brief(old), after=_brief(latest))
            return latest

        return await perform(
            self.toolbox, actor, "supersedeStackMonth", {"id": key, "reason": reason}, StackMonth, work
        )

    @staticmethod
    async def _insert(change: Change, made: OfStream) -> None:
        await rows.insert(change.unit, [made], change.actor.principal.member_id)


def _checked(row: StackRow, monitor: StackMonitor, position: int) -> StackRow:
    try:
        return checked_row(row, monitor)
    except CodedError as error:
        raise error.at("rows", str(position)) from None


def _basis(monitor: StackMonitor, month: date, made: Made, because: str) -> NewBasis:
    source = f"StackMonth {monitor.code} {month:%Y-%m}: {made.valid}/{made.expected}"
    if monitor.kind is StackKind.CONTINUOUS:
        flow = BasisParameter("dryFlow", made.quantity, GAS, source)
        given: tuple[BasisParameter, ...] = (BasisParameter("mass", made.mass_t, "t", source), flow)
    else:
        given = (BasisParameter("concentration", made.concentration, "g/m3", source),)
    return NewBasis(_KINDS[monitor.kind], given, Span(month, month), gas="CO2", reason=because)


def _brief(month: StackMonth | None) -> dict[str, Decimal | str | int] | None:
    """For the trail: what a month made; its hours are kept in their own row."""
    if month is None:
        return None
    told = ("id", "month", "expected", "valid", "concentration", "mass_t", "quantity", "superseded_because")
    return {name: getattr(month, name) for name in told}
