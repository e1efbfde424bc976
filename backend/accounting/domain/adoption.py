"""Which factor set an organisation has adopted and since when, and what adopting another one would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from backend.accounting.domain.inventories import Inventory
from backend.accounting.domain.months import BAD_SPAN, Span, checked_span, next_month
from backend.accounting.domain.results import MonthChange, Term
from backend.accounting.domain.sources import Category, DirectKind
from backend.kit.errors import rule
from tenants.domain.boundaries import Spell

FOR_GOOD: Final = date(2200, 12, 1)
"""The last month of an adoption that does not end."""

SET_LACKS_VALUES = rule(
    "FACTOR_SET_LACKS_VALUES",
    en="{count} streams would have no factor, the first: {first}. Adopt from a later month, complete the set, or say "
    "that they keep what they have.",
    zh="{count} 个流将没有因子，首个：{first}。请从较晚月份开始采用、补全因子集，或注明其保留现有系数。",
)


def checked_months(first: date, last: date | None) -> Span:
    """Errors: BAD_MONTHS, also beyond the last month there is."""
    span = checked_span(first, last, "toMonth")
    if max(span.first, span.last or span.first) > FOR_GOOD:
        raise BAD_SPAN(path=("fromMonth",), first=f"{first:%Y-%m}", last=f"{last:%Y-%m}" if last else "…")
    return span


@dataclass(frozen=True, slots=True)
class AdoptedSets:
    """What organisations have adopted over time: the nearest setting on the way up wins."""

    spells: Mapping[UUID, Sequence[Spell]] = field(default_factory=dict)

    def on(self, organisation_id: UUID, month: date) -> str | None:
        """The set in force on the first day of a month; None: the library's defaults."""
        holding = [s for s in self.spells.get(organisation_id, ()) if s.holds_on(month)]
        return str(min(holding, key=lambda s: s.depth).value) if holding else None

    def split(self, organisation_id: UUID, first_month: date, last_month: date) -> list[tuple[date, date]]:
        """The months from first to last, cut where another set comes into force."""
        if organisation_id not in self.spells:
            return [(first_month, last_month)]
        found: list[tuple[date, date]] = []
        month = first_month
        while month <= last_month:
            start, held = month, self.on(organisation_id, month)
            while month < last_month and self.on(organisation_id, next_month(month)) == held:
                month = next_month(month)
            found.append((start, month))
            month = next_month(month)
        return found


@dataclass(frozen=True, slots=True)
class NewAdoption:
    """A set to adopt (None: to give up what is adopted here) for an organisation and all below it."""

    organisation_id: UUID
    factor_set: str | None
    span: Span
    reason: str = ""
    keep_lacking: bool = False


@dataclass(frozen=True, slots=True)
class Adoption:
    """An adoption as it was recorded; tonnes of CO2e of the stream-months that changed. `factor_set` None: given up."""

    id: UUID
    organisation_id: UUID
    factor_set: str | None
    from_month: date
    to_month: date | None
    reason: str
    setting_id: UUID | None
    changed_months: int
    before_t: Decimal
    after_t: Decimal
    adopted_by: UUID
    adopted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lacking:
    """A stream that has no value in a year under the new set, and why; it keeps what it has."""

    stream_id: UUID
    year: int
    code: str
    message_zh: str
    message_en: str


@dataclass(frozen=True, slots=True)
class CategoryChange:
    """tCO2e of all stream-months of a category in the months, before and after."""

    category: Category
    direct_kind: DirectKind | None
    before_t: Decimal
    after_t: Decimal


@dataclass(frozen=True, slots=True)
class AdoptionReport:
    """What adopting a set changes; tCO2e before and after of the stream-months that change.

    `frozen`: inventories whose months are not touched. `changes` may be cut off; `changed_months` counts all.
    """

    factor_set: str | None
    superseded: int
    made: int
    changed_months: int
    before_t: Decimal
    after_t: Decimal
    changes: tuple[MonthChange, ...]
    categories: tuple[CategoryChange, ...]
    lacking: tuple[Lacking, ...]
    frozen: tuple[Inventory, ...]


def by_category(before: Mapping[Term, Decimal], moved: Mapping[Term, Decimal]) -> tuple[CategoryChange, ...]:
    """Each category as it was and as it is once it has moved, in the order of the standard."""
    after = dict(before)
    for term, by in moved.items():
        after[term] = after.get(term, Decimal(0)) + by
    order = sorted(after, key=lambda t: (list(Category).index(t[0]), t[1] or ""))
    return tuple(CategoryChange(*term, before.get(term, Decimal(0)), after[term]) for term in order)
