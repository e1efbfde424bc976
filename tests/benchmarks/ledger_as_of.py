"""ledger.balance_as_of: an organisation's balances on a past day among a million entries, by checkpoints.

The limit is one look-up by key in the same database: what any answer from it costs at least. Loading ends with the
entries asked for or with its time; the note says how many there were.

    LEDGER_ENTRIES=10000000 LEDGER_LOAD_S=1800 make bench ONLY=ledger.balance_as_of
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Final

from asyncpg import connect as plain_connect

from backend.kit.database import Database, UnitOfWork, connect
from backend.kit.provision import APP, OWNER
from backend.ledger.history.domain import Accounts
from backend.ledger.history.service import HistoryService
from tests.benchmarks.ledger_stage import Stage
from tests.benchmarks.table import Figure

ENTRIES: Final = int(os.environ.get("LEDGER_ENTRIES", "1000000"))
LOAD_S: Final = float(os.environ.get("LEDGER_LOAD_S", "600"))
PER_SEAL: Final = 1_000
DAYS: Final = 365
ASKED: Final = 500
FIRST: Final = date(2025, 1, 1)
# Transfers of one unit between any two accounts, of lots in turn, day after day, some back-dated by up to two days.
_MANY: Final = """
WITH at AS MATERIALIZED (
  SELECT array_agg(id ORDER BY id) AS ids, count(*)::int AS size FROM asset_account
  WHERE organisation_id = ANY (CAST(:organisations AS uuid[]))
), lot AS MATERIALIZED (SELECT array_agg(id ORDER BY id) AS ids, count(*)::int AS size FROM asset_lot
), made AS MATERIALIZED (
  SELECT n, overlay(gen_random_uuid()::text PLACING left(ledger_id_floor(clock_timestamp())::text, 13)
                    FROM 1)::uuid AS id,
         (:seed + n * 31) % at.size AS one, (:seed + n * 31 + 1 + n % (at.size - 1)) % at.size AS other,
         at.ids, lot.ids AS lots, lot.size AS lot_size
  FROM at, lot, generate_series(1, :size) AS n
), posted AS (
  INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, operation, correlation_id)
  SELECT :tenant, id, 'TRANSFER', 1, CAST(:first AS date) + greatest(:day - n % 3, 0), 'bench', '-' FROM made
)
INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
SELECT :tenant, id, 1, lots[1 + n % lot_size], ids[1 + one], ids[1 + other], 1 FROM made
"""
_GIVEN: Final = "of_tenant uuid, from_day date, accounts uuid[], lots uuid[], yet bigint[]"


async def run(url: str) -> Figure:
    """Milliseconds at the 99th percentile; the note says how many entries there were and what the checkpoints cost."""
    owner, database = connect(url, role=OWNER), connect(url, role=APP)
    stage = await Stage.create(owner, database, FIRST)
    started = time.perf_counter()
    entries = await _load(owner, stage)
    loaded = time.perf_counter() - started
    history = stage.services.get(HistoryService)
    tenant_id = stage.principal.tenant_id
    started = time.perf_counter()
    made = await HistoryService(stage.services.toolbox).checkpoint(tenant_id, timedelta(0))
    took = time.perf_counter() - started
    await _settled(url)
    dice = random.Random(1)

    async def as_of() -> object:
        at, day = dice.choice(stage.organisations), FIRST + timedelta(days=dice.randrange(DAYS))
        return await history.balances(stage.principal, Accounts(at), day, None)

    async def by_key() -> object:
        async with database.read(tenant_id) as session:
            return await session.scalar(
                "SELECT name_zh FROM organisation WHERE id = :id", {"id": stage.organisations[0]}
            )

    ours, limit = await _p99(as_of), await _p99(by_key)
    await owner.close()
    await database.close()
    note = (
        f"p99 of {ASKED}, {entries:,} entries of {DAYS} days in {len(stage.organisations)} accounts "
        f"(loaded in {loaded:.0f} s, {made} checkpoints in {took:.0f} s); to reach: 5 ms"
    )
    return Figure("ledger.balance_as_of", ours, limit, 5.0 / ours, "ms", note)


async def _settled(url: str) -> None:
    """As the server would have done by itself before a year had passed."""
    connection = await plain_connect(url)
    for table in ("asset_leg", "asset_transfer", "asset_checkpoint_balance", "asset_balance"):
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def _load(owner: Database, stage: Stage) -> int:
    """A year's transfers in their order, so that a checkpoint seldom tells a day anew; how many entries they have.

    A year recorded within minutes is back-dated throughout, and each leg would look at all before it: for the time of
    loading no day is looked at.
    """
    async with owner.engine.begin() as connection:
        await connection.exec_driver_sql(f"ALTER FUNCTION ledger_short_day ({_GIVEN}) RENAME TO ledger_short_day_kept")
        await connection.exec_driver_sql(
            f"CREATE FUNCTION ledger_short_day ({_GIVEN}) RETURNS TABLE (account_id uuid, lot_id uuid, day date, "
            "quantity_t bigint) LANGUAGE sql AS 'SELECT NULL::uuid, NULL::uuid, NULL::date, NULL::bigint WHERE false'"
        )
    try:
        return await _transfers(owner, stage)
    finally:
        async with owner.engine.begin() as connection:
            await connection.exec_driver_sql(f"DROP FUNCTION ledger_short_day ({_GIVEN})")
            await connection.exec_driver_sql("ALTER FUNCTION ledger_short_day_kept RENAME TO ledger_short_day")


async def _transfers(owner: Database, stage: Stage) -> int:
    batches, until = ENTRIES // 2 // PER_SEAL, time.monotonic() + LOAD_S
    for number in range(batches):
        if time.monotonic() > until:
            return number * PER_SEAL * 2
        given: dict[str, object] = {"organisations": stage.organisations, "size": PER_SEAL, "first": FIRST}
        given |= {"seed": number * 977, "day": number * DAYS // batches}

        async def work(unit: UnitOfWork, given: dict[str, object] = given) -> None:
            await unit.execute(_MANY, given | {"tenant": unit.tenant_id})

        await owner.write(stage.principal.tenant_id, work)
    return batches * PER_SEAL * 2


async def _p99(work: Callable[[], Awaitable[object]]) -> float:
    took = []
    for _ in range(ASKED):
        started = time.perf_counter()
        await work()
        took.append((time.perf_counter() - started) * 1000)
    return sorted(took)[int(ASKED * 0.99)]
