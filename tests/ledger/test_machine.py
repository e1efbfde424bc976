"""Random sequences of every verb, single and in batches, against an independent model; after every step the invariants.

Each sequence has a tenant of its own: transfers and their reversals, holds, replays, splits, merges, ranges of serial
numbers, back-dated postings, a closed period, checkpoints.

    LEDGER_SEQUENCES=10000 python -m pytest tests/ledger/test_machine.py -q -s        (the long run, over half an hour)
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from backend.ledger import seals
from backend.ledger.cuts.domain import MergeLots, SplitLot
from backend.ledger.cuts.service import CutService
from backend.ledger.domain.lots import AssetClass, LotRef, NewLot, Origin, SerialBlock
from backend.ledger.domain.transfers import Order, TransferKind
from backend.ledger.history.domain import Accounts
from backend.ledger.history.service import ClosePeriod, HistoryService
from backend.ledger.posting import Batch, PostingService
from backend.ledger.reservations.domain import Aim, NewReservation, PostReservation, VoidReservation
from backend.ledger.reservations.service import ReservationService
from backend.ledger.service import LedgerService, LotBatch
from tenants.commands import Actor
from tests.fixtures.ledger import Group
from tests.fixtures.world import World
from tests.ledger.model import Move
from tests.ledger.pieces import HOLDERS, Holding, Pieces
from tests.ledger.test_sequences import LOTS, STOCK, Run, moves

SEQUENCES = int(os.environ.get("LEDGER_SEQUENCES", "150"))
_PREFIXES = count()
_PLAYED: Counter[str] = Counter()
Step = tuple[str, Any]


NAMES = (*LOTS, "0", "1", "2")
"""Numbers stand for the lots cut out of the numbered one, as far as there are."""
FIRST, LAST = 100, 100 + STOCK - 1
ISSUED_ON, CLOSED_THROUGH = date(2024, 1, 1), date(2024, 1, 31)
PLAIN = ["post", "post", "batch", "reserve", "freeze", "commit", "void", "replay"]
HOLDS = ["commit", "commit", "commit", "reserve", "freeze", "void", "post"]
CUTS = ["split", "split", "merge", "merge", "move_range", "move_range"]
PAST = ["back_dated", "back_dated", "close", "checkpoint"]


def steps(verbs: Sequence[str]) -> st.SearchStrategy[Step]:
    return st.sampled_from(verbs).flatmap(lambda verb: st.tuples(st.just(verb), _given(verb)))


def _given(verb: str) -> st.SearchStrategy[Any]:
    """What a step of this verb works on."""
    plain, piece = moves(NAMES).filter(lambda m: m.reverses is None), st.integers(0, 8)
    block = st.tuples(st.integers(-1, 9), st.integers(0, 9))
    from_steel = plain.filter(lambda m: all(leg[1] == "steel" for leg in m.legs))
    numbered = st.tuples(st.integers(0, 6), st.integers(0, STOCK))
    found: dict[str, st.SearchStrategy[Any]] = {
        "post": moves(NAMES),
        "batch": st.lists(moves(NAMES), min_size=1, max_size=4),
        "reserve": from_steel,
        "freeze": from_steel,
        "commit": st.tuples(st.integers(0, 6), st.integers(0, STOCK), st.booleans()),
        "void": numbered,
        "replay": numbered,
        "split": st.tuples(piece, block),
        "merge": st.tuples(piece, st.one_of(st.integers(2, 3), st.lists(piece, max_size=2))),
        "move_range": st.tuples(piece, block, st.permutations(HOLDERS)),
        "back_dated": plain.filter(lambda m: m.legs[0][2] not in {"SURRENDERED", "RETIRED"}),
        "close": st.none(),
        "checkpoint": st.none(),
    }
    return found[verb]


@pytest.fixture(scope="module", autouse=True)
def tally() -> Iterator[None]:
    """How often each verb ended how."""
    yield
    print(f"\nsteps by verb: {dict(_PLAYED)}")


async def outcome(work: Awaitable[Any]) -> tuple[Any, str | None]:
    """What came of it, or the code of its refusal."""
    try:
        return await work, None
    except CodedError as error:
        return None, error.code.name


@dataclass(slots=True)
class Play:
    """One sequence, played to the ledger and to the model."""

    group: Group
    run: Run
    model: Pieces = field(default_factory=Pieces)
    reservations: dict[int, tuple[UUID, Aim]] = field(default_factory=dict)
    sent: list[tuple[str, Any, Any]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)
    lots: dict[UUID, str] = field(default_factory=dict)

    @property
    def principal(self) -> Any:
        return self.group.manager.principal

    async def step(self, verb: str, what: Any) -> None:
        refused = await getattr(self, f"_{verb}")(what)
        _PLAYED[f"{verb} {refused or 'done'}"] += 1
        assert await self.run.balances() == {cell: q for cell, q in self.model.balances.items() if q}
        assert await self._held() == {cell: q for cell, q in self.model.held.items() if q}

        assert await self._told_of(None) == {c: q for c, q in self.model.balances.items() if q and c[0] in HOLDERS}
        assert await self._told_of(ISSUED_ON) == {c: q for c, q in self.model.then.items() if q and c[0] in HOLDERS}

    def _named(self, move: Move) -> Move:
        """The move with the names of lots in it: numbers are those of the known cut ones."""
        known = self.model.known
        names = [leg[0] if leg[0] in LOTS else known[int(leg[0]) % len(known)] for leg in move.legs]
        return replace(move, legs=tuple((name, *leg[1:]) for name, leg in zip(names, move.legs, strict=True)))

    def _piece(self, number: int) -> str:
        return self.model.known[number % len(self.model.known)]

    def _ref(self, name: str) -> LotRef:
        return LotRef(scheme="CEA", issue_reference=self.run.prefix + name)

    async def _split(self, what: Any) -> str | None:
        name, block = self._piece(what[0]), self._block(*what)
        service = self.group.world.services.get(CutService)
        _, refused = await outcome(service.split(Actor(self.principal), SplitLot(self._ref(name), (block,))))
        assert refused == self.model.split(name, block)
        return refused

    def _block(self, number: int, within: tuple[int, int]) -> tuple[int, int]:
        """Numbers counted from the first of a piece, for the most part inside it."""
        first = self.model.blocks.get(self._piece(number), (FIRST, LAST))[0] + within[0]
        return first, first + within[1]

    async def _merge(self, what: tuple[int, Any]) -> str | None:
        """Neighbours, or any."""
        one, others = what
        if isinstance(others, int):
            standing = sorted(self.model.blocks, key=lambda name: self.model.blocks[name])
            names = standing[one % len(standing) :][:others]
        else:
            names = [self._piece(number) for number in (one, *others)]
        service = self.group.world.services.get(CutService)
        lots = tuple(self._ref(name) for name in names)
        _, refused = await outcome(service.merge(Actor(self.principal), MergeLots(lots)))
        assert refused == self.model.merge(names)
        return refused

    async def _move_range(self, what: Any) -> str | None:
        number, name, block, (source, to) = next(self.numbers), self._piece(what[0]), self._block(*what[:2]), what[2]
        move = Move(((name, source, to, block[1] - block[0] + 1),))
        (leg,) = self.run.order(move).legs
        order = Order(TransferKind.TRANSFER, (replace(leg, serials=block),))
        service = self.group.world.services.get(PostingService)
        done, refused = await outcome(service.post(Actor(self.principal), "transferAssets", order))
        assert refused == self.model.move_range(number, name, block, source, to)
        if done is not None:
            self.run.posted[number] = done.value.rows[0].transfer.id
        return refused

    async def _back_dated(self, move: Move) -> str | None:
        number, move = next(self.numbers), self._named(move)
        order = replace(self.run.order(move), effective_on=ISSUED_ON)
        service = self.group.world.services.get(PostingService)
        done, refused = await outcome(service.post(Actor(self.principal), "transferAssets", order))
        assert refused == self.model.apply_back_dated(number, move)
        if done is not None:
            self.run.posted[number] = done.value.rows[0].transfer.id
        return refused

    async def _close(self, _: None) -> str | None:
        service = self.group.world.services.get(HistoryService)
        _, refused = await outcome(service.close(Actor(self.principal), ClosePeriod(CLOSED_THROUGH, "x")))
        assert refused == ("CLOSING_DAY" if self.model.closed else None)
        self.model.closed = True
        return refused

    async def _checkpoint(self, _: None) -> None:
        await self.group.world.services.get(HistoryService).checkpoint(self.group.world.tenant_id, timedelta(0))

    async def _told_of(self, day: date | None) -> dict[tuple[str, str], int]:
        """The balances of a day (none: today) as checkpoints and what was recorded after them tell them."""
        service = self.group.world.services.get(HistoryService)
        found: dict[tuple[str, UUID], int] = {}
        for holder in HOLDERS:
            told = await service.balances(self.principal, Accounts(self.run.organisation(holder)), day, None)
            found |= {(holder, b.lot_id): b.quantity_t for b in told}
        assert all(quantity >= 0 for quantity in found.values()), "no balance was below zero on any day"
        lots = {lot for _, lot in found} - self.lots.keys()
        if lots:
            async with self.group.world.owner.read(self.group.world.tenant_id) as session:
                rows = await session.rows("SELECT id, issue_reference FROM asset_lot")
            self.lots = {row.id: row.issue_reference.removeprefix(self.run.prefix) for row in rows}
        others = f"cement's of {self.run.prefix}"
        return {(h, self.lots[lot]): q for (h, lot), q in found.items() if self.lots[lot] != others}

    async def _post(self, move: Move) -> str | None:
        move = self._named(move)
        number, key, order = next(self.numbers), str(uuid7()), self.run.order(move)
        service = self.group.world.services.get(PostingService)
        done, refused = await outcome(service.post(Actor(self.principal, key), "transferAssets", order))
        assert refused == self.model.apply(number, move)
        if done is not None:
            self.run.posted[number] = done.value.rows[0].transfer.id
            self.sent.append((key, order, done.value))
        return refused

    async def _batch(self, batch: Sequence[Move]) -> None:
        service = self.group.world.services.get(PostingService)
        before = set(self.model.posted)
        batch = [self._named(move) for move in batch]
        orders = tuple(self.run.order(move) for move in batch)
        done = await service.post_all(Actor(self.principal), Batch(orders, all_or_nothing=False))
        for move, row in zip(batch, done.value.rows, strict=True):
            number = next(self.numbers)
            known = move.reverses is None or move.reverses in before
            expected = self.model.apply(number, move) if known else "UNKNOWN_TRANSFER"
            assert (row.refusal and row.refusal.code) == expected
            if row.transfer is not None:
                self.run.posted[number] = row.transfer.id

    async def _reserve(self, move: Move) -> str | None:
        move = self._named(move)
        order = self.run.order(move)
        served = order.beneficiary_id, order.for_year
        new = NewReservation(Aim.PENDING, order.legs, order.kind, *served, purpose=order.purpose)
        return await self._hold(move, new)

    async def _freeze(self, move: Move) -> str | None:
        move = self._named(move)
        stay = Move(tuple((lot, source, "CANCELLED", quantity) for lot, source, _, quantity in move.legs))
        return await self._hold(move, NewReservation(Aim.FREEZE, self.run.order(stay).legs))

    async def _hold(self, move: Move, new: NewReservation) -> str | None:
        number = len(self.reservations)
        service = self.group.world.services.get(ReservationService)
        done, refused = await outcome(service.reserve(Actor(self.principal), new))
        assert refused == self.model.hold(number, move.legs)
        if done is not None:
            self.reservations[number] = (done.value.id, new.aim)
        return refused

    async def _commit(self, what: tuple[int, int, bool]) -> str | None:
        """So much of the first leg and all that is left of the others, as the final part or one of several."""
        part, final = what[1:]
        number = self._reserved(what[0])
        key, aim = self.reservations.get(number, (uuid7(), Aim.PENDING))
        legs = self.model.holds.get(number, ())
        wanted = [leg[3] if i else min(part, leg[3]) for i, leg in enumerate(legs)]
        given = PostReservation(key, dict(enumerate(wanted[:1])), final)
        service = self.group.world.services.get(ReservationService)
        done, refused = await outcome(service.post(Actor(self.principal), given))
        if legs and number not in self.model.ended and (aim is Aim.FREEZE or not any(wanted)):
            assert refused == ("RESERVATION_STAYS" if aim is Aim.FREEZE else "RESERVATION_PART")
            return refused
        assert refused == self.model.take(number, wanted, final=final)
        if done is not None:
            index = next(self.numbers)
            posted = tuple((*leg[:3], quantity) for leg, quantity in zip(legs, wanted, strict=True) if quantity)
            assert self.model.apply(index, Move(posted)) is None
            self.run.posted[index] = done.value.posting.rows[0].transfer.id
        return refused

    def _reserved(self, number: int) -> int:
        """One of the reservations there are, or the next one."""
        return number % (len(self.reservations) + 1)

    async def _void(self, what: tuple[int, int]) -> str | None:
        number = self._reserved(what[0])
        key, _ = self.reservations.get(number, (uuid7(), Aim.PENDING))
        service = self.group.world.services.get(ReservationService)
        _, refused = await outcome(service.void(Actor(self.principal), VoidReservation(key, "x")))
        assert refused == self.model.end(number)
        return refused

    async def _replay(self, what: tuple[int, int]) -> None:
        """What was posted under a key is answered again as it was, and nothing moves."""
        if what[0] < len(self.sent):
            key, order, value = self.sent[what[0]]
            service = self.group.world.services.get(PostingService)
            done = await service.post(Actor(self.principal, key), "transferAssets", order)
            assert (done.replayed, done.value) == (True, value)

    async def _held(self) -> dict[tuple[str, str], int]:
        async with self.group.world.owner.read(self.group.world.tenant_id) as session:
            rows = await session.rows(
                "SELECT o.code, l.issue_reference, b.reserved_t FROM asset_balance b "
                "JOIN asset_account a ON a.id = b.account_id JOIN organisation o ON o.id = a.organisation_id "
                "JOIN asset_lot l ON l.id = b.lot_id WHERE l.issue_reference LIKE :prefix AND b.reserved_t <> 0",
                {"prefix": self.run.prefix + "%"},
            )
        return {(row.code.lower(), row.issue_reference.removeprefix(self.run.prefix)): row.reserved_t for row in rows}

    async def sealed(self) -> int:
        """Transfers in the chain, which is whole."""
        return (await seals.verify(self.group.world.owner, self.group.world.tenant_id)).transfers

    async def recorded(self) -> int:
        async with self.group.world.owner.read(self.group.world.tenant_id) as session:
            return int(await session.scalar("SELECT count(*) FROM asset_transfer"))


async def _play(group: Group) -> Play:
    """A group with its lots: two that only move, and one of serial numbers."""
    assert group.manager.principal is not None
    actor = Actor(group.manager.principal)
    play = Play(group, Run(group, f"m{next(_PREFIXES)}-", {}, ISSUED_ON))
    await play.run.issue(actor)
    numbered = NewLot(
        AssetClass.ALLOWANCE, "CEA", f"{play.run.prefix}C", STOCK, Origin.ALLOCATED, play.run.organisation("steel"),
        ISSUED_ON, 2024, serial=SerialBlock("C", FIRST, LAST),
    )  # fmt: skip
    await group.world.services.get(LedgerService).issue(actor, LotBatch((numbered,)))
    for lot in LOTS:
        play.model.balances["steel", lot] = play.model.then["steel", lot] = STOCK
    play.model.born("C", (FIRST, LAST), "steel")
    play.model.then["steel", "C"] = STOCK
    return play


EXAMPLES: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}


@settings(max_examples=SEQUENCES, **EXAMPLES)
@given(sequence=st.lists(steps(PLAIN + CUTS + PAST), min_size=1, max_size=12))
async def test_every_verb_against_the_model(world: World, sequence: list[Step]) -> None:
    play = await _played(world, sequence)
    assert await play.sealed() == await play.recorded()


@settings(max_examples=SEQUENCES // 3, **EXAMPLES)
@given(
    legs=st.lists(st.tuples(st.sampled_from(LOTS), st.integers(1, STOCK // 3)), min_size=1, max_size=3),
    sequence=st.lists(steps(HOLDS), min_size=1, max_size=12),
)
async def test_holds_posted_part_by_part(world: World, legs: list[tuple[str, int]], sequence: list[Step]) -> None:
    """Beginning with units set aside, so that most steps find some."""
    first = Move(tuple((lot, "steel", "cement", quantity) for lot, quantity in legs))
    play = await _played(world, [("reserve", first), *sequence])
    assert await play.sealed() == await play.recorded()


async def _played(world: World, sequence: list[Step]) -> Play:
    """A sequence in a tenant of its own; each step has been compared with the model."""
    play = await _play(await Group.create(await World.create(world.owner, world.services)))
    for verb, what in sequence:
        await play.step(verb, what)
    return play


def test_the_model_holds_and_ends() -> None:
    """Small enough to be checked by eye."""
    model, leg, short = Holding(), (("A", "steel", "cement", 6),), "INSUFFICIENT_BALANCE"
    model.balances["steel", "A"] = 10
    assert [model.hold(0, leg), model.hold(1, leg), model.apply(0, Move(leg))] == [None, short, short]
    assert [model.take(0, [2], final=False), model.held["steel", "A"]] == [None, 4]
    assert [model.end(0), model.end(0), model.end(7)] == [None, "RESERVATION_ENDED", "UNKNOWN_RESERVATION"]
    assert [model.hold(2, leg), model.take(2, [6], final=False)] == [None, None]
    assert [model.held["steel", "A"], model.take(2, [0], final=False)] == [0, "RESERVATION_ENDED"]
    assert model.apply(1, Move(leg)) is None
    assert model.balances["cement", "A"] == 6
