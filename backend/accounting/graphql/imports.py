"""GraphQL of imports of activity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from backend.accounting.domain import imports as domain
from backend.accounting.domain.imports import ImportMode, ImportState, NewImport
from backend.accounting.service.imports import ImportService, message_of, problem_of
from backend.evidence.graphql import Document, fetch_documents
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload, UserError, user_error
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires
from tenants.graphql.types import After, First
from tenants.work.graphql import Job, fetch_jobs

enum_type(ImportMode, name="ActivityImportMode")
enum_type(ImportState, name="ActivityImportState")
AnImport = Annotated["ActivityImport", strawberry.lazy("backend.accounting.graphql.imports")]


@object_type
class RefusedRow:
    """A row of a file that was not stored."""

    row: int
    """Its number as a spreadsheet counts: the header is row 1."""
    column: str
    """The field that is wrong: organisation, source, stream, month, quantity, unit, evidence, note; beyond: what stands
    behind the last header.
    """
    code: str
    """Stable error code."""
    message: str
    """What is wrong and what would be right, in the language of Accept-Language."""
    written: str
    """What the cell of that column says, as it stands in the file; empty where the file has no such column."""


@object_type
class ActivityImport(Node):
    """A file of activity and what became of it (活动数据导入)."""

    record: strawberry.Private[domain.ActivityImport]
    state: ImportState
    """How far it is."""
    mode: ImportMode
    """What becomes of the good rows of a file that has bad ones."""
    sheet: str | None
    """The sheet of a workbook that is read; null: the first."""
    rows: int | None
    """Rows of the file; null before it has been read."""
    stored: int | None
    """Rows that were stored."""
    present: int | None
    """Rows that say what a current record says already: the same stream, day, quantity, unit, evidence and note. They
    are left as they are, so that what was exported can be imported again."""
    refused: int | None
    """Rows that were refused."""
    created_at: datetime
    """When it was asked for."""
    finished_at: datetime | None
    """When it was done; null before."""

    @batched
    async def job(parents: list[AnImport], info: Info) -> list[Job | None]:
        """The job that carries it out, with its progress."""
        found = await fetch_jobs([p.record.job_id for p in parents], info)
        return [found.get(p.record.job_id) for p in parents]

    @batched
    async def file(parents: list[AnImport], info: Info) -> list[Document | None]:
        """The file."""
        found = await fetch_documents([p.record.document_id for p in parents], info)
        return [found.get(p.record.document_id) for p in parents]

    @batched
    async def error_file(parents: list[AnImport], info: Info) -> list[Document | None]:
        """The refused rows with what is wrong with each, to be corrected and sent again; null when none was. Where
        all or nothing was asked it has all rows of the file, for none was stored.
        """
        keys = [p.record.error_document_id for p in parents if p.record.error_document_id]
        found = await fetch_documents(keys, info)
        return [found.get(p.record.error_document_id) if p.record.error_document_id else None for p in parents]

    @batched
    async def problem(parents: list[AnImport], info: Info) -> list[UserError | None]:
        """Why the file could not be read at all; null when it could."""
        errors = [problem_of(p.record) for p in parents]
        return [user_error(e, info.context.locale) if e else None for e in errors]

    @batched
    async def refusals(
        parents: list[AnImport], info: Info, first: First = None, after: After = None
    ) -> list[Connection[RefusedRow]]:
        """The rows that were refused, in their order."""
        service, request = info.context.use(ImportService), PageRequest.read(first, after)
        pages = [await service.refusals(info.context.principal, p.record.id, request) for p in parents]

        def shown(refusal: domain.Refusal) -> RefusedRow:
            return build(RefusedRow, refusal, message=message_of(refusal, info.context.locale))

        return [Connection.of(page.map(shown)) for page in pages]

    @classmethod
    def of(cls, record: domain.ActivityImport) -> ActivityImport:
        return build(cls, record, id=to_id("ActivityImport", record.id), record=record)


@input_type
class ImportActivityInput(MutationInput):
    """A stored document (CSV or XLSX) to read activity from."""

    organisation_id: strawberry.ID
    """The organisation whose sources, and those below it, the rows may name."""
    document_id: strawberry.ID
    """The uploaded file."""
    mode: ImportMode = ImportMode.PARTIAL
    """What becomes of the good rows of a file that has bad ones."""
    sheet: str | None = None
    """The sheet of a workbook; the first visible one when it is left out."""

    def command(self) -> NewImport:
        return NewImport(
            key_of(self.organisation_id, "Organisation", "organisationId"),
            key_of(self.document_id, "Document", "documentId"),
            self.mode,
            self.sheet,
        )


@object_type
class ImportActivityPayload(Payload):
    """The import, which is carried out in the background."""

    activity_import: ActivityImport | None = None
    """The import; the earlier one when this file was imported here before."""
    replayed: bool = False
    """True when the file was imported here before, or the idempotency key was used before: the import is the one of
    then, and nothing new happens.
    """


@object_type
class ImportQueries:
    """Imports."""

    @query(requires(Permission.EMISSION_READ))
    async def activity_imports(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only those asked for at this organisation.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[ActivityImport]:
        """Imports of activity the caller may see, the latest first."""
        owner = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        request = PageRequest.read(first, after)
        page = await info.context.use(ImportService).page(info.context.principal, owner, request)
        return Connection.of(page.map(ActivityImport.of))


@object_type
class ImportMutations:
    """Asking for imports."""

    @mutation(requires(Permission.EMISSION_RECORD))
    async def import_activity(self, info: Info, input: ImportActivityInput) -> ImportActivityPayload:
        """Read activity from an uploaded CSV or XLSX file, in the background, row by row."""
        done = await info.context.use(ImportService).ask(info.context.actor(input), input.command())
        shown = ActivityImport.of(done.value)
        return ImportActivityPayload(errors=[], activity_import=shown, replayed=done.replayed)


async def fetch_imports(keys: Sequence[UUID], info: Info) -> dict[UUID, ActivityImport]:
    found = await info.context.use(ImportService).by_ids(info.context.principal, keys)
    return {key: ActivityImport.of(record) for key, record in found.items()}


NODES = {"ActivityImport": (ActivityImport, fetch_imports)}
