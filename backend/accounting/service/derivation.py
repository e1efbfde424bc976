"""Activity that follows from something else that is kept: a ledger row, meters, a stack monitor.

The cause and its record are written and superseded together, in one transaction; each names the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

from backend.accounting.domain.activity import record_id
from backend.accounting.domain.measured import Cause, OfStream
from backend.accounting.domain.records import (
    ALREADY_SUPERSEDED,
    ActivityRecord,
    BatchOrigin,
    NewActivity,
    when_superseded,
)
from backend.accounting.domain.sources import EmissionSource, Stream
from backend.accounting.repository import activity as activity_rows
from backend.accounting.repository import measurements as rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.service.batches import Errors, reach_sources
from backend.accounting.service.lines import Understood, keep, refuse
from backend.kit.errors import NOT_FOUND, CodedError, not_found
from backend.kit.quantity import to_canonical
from tenants.access import Permission
from tenants.commands import Change

S = TypeVar("S", bound=OfStream)


@dataclass(frozen=True, slots=True)
class Place:
    """A stream and the source it belongs to."""

    stream: Stream
    source: EmissionSource

    @property
    def organisation_id(self) -> UUID:
        return self.source.organisation_id


async def reach_streams(change: Change, permission: Permission, wanted: Iterable[UUID]) -> Callable[[UUID], Place]:
    """Look up streams and the caller's right to each at once.

    The function returned gives a stream with its source or raises NOT_FOUND (absent or out of reach), FORBIDDEN.
    """
    streams = await source_rows.streams(change.unit, sorted(set(wanted)))
    look_up = await reach_sources(change, permission, (s.source_id for s in streams.values()))

    def find(key: UUID) -> Place:
        absent = not_found("EmissionStream", key, "streamId")
        if key not in streams:
            raise absent
        try:
            return Place(streams[key], look_up(streams[key].source_id))
        except CodedError as error:
            raise (absent if error.code is NOT_FOUND else error) from None

    return find


async def reach(change: Change, permission: Permission, kind: type[S], key: UUID, path: str = "id") -> tuple[S, Place]:
    """A record of a stream, and where that is. Errors: NOT_FOUND (naming the record), FORBIDDEN."""
    found = (await rows.by_ids(change.unit, kind, [key])).get(key)
    look_up = await reach_streams(change, permission, [found.stream_id] if found else [])
    absent = not_found(kind.__name__, key, path)
    if found is None:
        raise absent
    try:
        return found, look_up(found.stream_id)
    except CodedError as error:
        raise (absent if error.code is NOT_FOUND else error) from None


def line_of(place: Place, month: date, entered: Decimal, unit: str, evidence: str, note: str) -> Understood:
    """The activity line that follows. Errors: UNKNOWN_UNIT, UNIT_DOES_NOT_FIT, NUMBER_OUT_OF_RANGE."""
    row = NewActivity(place.source.id, month, str(entered), unit, evidence=evidence, note=note)
    quantity = to_canonical(entered, unit, place.stream.unit)
    return Understood(row, place.source, place.stream, month, quantity, entered)


async def follow(
    change: Change, lines: dict[int, Understood], errors: Errors, origin: BatchOrigin, line_id: UUID | None = None
) -> dict[int, ActivityRecord]:
    """Record what follows, each alone in its month; what is refused goes to `errors`, out of `lines`.

    Errors per row: PERIOD_LOCKED, MONTH_ALREADY_RECORDED, MONTH_IS_DERIVED, FACTOR_NOT_FOUND, RESULT_OVERLAPS.
    """
    await refuse(change, lines, errors, derived=True)
    return await keep(change, lines, line_id, origin) if lines else {}


async def follow_one(
    change: Change, line: Understood, origin: BatchOrigin, line_id: UUID | None = None
) -> ActivityRecord:
    """The same for one line. Errors: as above, raised."""
    errors: Errors = {}
    kept = await follow(change, {0: line}, errors, origin, line_id)
    for error in errors.values():
        raise error
    return kept[0]


async def take_back(change: Change, cause: Cause, because: str) -> ActivityRecord:
    """Supersede a cause and withdraw its record; the record as it was. Errors: ALREADY_SUPERSEDED, PERIOD_LOCKED."""
    if cause.superseded_at or not await rows.supersede(change.unit, cause, because):
        raise ALREADY_SUPERSEDED(path=("id",), **when_superseded(cause.superseded_at))
    key = record_id(cause.batch_id, 1)
    record = (await activity_rows.records(change.unit, [key]))[key]
    await activity_rows.withdraw(change.unit, record, because, change.actor.principal.member_id)
    return record
