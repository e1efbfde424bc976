"""SQL of the evidence slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, exists, literal, or_, select
from sqlalchemy.exc import DBAPIError

from backend.evidence.domain import DOCUMENT_IS_KEPT, DOCUMENT_REPLACED, Document, DocumentState
from backend.evidence.tables import document, document_link
from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from tenants.access import Permission, Principal, within


def _document(row: Row[Any]) -> Document:
    given = {name: getattr(row, name) for name in Document.__dataclass_fields__}
    return Document(**given | {"state": DocumentState(row.state)})


def _seen(principal: Principal) -> ColumnElement[bool]:
    """SQL: the document is of an organisation whose emissions the caller may read, or proves a record of one."""
    proof = document_link.alias("proof")
    proves = select(literal(1)).where(
        proof.c.tenant_id == document.c.tenant_id,
        proof.c.document_id == document.c.id,
        within(principal, Permission.EMISSION_READ, proof.c.organisation_id),
    )
    return or_(within(principal, Permission.EMISSION_READ, document.c.organisation_id), exists(proves))


async def insert(unit: UnitOfWork, made: Document) -> None:
    """Errors: DOCUMENT_REPLACED."""
    row = {name: getattr(made, name) for name in Document.__dataclass_fields__}
    try:
        await unit.execute(document.insert(), {**row, "tenant_id": unit.tenant_id, "state": made.state.value})
    except DBAPIError as error:
        raise translate(error, {"document_replaced_once": lambda: DOCUMENT_REPLACED(path=("replacesId",))}) from error


async def change(unit: UnitOfWork, key: UUID, **values: Any) -> None:
    """Errors: DOCUMENT_IS_KEPT."""
    try:
        await unit.execute(document.update().where(document.c.id == key).values(**values))
    except DBAPIError as error:
        raise translate(error, {"document_is_kept": lambda: DOCUMENT_IS_KEPT(keep_until="-")}) from error


async def documents(
    session: ReadSession, keys: Sequence[UUID], principal: Principal | None = None, *, lock: bool = False
) -> dict[UUID, Document]:
    """By id; with a principal, only those of organisations whose emissions it may read."""
    statement = select(document).where(document.c.id.in_(keys)).order_by(document.c.id)
    if principal is not None:
        statement = statement.where(_seen(principal))
    if lock:
        statement = statement.with_for_update()
    return {row.id: _document(row) for row in await session.rows(statement)}


async def page(
    session: ReadSession, principal: Principal, organisation_id: UUID | None, request: PageRequest
) -> Page[Document]:
    """Documents the caller may see, the latest first."""
    statement = select(document).where(_seen(principal))
    if organisation_id is not None:
        statement = statement.where(document.c.organisation_id == organisation_id)
    statement = keyset(statement, request, document.c.id, latest_first=True)
    rows = [_document(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda d: (d.id,))


async def lock_content(unit: UnitOfWork, sha256: str) -> None:
    """Whoever keeps or removes a content of the tenant does so alone until the transaction ends."""
    await unit.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(:sha256, 0) # hashtextextended(:tenant, 0))",
        {"sha256": sha256, "tenant": str(unit.tenant_id)},
    )


async def keepers(session: ReadSession, sha256: str) -> list[Document]:
    """The documents that need this content: stored ones, and uploads that may still be finished."""
    needing = [DocumentState.STORED.value, DocumentState.ANNOUNCED.value]
    statement = select(document).where(document.c.sha256 == sha256, document.c.state.in_(needing))
    return [_document(row) for row in await session.rows(statement)]


async def abandon(unit: UnitOfWork, announced_before: datetime) -> int:
    """Give up uploads that were never finished; how many."""
    statement = document.update().where(
        document.c.state == DocumentState.ANNOUNCED.value, document.c.created_at < announced_before
    )
    return await unit.execute(statement.values(state=DocumentState.ABANDONED.value))


async def to_remove(session: ReadSession, most: int) -> list[Document]:
    """Documents that need their content no more and may still have it."""
    done = [DocumentState.WITHDRAWN.value, DocumentState.ABANDONED.value]
    statement = select(document).where(document.c.state.in_(done), document.c.content_removed_at.is_(None))
    return [_document(row) for row in await session.rows(statement.order_by(document.c.id).limit(most))]


async def replacements(session: ReadSession, keys: Sequence[UUID], principal: Principal) -> dict[UUID, Document]:
    """The later version of each document, where there is one the caller may see."""
    statement = select(document).where(document.c.replaces_id.in_(keys), _seen(principal))
    found = [_document(row) for row in await session.rows(statement)]
    return {d.replaces_id: d for d in found if d.replaces_id}


async def link(unit: UnitOfWork, key: UUID, subject_type: str, owners: Mapping[UUID, UUID], member: UUID) -> int:
    """Attach a document to subjects (with the organisation of each); how many it was not attached to before."""
    return await unit.execute(
        """
        INSERT INTO document_link (tenant_id, document_id, subject_type, subject_id, organisation_id, linked_by)
        SELECT :tenant_id, :document_id, :subject_type, s.key, s.owner, :linked_by
        FROM unnest(CAST(:subjects AS uuid[]), CAST(:owners AS uuid[])) AS s (key, owner)
        ON CONFLICT DO NOTHING
        """,
        {
            "tenant_id": unit.tenant_id,
            "document_id": key,
            "subject_type": subject_type,
            "subjects": list(owners),
            "owners": list(owners.values()),
            "linked_by": member,
        },
    )


async def linked(
    session: ReadSession, subject_type: str, subject_ids: Sequence[UUID], principal: Principal | None = None
) -> dict[UUID, list[Document]]:
    """The stored documents attached to each subject."""
    statement = (
        select(document, document_link.c.subject_id)
        .select_from(document_link)
        .join(document)
        .where(
            document_link.c.subject_type == subject_type,
            document_link.c.subject_id.in_(subject_ids),
            document.c.state == DocumentState.STORED.value,
        )
        .order_by(document.c.id)
    )
    if principal is not None:
        statement = statement.where(_seen(principal))
    found: dict[UUID, list[Document]] = {}
    for row in await session.rows(statement):
        found.setdefault(row.subject_id, []).append(_document(row))
    return found
