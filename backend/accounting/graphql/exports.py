"""GraphQL of exports of activity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import exports as domain
from backend.accounting.domain.exports import NewExport
from backend.accounting.service.exports import ExportService
from backend.evidence.graphql import Document, fetch_documents
from backend.kit.graphql.fields import batched, mutation
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.scalars import Month
from backend.kit.graphql.types import build, input_type, object_type
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.work.graphql import Job, fetch_jobs

AnExport = Annotated["ActivityExport", strawberry.lazy("backend.accounting.graphql.exports")]


@object_type
class ActivityExport(Node):
    """Activity written into a file that can be imported again (活动数据导出)."""

    record: strawberry.Private[domain.ActivityExport]
    first_month: Month
    """The first month of the activity."""
    last_month: Month
    """The last month of the activity."""
    rows: int | None
    """Rows of the file; null before it is written."""
    created_at: datetime
    """When it was asked for."""
    finished_at: datetime | None
    """When it was done; null before."""

    @batched
    async def job(parents: list[AnExport], info: Info) -> list[Job | None]:
        """The job that carries it out."""
        found = await fetch_jobs([p.record.job_id for p in parents], info)
        return [found.get(p.record.job_id) for p in parents]

    @batched
    async def file(parents: list[AnExport], info: Info) -> list[Document | None]:
        """The file: CSV in UTF-8, texts that a spreadsheet would take for formulas behind an apostrophe; null before
        it is written.
        """
        found = await fetch_documents([p.record.document_id for p in parents if p.record.document_id], info)
        return [found.get(p.record.document_id) if p.record.document_id else None for p in parents]

    @classmethod
    def of(cls, record: domain.ActivityExport) -> ActivityExport:
        return build(cls, record, id=to_id("ActivityExport", record.id), record=record)


@input_type
class ExportActivityInput(MutationInput):
    """Which activity to write into a file."""

    organisation_id: strawberry.ID
    """The organisation whose activity, and that of all below it, is written."""
    first_month: Month
    """The first month."""
    last_month: Month
    """The last month; it may be the first."""

    def command(self) -> NewExport:
        organisation = key_of(self.organisation_id, "Organisation", "organisationId")
        return NewExport(organisation, self.first_month, self.last_month)


@object_type
class ExportActivityPayload(Payload):
    """The export, which is carried out in the background."""

    activity_export: ActivityExport | None = None
    """The export."""


@object_type
class ExportMutations:
    """Asking for exports."""

    @mutation(requires(Permission.EMISSION_READ))
    async def export_activity(self, info: Info, input: ExportActivityInput) -> ExportActivityPayload:
        """Write current activity into a CSV file, in the background: the same columns that an import reads."""
        done = await info.context.use(ExportService).ask(info.context.actor(input), input.command())
        shown = ActivityExport.of(done.value)
        return ExportActivityPayload(errors=[], activity_export=shown, replayed=done.replayed)


async def fetch_exports(keys: Sequence[UUID], info: Info) -> dict[UUID, ActivityExport]:
    found = await info.context.use(ExportService).by_ids(info.context.principal, keys)
    return {key: ActivityExport.of(record) for key, record in found.items()}


NODES = {"ActivityExport": (ActivityExport, fetch_exports)}
