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
from backend.accounting.repository import activity, coefficients, measurements, methods, own_sets, records, sources
from backend.evidence.subjects import Owners, subject
from backend.kit.database import ReadSession

MEASURED: Final[tuple[type[OfStream], ...]] = (
    StockRow, Meter, MeterReading, MeterMonth, MaterialBatch, StackMonitor, StackMonth, QualityScore,
    StreamUncertainty,
)  # fmt: skip


async def _of_sources(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
    return {key: source.organisation_id for key, source in (await sources.sources(session, keys)).items()}


async def _of_activity(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
    found = {key: record.source_id for key, record in (await activity.records(session, keys)).items()}
    owners = await _of_sources(session, list(found.values()))
    return {key: owners[source] for key, source in found.items()}


async def _of_declared(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
    found = {key: result.source_id for key, result in (await records.declared(session, keys)).items()}
    owners = await _of_sources(session, list(found.values()))
    return {key: owners[source] for key, source in found.items()}


async def _of_bases(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
    found = {key: basis.stream_id for key, basis in (await methods.bases(session, keys)).items()}
    owners = await coefficients.owners(session, list(found.values()))
    return {key: owners[stream] for key, stream in found.items()}


def _of_measured(kind: type[OfStream]) -> Owners:
    async def find(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
        found = {key: record.stream_id for key, record in (await measurements.by_ids(session, kind, keys)).items()}
        owners = await coefficients.owners(session, list(found.values()))
        return {key: owners[stream] for key, stream in found.items()}

    return find


def register() -> None:
    """Once, when the schema is put together."""
    subject("EmissionSource", _of_sources)
    subject("ActivityRecord", _of_activity)
    subject("DeclaredResult", _of_declared)
    subject("EmissionFactor", own_sets.owners_of_values)
    subject("StreamBasis", _of_bases)
    for kind in MEASURED:
        subject(kind.__name__, _of_measured(kind))
