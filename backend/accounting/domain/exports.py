"""Exports of activity to files that can be imported again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from backend.accounting.domain.records import checked_month
from backend.kit.errors import invalid

EXPORT_PERIOD = invalid(
    "EXPORT_PERIOD",
    en="The last month {last} lies before the first, {first}; give the earlier one first.",
    zh="截止月份 {last} 早于起始月份 {first}；请先写较早的月份。",
)


@dataclass(frozen=True, slots=True)
class NewExport:
    """The activity of an organisation and all below it, in the months from the first to the last."""

    organisation_id: UUID
    first_month: date
    last_month: date

    def checked(self, today: date) -> NewExport:
        """Errors: MONTH_OUT_OF_RANGE, EXPORT_PERIOD."""
        checked_month(self.first_month, today, "firstMonth")
        checked_month(self.last_month, today, "lastMonth")
        if self.last_month < self.first_month:
            raise EXPORT_PERIOD(path=("lastMonth",), first=f"{self.first_month:%Y-%m}", last=f"{self.last_month:%Y-%m}")
        return self


@dataclass(frozen=True, slots=True)
class ActivityExport:
    """An export that was asked for; `rows`, `document_id` and `finished_at` are there when it is done."""

    id: UUID
    organisation_id: UUID
    first_month: date
    last_month: date
    job_id: UUID
    rows: int | None
    document_id: UUID | None
    asked_by: UUID
    created_at: datetime
    finished_at: datetime | None
