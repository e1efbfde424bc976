"""Balances locked before a posting that names their versions, cuts what they hold, or frees what it posts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from backend.ledger.effects import Pair
from tenants.commands import Change

_HOLD: Final = "SELECT account_id, lot_id, version FROM ledger_hold($1::uuid[], $2::uuid[])"


async def hold(change: Change, pairs: Collection[Pair]) -> dict[Pair, UUID]:
    """Lock the balances of these accounts and lots, in the order of every posting; the version of each."""
    driver = await change.unit.driver()
    rows = await driver.fetch(_HOLD, [account for account, _ in pairs], [lot for _, lot in pairs])
    return {(row["account_id"], row["lot_id"]): row["version"] for row in rows}
