"""What transfers do to balances, reckoned before they are posted: so the database looks at each balance once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from backend.ledger.domain.transfers import Transfer

Pair = tuple[UUID, UUID]
"""The account and the lot of a balance."""
Touched = Mapping[Pair, UUID | None]


def in_order(pair: Pair) -> bytes:
    """Sorts balances as the database sorts, and all who post lock them."""
    return pair[0].bytes + pair[1].bytes


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
    to cover without what they bring. `later`, for each transfer in turn, balance by balance: its place among `pairs`,
    counted from 1, and by how much the transfers after this one change it.
    """

    pairs: Sequence[Pair]
    debits: Sequence[int]
    later: Sequence[Sequence[tuple[int, int]]]


def effects_of(transfers: Sequence[Transfer], touched: Sequence[Collection[Pair]]) -> Effects:
    """What transfers do to balances one after the other; `touched`: what each is `touched_by`."""
    pairs = sorted({pair for pairs in touched for pair in pairs}, key=in_order)
    place = {pair: number for number, pair in enumerate(pairs, 1)}
    debits, changed = [0] * len(pairs), [0] * len(pairs)
    later: list[Sequence[tuple[int, int]]] = []
    for transfer, own in zip(reversed(transfers), reversed(touched), strict=True):
        later.append([(number := place[pair], changed[number - 1]) for pair in own])
        for leg in transfer.legs:
            source = place[leg.source.id, leg.lot_id] - 1
            debits[source] += leg.quantity_t
            changed[source] -= leg.quantity_t
            changed[place[leg.destination.id, leg.lot_id] - 1] += leg.quantity_t
    return Effects(pairs, debits, later[::-1])
