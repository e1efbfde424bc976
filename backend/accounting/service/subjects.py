"""What of this slice documents can be attached to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from backend.accounting.domain.judgements import QualityScore, StreamUncertainty
from backend.accounting.domain.measured import OfStream
from backend.accounting.domain.metering import Meter, MeterMonth, MeterReading
from backend.accounting.domain.quality_batches import MaterialBatch
from backend.accounting.domain.stacks import StackMonitor, StackMonth
from backend.accounting.domain.stock_ledger import StockRow
from backend.accounting.repository import activity, coefficients, measurements, methods, own_sets, records
from backend.accounting.repository.owners import OWNED, owners
from backend.evidence.subjects import Owners, subject
from backend.kit.database import ReadSession

MEASURED: Final[tuple[type[OfStream], ...]] = (
    StockRow, Meter, MeterReading, MeterMonth, MaterialBatch, StackMonitor, StackMonth, QualityScore,
    StreamUncertainty,
)  # fmt: skip


async def _of_activity(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
    found = {key: record.source_id for key, record in (await activity.records(session, keys)).items()}
    return await _of_sources(session, found)


async def _of_declared(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
    found = {key: result.source_id for key, result in (await records.declared(session, keys)).items()}
    return await _of_sources(session, found)


async def _of_sources(session: ReadSession, sources: dict[UUID, UUID]) -> dict[UUID, UUID]:
    owner = await owners(session, "EmissionSource", list(set(sources.values())))
    return {key: owner[source] for key, source in sources.items()}


def _of_kind(kind: str) -> Owners:
    async def found(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
        return await owners(session, kind, keys)

    return found


async def _of_streams(session: ReadSession, streams: dict[UUID, UUID]) -> dict[UUID, UUID]:
    owner = await coefficients.owners(session, list(set(streams.values())))
    return {key: owner[stream] for key, stream in streams.items()}


async def _of_bases(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
    found = await methods.bases(session, keys)
    return await _of_streams(session, {key: basis.stream_id for key, basis in found.items()})


def _of_measured(kind: type[OfStream]) -> Owners:
    async def found(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
        records_of_kind = await measurements.by_ids(session, kind, keys)
        return await _of_streams(session, {key: record.stream_id for key, record in records_of_kind.items()})

    return found


def register() -> None:
    """Once, when the schema is put together."""
    subject("ActivityRecord", _of_activity)
    subject("DeclaredResult", _of_declared)
    subject("EmissionFactor", own_sets.owners_of_values)
    subject("EmissionStream", coefficients.owners)
    subject("StreamBasis", _of_bases)
    for kind in MEASURED:
        subject(kind.__name__, _of_measured(kind))
    for name in OWNED:
        subject(name, _of_kind(name))
