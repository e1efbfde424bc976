"""Where a unit is and what moved it, as far as the books can tell (pure).

Units of a lot that are moved without naming serial numbers are alike: the books know how many went, not which. So a
transfer certainly moved a unit when it moved the whole lot that the unit was in; one that moved less may have. And a
unit may be in every account in which units of its lot rest. A part that is cut out by its numbers is a lot of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import groupby
from uuid import UUID


class Certainty(StrEnum):
    """How far the books can tell."""

    CERTAIN = "CERTAIN"
    """So it is (确定)."""
    POSSIBLE = "POSSIBLE"
    """It may be so: units went without their serial numbers, and only some of those that were there (可能)."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts of an organisation, or also of all `below` it today; or one of these alone."""

    organisation_id: UUID
    below: bool = False
    account_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """`quantity_t` units of a lot, moved by a transfer from one account to another."""

    transfer_id: UUID
    effective_on: date
    source: UUID
    destination: UUID
    quantity_t: int


@dataclass(frozen=True, slots=True)
class Stage:
    """A lot the unit was in: what brought it into being (an issue, split or merge), and what moved units of it then."""

    born: Moved
    moves: Sequence[Moved]


@dataclass(frozen=True, slots=True)
class UnitStep:
    """A transfer that moved the unit, or may have."""

    transfer_id: UUID
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class Trace:
    """The steps of a unit, the earliest first, and the accounts it may be in: one where it is certainly there."""

    steps: Sequence[UnitStep]
    places: frozenset[UUID]

    @property
    def certainty(self) -> Certainty:
        return Certainty.CERTAIN if len(self.places) == 1 else Certainty.POSSIBLE


def traced(stages: Sequence[Stage]) -> Trace:
    """The life of a unit through the lots it was in, the first one first; in each by the day of effect, within a day as
    it was recorded.
    """
    steps = [step for stage in stages for step in _steps(stage)]
    last, there = stages[-1], Counter[UUID]()
    for moved in (last.born, *last.moves):
        there[moved.source] -= moved.quantity_t
        there[moved.destination] += moved.quantity_t
    return Trace(steps, frozenset(account for account, quantity_t in there.items() if quantity_t > 0))


def _steps(stage: Stage) -> list[UnitStep]:
    steps = [UnitStep(stage.born.transfer_id, Certainty.CERTAIN)]
    ordered = sorted(stage.moves, key=lambda m: (m.effective_on, m.transfer_id))
    for transfer_id, legs in groupby(ordered, key=lambda m: m.transfer_id):
        # Nothing goes twice in one transfer, so this is the whole lot or less.
        whole = sum(leg.quantity_t for leg in legs) == stage.born.quantity_t
        steps.append(UnitStep(transfer_id, Certainty.CERTAIN if whole else Certainty.POSSIBLE))
    return steps
