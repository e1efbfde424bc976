"""Clears what nobody needs: uploads that were never finished, contents that no document has any more."""

from __future__ import annotations

from uuid import UUID

from backend.evidence import repository as rows
from backend.evidence.domain import ABANDONED_AFTER, Document, Swept
from backend.kit.database import UnitOfWork
from backend.kit.toolbox import Toolbox

AT_ONCE = 500


async def sweep(toolbox: Toolbox, tenant_id: UUID) -> Swept:
    """Give up old uploads of a tenant and remove contents; for operators. Harmless to repeat or to break off.

    A content goes only when no stored document and no open upload has it. Errors: OBJECTS_UNAVAILABLE.
    """
    before = toolbox.clock.now() - ABANDONED_AFTER
    abandoned = await toolbox.database.write(tenant_id, lambda unit: rows.abandon(unit, before))
    removed = shared = 0
    while True:
        async with toolbox.database.read(tenant_id) as session:
            found = await rows.to_remove(session, AT_ONCE)
        for document in found:
            gone = await _remove(toolbox, tenant_id, document)
            removed, shared = removed + gone, shared + (not gone)
        if len(found) < AT_ONCE:
            return Swept(abandoned, removed, shared)


async def _remove(toolbox: Toolbox, tenant_id: UUID, document: Document) -> bool:
    """False when other documents have the same content: then it stays, and this one is done with."""

    async def work(unit: UnitOfWork) -> bool:
        await rows.lock_content(unit, document.sha256)
        alone = not await rows.keepers(unit, document.sha256)
        if alone:
            await toolbox.store.delete(document.announced(tenant_id).key)
        await rows.change(unit, document.id, content_removed_at=toolbox.clock.now())
        return alone

    return await toolbox.database.write(tenant_id, work)
