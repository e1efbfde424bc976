"""What the GraphQL types of measurements share: their stream, their record, their pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import strawberry

from backend.accounting.domain.activity import record_id
from backend.accounting.domain.measured import Cause, Kept
from backend.accounting.graphql.records import ActivityRecord
from backend.accounting.graphql.sources import EmissionStream, fetch_streams
from backend.accounting.service.activity import ActivityService
from backend.accounting.service.measurements import MeasurementReader
from backend.evidence.graphql import Document, attached
from backend.kit.graphql.fields import batched
from backend.kit.graphql.nodes import Node, from_id, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.types import build, object_type
from backend.kit.pages import PageRequest
from tenants.context import Info

First = Annotated[int | None, strawberry.argument(description="How many rows, 1 to 1000; 50 when not given.")]
After = Annotated[str | None, strawberry.argument(description="Cursor of the last row seen; rows behind it follow.")]
AtOrganisation = Annotated[
    strawberry.ID | None, strawberry.argument(description="Only of this organisation and all below it.")
]
OfOneStream = Annotated[strawberry.ID | None, strawberry.argument(description="Only of this stream.")]
Superseded = Annotated[bool, strawberry.argument(description="Also the versions that were superseded.")]
Year = Annotated[int, strawberry.argument(description="A calendar year, such as 2024.")]
AStreamed = Annotated["StreamRecord", strawberry.lazy("backend.accounting.graphql.measured")]
ACause = Annotated["CauseRecord", strawberry.lazy("backend.accounting.graphql.measured")]
K = TypeVar("K", bound=Kept)
N = TypeVar("N", bound=Node)


@object_type
class KeptRecord(Node):
    """A record that is superseded with a reason, never edited."""

    evidence: str
    """Reference of the evidence."""
    note: str
    """Remark."""
    recorded_at: datetime | None
    """When it was recorded; null in the answer that records it."""
    superseded_at: datetime | None
    """When it was replaced or withdrawn; null while it stands."""
    superseded_because: str | None
    """Why."""


@object_type
class StreamRecord(KeptRecord):
    """A record of a stream."""

    stream_key: strawberry.Private[UUID]

    @batched
    async def stream(parents: list[AStreamed], info: Info) -> list[EmissionStream | None]:
        """The stream it is about."""
        found = await fetch_streams(list({p.stream_key for p in parents}), info)
        return [found.get(p.stream_key) for p in parents]

    @batched
    async def documents(parents: list[AStreamed], info: Info) -> list[list[Document]]:
        """The documents that prove it."""
        named = [from_id(p.id) for p in parents]
        found: dict[tuple[str, UUID], list[Document]] = {}
        for kind in sorted({kind for kind, _ in named}):
            keys = [key for of, key in named if of == kind]
            found |= dict(zip(((kind, key) for key in keys), await attached(kind, keys, info), strict=True))
        return [found[name] for name in named]


@object_type
class CauseRecord(StreamRecord):
    """A record that one activity record follows from."""

    record_key: strawberry.Private[UUID]

    @batched
    async def activity_record(parents: list[ACause], info: Info) -> list[ActivityRecord | None]:
        """The activity record that follows from it; superseded together with it."""
        found = await info.context.use(ActivityService).by_ids(info.context.principal, [p.record_key for p in parents])
        return [ActivityRecord.of(found[p.record_key]) if p.record_key in found else None for p in parents]


def shown(cls: Callable[..., N], record: Any, /, **extra: Any) -> N:
    """A node of a kept record: its id is of the type's name, its stream and its activity record can be asked for."""
    keys: dict[str, Any] = {"id": to_id(getattr(cls, "__name__", ""), record.id)}
    if hasattr(record, "stream_id"):
        keys["stream_key"] = record.stream_id
    if isinstance(record, Cause):
        keys["record_key"] = record_id(record.batch_id, 1)
    return build(cls, record, **keys | extra)


async def listed(
    info: Info, kind: type[K], of: Callable[[K], N], request: PageRequest, *, organisation_id: str | None = None,
    stream_id: str | None = None, superseded: bool = False,
) -> Connection[N]:  # fmt: skip
    """A page of one kind of record the caller may read."""
    owner = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
    where = {"stream_id": key_of(stream_id, "EmissionStream", "streamId")} if stream_id else {}
    page = await info.context.use(MeasurementReader).page(
        info.context.principal, kind, request, organisation_id=owner, superseded=superseded, **where
    )
    return Connection.of(page.map(of))


def fetcher(kind: type[K], of: Callable[[K], N]) -> Callable[[Sequence[UUID], Info], Awaitable[dict[UUID, N]]]:
    """What fetches the nodes of one kind by id."""

    async def fetch(keys: Sequence[UUID], info: Info) -> dict[UUID, N]:
        found = await info.context.use(MeasurementReader).by_ids(info.context.principal, kind, keys)
        return {key: of(record) for key, record in found.items()}

    return fetch
