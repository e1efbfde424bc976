"""Use cases on documents: announce, upload, verify, attach, keep, withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

from backend.evidence import repository as rows
from backend.evidence.domain import (
    DOCUMENT_IS_KEPT,
    DOCUMENT_STATE,
    Document,
    DocumentState,
    NewDocument,
    checked_document,
)
from backend.evidence.subjects import owners_of
from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.errors import NOT_FOUND, REASON_MISSING, not_found
from backend.kit.ids import uuid7
from backend.kit.objects.store import SignedRequest
from backend.kit.pages import Page, PageRequest
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, refusals, require, require_organisation
from tenants.commands import Actor, Change, Done, perform


@dataclass(frozen=True, slots=True)
class Linked:
    """A document, and to how many subjects it was newly attached."""

    document: Document
    attached: int


class DocumentService:
    """Documents of a tenant. Their content never passes through GraphQL."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def announce(self, actor: Actor, new: NewDocument) -> Done[Document]:
        """Allow an upload.

        Errors: NOT_FOUND, FORBIDDEN, BAD_DOCUMENT, OBJECT_EMPTY, OBJECT_TOO_LARGE, DOCUMENT_REPLACED.
        """
        checked = checked_document(new)

        async def work(change: Change) -> Document:
            await change.require(Permission.EMISSION_RECORD, new.organisation_id)
            await require_organisation(change.unit, new.organisation_id, "organisationId")
            if new.replaces_id is not None:
                replaced = await self._own(change, new.replaces_id, Permission.EMISSION_RECORD)
                if replaced.organisation_id != new.organisation_id:
                    raise not_found("Document", new.replaces_id, "replacesId")
            made = Document(
                id=uuid7(),
                organisation_id=checked.organisation_id,
                title=checked.title,
                file_name=checked.file_name,
                media_type=checked.media_type,
                size=checked.size,
                sha256=checked.sha256,
                replaces_id=checked.replaces_id,
                state=DocumentState.ANNOUNCED,
                keep_until=checked.keep_until,
                legal_hold=False,
                withdrawn_because=None,
                uploaded_by=actor.principal.member_id,
                created_at=self.toolbox.clock.now(),
                stored_at=None,
            )
            await rows.insert(change.unit, made)
            await change.audit("Document", made.id, made.organisation_id, after=made)
            return made

        return await perform(self.toolbox, actor, "createEvidenceUpload", checked, Document, work)

    def upload_request(self, principal: Principal, document: Document) -> SignedRequest:
        """The request by which the content is uploaded."""
        return self.toolbox.store.upload(document.announced(principal.tenant_id))

    def download_request(self, principal: Principal, document: Document) -> SignedRequest | None:
        """A short-lived request for the content; None unless it is stored."""
        if document.state is not DocumentState.STORED:
            return None
        key = document.announced(principal.tenant_id).key
        return self.toolbox.store.download(key, document.file_name, document.media_type)

    async def complete(self, actor: Actor, key: UUID) -> Done[Document]:
        """Compare what was uploaded with what was announced, and keep it. Harmless when it is stored already.

        Errors: NOT_FOUND, FORBIDDEN, OBJECT_MISSING, OBJECT_DIFFERS, DOCUMENT_STATE.
        """

        async def work(change: Change) -> Document:
            found = await self._own(change, key, Permission.EMISSION_RECORD)
            if found.state is DocumentState.STORED:
                return found
            if found.state is not DocumentState.ANNOUNCED:
                raise DOCUMENT_STATE(path=("id",), state=found.state, needed=DocumentState.ANNOUNCED)
            await rows.lock_content(change.unit, found.sha256)
            await self.toolbox.store.verify(found.announced(change.tenant_id))
            values = {"state": DocumentState.STORED.value, "stored_at": self.toolbox.clock.now()}
            made = await self._changed(change, found, **values)
            await self._protect(change, made)
            return made

        return await perform(self.toolbox, actor, "completeEvidenceUpload", {"id": key}, Document, work)

    async def keep(
        self, actor: Actor, key: UUID, *, keep_until: date | None = None, legal_hold: bool | None = None
    ) -> Done[Document]:
        """Lengthen how long a document stays, put it under legal hold or release it.

        Errors: NOT_FOUND, FORBIDDEN (needs EMISSION_APPROVE), DOCUMENT_IS_KEPT when the term would be shortened.
        """

        async def work(change: Change) -> Document:
            found = await self._own(change, key, Permission.EMISSION_APPROVE)
            values: dict[str, object] = {}
            if keep_until is not None:
                if found.keep_until is not None and keep_until < found.keep_until:
                    raise DOCUMENT_IS_KEPT(path=("keepUntil",), keep_until=found.keep_until)
                values["keep_until"] = keep_until
            if legal_hold is not None:
                values["legal_hold"] = legal_hold
            if not values:
                return found
            await rows.lock_content(change.unit, found.sha256)
            made = await self._changed(change, found, **values)
            await self._protect(change, made)
            return made

        body = {"id": key, "keep_until": keep_until, "legal_hold": legal_hold}
        return await perform(self.toolbox, actor, "setEvidenceRetention", body, Document, work)

    async def _protect(self, change: Change, document: Document) -> None:
        """Let the store itself hold a stored content as long as the strictest of its documents says."""
        if change.actor.dry_run or document.state is not DocumentState.STORED:
            return
        same = await rows.keepers(change.unit, document.sha256)
        until = max((d.keep_until for d in same if d.keep_until), default=None)
        hold = any(d.legal_hold for d in same)
        await self.toolbox.store.protect(document.announced(change.tenant_id).key, keep_until=until, legal_hold=hold)

    async def withdraw(self, actor: Actor, key: UUID, reason: str) -> Done[Document]:
        """Errors: NOT_FOUND, FORBIDDEN, REASON_MISSING, DOCUMENT_IS_KEPT, DOCUMENT_STATE."""
        because = tidy(reason)
        if not because:
            raise REASON_MISSING(path=("reason",))

        async def work(change: Change) -> Document:
            found = await self._own(change, key, Permission.EMISSION_RECORD)
            if found.state is not DocumentState.STORED:
                raise DOCUMENT_STATE(path=("id",), state=found.state, needed=DocumentState.STORED)
            if found.legal_hold or (found.keep_until and found.keep_until >= self.toolbox.clock.today()):
                raise DOCUMENT_IS_KEPT(path=("id",), keep_until=found.keep_until or "-")
            values = {"state": DocumentState.WITHDRAWN.value, "withdrawn_because": because}
            return await self._changed(change, found, **values)

        return await perform(self.toolbox, actor, "withdrawEvidence", {"id": key, "reason": because}, Document, work)

    async def attach(self, actor: Actor, key: UUID, subject_type: str, subject_ids: Sequence[UUID]) -> Done[Linked]:
        """Attach a stored document to records of one type whose organisations the caller may record for.

        Errors: NOT_FOUND, FORBIDDEN, SUBJECT_UNKNOWN, DOCUMENT_STATE.
        """

        async def work(change: Change) -> Linked:
            found = await self._own(change, key, Permission.EMISSION_RECORD)
            if found.state is not DocumentState.STORED:
                raise DOCUMENT_STATE(path=("id",), state=found.state, needed=DocumentState.STORED)
            owners = await owners_of(subject_type, "subjectIds")(change.unit, subject_ids)
            verdicts = await change.refusals(Permission.EMISSION_RECORD, set(owners.values()))
            for n, subject_id in enumerate(subject_ids):
                refused = verdicts.get(owners.get(subject_id))
                if subject_id not in owners or (refused is not None and refused.code is NOT_FOUND):
                    raise not_found(subject_type, subject_id, "subjectIds", str(n))
                if refused is not None:
                    raise refused.at("subjectIds", str(n))
            proven = {subject_id: owners[subject_id] for subject_id in subject_ids}
            added = await rows.link(change.unit, key, subject_type, proven, actor.principal.member_id)
            about = {"subject_type": subject_type, "subject_ids": list(subject_ids)}
            await change.audit("Document", key, found.organisation_id, after=about)
            return Linked(found, added)

        body = {"id": key, "subject_type": subject_type, "subject_ids": list(subject_ids)}
        return await perform(self.toolbox, actor, "attachEvidence", body, Linked, work)

    @staticmethod
    async def _own(change: Change, key: UUID, permission: Permission) -> Document:
        found = (await rows.documents(change.unit, [key], lock=True)).get(key)
        refused = (await change.refusals(permission, [found.organisation_id] if found else [])).values()
        absent = not_found("Document", key, "id")
        if found is None:
            raise absent
        for error in refused:
            raise (absent if error.code is NOT_FOUND else error)
        return found

    @staticmethod
    async def _changed(change: Change, found: Document, **values: object) -> Document:
        await rows.change(change.unit, found.id, **values)
        made = (await rows.documents(change.unit, [found.id]))[found.id]
        await change.audit("Document", found.id, found.organisation_id, before=found, after=made)
        return made

    async def page(self, principal: Principal, organisation_id: UUID | None, request: PageRequest) -> Page[Document]:
        """Errors: NOT_FOUND, FORBIDDEN for an organisation out of reach."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if organisation_id is not None:
                await require(session, principal, Permission.EMISSION_READ, organisation_id)
            return await rows.page(session, principal, organisation_id, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Document]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.documents(session, keys, principal)

    async def attached_to(
        self, principal: Principal, subject_type: str, subject_ids: Sequence[UUID]
    ) -> dict[UUID, list[Document]]:
        """The documents attached to subjects the caller was given already, those the caller may see."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.linked(session, subject_type, subject_ids, principal)

    async def replacements(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Document]:
        """The later version of each document."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.replacements(session, keys, principal)

    async def of_record(self, principal: Principal, subject_type: str, key: UUID) -> list[Document]:
        """The documents that prove a record the caller may read. Errors: NOT_FOUND, FORBIDDEN, SUBJECT_UNKNOWN."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            owner = (await owners_of(subject_type, "recordId")(session, [key])).get(key)
            if owner is None:
                raise not_found(subject_type, key, "recordId")
            for error in (await refusals(session, principal, Permission.EMISSION_READ, [owner])).values():
                absent = not_found(subject_type, key, "recordId")
                raise (absent if error.code is NOT_FOUND else error)
            return (await rows.linked(session, subject_type, [key], principal)).get(key, [])


