"""Spans of whole months, the last of which may be open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

from backend.accounting.domain.records import EARLIEST
from backend.kit.errors import invalid

BAD_SPAN = invalid(
    "BAD_MONTHS",
    en="{first} to {last} is no span of months: the first is 1990-01 or later, the last is not before the first.",
    zh="{first} 至 {last} 不是有效的月份区间：起始月不早于 1990-01，终止月不早于起始月。",
)
YEAR_OUT_OF_RANGE = invalid(
    "YEAR_OUT_OF_RANGE",
    en="{year} is not a year that is accounted; years from {first} to {last} are.",
    zh="{year} 不是可核算的年份；可用年份为 {first} 至 {last}。",
)
LAST_YEAR: Final = 2200


def checked_year(year: int, *path: str) -> int:
    """Errors: YEAR_OUT_OF_RANGE."""
    if not EARLIEST.year <= year <= LAST_YEAR:
        raise YEAR_OUT_OF_RANGE(path=path, year=year, first=EARLIEST.year, last=LAST_YEAR)
    return year


def next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def month_before(month: date) -> date:
    return date(month.year - (month.month == 1), (month.month - 2) % 12 + 1, 1)


def months_between(first: date, last: date) -> list[date]:
    """All months from the first to the last, both included."""
    start, end = first.year * 12 + first.month - 1, last.year * 12 + last.month
    return [date(n // 12, n % 12 + 1, 1) for n in range(start, end)]


@dataclass(frozen=True, slots=True)
class Span:
    """From a first month to a last one, both included; without a last one, for good."""

    first: date
    last: date | None = None

    def __contains__(self, month: date) -> bool:
        return self.first <= month and (self.last is None or month <= self.last)

    def __str__(self) -> str:
        return f"{self.first:%Y-%m}/" + (f"{self.last:%Y-%m}" if self.last else "…")

    @property
    def end(self) -> date:
        """The last month, for comparing; an open span ends beyond everything."""
        return self.last or date.max.replace(day=1)

    def meets(self, other: Span) -> bool:
        return self.first <= other.end and other.first <= self.end

    def without(self, other: Span) -> Iterator[Span]:
        """What is left of it when the months of another are taken out."""
        if not self.meets(other):
            yield self
            return
        if self.first < other.first:
            yield Span(self.first, month_before(other.first))
        if other.last is not None and self.end > other.last:
            yield Span(next_month(other.last), self.last)

    def within_year(self, year: int) -> list[date]:
        """Its months in a year."""
        first, last = max(self.first, date(year, 1, 1)), min(self.end, date(year, 12, 1))
        return months_between(first, last) if first <= last else []


ALWAYS: Final = Span(EARLIEST)


def checked_span(first: date, last: date | None, *path: str) -> Span:
    """Errors: BAD_MONTHS."""
    if first < EARLIEST or (last is not None and last < first):
        raise BAD_SPAN(path=path, first=f"{first:%Y-%m}", last=f"{last:%Y-%m}" if last else "…")
    return Span(first, last)


def covers(spans: Iterable[Span], month: date) -> bool:
    return any(month in span for span in spans)
