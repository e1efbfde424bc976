"""Results: what each source emitted, by period and gas; the totals that consolidation starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from backend.accounting.domain.sources import Category, DirectKind
from backend.kit.quantity import times


class Origin(StrEnum):
    """Where a result comes from."""

    ACTIVITY = "ACTIVITY"
    """Quantities × coefficients of the source's streams."""
    DECLARED = "DECLARED"
    """A declared result."""


@dataclass(frozen=True, slots=True)
class SourceResult:
    """What one source emitted of one gas in one period. Biogenic CO2 has mass and no CO2 equivalent."""

    source_id: UUID
    first_month: date
    months: int
    gas: str
    origin: Origin
    mass_t: Decimal
    co2e_t: Decimal
    records: int
    last_recorded_at: datetime
    exact_mass_t: Decimal = Decimal(0)
    """The mass before it was kept to 9 decimals."""


@dataclass(frozen=True, slots=True)
class Potentials:
    """Warming potentials of one set, by gas."""

    by_gas: Mapping[str, Decimal]

    def restated(self, result: SourceResult) -> Decimal | None:
        """CO2 equivalent by this set, 9 decimals; None for a gas the set does not know, or whose gases are unknown."""
        gwp = self.by_gas.get(result.gas)
        return None if gwp is None else times(result.exact_mass_t, gwp)


@dataclass(frozen=True, slots=True)
class CategoryTotal:
    """tCO2e of one category (direct: of one kind) of the sources an organisation itself owns, biogenic CO2 left out."""

    organisation_id: UUID
    category: Category
    direct_kind: DirectKind | None
    co2e_t: Decimal
    records: int
    last_recorded_at: datetime


@dataclass(frozen=True, slots=True)
class MonthChange:
    """What a change of coefficients or of method does to the emissions (tCO2e) of a stream in a month.

    A coefficient of None: the stream has none of the class that counts, so it emits nothing there.
    """

    stream_id: UUID
    source_id: UUID
    organisation_id: UUID
    category: Category
    direct_kind: DirectKind | None
    month: date
    quantity: Decimal
    old_coefficient_id: UUID | None
    new_coefficient_id: UUID | None
    old_value: Decimal | None
    new_value: Decimal | None
    old_t: Decimal
    new_t: Decimal


Term = tuple[Category, DirectKind | None]


@dataclass(slots=True)
class Changes:
    """Stream-months that change, added up part by part: how many, tCO2e before and after, and by how much each term
    moves. `first` lists them in the order they came, at most `most` (None: all).
    """

    most: int | None = None
    months: int = 0
    old_t: Decimal = Decimal(0)
    new_t: Decimal = Decimal(0)
    moved: dict[Term, Decimal] = field(default_factory=dict)
    first: list[MonthChange] = field(default_factory=list)

    def add(self, some: Sequence[MonthChange]) -> None:
        self.months += len(some)
        for c in some:
            self.old_t, self.new_t = self.old_t + c.old_t, self.new_t + c.new_t
            term = c.category, c.direct_kind
            self.moved[term] = self.moved.get(term, Decimal(0)) + c.new_t - c.old_t
        room = len(some) if self.most is None else max(0, self.most - len(self.first))
        self.first.extend(some[:room])
