"""The model with units set aside, and a lot of serial numbers that is cut and joined: also written by itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from tests.ledger.model import Model, Move

Legs = tuple[tuple[str, str, str, int], ...]
Block = tuple[int, int]
HOLDERS = ("steel", "cement")


@dataclass(slots=True)
class Holding(Model):
    """The model with units set aside: what is held cannot be spent, but for parts of it that are posted, and is free
    again when its hold ends. `holds` has what is left of each.
    """

    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    holds: dict[int, Legs] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)

    def _covered(self, legs: Legs) -> bool:
        asked: Counter[tuple[str, str]] = Counter()
        for lot, source, _, quantity in legs:
            asked[source, lot] += quantity
        return all(self.balances[cell] - self.held[cell] >= quantity for cell, quantity in asked.items())

    def _hindrance(self, legs: Legs) -> str:
        """The first leg that lacks cover tells: some of its units are set aside, or all that lack moved on."""
        asked: Counter[tuple[str, str]] = Counter()
        for lot, source, _, quantity in legs:
            asked[source, lot] += quantity
        cells = [(source, lot) for lot, source, _, _ in legs]
        short = next(c for c in cells if self.balances[c] - self.held[c] < asked[c])
        return "REVERSAL_FROZEN" if self.held[short] else "REVERSAL_NOT_COVERED"

    def hold(self, number: int, legs: Legs) -> str | None:
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

    def take(self, number: int, wanted: list[int], *, final: bool) -> str | None:
        """Free so much of each leg to be posted; the rest stays held unless this was the final part, or took it all."""
        if number not in self.holds or number in self.ended:
            return self.end(number)
        legs = self.holds[number]
        for (lot, source, _, _), quantity in zip(legs, wanted, strict=True):
            self.held[source, lot] -= quantity
        self.holds[number] = tuple((*leg[:3], leg[3] - quantity) for leg, quantity in zip(legs, wanted, strict=True))
        used_up = not any(leg[3] for leg in self.holds[number])
        return self.end(number) if final or used_up else None


@dataclass(slots=True)
class Pieces(Holding):
    """Lots of serial numbers too: `blocks` has those that stand, `known` every name there ever was."""

    blocks: dict[str, Block] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    closed: bool = False
    then: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What rested where at the end of the one past day; lots cut or joined since did not exist."""

    def born(self, name: str, block: Block, holder: str) -> None:
        self.blocks[name] = block
        self.balances[holder, name] = block[1] - block[0] + 1
        if name not in self.known:
            self.known.append(name)

    def apply(self, index: int, move: Move) -> str | None:
        return self._was_cut(move.legs) or Holding.apply(self, index, move)

    def apply_back_dated(self, index: int, move: Move) -> str | None:
        if refused := self._was_cut(move.legs) or ("PERIOD_CLOSED" if self.closed else None):
            return refused
        if not self._covered(move.legs):
            return "INSUFFICIENT_BALANCE"
        after = Counter(self.then)
        for lot, source, to, quantity in move.legs:
            after[source, lot] -= quantity
            after[to, lot] += quantity
        if any(after[source, lot] < min(0, self.then[source, lot]) for lot, source, _, _ in move.legs):
            return "SHORT_ON_DAY"
        self.then = after
        return Holding.apply(self, index, move)

    def hold(self, number: int, legs: Legs) -> str | None:
        return self._was_cut(legs) or Holding.hold(self, number, legs)

    def split(self, name: str, block: Block) -> str | None:
        """Cut a block out of a lot."""
        if name not in self.blocks:
            return "LOT_CUT"
        first, last = self.blocks[name]
        if not first <= block[0] <= block[1] <= last or block == (first, last):
            return "BAD_CUT"
        holder = self._at(name)
        if holder is None:
            return "LOT_NOT_WHOLE"
        self._gone(name, holder)
        around = [(first, block[0] - 1), block, (block[1] + 1, last)]
        for low, high in around:
            if low <= high:
                self.born(_named(name, (low, high)), (low, high), holder)
        return None

    def merge(self, names: list[str]) -> str | None:
        """Join lots of adjacent numbers."""
        if any(name not in self.blocks for name in names):
            return "LOT_CUT"
        ordered = sorted(set(names), key=lambda name: self.blocks[name])
        if len(ordered) < 2:
            return "CUT_SIZE"
        places = [at for at in map(self._at, ordered) if at is not None]
        if len(places) < len(ordered):
            return "LOT_NOT_WHOLE"
        holder = places[0]
        adjacent = all(self.blocks[a][1] + 1 == self.blocks[b][0] for a, b in pairwise(ordered))
        if not adjacent or set(places) != {holder}:
            return "NOT_ADJACENT"
        whole = (self.blocks[ordered[0]][0], self.blocks[ordered[-1]][1])
        for name in ordered:
            self._gone(name, holder)
        self.born(_named(ordered[0], whole), whole, holder)
        return None

    def move_range(self, index: int, name: str, block: Block, source: str, to: str) -> str | None:
        """Cut a block out and move it, or neither."""
        if name not in self.blocks:
            return "LOT_CUT"
        if block == self.blocks[name]:
            return self.apply(index, Move(((name, source, to, block[1] - block[0] + 1),)))
        first, last = self.blocks[name]
        if first <= block[0] <= block[1] <= last and self._at(name) != source:
            return "LOT_NOT_WHOLE"
        refused = self.split(name, block)
        return refused or self.apply(index, Move(((_named(name, block), source, to, block[1] - block[0] + 1),)))

    def _at(self, name: str) -> str | None:
        """Where a lot rests wholly and free."""
        size = self.blocks[name][1] - self.blocks[name][0] + 1
        found = [h for h in HOLDERS if self.balances[h, name] == size and not self.held[h, name]]
        return found[0] if found else None

    def _gone(self, name: str, holder: str) -> None:
        del self.blocks[name]
        self.balances[holder, name] = 0

    def _was_cut(self, legs: Legs) -> str | None:
        return "LOT_CUT" if any(leg[0] in self.known and leg[0] not in self.blocks for leg in legs) else None


def _named(name: str, block: Block) -> str:
    return f"{name.split('/', maxsplit=1)[0]}/{block[0]}-{block[1]}"
