"""What holdings cost and what sales gained, by moving average and first in, first out: exact in fen.

Every fen paid is in what is held, in what was sold or in what was used: nothing is lost to rounding, because a part
of a cost is rounded once (half up) and the rest stays.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import groupby
from typing import Final
from uuid import UUID


class CostMethod(StrEnum):
    """Which units leave first, as far as their cost goes."""

    AVERAGE = "AVERAGE"
    """All units cost the same: the moving average (移动平均)."""
    FIFO = "FIFO"
    """The oldest leave first (先进先出)."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Units that came to an organisation (positive) or went, by one transfer. `money_fen`: what was paid, fee included,
    or received, fee taken off; None where no money changed hands: free allocations come at no cost, what is used leaves
    at cost, and what moves inside the group takes its cost along. `bought_t`: how many of those that came the
    books call bought.
    """

    organisation_id: UUID
    day: date
    quantity_t: int
    money_fen: int | None
    transfer_id: UUID
    bought_t: int = 0


@dataclass(frozen=True, slots=True)
class Costs:
    """Where a holding stands: units, what they cost, what sales gained over cost, the cost of what was used; and how
    many came as bought without a price, which are counted at no cost.
    """

    quantity_t: int = 0
    cost_fen: int = 0
    realised_fen: int = 0
    used_fen: int = 0
    unpriced_t: int = 0


def costs(flows: Iterable[Flow], method: CostMethod) -> dict[UUID, Costs]:
    """Where each organisation stands after the flows of a scheme in their order, those of a transfer together. Units
    that a back-dated transfer takes before they came leave at no cost.
    """
    holdings: defaultdict[UUID, _Holding] = defaultdict(lambda: _Holding(_STOCKS[method]()))
    for _, together in groupby(flows, lambda f: f.transfer_id):
        _carry(holdings, list(together))
    return {key: h.costs for key, h in holdings.items()}


@dataclass(slots=True)
class _Holding:
    stock: _Average
    realised_fen: int = 0
    used_fen: int = 0
    unpriced_t: int = 0

    @property
    def costs(self) -> Costs:
        return Costs(self.stock.quantity_t, self.stock.cost_fen, self.realised_fen, self.used_fen, self.unpriced_t)


def _carry(holdings: Mapping[UUID, _Holding], together: Sequence[Flow]) -> None:
    """One transfer: what leaves without money and arrives without money inside brings its cost with it."""
    out = [f for f in together if f.quantity_t < 0]
    arriving = [f for f in together if f.quantity_t > 0]
    left = sum(-f.quantity_t for f in out if f.money_fen is None)
    within = min(left, sum(f.quantity_t for f in arriving if f.money_fen is None))
    moved = 0
    for flow in out:
        holding = holdings[flow.organisation_id]
        cost = holding.stock.take(-flow.quantity_t)
        if flow.money_fen is not None:
            holding.realised_fen += flow.money_fen - cost
            continue
        along = part(cost, within, left)
        holding.used_fen += cost - along
        moved += along
    free = sum(f.quantity_t for f in arriving if f.money_fen is None)
    for flow in arriving:
        brought = flow.money_fen
        if brought is None:
            holdings[flow.organisation_id].unpriced_t += flow.bought_t
            brought = part(moved, flow.quantity_t, free)
            moved, free = moved - brought, free - flow.quantity_t
        holdings[flow.organisation_id].stock.add(flow.quantity_t, brought)


def part(cost_fen: int, taken_t: int, of_t: int) -> int:
    """The cost of some units out of several, half up."""
    return (2 * cost_fen * taken_t + of_t) // (2 * of_t)


class _Average:
    def __init__(self) -> None:
        self.quantity_t = self.cost_fen = 0

    def add(self, quantity_t: int, cost_fen: int) -> None:
        self.quantity_t += quantity_t
        self.cost_fen += cost_fen

    def take(self, quantity_t: int) -> int:
        held = max(self.quantity_t, 0)
        cost = part(self.cost_fen, min(quantity_t, held), held) if held else 0
        self.quantity_t -= quantity_t
        self.cost_fen -= cost
        return cost


class _Fifo(_Average):
    def __init__(self) -> None:
        super().__init__()
        self.layers: deque[tuple[int, int]] = deque()

    def add(self, quantity_t: int, cost_fen: int) -> None:
        super().add(quantity_t, cost_fen)
        self.layers.append((quantity_t, cost_fen))

    def take(self, quantity_t: int) -> int:
        cost, left = 0, quantity_t
        while left and self.layers:
            held, layer = self.layers.popleft()
            taken = min(held, left)
            of_it = part(layer, taken, held)
            cost, left = cost + of_it, left - taken
            if held > taken:
                self.layers.appendleft((held - taken, layer - of_it))
        self.quantity_t -= quantity_t
        self.cost_fen -= cost
        return cost


_STOCKS: Final = {CostMethod.AVERAGE: _Average, CostMethod.FIFO: _Fifo}
