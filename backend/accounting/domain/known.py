"""Results as they were known on a date, and why they are others today: the restatement difference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from backend.accounting.domain.sources import Category, DirectKind


class DifferenceKind(StrEnum):
    """What made a result another one."""

    ACTIVITY = "ACTIVITY"
    """Quantities that were recorded or withdrawn since (活动数据)."""
    COEFFICIENT = "COEFFICIENT"
    """A coefficient that was superseded, by another factor or parameter (排放系数)."""
    METHOD = "METHOD"
    """Another class of method that counts (核算方法)."""
    DECLARED = "DECLARED"
    """Declared results that were recorded or superseded since (申报结果)."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What one term of the categories moved by for one reason. `reason` is empty for what was only added."""

    category: Category
    direct_kind: DirectKind | None
    kind: DifferenceKind
    reason: str
    results: int
    difference_t: Decimal


@dataclass(frozen=True, slots=True)
class KnownTotal:
    """tCO2e of a category then and today."""

    category: Category
    direct_kind: DirectKind | None
    known_t: Decimal
    today_t: Decimal


@dataclass(frozen=True, slots=True)
class Difference:
    """tCO2e that a reason makes, over all categories; `results`: of how many months of streams, or declared results."""

    kind: DifferenceKind
    reason: str
    results: int
    difference_t: Decimal


@dataclass(frozen=True, slots=True)
class AsKnown:
    """A year as known at a moment, beside today; the differences add up to what lies between, exactly."""

    known_at: datetime
    categories: tuple[KnownTotal, ...]
    differences: tuple[Difference, ...]

    @property
    def known_t(self) -> Decimal:
        return sum((c.known_t for c in self.categories), Decimal(0))

    @property
    def today_t(self) -> Decimal:
        return sum((c.today_t for c in self.categories), Decimal(0))


_ORDER: Final = list(Category)


def as_known(known_at: datetime, totals: Iterable[KnownTotal], moved: Sequence[Moved]) -> AsKnown:
    """Put together what streams and declared results say, in the order of the standard."""
    known: dict[tuple[Category, DirectKind | None], list[Decimal]] = {}
    for total in totals:
        sums = known.setdefault((total.category, total.direct_kind), [Decimal(0), Decimal(0)])
        sums[0] += total.known_t
        sums[1] += total.today_t
    made: dict[tuple[DifferenceKind, str], list[Decimal | int]] = {}
    for m in moved:
        entry = made.setdefault((m.kind, m.reason), [0, Decimal(0)])
        entry[0] += m.results
        entry[1] += m.difference_t
    return AsKnown(
        known_at,
        tuple(
            KnownTotal(*term, *known[term]) for term in sorted(known, key=lambda t: (_ORDER.index(t[0]), t[1] or ""))
        ),
        tuple(Difference(*key, int(n), Decimal(t)) for key, (n, t) in sorted(made.items())),
    )
