"""SQL of the evidence slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select
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
        statement = statement.where(within(principal, Permission.EMISSION_READ, document.c.organisation_id))
    if lock:
        statement = statement.with_for_update()
    return {row.id: _document(row) for row in await session.rows(statement)}


async def page(
    session: ReadSession, principal: Principal, organisation_id: UUID | None, request: PageRequest
) -> Page[Document]:
    """Documents the caller may see, the latest first."""
    statement = select(document).where(within(principal, Permission.EMISSION_READ, document.c.organisation_id))
    if organisation_id is not None:
        statement = statement.where(document.c.organisation_id == organisation_id)
    statement = keyset(statement, request, document.c.id, latest_first=True)
    rows = [_document(row) for row in await session.rows(statement)]
    return Page.cut(rows, request, lambda d: (d.id,))


async def stored_elsewhere(session: ReadSession, key: UUID, sha256: str) -> bool:
    """Whether another document keeps this content."""
    statement = select(func.count()).where(
        document.c.sha256 == sha256, document.c.id != key, document.c.state == DocumentState.STORED.value
    )
    return bool(await session.scalar(statement))


async def link(unit: UnitOfWork, key: UUID, subject_type: str, subject_ids: Sequence[UUID], member: UUID) -> int:
    """Attach a document to subjects; how many it was not attached to before."""
    return await unit.execute(
        """
        INSERT INTO document_link (tenant_id, document_id, subject_type, subject_id, linked_by)
        SELECT :tenant_id, :document_id, :subject_type, s, :linked_by FROM unnest(CAST(:subjects AS uuid[])) s
        ON CONFLICT DO NOTHING
        """,
        {
            "tenant_id": unit.tenant_id,
            "document_id": key,
            "subject_type": subject_type,
            "subjects": list(subject_ids),
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
        statement = statement.where(within(principal, Permission.EMISSION_READ, document.c.organisation_id))
    found: dict[UUID, list[Document]] = {}
    for row in await session.rows(statement):
        found.setdefault(row.subject_id, []).append(_document(row))
    return found
