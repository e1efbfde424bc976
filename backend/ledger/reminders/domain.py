"""Reminders of surrender deadlines as pure data: at which distance one is due, and what it says (履约截止提醒)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from backend.kit.errors import conflict

REMINDER_ACKNOWLEDGED = conflict(
    "REMINDER_ACKNOWLEDGED",
    en="The reminder was acknowledged on {at} already; it is acknowledged once.",
    zh="该提醒已于 {at} 确认，不能重复确认。",
)
OVERDUE: Final = 0
"""What stands for the days before a deadline when it has passed."""


@dataclass(frozen=True, slots=True)
class Reminder:
    """What an organisation had still to surrender (`open_t`, tonnes) so many days before the last day, or, with
    `days_before` OVERDUE, after it. Made once; who took notice of it is recorded once.
    """

    id: UUID
    organisation_id: UUID
    obligation_id: UUID
    market: str
    year: int
    day: date
    rule: str
    days_before: int
    open_t: Decimal
    made_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: UUID | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """That somebody took notice of a reminder, with a word about what follows."""

    reminder_id: UUID
    note: str = ""


def threshold(days_left: int, thresholds: Collection[int]) -> int | None:
    """The nearest threshold that has been reached; OVERDUE when the day has passed; None while it is far.

    Only the nearest: who hears late of an obligation is not reminded of all that went before.
    """
    if days_left < 0:
        return OVERDUE
    return min((t for t in thresholds if days_left <= t), default=None)
