"""Balances by checkpoints equal the sum of all entries: on every day, as known at every moment, zeros included."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from backend.kit.provision import OWNER
from backend.ledger.history.domain import Accounts
from backend.ledger.history.service import HistoryService
from tests.fixtures.ledger import Group, a_lot, key, moved

FIRST = date(2024, 1, 1)
SUM = """
SELECT e.account_id, e.lot_id, sum(e.amount_t)::bigint AS quantity_t
FROM asset_entry e JOIN asset_transfer t ON t.tenant_id = e.tenant_id AND t.id = e.transfer_id
JOIN asset_account a ON a.tenant_id = e.tenant_id AND a.id = e.account_id
WHERE a.organisation_id = :organisation AND t.effective_on <= :day AND t.recorded_at <= :known
GROUP BY 1, 2
"""


async def summed(group: Group, at: UUID, day: date, known: datetime) -> dict[Any, int]:
    async with group.world.owner.read(group.world.tenant_id) as session:
        rows = await session.rows(SUM, {"organisation": at, "day": day, "known": known})
    return {(r.account_id, r.lot_id): r.quantity_t for r in rows}


async def by_checkpoint(group: Group, at: UUID, day: date, known: datetime) -> dict[Any, int]:
    assert group.manager.principal is not None
    service = group.world.services.get(HistoryService)
    found = await service.balances(group.manager.principal, Accounts(at), day, known, zero=True)
    without = await service.balances(group.manager.principal, Accounts(at), day, known)
    assert without == [b for b in found if b.quantity_t]
    return {(b.account_id, b.lot_id): b.quantity_t for b in found}


async def test_checkpoints_tell_what_the_entries_tell(group: Group) -> None:
    """Transfers of days in no order, so most are back-dated; checkpoints after some of them; all days, all moments."""
    seed = random.SystemRandom().randrange(10**9)
    dice, service = random.Random(seed), group.world.services.get(HistoryService)
    await group.issue(*(a_lot(group.steel, ref, 1000, issuedOn=FIRST.isoformat()) for ref in ("A", "B")))
    moments, made, due, fresh = [datetime.now(UTC)], 0, 0, True
    for number in range(24):
        source, to = dice.sample([group.steel, group.cement], 2)
        day = FIRST + timedelta(days=dice.randrange(12))
        legs = [moved(source, to, dice.randint(1, 9), dice.choice("AB"))]
        given = {"legs": legs, "effectiveOn": day.isoformat()}
        fresh |= not (await group.manager.attempt("transferAssets", given, "transfer { id }"))["errors"]
        moments.append(datetime.now(UTC))
        if number % 5 == 4:
            made += await service.checkpoint(group.world.tenant_id, timedelta(0))
            due, fresh = due + fresh, False
    assert made == due > 1, f"seed {seed}"
    assert await service.checkpoint(group.world.tenant_id) == 0, "what is younger than ten minutes waits"
    for at in (key(group.steel), key(group.cement)):
        for known in moments[::3] + moments[-1:]:
            for day in (FIRST + timedelta(days=n) for n in range(-1, 13)):
                told = await by_checkpoint(group, at, day, known)
                assert told == await summed(group, at, day, known), f"seed {seed}, {day}, {known}"


async def test_nothing_slips_in_behind_a_checkpoint(group: Group, database_url: str) -> None:
    """A seal of long ago, and an id that does not say its time, are refused to the owner too; so is any change."""
    await group.stock(group.steel)
    await group.world.services.get(HistoryService).checkpoint(group.world.tenant_id, timedelta(0))
    connection = await asyncpg.connect(database_url)
    await connection.execute(f"SET ROLE {OWNER}")
    await connection.execute("SELECT set_config('app.tenant_id', $1, false)", str(group.world.tenant_id))
    late = (
        "INSERT INTO asset_seal SELECT tenant_id, number + 1, sealed_at - $1::interval, transfer_ids, leaves, hash, "
        "hash FROM asset_seal"
    )
    odd = (
        "INSERT INTO asset_seal SELECT tenant_id, number + 1, now(), ARRAY[$1::uuid], leaves, hash, hash "
        "FROM asset_seal"
    )
    with pytest.raises(asyncpg.exceptions.SerializationError):
        await connection.execute(late, timedelta(minutes=6))
    with pytest.raises(asyncpg.exceptions.SerializationError):
        await connection.execute(odd, UUID(int=0))
    with pytest.raises(asyncpg.exceptions.PostgresError) as refused:
        await connection.execute(odd, UUID(int=(1 << 128) - 1))
    assert getattr(refused.value, "constraint_name", "") == "asset_seal_in_time"
    for table in ("asset_checkpoint", "asset_checkpoint_balance"):
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE", f"UPDATE {table} SET number = 1"):
            with pytest.raises(asyncpg.exceptions.PostgresError):
                await connection.execute(statement)
    await connection.close()
