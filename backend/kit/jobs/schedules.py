"""When periodic jobs are due: each day at a time, or every so often. Pure; the moment is passed in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from backend.kit.clock import REPORTING_ZONE


class Schedule(Protocol):
    """A row of due moments without end. `last` is the latest that is not after `now`, `next` the first after it."""

    def last(self, now: datetime) -> datetime: ...

    def next(self, now: datetime) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Every:
    """Every so many seconds, counted from 1970-01-01 UTC, so that all workers mean the same moments."""

    period: timedelta

    def last(self, now: datetime) -> datetime:
        length_s = int(self.period.total_seconds())
        return datetime.fromtimestamp(int(now.timestamp()) // length_s * length_s, UTC)

    def next(self, now: datetime) -> datetime:
        return self.last(now) + self.period

    def __str__(self) -> str:
        return f"every {self.period}"


@dataclass(frozen=True, slots=True)
class Daily:
    """Once each calendar day of a zone, at a time of its clock."""

    at: time
    zone: ZoneInfo = REPORTING_ZONE

    def last(self, now: datetime) -> datetime:
        today = now.astimezone(self.zone).date()
        due = self._on(today)
        return due if due <= now else self._on(today - timedelta(days=1))

    def next(self, now: datetime) -> datetime:
        today = now.astimezone(self.zone).date()
        due = self._on(today)
        return due if due > now else self._on(today + timedelta(days=1))

    def _on(self, day: date) -> datetime:
        # In UTC: two moments of one zone are compared by their clock faces, which repeat when summer time ends.
        return datetime.combine(day, self.at, self.zone).astimezone(UTC)

    def __str__(self) -> str:
        return f"daily at {self.at:%H:%M} in {self.zone.key}"