class EvidenceReader:
    """What other slices read, inside their own transaction. No permission is asked here."""

    @staticmethod
    async def stored(session: ReadSession, key: UUID) -> Document:
        """A document whose content is there. Errors: NOT_FOUND, DOCUMENT_STATE."""
        found = (await rows.documents(session, [key])).get(key)
        if found is None:
            raise not_found("Document", key, "documentId")
        if found.state is not DocumentState.STORED:
            raise DOCUMENT_STATE(path=("documentId",), state=found.state, needed=DocumentState.STORED)
        return found

    @staticmethod
    async def linked(session: ReadSession, subject_type: str, keys: Sequence[UUID]) -> dict[UUID, list[Document]]:
        """The stored documents attached to each subject."""
        return await rows.linked(session, subject_type, keys)

    @staticmethod
    async def fetch(toolbox: Toolbox, tenant_id: UUID, document: Document, path: Path) -> None:
        """Copy the content into a file. Errors: OBJECT_MISSING, OBJECTS_UNAVAILABLE."""
        await toolbox.store.fetch(document.announced(tenant_id).key, path)


async def keep_made(toolbox: Toolbox, unit: UnitOfWork, document: Document, path: Path) -> None:
    """Keep a file of our own making as a stored document; its object is there before the row that names it."""
    assert unit.tenant_id is not None
    await rows.lock_content(unit, document.sha256)
    await toolbox.store.put(document.announced(unit.tenant_id), path)
    await rows.insert(unit, document)
