"""What holdings cost and what sales gained, by moving average and first in, first out: exact in fen.

Every fen paid is in what is held, in what was sold or in what was used: nothing is lost to rounding, because a part
of a cost is rounded once (half up) and the rest stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID


class CostMethod(StrEnum):
    """Which units leave first, as far as their cost goes."""

    AVERAGE = "AVERAGE"
    """All units cost the same: the moving average (移动平均)."""
    FIFO = "FIFO"
    """The oldest leave first (先进先出)."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Units that came (positive) or went. `money_fen`: what was paid, fee included, or received, fee taken off; None
    where no money changed hands: free allocations come at no cost, what is used leaves at cost.
    """

    day: date
    quantity_t: int
    money_fen: int | None
    transfer_id: UUID


@dataclass(frozen=True, slots=True)
class Costs:
    """Where a holding stands: units, what they cost, what sales gained over cost, the cost of what was used."""

    quantity_t: int = 0
    cost_fen: int = 0
    realised_fen: int = 0
    used_fen: int = 0


def costs(flows: Iterable[Flow], method: CostMethod) -> Costs:
    """The sum of flows in their order. Units that a back-dated transfer takes before they came leave at no cost."""
    stock = _Average() if method is CostMethod.AVERAGE else _Fifo()
    realised = used = 0
    for flow in flows:
        if flow.quantity_t > 0:
            stock.add(flow.quantity_t, flow.money_fen or 0)
        elif flow.quantity_t < 0:
            cost = stock.take(-flow.quantity_t)
            if flow.money_fen is None:
                used += cost
            else:
                realised += flow.money_fen - cost
    return Costs(stock.quantity_t, stock.cost_fen, realised, used)


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
