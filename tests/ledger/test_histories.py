"""Sixty-four clients of mixed operations on few accounts; what came of it must be what some order would have given.

Every posting has balances in its answer: for each account and lot, the answers in the order of the chain must be the
running sums of the legs. That is serialisability of balances, checked from outside.

    LEDGER_HISTORIES=50 python -m pytest tests/ledger/test_histories.py -q -s
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from backend.ledger import seals
from backend.ledger.domain import AccountRef, LegOrder, LotRef, Order, TransferKind
from backend.ledger.posting import Batch, PostingService
from backend.ledger.reservations.domain import Aim, NewReservation, PostReservation, VoidReservation
from backend.ledger.reservations.service import ReservationService
from tenants.commands import Actor
from tests.fixtures.ledger import Group, a_lot, key

CLIENTS, STEPS, LOTS, STOCK = 64, 6, ("A", "B"), 400
HISTORIES = int(os.environ.get("LEDGER_HISTORIES", "2"))


@dataclass(slots=True)
class History:
    """What the clients were told."""

    group: Group
    acknowledged: dict[UUID, Any] = field(default_factory=dict)
    replays: list[tuple[str, Order, Any]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    async def heard(self, work: Awaitable[Any]) -> Any:
        try:
            done = await work
        except CodedError as error:
            self.refused[error.code.name] += 1
            return None
        posted = getattr(done.value, "posting", done.value)
        for row in getattr(posted, "rows", ()):
            if row.transfer is not None and not done.replayed:
                assert row.transfer.id not in self.acknowledged, "one transfer was acknowledged twice"
                self.acknowledged[row.transfer.id] = posted
            elif row.refusal is not None:
                self.refused[row.refusal.code] += 1
        return done

    def order(self, dice: random.Random) -> Order:
        sides = [AccountRef(organisation_id=key(o)) for o in (self.group.steel, self.group.cement, self.group.head)]
        source, to = dice.sample(sides, 2)
        lots = dice.sample(LOTS, dice.randint(1, 2))
        legs = tuple(LegOrder(LotRef(scheme="CEA", issue_reference=x), dice.randint(1, 60), source, to) for x in lots)
        return Order(TransferKind.TRANSFER, legs)

    async def client(self, seed: int) -> None:
        dice, actor = random.Random(seed), Actor(self._principal())
        posting = self.group.world.services.get(PostingService)
        holding = self.group.world.services.get(ReservationService)
        mine: list[UUID] = []
        for _ in range(STEPS):
            verb = dice.choice(["post", "post", "post", "twice", "batch", "reserve", "end", "reverse"])
            order = self.order(dice)
            if verb == "post":
                await self.heard(posting.post(actor, "transferAssets", order))
            elif verb == "twice":
                keyed = Actor(self._principal(), idempotency_key=str(uuid7()))
                one, other = await asyncio.gather(
                    *(self.heard(posting.post(keyed, "transferAssets", order)) for _ in range(2))
                )
                if one is not None and other is not None:
                    assert {one.replayed, other.replayed} == {True, False}
                    assert one.value == other.value
            elif verb == "batch":
                batch = Batch(tuple(self.order(dice) for _ in range(5)), all_or_nothing=False)
                await self.heard(posting.post_all(actor, batch))
            elif verb == "reserve":
                made = await self.heard(holding.reserve(actor, NewReservation(Aim.PENDING, order.legs, order.kind)))
                mine += [made.value.id] if made is not None else []
            elif verb == "end" and mine:
                parts = {0: dice.randint(1, 60)} if dice.random() < 0.5 else {}
                given, final = mine.pop(), dice.random() < 0.5
                mine += [] if final else [given]
                if dice.random() < 0.7:
                    await self.heard(holding.post(actor, PostReservation(given, parts, final)))
                else:
                    await self.heard(holding.void(actor, VoidReservation(given, "x")))
            elif verb == "reverse" and self.acknowledged:
                victim = dice.choice(list(self.acknowledged))
                reversal = Order(TransferKind.REVERSE, reverses_id=victim)
                await self.heard(posting.post(actor, "reverseTransfer", reversal))

    def _principal(self) -> Any:
        return self.group.manager.principal


@pytest.mark.parametrize("number", range(HISTORIES))
async def test_a_history_is_that_of_some_order(group: Group, number: int) -> None:
    seed = random.SystemRandom().randrange(10**9)
    await group.issue(*(a_lot(group.steel, x, STOCK) for x in LOTS))
    history = History(group)
    await asyncio.gather(*(history.client(seed + i) for i in range(CLIENTS)))
    print(f"\nhistory {number}, seed {seed}: {len(history.acknowledged)} posted, refused {dict(history.refused)}")
    known = {
        "INSUFFICIENT_BALANCE", "REVERSAL_NOT_COVERED", "REVERSAL_FROZEN", "ALREADY_REVERSED", "NOT_REVERSIBLE",
        "RESERVATION_PART", "RESERVATION_ENDED", "UNKNOWN_ACCOUNT",
    }  # fmt: skip
    assert set(history.refused) <= known
    assert len(history.acknowledged) > CLIENTS
    await _check(history)


async def _check(history: History) -> None:
    world = history.group.world
    async with world.owner.read(world.tenant_id) as session:
        legs = await session.rows(
            "SELECT s.number, t.id, l.lot_id, l.from_account_id, l.to_account_id, l.quantity_t "
            "FROM asset_transfer t JOIN asset_leg l ON l.transfer_id = t.id "
            "JOIN asset_seal s ON s.sealed_at = t.recorded_at AND t.id = ANY (s.transfer_ids) "
            "WHERE t.kind <> 'ISSUE' ORDER BY s.number, array_position(s.transfer_ids, t.id), l.leg"
        )
        start = await session.rows(
            "SELECT l.lot_id, l.to_account_id, l.quantity_t FROM asset_leg l "
            "JOIN asset_transfer t ON t.id = l.transfer_id WHERE t.kind = 'ISSUE'"
        )
        kept = await session.rows(
            "SELECT account_id, lot_id, quantity_t, reserved_t FROM asset_balance WHERE NOT issuing"
        )
    recorded = {row.id for row in legs}
    assert recorded == set(history.acknowledged), "what was acknowledged is there, and nothing else"
    running: Counter[tuple[UUID, UUID]] = Counter({(r.to_account_id, r.lot_id): r.quantity_t for r in start})
    after: dict[tuple[int, UUID], dict[tuple[UUID, UUID], int]] = {}
    for row in legs:
        running[row.from_account_id, row.lot_id] -= row.quantity_t
        running[row.to_account_id, row.lot_id] += row.quantity_t
        assert running[row.from_account_id, row.lot_id] >= 0, "overspent"
        after.setdefault((row.number, row.id), {}).update(
            {(a, row.lot_id): running[a, row.lot_id] for a in (row.from_account_id, row.to_account_id)}
        )
    for (_, transfer_id), sums in after.items():
        answer = history.acknowledged[transfer_id]
        if len(answer.rows) == 1:
            told = {(b.account_id, b.lot_id): b.quantity_t for b in answer.balances}
            assert told == {cell: sums[cell] for cell in told}, "a balance that no order gives"
    assert {(r.account_id, r.lot_id): r.quantity_t for r in kept if r.quantity_t} == +running
    assert all(0 <= r.reserved_t <= r.quantity_t for r in kept)
    assert sum(running.values()) == STOCK * len(LOTS)
    found = await seals.verify(world.owner, world.tenant_id)
    assert found.transfers == len(recorded) + len(LOTS)
