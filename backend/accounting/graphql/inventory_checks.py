"""GraphQL of what an inventory is asked before it is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import inventories as domain
from backend.accounting.domain import inventory_checks as checks
from backend.accounting.graphql.sources import EmissionSource, fetch_sources
from backend.accounting.service.inventory_checks import InventoryChecks
from backend.kit.graphql.fields import batched
from backend.kit.graphql.nodes import Node, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, object_type
from backend.kit.pages import PageRequest
from tenants.context import Info
from tenants.domain import EvidenceKind
from tenants.graphql.types import After, First

AChecked = Annotated["CheckedInventory", strawberry.lazy("backend.accounting.graphql.inventory_checks")]
AnUnproven = Annotated["RecordWithoutEvidence", strawberry.lazy("backend.accounting.graphql.inventory_checks")]
AFinding = Annotated["InventoryFinding", strawberry.lazy("backend.accounting.graphql.inventory_checks")]


@object_type
class RecordWithoutEvidence:
    """A record that its inventory cannot be submitted with."""

    source_key: strawberry.Private[UUID]
    id: strawberry.ID
    """The activity record or declared result."""
    kind: EvidenceKind
    """What it is."""
    first_month: Month
    """Its month, or its first one."""
    code: str
    """EVIDENCE_NOT_STORED: its boundary demands a stored document. EVIDENCE_MISSING: a reference would do, too."""

    @batched
    async def source(parents: list[AnUnproven], info: Info) -> list[EmissionSource | None]:
        """The source."""
        found = await fetch_sources(list({p.source_key for p in parents}), info)
        return [found.get(p.source_key) for p in parents]

    @classmethod
    def of(cls, record: checks.Unproven) -> RecordWithoutEvidence:
        kind = "DeclaredResult" if record.kind is EvidenceKind.DECLARED else "ActivityRecord"
        key = to_id(kind, record.record_id)
        return build(cls, record, id=key, source_key=record.source_id, code=record.lacks.name)


@object_type
class InventoryFinding:
    """Something about a source that ought to be looked at before the inventory is submitted; it does not stop it."""

    source_key: strawberry.Private[UUID]
    code: str
    """METHOD_PASSED_OVER, NOTHING_COUNTS: codes of the published list (`errorCodes`)."""
    message: str
    """What was found and what would be right, in the language of Accept-Language."""
    months: list[Month]
    """The months it is about."""

    @batched
    async def source(parents: list[AFinding], info: Info) -> list[EmissionSource | None]:
        """The source."""
        found = await fetch_sources(list({p.source_key for p in parents}), info)
        return [found.get(p.source_key) for p in parents]


@object_type
class CheckedInventory(Node):
    """What can be asked of an inventory before it is submitted."""

    record: strawberry.Private[domain.Inventory]

    @batched
    async def records_without_evidence(
        parents: list[AChecked], info: Info, first: First = None, after: After = None
    ) -> list[Connection[RecordWithoutEvidence]]:
        """Records that it cannot be submitted with for want of evidence, as things stand today, by month."""
        service, request = info.context.use(InventoryChecks), PageRequest.read(first, after)
        pages = [await service.without_evidence(info.context.principal, p.record, request) for p in parents]
        return [Connection.of(page.map(RecordWithoutEvidence.of)) for page in pages]

    @batched
    async def findings(parents: list[AChecked], info: Info) -> list[list[InventoryFinding]]:
        """Warnings, as things stand today: a class of method that comes first and does not count, months in which
        nothing counts.
        """
        return await findings_of([p.record for p in parents], info)


async def findings_of(of: Sequence[domain.Inventory], info: Info) -> list[list[InventoryFinding]]:
    """The warnings of inventories the caller was given already."""
    found = await info.context.use(InventoryChecks).findings(info.context.principal, of)
    return [
        [
            InventoryFinding(
                source_key=f.source_id,
                code=f.error.code.name,
                message=f.error.message(info.context.locale),
                months=[Month(m) for m in f.months],
            )
            for f in found.get(i.id, [])
        ]
        for i in of
    ]
