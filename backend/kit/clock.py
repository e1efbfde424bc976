"""The clock is passed in; nothing in a domain asks the machine what time it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

REPORTING_ZONE = ZoneInfo("Asia/Shanghai")


def _system_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Clock:
    """System time in UTC, and the calendar day of a reporting zone."""

    read: Callable[[], datetime] = _system_now

    def now(self) -> datetime:
        return self.read()

    def today(self, zone: ZoneInfo = REPORTING_ZONE) -> date:
        return self.read().astimezone(zone).date()
