"""The ledger as a few lines of plain Python, written without looking at the real one: what must come out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

Cell = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Move:
    """Legs as (lot, from, to, quantity); `reverses` is the index of an earlier move."""

    legs: tuple[tuple[str, str, str, int], ...] = ()
    reverses: int | None = None


@dataclass(slots=True)
class Model:
    """Balances by (account, lot), and what has been posted under which index."""

    balances: Counter[Cell] = field(default_factory=Counter)
    posted: dict[int, Move] = field(default_factory=dict)
    reversed: set[int] = field(default_factory=set)

    def apply(self, index: int, move: Move) -> str | None:
        """Post a move; the code of its refusal, or None."""
        if move.reverses is not None:
            original = self.posted.get(move.reverses)
            if original is None:
                return "UNKNOWN_TRANSFER"
            if original.reverses is not None:
                return "NOT_REVERSIBLE"
            if move.reverses in self.reversed:
                return "ALREADY_REVERSED"
            legs = tuple((lot, to, source, quantity) for lot, source, to, quantity in original.legs)
            if not self._covered(legs):
                return self._hindrance(legs)
            self.reversed.add(move.reverses)
        else:
            legs = move.legs
            if not self._covered(legs):
                return "INSUFFICIENT_BALANCE"
        for lot, source, to, quantity in legs:
            self.balances[source, lot] -= quantity
            self.balances[to, lot] += quantity
        self.posted[index] = move
        return None

    def _covered(self, legs: tuple[tuple[str, str, str, int], ...]) -> bool:
        asked: Counter[Cell] = Counter()
        for lot, source, _, quantity in legs:
            asked[source, lot] += quantity
        return all(self.balances[cell] >= quantity for cell, quantity in asked.items())

    def _hindrance(self, legs: tuple[tuple[str, str, str, int], ...]) -> str:
        """Why a reversal that is not covered cannot be."""
        return "REVERSAL_NOT_COVERED"
