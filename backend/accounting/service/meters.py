"""Use cases on meters: put in and take out, read, settle months into activity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from backend.accounting.domain.activity import batch_and_line
from backend.accounting.domain.metering import (
    FIRST_READING_STAYS,
    MONTH_IS_SETTLED,
    Meter,
    MeterDirection,
    Metered,
    MeterMonth,
    MeterReading,
    NewMeter,
    NewMeterReading,
    ReadingKind,
    check_order,
    check_reading,
    checked_meter,
    part_of,
    settled,
    touched,
)
from backend.accounting.domain.months import months_between, next_month
from backend.accounting.domain.records import (
    ALREADY_SUPERSEDED,
    BAD_PERIOD,
    BatchOrigin,
    checked_month,
    checked_reason,
    when_superseded,
)
from backend.accounting.domain.sources import Flow
from backend.accounting.repository import measurements as rows
from backend.accounting.repository import metering as meter_rows
from backend.accounting.service.batches import check_size, read_apart, refused_rows, sift, stop_if_refused
from backend.accounting.service.derivation import Place, follow_one, line_of, reach, reach_streams, take_back
from backend.kit.errors import NOT_FOUND, CodedError, not_found
from backend.kit.ids import uuid7
from backend.kit.quantity import fitted_unit
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission
from tenants.commands import Actor, Change, Done, Refused, perform

MOST_MONTHS: Final = 12
BY_READINGS: Final = "读数变更 readings changed"


@dataclass(frozen=True, slots=True)
class ReadingOutcome:
    """What became of one row: the reading, or why there is none."""

    reading: MeterReading | None
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class ReadingBatch:
    """What became of a call, row by row."""

    outcomes: tuple[ReadingOutcome, ...]


@dataclass(frozen=True, slots=True)
class Removal:
    """A meter to take out on a day, its last reading, and what comes in its place."""

    meter_id: UUID
    day: date
    value: Decimal
    rolled_over: bool = False
    successor: NewMeter | None = None
    evidence: str = ""
    note: str = ""


class MeterService:
    """Meters are instruments at streams; a settled month stands behind one activity record."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def install(self, actor: Actor, stream_id: UUID, new: NewMeter) -> Done[Meter]:
        """Put a meter in. Errors: NOT_FOUND, FORBIDDEN, BAD_METER, UNKNOWN_UNIT, UNIT_DOES_NOT_FIT."""

        async def work(change: Change) -> Meter:
            place = (await reach_streams(change, Permission.EMISSION_MANAGE, [stream_id]))(stream_id)
            made = await self._install(change, place, new)
            await change.audit("Meter", made.id, place.organisation_id, after=[made, new])
            return made

        return await perform(self.toolbox, actor, "createMeter", {"stream": stream_id, "new": new}, Meter, work)

    async def _install(self, change: Change, place: Place, new: NewMeter, path: tuple[str, ...] = ()) -> Meter:
        try:
            checked_meter(new)
            checked_month(new.installed_on, self.toolbox.clock.today(), "installedOn")
            fitted_unit(new.unit, place.stream.unit)
            if new.instrument_id not in await meter_rows.instruments_of(change.unit, place.organisation_id):
                raise not_found("Instrument", new.instrument_id, "instrumentId")
        except CodedError as error:
            raise error.at(*path) from None
        made = Meter(
            id=uuid7(), stream_id=place.stream.id, organisation_id=place.organisation_id,
            instrument_id=new.instrument_id, unit=tidy(new.unit), multiplier=new.multiplier, direction=new.direction,
            digits=new.digits, reading_rule=new.reading_rule, evidence=tidy(new.evidence), note=tidy(new.note),
        )  # fmt: skip
        first = NewMeterReading(made.id, new.installed_on, new.first_reading)
        await self._insert(change, [made])
        await self._insert(change, [_reading(first, made, ReadingKind.INSTALLED)])
        return made

    async def remove(self, actor: Actor, removal: Removal) -> Done[Meter]:
        """Take a meter out, and put its successor in on the same day; answers the successor, or the removed meter.

        Errors: NOT_FOUND, FORBIDDEN, METER_COUNTS_BACK, METER_READING_TAKEN and those of `install`.
        """

        async def work(change: Change) -> Meter:
            meter, place = await reach(change, Permission.EMISSION_MANAGE, Meter, removal.meter_id, "meterId")
            last = NewMeterReading(
                meter.id, removal.day, removal.value, removal.rolled_over, removal.evidence, removal.note
            )
            reading = _reading(last, meter, ReadingKind.REMOVED)
            self._check(reading, meter, await self._known(change, [meter.id]))
            await self._insert(change, [reading])
            await meter_rows.hold(change.unit)
            await self._resettle(change, {place.stream.id: place}, [reading], BY_READINGS)
            made = meter
            if removal.successor is not None:
                made = await self._install(
                    change, place, replace(removal.successor, installed_on=removal.day), ("successor",)
                )
            await change.audit("Meter", meter.id, place.organisation_id, before=meter, after=[reading, made])
            return made

        return await perform(self.toolbox, actor, "removeMeter", removal, Meter, work)

    async def read(
        self, actor: Actor, new: Sequence[NewMeterReading | Refused], *, all_or_nothing: bool
    ) -> Done[ReadingBatch]:
        """Record up to 1000 readings, each judged on its own; settled months they touch are settled anew.

        Errors: BATCH_SIZE, PERIOD_LOCKED; per row NOT_FOUND, FORBIDDEN, BAD_METER, METER_COUNTS_BACK …
        """
        check_size(len(new))

        async def work(change: Change) -> ReadingBatch:
            read, errors = read_apart(new)
            meters = await rows.by_ids(change.unit, Meter, [n.meter_id for n in read.values()])
            find = await reach_streams(change, Permission.EMISSION_RECORD, (m.stream_id for m in meters.values()))
            known = await self._known(change, list(meters))

            def judged(row: NewMeterReading) -> MeterReading:
                meter = meters.get(row.meter_id)
                absent = not_found("Meter", row.meter_id, "meterId")
                if meter is None:
                    raise absent
                try:
                    find(meter.stream_id)
                except CodedError as error:
                    raise (absent if error.code is NOT_FOUND else error) from None
                reading = _reading(row, meter, ReadingKind.READ)
                self._check(reading, meter, known)
                known[meter.id].append(reading)
                return reading

            in_order = sorted(read.items(), key=lambda x: (x[1].day, x[0]))
            made = sift(dict(in_order), judged, errors)
            refused = refused_rows(errors)
            stop_if_refused(errors, all_or_nothing, lambda: _batch(len(new), {}, refused))
            if made:
                await self._insert(change, list(made.values()))
                await meter_rows.hold(change.unit)
                places = {m.stream_id: find(m.stream_id) for m in made.values()}
                await self._resettle(change, places, list(made.values()), BY_READINGS)
                owners = {p.organisation_id for p in places.values()}
                about = owners.pop() if len(owners) == 1 else None
                await change.audit("MeterReading", next(iter(made.values())).id, about, after=list(made.values()))
            return _batch(len(new), made, refused)

        body = {"rows": list(new), "all_or_nothing": all_or_nothing}
        return await perform(self.toolbox, actor, "recordMeterReadings", body, ReadingBatch, work)

    async def supersede_reading(
        self, actor: Actor, key: UUID, reason: str, value: Decimal | None, *, rolled_over: bool
    ) -> Done[MeterReading]:
        """Put another value in the place of a reading, or withdraw it; settled months are settled anew.

        Errors: NOT_FOUND, FORBIDDEN, ALREADY_SUPERSEDED, METER_COUNTS_BACK, METER_READING_MISSING …
        """

        async def work(change: Change) -> MeterReading:
            because = checked_reason(reason)
            old, place = await reach(change, Permission.EMISSION_RECORD, MeterReading, key)
            if old.superseded_at or not await rows.supersede(change.unit, old, because):
                raise ALREADY_SUPERSEDED(path=("id",), **when_superseded(old.superseded_at))
            meter = (await rows.by_ids(change.unit, Meter, [old.meter_id]))[old.meter_id]
            latest = (await rows.by_ids(change.unit, MeterReading, [key]))[key]
            known = await self._known(change, [meter.id])
            if value is not None:
                latest = replace(old, id=uuid7(), value=value, rolled_over=rolled_over, recorded_at=None)
                self._check(latest, meter, known)
                await self._insert(change, [latest])
            elif old.kind is ReadingKind.INSTALLED:
                raise FIRST_READING_STAYS(path=("value",), source="9.1.1 b")
            else:
                check_order(known[meter.id])
            await meter_rows.hold(change.unit)
            await self._resettle(change, {place.stream.id: place}, [old], because)
            await change.audit("MeterReading", latest.id, place.organisation_id, before=old, after=latest)
            return latest

        body = {"id": key, "reason": reason, "value": value, "rolled_over": rolled_over}
        return await perform(self.toolbox, actor, "supersedeMeterReading", body, MeterReading, work)

    async def settle(
        self, actor: Actor, stream_id: UUID, first: date, months: int, reason: str
    ) -> Done[list[MeterMonth]]:
        """Settle months of a stream's meters into activity records, corrected where calibration asks for it.

        A month settled before stays when nothing changed, and needs a reason when something did. Errors: BAD_PERIOD,
        NO_METER_IN_MONTH, METER_READING_MISSING, MONTH_IS_SETTLED, MONTH_ALREADY_RECORDED, PERIOD_LOCKED …
        """

        async def work(change: Change) -> list[MeterMonth]:
            place = (await reach_streams(change, Permission.EMISSION_RECORD, [stream_id]))(stream_id)
            if not 1 <= months <= MOST_MONTHS:
                raise BAD_PERIOD(path=("months",), months=months, first=f"{first:%Y-%m}")
            wanted = [checked_month(first, self.toolbox.clock.today(), "firstMonth")]
            while len(wanted) < months:
                after = next_month(wanted[-1])
                wanted.append(checked_month(after, self.toolbox.clock.today(), "months"))
            return await self._settle(change, place, wanted, tidy(reason))

        body = {"stream": stream_id, "first": first, "months": months, "reason": reason}
        return await perform(self.toolbox, actor, "settleMeters", body, list[MeterMonth], work)

    async def withdraw(self, actor: Actor, key: UUID, reason: str) -> Done[MeterMonth]:
        """Take a settled month and its record back. Errors: NOT_FOUND, ALREADY_SUPERSEDED, PERIOD_LOCKED."""

        async def work(change: Change) -> MeterMonth:
            because = checked_reason(reason)
            old, place = await reach(change, Permission.EMISSION_RECORD, MeterMonth, key)
            await take_back(change, old, because)
            latest = (await rows.by_ids(change.unit, MeterMonth, [key]))[key]
            await change.audit("MeterMonth", key, place.organisation_id, before=old, after=latest)
            return latest

        return await perform(
            self.toolbox, actor, "supersedeMeterMonth", {"id": key, "reason": reason}, MeterMonth, work
        )

    async def _settle(self, change: Change, place: Place, months: Sequence[date], because: str) -> list[MeterMonth]:
        metered = await meter_rows.metered(change.unit, place.stream.id, place.organisation_id)
        kept = await rows.current(change.unit, MeterMonth, ("month",), stream_id=[place.stream.id], month=months)
        there = {m.month: m for m in kept}
        return [await self._settle_one(change, place, metered, m, there.get(m), because) for m in months]

    async def _settle_one(
        self, change: Change, place: Place, metered: Sequence[Metered], month: date, old: MeterMonth | None,
        because: str,
    ) -> MeterMonth:  # fmt: skip
        consumed = place.stream.flow is Flow.CONSUMED
        found = [part_of(m, month, upwards=(m.meter.direction is MeterDirection.IMPORT) == consumed) for m in metered]
        parts = tuple(p for p in found if p is not None)
        measured, quantity, words = settled(parts, {m.meter.id: m.name for m in metered}, month)
        if old is not None and (old.measured, old.quantity, old.parts) == (measured, quantity, parts):
            return old
        line_id = None
        if old is not None:
            if not because:
                raise MONTH_IS_SETTLED(
                    path=("reason",), month=f"{month:%Y-%m}", quantity=old.quantity, unit=place.stream.unit,
                    now=quantity,
                )  # fmt: skip
            line_id = (await take_back(change, old, because)).line_id
        line = line_of(place, month, quantity, place.stream.unit, "", words)
        record = await follow_one(change, line, BatchOrigin.METER, line_id)
        made = MeterMonth(
            id=uuid7(), stream_id=place.stream.id, month=month, measured=measured, quantity=quantity, parts=parts,
            explanation=words, batch_id=batch_and_line(record.id)[0],
        )  # fmt: skip
        await self._insert(change, [made])
        await change.audit("MeterMonth", made.id, place.organisation_id, before=old, after=made)
        return made

    async def _resettle(
        self, change: Change, places: Mapping[UUID, Place], changed: Sequence[MeterReading], because: str
    ) -> None:
        """The settled months that follow from these readings are settled anew, in the same transaction."""
        known = await self._known(change, sorted({r.meter_id for r in changed}))
        for stream_id, place in sorted(places.items()):
            spans = [touched(known[r.meter_id], r.day) for r in changed if r.stream_id == stream_id]
            months = months_between(min(first for first, _ in spans), max(last for _, last in spans))
            kept = await rows.current(change.unit, MeterMonth, ("month",), stream_id=[stream_id], month=months)
            await self._settle(change, place, [m.month for m in kept], because)

    async def _known(self, change: Change, meter_ids: Sequence[UUID]) -> dict[UUID, list[MeterReading]]:
        found: dict[UUID, list[MeterReading]] = {key: [] for key in meter_ids}
        for reading in await rows.current(change.unit, MeterReading, ("day",), meter_id=meter_ids):
            found[reading.meter_id].append(reading)
        return found

    def _check(self, reading: MeterReading, meter: Meter, known: dict[UUID, list[MeterReading]]) -> None:
        checked_month(reading.day, self.toolbox.clock.today(), "day")
        check_reading(reading, meter, known[meter.id])

    @staticmethod
    async def _insert(change: Change, made: Sequence[Meter | MeterReading | MeterMonth]) -> None:
        await rows.insert(change.unit, made, change.actor.principal.member_id)


def _reading(new: NewMeterReading, meter: Meter, kind: ReadingKind) -> MeterReading:
    return MeterReading(
        id=uuid7(), stream_id=meter.stream_id, meter_id=meter.id, day=new.day, kind=kind, value=new.value,
        rolled_over=new.rolled_over, evidence=tidy(new.evidence), note=tidy(new.note),
    )  # fmt: skip


def _batch(count: int, made: dict[int, MeterReading], refused: dict[int, Refused]) -> ReadingBatch:
    return ReadingBatch(tuple(ReadingOutcome(made.get(i), refused.get(i)) for i in range(count)))
