"""Orders that say exactly what they mean: the version of a balance they were decided on, or units by serial number.

All balances are locked first, as a posting locks them, so that nothing moves between the look and the posting, and
the cuts, which take their turn with the seals, come after all locks of balances.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from backend.kit.errors import CodedError
from backend.kit.ids import uuid7
from backend.ledger.books import Books, short_on
from backend.ledger.cuts import domain as cutting
from backend.ledger.cuts import repository as cuts
from backend.ledger.cuts.repository import cut_into
from backend.ledger.domain.accounts import AccountKind
from backend.ledger.domain.lots import Lot, LotRef, NamedLot
from backend.ledger.domain.transfers import Leg, LegOrder, Order, Transfer, TransferKind
from backend.ledger.effects import Pair
from backend.ledger.repository import exact, holdings, posting
from tenants.commands import STALE_VERSION, Change

Plan = Transfer | CodedError


@dataclass(frozen=True, slots=True)
class Held:
    """Plans as they can be posted, the books with the lots that were cut out for them, and these lots."""

    plans: list[Plan]
    books: Books
    cut: tuple[Lot, ...] = ()


def is_exact(order: Order) -> bool:
    """Whether an order names versions or serial numbers."""
    return any(_has_version(leg) or leg.serials is not None for leg in order.legs)


async def held_to(change: Change, orders: Sequence[Order | CodedError], plans: Sequence[Plan], books: Books) -> Held:
    """The plans of these orders, those whose versions have moved on refused (STALE_VERSION), and the legs that name
    serial numbers of lots with just those, cut out for them.

    Versions are those from before the request. Errors, per plan: STALE_VERSION, NO_SERIALS, BAD_CUT, LOT_NOT_WHOLE,
    SHORT_ON_DAY; raised, because a name is taken that a part would have: LOT_ALREADY_ISSUED.
    """
    found = list(plans)
    standing = [
        (index, order, plan)
        for index, (order, plan) in enumerate(zip(orders, plans, strict=True))
        if isinstance(order, Order) and isinstance(plan, Transfer)
    ]
    if not any(is_exact(order) for _, order, _ in standing):
        return Held(found, books)
    issuer = books.outside[AccountKind.ISSUER].id
    held = await exact.hold(change, {p for _, order, plan in standing for p in _pairs(order, plan, issuer)})
    for index, order, plan in standing:
        error = _moved_on(order, plan, held)
        if error is not None:
            found[index] = error
    kept = [(index, order, plan) for index, order, plan in standing if found[index] is plan]
    return await _carved(change, kept, found, books)


def _has_version(leg: LegOrder) -> bool:
    return leg.expected is not None or leg.expected_there is not None


def _pairs(order: Order, plan: Transfer, issuer: UUID) -> Iterable[Pair]:
    for number, leg in enumerate(plan.legs):
        asked = order.legs[number] if order.legs else None
        yield leg.source.id, leg.lot_id
        if asked is not None and asked.serials is not None:
            yield issuer, leg.lot_id
        if asked is None or asked.serials is None or asked.expected_there is not None:
            yield leg.destination.id, leg.lot_id


def _moved_on(order: Order, plan: Transfer, held: dict[Pair, UUID]) -> CodedError | None:
    for number, (asked, leg) in enumerate(zip(order.legs, plan.legs, strict=False)):
        sides = (
            ("expectedVersion", asked.expected, leg.source),
            ("expectedDestinationVersion", asked.expected_there, leg.destination),
        )
        for name, expected, account in sides:
            actual = held[account.id, leg.lot_id] if expected is not None else None
            if actual != expected:
                return STALE_VERSION(path=("legs", str(number), name), actual=str(actual), expected=str(expected))
    return None


async def _carved(change: Change, kept: Sequence[tuple[int, Order, Transfer]], found: list[Plan], books: Books) -> Held:
    """Cut each lot once, into all the parts that are asked for of it."""
    asked = [
        (index, number, order.legs[number].serials, leg)
        for index, order, plan in kept
        for number, leg in enumerate(plan.legs)
        if order.legs and order.legs[number].serials is not None
    ]
    made: dict[UUID, Lot] = {}
    for lot_id in dict.fromkeys(leg.lot_id for *_, leg in asked):
        of_lot = [
            (index, number, block, leg)
            for index, number, block, leg in asked
            if leg.lot_id == lot_id and block is not None and isinstance(found[index], Transfer)
        ]
        if not of_lot:
            continue
        lot = (await holdings.lots(change.unit, [lot_id]))[lot_id]
        parts = [block for _, _, block, _ in of_lot]
        try:
            lots = await _cut(change, lot, parts, [found[i] for i, *_ in of_lot], [leg for *_, leg in of_lot])
        except CodedError as error:
            index, number, *_ = of_lot[0]
            found[index] = error.at("legs", str(number))
            continue
        made |= {part.id: part for part in lots.values()}
        for index, number, block, _ in of_lot:
            plan = found[index]
            if isinstance(plan, Transfer):
                found[index] = _with_lot(plan, number, lots[block].id)
    named = {LotRef(x.id): NamedLot(x.id, x.scheme, x.issue_reference, x.issued_on) for x in made.values()}
    if made:
        # What was cut comes before what moves it, and ids tell the order.
        found = [replace(plan, id=uuid7()) if isinstance(plan, Transfer) else plan for plan in found]
    return Held(found, replace(books, lots={**books.lots, **named}), tuple(made.values()))


async def _cut(
    change: Change, lot: Lot, parts: Sequence[tuple[int, int]], plans: Sequence[Plan], legs: Sequence[Leg]
) -> dict[tuple[int, int], Lot]:
    """The lot of each part; a part that is the whole is the lot itself."""
    whole = cutting.serial_of(lot)
    if parts == [(whole.first, whole.last)]:
        return {(whole.first, whole.last): lot}
    blocks = cutting.blocks(lot, parts, "serials")
    account = (await cuts.resting(change.unit, [lot.id])).get(lot.id)
    if account is None or any(leg.source.id != account.id for leg in legs):
        raise cutting.not_whole(lot)
    standing = [plan for plan in plans if isinstance(plan, Transfer)]
    on, evidence = min(plan.effective_on for plan in standing), standing[0].evidence
    short = await posting.short_day(change, on, account.id, lot.id, lot.quantity_t)
    if short is not None:
        raise short_on(on, account, f"{lot.scheme} {lot.issue_reference}", short)
    _, lots = await cut_into(change, TransferKind.SPLIT, on, evidence, account, [lot], blocks)
    return dict(zip(blocks, lots, strict=True))


def _with_lot(plan: Transfer, number: int, lot_id: UUID) -> Transfer:
    legs = tuple(replace(leg, lot_id=lot_id) if n == number else leg for n, leg in enumerate(plan.legs))
    return replace(plan, legs=legs)
