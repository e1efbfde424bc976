"""Reading what activity is made of; one way for every kind of record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from backend.accounting.domain.activity import batch_and_line
from backend.accounting.domain.measured import Kept
from backend.accounting.repository import measurements as rows
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require

K = TypeVar("K", bound=Kept)


class MeasurementReader:
    """Records of streams and sources the caller may read."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def page(
        self, principal: Principal, kind: type[K], request: PageRequest, *, organisation_id: UUID | None = None,
        superseded: bool = False, **where: UUID | None,
    ) -> Page[K]:  # fmt: skip
        """Of one kind, in the order they were recorded. Errors: NOT_FOUND, FORBIDDEN for an organisation."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if organisation_id is not None:
                await require(session, principal, Permission.EMISSION_READ, organisation_id)
            return await rows.page(
                session, kind, principal, request, organisation_id=organisation_id, superseded=superseded, **where
            )

    async def by_ids(self, principal: Principal, kind: type[K], keys: Sequence[UUID]) -> dict[UUID, K]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.by_ids(session, kind, keys, principal)

    async def causes(self, principal: Principal, records: Sequence[UUID]) -> dict[UUID, tuple[str, UUID]]:
        """What activity records the caller was given follow from: kind and id, by record."""
        batches = {batch_and_line(key)[0]: key for key in records}
        async with self.toolbox.database.read(principal.tenant_id) as session:
            found = await rows.cause_of(session, list(batches))
        return {batches[batch]: cause for batch, cause in found.items()}
