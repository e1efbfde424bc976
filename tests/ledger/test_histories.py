"""Sixty-four clients of mixed operations on few accounts; what came of it must be what some order would have given.

Every posting has balances in its answer: for each account and lot, the answers in the order of the chain must be the
running sums of the legs. That is serialisability of balances, checked from outside. The clients come by two
processes' worth of services, each with names and a committer of its own.

    LEDGER_HISTORIES=50 python -m pytest tests/ledger/test_histories.py -q -s        (LEDGER_SEED=… for one seed again)
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest

from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from backend.kit.toolbox import Services
from backend.ledger import seals
from backend.ledger.domain.accounts import AccountRef
from backend.ledger.domain.lots import LotRef
from backend.ledger.domain.transfers import Leg, LegOrder, Order, Transfer, TransferKind
from backend.ledger.outcomes import Posting
from backend.ledger.posting import Batch, PostingService
from backend.ledger.reservations.domain import (
    Aim,
    NewReservation,
    PostReservation,
    Reservation,
    ReservationState,
    VoidReservation,
)
from backend.ledger.reservations.service import PostedReservation, ReservationService
from tenants.commands import Actor, Done
from tests.fixtures.ledger import Group, a_lot, key

CLIENTS, STEPS, LOTS, STOCK = 64, 8, ("A", "B"), 600
HISTORIES = int(os.environ.get("LEDGER_HISTORIES", "2"))
VERBS = (
    "post", "post", "post", "surrender", "twice", "batch", "whole", "reserve", "reserve", "freeze", "end", "end",
    "end", "reverse", "replay", "reuse",
)  # fmt: skip
REFUSALS = {
    "INSUFFICIENT_BALANCE", "REVERSAL_NOT_COVERED", "REVERSAL_FROZEN", "ALREADY_REVERSED", "NOT_REVERSIBLE",
    "RESERVATION_PART", "RESERVATION_STAYS", "UNKNOWN_ACCOUNT", "NOT_POSTED",
}  # fmt: skip
Ask = Callable[[Actor], Awaitable[Done[Any]]]
Cell = tuple[UUID, UUID]


@dataclass(slots=True)
class History:
    """What the clients were told."""

    group: Group
    processes: Sequence[Services]
    posted: dict[UUID, Posting] = field(default_factory=dict)
    held: dict[UUID, Reservation] = field(default_factory=dict)
    ended: set[UUID] = field(default_factory=set)
    kept: list[tuple[Ask, str, Any]] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    async def heard(self, ask: Ask, actor: Actor) -> Any:
        """What came of a request, written down; None when it was refused as a whole."""
        try:
            done = await ask(actor)
        except CodedError as error:
            self.refused[error.code.name] += 1
            return None
        if done.replayed:
            return done
        posting = done.value.posting if isinstance(done.value, PostedReservation) else done.value
        if isinstance(posting, Posting):
            self._write_down(posting)
            if all(row.transfer is None for row in posting.rows):
                return done
        if actor.idempotency_key is not None:
            self.kept.append((ask, actor.idempotency_key, done.value))
        return done

    def _write_down(self, posting: Posting) -> None:
        for row in posting.rows:
            if row.transfer is not None:
                assert row.transfer.id not in self.posted, "one transfer was acknowledged twice"
                self.posted[row.transfer.id] = posting
            elif row.refusal is not None:
                self.refused[row.refusal.code] += 1

    @property
    def principal(self) -> Any:
        return self.group.manager.principal


@dataclass(slots=True)
class Client:
    """One of them: a seed, and one of the processes."""

    history: History
    dice: random.Random
    services: Services
    mine: list[UUID] = field(default_factory=list)

    async def run(self) -> None:
        for _ in range(STEPS):
            verb = self.dice.choice(VERBS)
            done = await getattr(self, f"_{verb}")()
            self.history.done[verb] += done is not None

    def order(self, kind: TransferKind = TransferKind.TRANSFER) -> Order:
        group, dice = self.history.group, self.dice
        sides = dice.sample((group.steel, group.cement, group.head), 2)
        source, to = (AccountRef(organisation_id=key(side)) for side in sides)
        lots = [LotRef(scheme="CEA", issue_reference=x) for x in dice.sample(LOTS, dice.randint(1, 2))]
        if kind is TransferKind.SURRENDER:
            legs = tuple(LegOrder(lot, dice.randint(1, 12), source) for lot in lots)
            return Order(kind, legs, key(group.steel), 2024)
        return Order(kind, tuple(LegOrder(lot, dice.randint(1, 60), source, to) for lot in lots))

    def actor(self) -> Actor:
        """Every other request has a key."""
        return Actor(self.history.principal, idempotency_key=str(uuid7()) if self.dice.random() < 0.5 else None)

    def asking(self, what: Order | Batch | NewReservation | PostReservation | VoidReservation) -> Ask:
        posting, holding = self.services.get(PostingService), self.services.get(ReservationService)
        if isinstance(what, Order):
            operation = "reverseTransfer" if what.kind is TransferKind.REVERSE else "transferAssets"
            return lambda actor: posting.post(actor, operation, what)
        if isinstance(what, Batch):
            return lambda actor: posting.post_all(actor, what)
        if isinstance(what, NewReservation):
            return lambda actor: holding.reserve(actor, what)
        if isinstance(what, PostReservation):
            return lambda actor: holding.post(actor, what)
        return lambda actor: holding.void(actor, what)

    async def _do(self, what: Any) -> Any:
        return await self.history.heard(self.asking(what), self.actor())

    async def _post(self) -> Any:
        return await self._do(self.order())

    async def _surrender(self) -> Any:
        return await self._do(self.order(TransferKind.SURRENDER))

    async def _twice(self) -> Any:
        """The same key by both processes at once: one posts, and both are told the same."""
        keyed, order = Actor(self.history.principal, idempotency_key=str(uuid7())), self.order()
        asks = [replace(self, services=s).asking(order) for s in self.history.processes]
        one, other = await asyncio.gather(*(self.history.heard(ask, keyed) for ask in asks))
        if one is not None and other is not None:
            assert {one.replayed, other.replayed} == {True, False}
            assert one.value == other.value
        return one or other

    async def _batch(self) -> Any:
        return await self._do(Batch(tuple(self.order() for _ in range(5)), all_or_nothing=False))

    async def _whole(self) -> Any:
        done = await self._do(Batch(tuple(self.order() for _ in range(2)), all_or_nothing=True))
        assert done is None or len({row.refusal is None for row in done.value.rows}) == 1, "half a list was posted"
        return done

    async def _reserve(self) -> Any:
        order = self.order(self.dice.choice([TransferKind.TRANSFER, TransferKind.SURRENDER]))
        return await self._hold(
            NewReservation(Aim.PENDING, order.legs, order.kind, order.beneficiary_id, order.for_year)
        )

    async def _freeze(self) -> Any:
        return await self._hold(NewReservation(Aim.FREEZE, self.order(TransferKind.SURRENDER).legs))

    async def _hold(self, new: NewReservation) -> Any:
        done = await self._do(new)
        if done is not None:
            self.mine.append(done.value.id)
            self.history.held[done.value.id] = done.value
        return done

    async def _end(self) -> Any:
        """Given up, or posted in full or in part, for the last time or not; one that stays cannot be posted."""
        if not self.mine:
            return None
        given = self.dice.choice(self.mine)
        parts = {0: self.dice.randint(0, 15)} if self.dice.random() < 0.5 else {}
        posts, final = self.dice.random() < 0.5, self.dice.random() < 0.5
        done = await self._do(PostReservation(given, parts, final) if posts else VoidReservation(given, "x"))
        if done is not None:
            left = done.value.reservation if posts else done.value
            self.history.held[given] = left
            if left.state is not ReservationState.ACTIVE:
                self.mine.remove(given)
                self.history.ended.add(given)
        return done

    async def _reverse(self) -> Any:
        if not self.history.posted:
            return None
        victim = self.dice.choice(list(self.history.posted))
        return await self._do(Order(TransferKind.REVERSE, reverses_id=victim))

    async def _replay(self) -> Any:
        """What any client was told, asked for again."""
        if not self.history.kept:
            return None
        ask, used, value = self.dice.choice(self.history.kept)
        done = await ask(Actor(self.history.principal, idempotency_key=used))
        assert (done.replayed, done.value) == (True, value)
        return done

    async def _reuse(self) -> Any:
        """A key that was used, with another body."""
        if not self.history.kept:
            return None
        _, used, _ = self.dice.choice(self.history.kept)
        # By chance an order can be the one of the key; with a purpose it is none that was asked for.
        another = self.asking(replace(self.order(), purpose="另一笔"))
        with pytest.raises(CodedError) as refused:
            await another(Actor(self.history.principal, idempotency_key=used))
        assert refused.value.code.name == "IDEMPOTENCY_KEY_REUSED"
        return refused


@pytest.mark.parametrize("number", range(HISTORIES))
async def test_a_history_is_that_of_some_order(group: Group, number: int) -> None:
    seed = int(os.environ.get("LEDGER_SEED", random.SystemRandom().randrange(10**9)))
    print(f"\nhistory {number}, seed {seed}")
    await group.issue(*(a_lot(o, x, STOCK) for o, x in zip((group.steel, group.cement), LOTS, strict=True)))
    history = History(group, (group.world.services, Services(group.world.services.toolbox)))
    clients = [Client(history, random.Random(seed + i), history.processes[i % 2]) for i in range(CLIENTS)]
    await asyncio.gather(*(client.run() for client in clients))
    print(f"{len(history.posted)} posted, done {dict(history.done)}, refused {dict(history.refused)}")
    assert set(history.refused) <= REFUSALS
    assert set(history.done) == set(VERBS)
    assert len(history.posted) > CLIENTS
    await _check_postings(history)
    await _check_holds(history)
    for ask, used, value in history.kept:
        done = await ask(Actor(history.principal, idempotency_key=used))
        assert (done.replayed, done.value) == (True, value), "one key, two answers"
    found = await seals.verify(group.world.owner, group.world.tenant_id)
    assert found.transfers == len(history.posted) + len(LOTS)


async def _check_postings(history: History) -> None:
    async with history.group.world.owner.read(history.group.world.tenant_id) as session:
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
        kept = await session.rows("SELECT account_id, lot_id, quantity_t FROM asset_balance WHERE NOT issuing")
        audited = await session.rows(
            "SELECT subject_id AS id FROM audit_trail WHERE subject_type = 'AssetTransfer' "
            "AND after->>'kind' IS DISTINCT FROM 'ISSUE'"
        )
    recorded = list(dict.fromkeys(row.id for row in legs))
    assert set(recorded) == history.posted.keys(), "what was acknowledged is there, and nothing else"
    assert Counter(row.id for row in audited) == Counter(recorded), "an audit event each"
    _check_legs(history, legs)
    running: Counter[Cell] = Counter({(r.to_account_id, r.lot_id): r.quantity_t for r in start})
    after: dict[UUID, Counter[Cell]] = {}
    for row in legs:
        running[row.from_account_id, row.lot_id] -= row.quantity_t
        running[row.to_account_id, row.lot_id] += row.quantity_t
        assert running[row.from_account_id, row.lot_id] >= 0, "overspent"
        after[row.id] = running.copy()
    for answer in {id(a): a for a in history.posted.values()}.values():
        # What was posted together stands together in the chain; a balance told was locked until then.
        last = max((r.transfer.id for r in answer.rows if r.transfer), key=recorded.index)
        told = {(b.account_id, b.lot_id): b.quantity_t for b in answer.balances}
        assert told == {cell: after[last][cell] for cell in told}, "a balance that no order gives"
    assert {(r.account_id, r.lot_id): r.quantity_t for r in kept if r.quantity_t} == +running, "lost or doubled"
    assert sum(running.values()) == STOCK * len(LOTS)


def _check_legs(history: History, legs: Sequence[Any]) -> None:
    """What was recorded of each transfer is what its caller was told."""
    answers = {row.transfer.id: row.transfer for a in history.posted.values() for row in a.rows if row.transfer}
    found: dict[UUID, list[tuple[UUID, UUID, UUID, int]]] = {}
    for row in legs:
        found.setdefault(row.id, []).append((row.lot_id, row.from_account_id, row.to_account_id, row.quantity_t))
    assert found == {key: _legs(transfer) for key, transfer in answers.items()}


def _legs(transfer: Transfer) -> list[tuple[UUID, UUID, UUID, int]]:
    def plain(leg: Leg) -> tuple[UUID, UUID, UUID, int]:
        return leg.lot_id, leg.source.id, leg.destination.id, leg.quantity_t

    return [plain(leg) for leg in transfer.legs]


async def _check_holds(history: History) -> None:
    async with history.group.world.owner.read(history.group.world.tenant_id) as session:
        rows = await session.rows("SELECT id FROM asset_reservation")
        ends = await session.rows("SELECT reservation_id AS id, transfer_id FROM asset_reservation_end")
        kept = await session.rows(
            "SELECT account_id, lot_id, quantity_t, reserved_t FROM asset_balance WHERE NOT issuing"
        )
    assert {row.id for row in rows} == history.held.keys()
    assert {row.id for row in ends} == history.ended
    assert {row.transfer_id for row in ends if row.transfer_id} <= history.posted.keys()
    held: Counter[Cell] = Counter()
    for reservation in (history.held[i] for i in history.held.keys() - history.ended):
        for leg in reservation.legs:
            held[leg.source.id, leg.lot_id] += leg.left_t
    assert {(r.account_id, r.lot_id): r.reserved_t for r in kept if r.reserved_t} == +held
    assert all(0 <= r.reserved_t <= r.quantity_t for r in kept)
