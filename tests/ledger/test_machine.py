"""Random sequences of every verb, single and in batches, against an independent model; after every step the invariants.

LEDGER_SEQUENCES=10000 python -m pytest tests/ledger/test_machine.py -q        (the long run, about an hour)
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from backend.ledger.posting import Batch, PostingService
from backend.ledger.reservations.domain import Aim, NewReservation, PostReservation, VoidReservation
from backend.ledger.reservations.service import ReservationService
from tenants.commands import Actor
from tests.fixtures.ledger import Group
from tests.ledger.model import Model, Move
from tests.ledger.test_sequences import LOTS, STOCK, Run, moves

SEQUENCES = int(os.environ.get("LEDGER_SEQUENCES", "150"))
_PREFIXES = count()
Step = tuple[str, Any]


@st.composite
def steps(draw: st.DrawFn) -> Step:
    verb = draw(st.sampled_from(["post", "post", "batch", "reserve", "freeze", "commit", "void", "replay"]))
    if verb == "batch":
        return verb, draw(st.lists(moves(), min_size=1, max_size=4))
    if verb in {"commit", "void", "replay"}:
        return verb, (draw(st.integers(0, 6)), draw(st.integers(0, STOCK)))
    return verb, draw(moves().filter(lambda m: m.reverses is None and all(leg[1] == "steel" for leg in m.legs)))


@dataclass(slots=True)
class Holding(Model):
    """The model with units set aside: what is held cannot be spent, and is free again when its hold ends."""

    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    holds: dict[int, tuple[tuple[str, str, str, int], ...]] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)

    def _covered(self, legs: tuple[tuple[str, str, str, int], ...]) -> bool:
        asked: Counter[tuple[str, str]] = Counter()
        for lot, source, _, quantity in legs:
            asked[source, lot] += quantity
        return all(self.balances[cell] - self.held[cell] >= quantity for cell, quantity in asked.items())

    def hold(self, number: int, legs: tuple[tuple[str, str, str, int], ...]) -> str | None:
        if not self._covered(legs):
            return "INSUFFICIENT_BALANCE"
        self.holds[number] = legs
        for lot, source, _, quantity in legs:
            self.held[source, lot] += quantity
        return None

    def end(self, number: int) -> str | None:
        if number not in self.holds:
            return "UNKNOWN_RESERVATION"
        if number in self.ended:
            return "RESERVATION_ENDED"
        self.ended.add(number)
        for lot, source, _, quantity in self.holds[number]:
            self.held[source, lot] -= quantity
        return None


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
    model: Holding = field(default_factory=Holding)
    reservations: dict[int, tuple[UUID, Aim]] = field(default_factory=dict)
    sent: list[tuple[str, Any, Any]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)

    @property
    def principal(self) -> Any:
        return self.group.manager.principal

    async def step(self, verb: str, what: Any) -> None:
        await getattr(self, f"_{verb}")(what)
        assert await self.run.balances() == {cell: q for cell, q in self.model.balances.items() if q}
        assert await self._held() == {cell: q for cell, q in self.model.held.items() if q}

    async def _post(self, move: Move) -> None:
        number, key, order = next(self.numbers), str(uuid7()), self.run.order(move)
        service = self.group.world.services.get(PostingService)
        done, refused = await outcome(service.post(Actor(self.principal, key), "transferAssets", order))
        assert refused == self.model.apply(number, move)
        if done is not None:
            self.run.posted[number] = done.value.rows[0].transfer.id
            self.sent.append((key, order, done.value))

    async def _batch(self, batch: Sequence[Move]) -> None:
        service = self.group.world.services.get(PostingService)
        before = set(self.model.posted)
        orders = tuple(self.run.order(move) for move in batch)
        done = await service.post_all(Actor(self.principal), Batch(orders, all_or_nothing=False))
        for move, row in zip(batch, done.value.rows, strict=True):
            number = next(self.numbers)
            known = move.reverses is None or move.reverses in before
            expected = self.model.apply(number, move) if known else "UNKNOWN_TRANSFER"
            assert (row.refusal and row.refusal.code) == expected
            if row.transfer is not None:
                self.run.posted[number] = row.transfer.id

    async def _reserve(self, move: Move) -> None:
        order = self.run.order(move)
        await self._hold(
            move, NewReservation(Aim.PENDING, order.legs, order.kind, order.beneficiary_id, order.for_year)
        )

    async def _freeze(self, move: Move) -> None:
        stay = Move(tuple((lot, source, "CANCELLED", quantity) for lot, source, _, quantity in move.legs))
        await self._hold(move, NewReservation(Aim.FREEZE, self.run.order(stay).legs))

    async def _hold(self, move: Move, new: NewReservation) -> None:
        number = len(self.reservations)
        service = self.group.world.services.get(ReservationService)
        done, refused = await outcome(service.reserve(Actor(self.principal), new))
        assert refused == self.model.hold(number, move.legs)
        if done is not None:
            self.reservations[number] = (done.value.id, new.aim)

    async def _commit(self, what: tuple[int, int]) -> None:
        number, part = what
        key, aim = self.reservations.get(number, (uuid7(), Aim.PENDING))
        legs = self.model.holds.get(number, ())
        parts = {0: min(part, legs[0][3])} if legs else {}
        posted = tuple(leg for leg in ((*leg[:3], parts.get(i, leg[3])) for i, leg in enumerate(legs)) if leg[3])
        service = self.group.world.services.get(ReservationService)
        done, refused = await outcome(service.post(Actor(self.principal), PostReservation(key, parts)))
        if legs and number not in self.model.ended and (aim is Aim.FREEZE or not posted):
            assert refused == ("RESERVATION_STAYS" if aim is Aim.FREEZE else "RESERVATION_PART")
            return
        assert refused == self.model.end(number)
        if done is not None:
            index = next(self.numbers)
            assert self.model.apply(index, Move(posted)) is None
            self.run.posted[index] = done.value.rows[0].transfer.id

    async def _void(self, what: tuple[int, int]) -> None:
        key, _ = self.reservations.get(what[0], (uuid7(), Aim.PENDING))
        service = self.group.world.services.get(ReservationService)
        _, refused = await outcome(service.void(Actor(self.principal), VoidReservation(key, "x")))
        assert refused == self.model.end(what[0])

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


@settings(max_examples=SEQUENCES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(steps(), min_size=1, max_size=10))
async def test_every_verb_against_the_model(group: Group, sequence: list[Step]) -> None:
    assert group.manager.principal is not None
    play = Play(group, Run(group, f"m{next(_PREFIXES)}-", {}))
    await play.run.issue(Actor(group.manager.principal))
    # What never received anything has no account, which the model does not know; once opened it stays.
    await group.manager.attempt(
        "createAssetAccount", {"organisationId": group.cement, "code": "HOLDING"}, "account { id }"
    )
    for lot in LOTS:
        play.model.balances["steel", lot] = STOCK
    for verb, what in sequence:
        await play.step(verb, what)


def test_the_model_holds_and_ends() -> None:
    """Small enough to be checked by eye."""
    model, leg, short = Holding(), (("A", "steel", "cement", 6),), "INSUFFICIENT_BALANCE"
    model.balances["steel", "A"] = 10
    assert [model.hold(0, leg), model.hold(1, leg), model.apply(0, Move(leg))] == [None, short, short]
    assert [model.end(0), model.end(0), model.end(7)] == [None, "RESERVATION_ENDED", "UNKNOWN_RESERVATION"]
    assert model.apply(1, Move(leg)) is None
    assert model.balances["cement", "A"] == 6
