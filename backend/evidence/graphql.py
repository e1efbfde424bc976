"""GraphQL of documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import strawberry

from backend.evidence import domain
from backend.evidence.domain import DocumentState, NewDocument
from backend.evidence.service import DocumentService
from backend.kit.errors import INVALID_ID, CodedError
from backend.kit.graphql.fields import batched, mutation, query
from backend.kit.graphql.nodes import Node, from_id, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.objects.store import SignedRequest as Signed
from backend.kit.pages import PageRequest
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(DocumentState)
ADocument = Annotated["Document", strawberry.lazy("backend.evidence.graphql")]


@object_type
class HttpHeader:
    """A header that a signed request must carry."""

    name: str
    """Name."""
    value: str
    """Value."""


@object_type
class SignedRequest:
    """A request its holder may make for a short while; it carries its own permission."""

    method: str
    """PUT or GET."""
    url: str
    """The whole address."""
    headers: list[HttpHeader]
    """Headers that must be sent with it."""

    @classmethod
    def of(cls, signed: Signed) -> SignedRequest:
        return cls(
            method=signed.method,
            url=signed.url,
            headers=[HttpHeader(name=n, value=v) for n, v in signed.headers.items()],
        )


@object_type
class Document(Node):
    """A file that proves a number (证据文件)."""

    record: strawberry.Private[domain.Document]
    title: str
    """Title."""
    file_name: str
    """Name of the file."""
    media_type: str
    """Media type, such as application/pdf."""
    size: int
    """Bytes."""
    sha256: str
    """Digest of the content, 64 hexadecimal digits."""
    state: DocumentState
    """How far it is."""
    keep_until: date | None
    """The day up to which it must stay; null when no term was set."""
    legal_hold: bool
    """Whether it must stay whatever its term (法律保全)."""
    withdrawn_because: str | None
    """Why it was withdrawn; null while it was not."""
    created_at: datetime
    """When its upload was allowed."""
    stored_at: datetime | None
    """When its content was verified; null before."""
    content_removed_at: datetime | None
    """When it gave up its content: withdrawn or never finished, and swept; null while it has it."""

    @batched
    async def replaces(parents: list[ADocument], info: Info) -> list[ADocument | None]:
        """The earlier version of it, if there is one."""
        keys = [p.record.replaces_id for p in parents if p.record.replaces_id]
        found = await fetch_documents(keys, info)
        return [found.get(p.record.replaces_id) if p.record.replaces_id else None for p in parents]

    @batched
    async def replaced_by(parents: list[ADocument], info: Info) -> list[ADocument | None]:
        """The later version of it, if there is one."""
        keys = [p.record.id for p in parents]
        found = await info.context.use(DocumentService).replacements(info.context.principal, keys)
        return [Document.of(found[key]) if key in found else None for key in keys]

    @batched
    async def download(parents: list[ADocument], info: Info) -> list[SignedRequest | None]:
        """A request for its content, good for a few minutes; null unless it is stored."""
        service = info.context.use(DocumentService)
        made = [service.download_request(info.context.principal, p.record) for p in parents]
        return [SignedRequest.of(m) if m else None for m in made]

    @classmethod
    def of(cls, record: domain.Document) -> Document:
        return build(cls, record, id=to_id("Document", record.id), record=record)


@input_type
class CreateEvidenceUploadInput(MutationInput):
    """A file to upload: the upload is accepted only if size, type and digest are as announced."""

    organisation_id: strawberry.ID
    """The organisation it belongs to."""
    title: str = ""
    """Title; the file name when it is left out."""
    file_name: str
    """Name of the file."""
    media_type: str
    """Media type, such as application/pdf."""
    size: int
    """Bytes, at most 100 MiB."""
    sha256: str
    """Digest of the content, 64 hexadecimal digits."""
    replaces_id: strawberry.ID | None = None
    """The document it is a new version of."""
    keep_until: date | None = None
    """The day up to which it must stay."""

    def command(self) -> NewDocument:
        replaces = key_of(self.replaces_id, "Document", "replacesId") if self.replaces_id else None
        owner = key_of(self.organisation_id, "Organisation", "organisationId")
        return build(NewDocument, self, organisation_id=owner, replaces_id=replaces)


@object_type
class CreateEvidenceUploadPayload(Payload):
    """The document, and the request by which its content is uploaded."""

    document: Document | None = None
    """The document, announced."""
    upload: SignedRequest | None = None
    """PUT the file by this request, then call completeEvidenceUpload."""


@input_type
class CompleteEvidenceUploadInput(MutationInput):
    """A document whose content was uploaded."""

    id: strawberry.ID
    """The document."""


@object_type
class CompleteEvidenceUploadPayload(Payload):
    """The document as it is now."""

    document: Document | None = None
    """The document, stored."""


@input_type
class AttachEvidenceInput(MutationInput):
    """Records that a document proves."""

    id: strawberry.ID
    """The document."""
    subject_ids: list[strawberry.ID]
    """The records, 1 to 1000 of one type."""


@object_type
class AttachEvidencePayload(Payload):
    """The document, and what it was attached to."""

    document: Document | None = None
    """The document."""
    attached: int | None = None
    """To how many records it was not attached before; null when it was refused."""


@input_type
class SetEvidenceRetentionInput(MutationInput):
    """How long a document must stay."""

    id: strawberry.ID
    """The document."""
    keep_until: date | None = None
    """A later day than before."""
    legal_hold: bool | None = None
    """Put under legal hold, or release from it."""


@object_type
class SetEvidenceRetentionPayload(Payload):
    """The document as it is now."""

    document: Document | None = None
    """The document."""


@input_type
class WithdrawEvidenceInput(MutationInput):
    """A document that proves nothing any more."""

    id: strawberry.ID
    """The document."""
    reason: str
    """Why."""


@object_type
class WithdrawEvidencePayload(Payload):
    """The document as it is now."""

    document: Document | None = None
    """The document, withdrawn."""


@object_type
class Queries:
    """Documents."""

    @query(requires(Permission.EMISSION_READ))
    async def documents(
        self,
        info: Info,
        organisation_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only of this organisation.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[Document]:
        """Documents the caller may see, the latest first."""
        owner = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        request = PageRequest.read(first, after)
        page = await info.context.use(DocumentService).page(info.context.principal, owner, request)
        return Connection.of(page.map(Document.of))

    @query(requires(Permission.EMISSION_READ))
    async def documents_of(
        self,
        info: Info,
        record_id: Annotated[strawberry.ID, strawberry.argument(description="A record that documents can prove.")],
    ) -> list[Document]:
        """The documents that prove a record, for who may see the record."""
        kind, key = from_id(record_id, path=("recordId",))
        found = await info.context.use(DocumentService).of_record(info.context.principal, kind, key)
        return [Document.of(d) for d in found]


@object_type
class Mutations:
    """Changes to documents."""

    @mutation(requires(Permission.EMISSION_RECORD))
    async def create_evidence_upload(self, info: Info, input: CreateEvidenceUploadInput) -> CreateEvidenceUploadPayload:
        """Announce a file and get the request to upload it by."""
        service = info.context.use(DocumentService)
        done = await service.announce(info.context.actor(input), input.command())
        upload = SignedRequest.of(service.upload_request(info.context.principal, done.value))
        document = Document.of(done.value)
        return CreateEvidenceUploadPayload(errors=[], document=document, upload=upload, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def complete_evidence_upload(
        self, info: Info, input: CompleteEvidenceUploadInput
    ) -> CompleteEvidenceUploadPayload:
        """Compare the uploaded content with what was announced, and keep it."""
        key = key_of(input.id, "Document", "id")
        done = await info.context.use(DocumentService).complete(info.context.actor(input), key)
        return CompleteEvidenceUploadPayload(errors=[], document=Document.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def attach_evidence(self, info: Info, input: AttachEvidenceInput) -> AttachEvidencePayload:
        """Say which records a document proves."""
        key = key_of(input.id, "Document", "id")
        kind, subjects = _subjects(input.subject_ids)
        done = await info.context.use(DocumentService).attach(info.context.actor(input), key, kind, subjects)
        document = Document.of(done.value.document)
        return AttachEvidencePayload(errors=[], document=document, attached=done.value.attached, replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_APPROVE))
    async def set_evidence_retention(self, info: Info, input: SetEvidenceRetentionInput) -> SetEvidenceRetentionPayload:
        """Lengthen how long a document stays, put it under legal hold or release it."""
        done = await info.context.use(DocumentService).keep(
            info.context.actor(input),
            key_of(input.id, "Document", "id"),
            keep_until=input.keep_until,
            legal_hold=input.legal_hold,
        )
        return SetEvidenceRetentionPayload(errors=[], document=Document.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.EMISSION_RECORD))
    async def withdraw_evidence(self, info: Info, input: WithdrawEvidenceInput) -> WithdrawEvidencePayload:
        """Take a document back, unless it must stay."""
        key = key_of(input.id, "Document", "id")
        done = await info.context.use(DocumentService).withdraw(info.context.actor(input), key, input.reason)
        return WithdrawEvidencePayload(errors=[], document=Document.of(done.value), replayed=done.replayed)


def _subjects(ids: Sequence[strawberry.ID]) -> tuple[str, list[UUID]]:
    """The one type of these ids, and their keys. Errors: INVALID_ID."""
    refused: CodedError = INVALID_ID(
        path=("subjectIds",), value=", ".join(ids)[:80], expected="1 to 1000 records of one type",
        expected_zh=" 1 至 1000 条同类记录",
    )  # fmt: skip
    if not 1 <= len(ids) <= 1000:
        raise refused
    read = [from_id(i) for i in ids]
    if len({kind for kind, _ in read}) != 1:
        raise refused
    return read[0][0], [key for _, key in read]


async def attached(kind: str, keys: Sequence[UUID], info: Info) -> list[list[Document]]:
    """The documents attached to records of a kind, for the types of other slices."""
    found = await info.context.use(DocumentService).attached_to(info.context.principal, kind, keys)
    return [[Document.of(d) for d in found.get(key, [])] for key in keys]


async def fetch_documents(keys: Sequence[UUID], info: Info) -> dict[UUID, Document]:
    found = await info.context.use(DocumentService).by_ids(info.context.principal, keys)
    return {key: Document.of(record) for key, record in found.items()}


NODES = {"Document": (Document, fetch_documents)}
