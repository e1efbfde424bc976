"""Which days are closed."""

from __future__ import annotations

from datetime import date
from typing import Final
from uuid import UUID

from backend.kit.database import ReadSession, UnitOfWork
from backend.ledger.tables import asset_closing

_OWNERS: Final = "SELECT DISTINCT organisation_id FROM asset_account WHERE organisation_id IS NOT NULL"
_CLOSED: Final = "SELECT max(through) FROM asset_closing"


async def closed_through(session: ReadSession) -> date | None:
    """The last closed day; None when none is."""
    found: date | None = await session.scalar(_CLOSED)
    return found


async def account_owners(session: ReadSession) -> set[UUID]:
    """Every organisation that has an account."""
    return {UUID(int=row.organisation_id.int) for row in await session.rows(_OWNERS)}


async def close(unit: UnitOfWork, through: date, reason: str) -> None:
    row = {"tenant_id": unit.tenant_id, "through": through, "reason": reason}
    await unit.execute(asset_closing.insert(), row)
