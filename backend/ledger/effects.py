"""What transfers do to balances, reckoned before they are posted: so the database looks at each balance once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from backend.ledger.domain.transfers import Transfer

Pair = tuple[UUID, UUID]
"""The account and the lot of a balance."""
Touched = Mapping[Pair, UUID | None]


def in_order(pair: Pair) -> tuple[int, int]:
    """Sorts balances as the database sorts, and all who post lock them."""
    return pair[0].int, pair[1].int


def touched_by(transfers: Sequence[Transfer]) -> Touched:
    """Each balance that some transfers touch, in order, with the transfer that touched it last; None with those of the
    outside.
    """
    touched = {
        (account.id, leg.lot_id): account.organisation_id and transfer.id
        for transfer in transfers
        for leg in transfer.legs
        for account in leg.sides()
    }
    return dict(sorted(touched.items(), key=lambda item: in_order(item[0])))


@dataclass(frozen=True, slots=True)
class Effects:
    """`pairs`: each balance that some transfers touch, in order; `debits`: what all of them take from it, which it has
    to cover without what they bring. And for each transfer in turn, balance by balance: its place among `pairs`,
    counted from 1, and by how much this transfer and those before it have changed it.
    """

    pairs: Sequence[Pair]
    debits: Sequence[int]
    places: Sequence[int]
    changes: Sequence[int]


def effects_of(transfers: Sequence[Transfer], touched: Sequence[Collection[Pair]]) -> Effects:
    """What transfers do to balances one after the other; `touched`: what each is `touched_by`."""
    pairs = sorted({pair for pairs in touched for pair in pairs}, key=in_order)
    place = {pair: number for number, pair in enumerate(pairs, 1)}
    debits, changed = [0] * len(pairs), [0] * len(pairs)
    places: list[int] = []
    changes: list[int] = []
    for transfer, own in zip(transfers, touched, strict=True):
        for leg in transfer.legs:
            source = place[leg.source.id, leg.lot_id] - 1
            debits[source] += leg.quantity_t
            changed[source] -= leg.quantity_t
            changed[place[leg.destination.id, leg.lot_id] - 1] += leg.quantity_t
        numbers = [place[pair] for pair in own]
        places += numbers
        changes += [changed[number - 1] for number in numbers]
    return Effects(pairs, debits, places, changes)
