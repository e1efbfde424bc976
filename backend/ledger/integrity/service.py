"""The chain for those who audit a tenant: what they are shown they can check with `verify.py` and nothing else."""

from __future__ import annotations

from uuid import UUID

from backend.kit.database import ReadSession
from backend.kit.errors import not_found
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from backend.ledger.repository import seals, transfers
from backend.ledger.seals import Anchor, Proof, Seal, proof
from tenants.access import Principal


class IntegrityService:
    """Reads the chain. It has one line for the whole tenant; a transfer's words are for who may see the transfer."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def head(self, principal: Principal) -> Seal | None:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await seals.head(session)

    async def seal(self, principal: Principal, transfer_id: UUID) -> Seal:
        """Errors: NOT_FOUND."""
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await _must_see(session, principal, transfer_id)
            found = await seals.seal_of(session, transfer_id)
        if found is None:
            raise not_found("AssetTransfer", transfer_id, "transferId")
        return found

    async def proof(self, principal: Principal, transfer_id: UUID) -> Proof:
        """Errors: NOT_FOUND."""
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await _must_see(session, principal, transfer_id)
            return await proof(session, transfer_id)

    async def anchors(self, principal: Principal, request: PageRequest) -> Page[Anchor]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await seals.page_of_anchors(session, request)


async def _must_see(session: ReadSession, principal: Principal, transfer_id: UUID) -> None:
    if not await transfers.transfers(session, [transfer_id], principal):
        raise not_found("AssetTransfer", transfer_id, "transferId")
