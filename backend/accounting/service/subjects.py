"""What of this slice documents can be attached to."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from backend.accounting.repository import activity, coefficients, methods, records
from backend.accounting.repository.owners import OWNED, owners
from backend.evidence.subjects import Owners, subject
from backend.kit.database import ReadSession


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


async def _of_bases(session: ReadSession, keys: Sequence[UUID]) -> dict[UUID, UUID]:
    found = {key: basis.stream_id for key, basis in (await methods.bases(session, keys)).items()}
    owner = await coefficients.owners(session, list(found.values()))
    return {key: owner[stream] for key, stream in found.items()}


def register() -> None:
    """Once, when the schema is put together."""
    subject("ActivityRecord", _of_activity)
    subject("DeclaredResult", _of_declared)
    subject("EmissionStream", coefficients.owners)
    subject("StreamBasis", _of_bases)
    for kind in OWNED:
        subject(kind, _of_kind(kind))
