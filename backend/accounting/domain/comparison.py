"""Methods of one source side by side: what each class says of a month, and how far it is from the one that counts.

6.2.3 note 3: results of different methods are compared; where they diverge by more than a threshold somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.accounting.domain.records import Method
from backend.kit.quantity import round_half_up

SHARE_DECIMALS: Final = 6


class DataState(StrEnum):
    """Whether a class can say what a source emitted in a month."""

    COMPLETE = "COMPLETE"
    """Every stream of the class has a quantity and a basis (数据完整)."""
    NO_QUANTITY = "NO_QUANTITY"
    """A stream of the class has no quantity for the month (缺活动数据)."""
    NO_BASIS = "NO_BASIS"
    """A stream of the class has no basis for the month (缺方法依据)."""


@dataclass(frozen=True, slots=True)
class ClassFigure:
    """What the streams of one class, and results declared by it, add up to in a month; None without any.

    `no_quantity`, `no_basis`: codes of streams of the class that lack one for the month.
    """

    source_id: UUID
    month: date
    method: Method
    counts: bool
    co2e_t: Decimal | None
    no_quantity: tuple[str, ...] = ()
    no_basis: tuple[str, ...] = ()

    @property
    def state(self) -> DataState:
        if self.no_basis:
            return DataState.NO_BASIS
        return DataState.NO_QUANTITY if self.no_quantity else DataState.COMPLETE


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure beside the one that counts: the divergence in tonnes and as a share of what counts.

    The share is kept to 6 decimals; None where nothing counts, where what counts is 0, or where one of the two is not
    complete. The alarm stands when both are complete and the share is beyond the threshold (or what counts is 0 and
    the other is not).
    """

    figure: ClassFigure
    divergence_t: Decimal | None
    share: Decimal | None
    alarm: bool


@dataclass(frozen=True, slots=True)
class YearFigure:
    """A class over the months of a year that it and the class that counts both have; with results declared for longer
    than a month.
    """

    method: Method
    co2e_t: Decimal
    months: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """The classes of a source in a year, month by month, against a threshold."""

    source_id: UUID
    year: int
    threshold: Decimal
    months: tuple[Compared, ...]
    totals: tuple[YearFigure, ...]
    without_result: tuple[date, ...] = ()
    """Months in which the source has quantities, none of which counts."""
    preferred_method: Method | None = None
    """The class that comes first of those the source has a basis of in the year, when another counts in some month."""

    @property
    def alarms(self) -> list[Compared]:
        return [c for c in self.months if c.alarm]


def compare(
    source_id: UUID,
    year: int,
    threshold: Decimal,
    figures: Sequence[ClassFigure],
    longer: Iterable[tuple[Method, int, Decimal]] = (),
) -> Comparison:
    """Put the figures of a source beside each other. `longer`: results declared for several months: class, number of
    months, tCO2e; they enter the totals of the year alone.
    """
    counting = {f.month: f for f in figures if f.counts}
    compared = [_beside(f, counting.get(f.month), threshold) for f in figures]
    declared = list(longer)
    totals = []
    for method in Method:
        mine = [f for f in figures if f.method is method]
        beyond = [(n, t) for m, n, t in declared if m is method]
        known = [f.co2e_t for f in mine if f.co2e_t is not None]
        if known or beyond:
            months = len(known) + sum(n for n, _ in beyond)
            total = sum(known, Decimal(0)) + sum((t for _, t in beyond), Decimal(0))
            complete = months == 12 and all(f.state is DataState.COMPLETE for f in mine if f.co2e_t is not None)
            totals.append(YearFigure(method, total, months, complete))
    return Comparison(source_id, year, threshold, tuple(compared), tuple(totals))


def _beside(figure: ClassFigure, counting: ClassFigure | None, threshold: Decimal) -> Compared:
    if figure.counts or counting is None or figure.co2e_t is None or counting.co2e_t is None:
        return Compared(figure, None, None, alarm=False)
    divergence = figure.co2e_t - counting.co2e_t
    whole = figure.state is DataState.COMPLETE and counting.state is DataState.COMPLETE
    if not counting.co2e_t:
        return Compared(figure, divergence, None, alarm=whole and divergence != 0)
    share = divergence / abs(counting.co2e_t)
    return Compared(figure, divergence, round_half_up(share, SHARE_DECIMALS), alarm=whole and abs(share) > threshold)
