"""What transfers do to balances, reckoned beforehand, against moving the units one leg after the other."""

from __future__ import annotations

from collections import Counter
from datetime import date
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from backend.ledger.domain.accounts import Account, AccountKind
from backend.ledger.domain.transfers import Leg, Transfer, TransferKind
from backend.ledger.effects import effects_of, in_order, touched_by

# Ids whose order differs from that in which they are met.
ACCOUNTS = [Account(UUID(int=(7 * n % 5) << 64), UUID(int=n + 1), f"A{n}", "", AccountKind.HOLDING) for n in range(5)]
LOTS = [UUID(int=n) for n in (3, 1, 2)]


@st.composite
def legs(draw: st.DrawFn) -> Leg:
    source, destination = draw(st.permutations(ACCOUNTS))[:2]
    return Leg(draw(st.sampled_from(LOTS)), source, destination, draw(st.integers(1, 9)))


transfers = st.lists(st.lists(legs(), min_size=1, max_size=3).map(tuple), min_size=1, max_size=6).map(
    lambda found: [Transfer(UUID(int=n), TransferKind.TRANSFER, own, date(2025, 1, 1)) for n, own in enumerate(found)]
)


@given(transfers)
def test_each_transfer_is_told_what_it_leaves_behind(posted: list[Transfer]) -> None:
    touched = [touched_by((t,)) for t in posted]
    effects = effects_of(posted, touched)
    assert list(effects.pairs) == sorted({p for own in touched for p in own}, key=in_order)

    held: Counter[tuple[UUID, UUID]] = Counter()
    taken: Counter[tuple[UUID, UUID]] = Counter()
    left: Counter[tuple[UUID, UUID]] = Counter()
    for leg in (leg for transfer in posted for leg in transfer.legs):
        left[leg.source.id, leg.lot_id] -= leg.quantity_t
        left[leg.destination.id, leg.lot_id] += leg.quantity_t
    for transfer, own, later in zip(posted, touched, effects.later, strict=True):
        for leg in transfer.legs:
            held[leg.source.id, leg.lot_id] -= leg.quantity_t
            held[leg.destination.id, leg.lot_id] += leg.quantity_t
            taken[leg.source.id, leg.lot_id] += leg.quantity_t
        assert set(own) == {(a.id, leg.lot_id) for leg in transfer.legs for a in leg.sides()}
        assert list(own) == sorted(own, key=in_order)
        told = [(effects.pairs[place - 1], left[effects.pairs[place - 1]] - change) for place, change in later]
        assert told == [(pair, held[pair]) for pair in own]
    assert list(effects.debits) == [taken[pair] for pair in effects.pairs]
