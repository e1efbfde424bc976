"""What of this slice documents can be attached to."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from backend.accounting.repository import activity, coefficients, methods, records, sources
from backend.evidence.subjects import subject
from backend.kit.database import ReadSession


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


def register() -> None:
    """Once, when the schema is put together."""
    subject("EmissionSource", _of_sources)
    subject("ActivityRecord", _of_activity)
    subject("DeclaredResult", _of_declared)
    subject("StreamBasis", _of_bases)
