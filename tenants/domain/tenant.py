"""The tenant itself: its name, whether it may be written, and its few settings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backend.kit.errors import conflict
from tenants.domain.organisations import wrong

SLUG_TAKEN = conflict(
    "TENANT_SLUG_TAKEN",
    en="The short name '{slug}' is taken by another tenant.",
    zh="简称 '{slug}' 已被其他租户使用。",
)

MOST_REMINDERS: Final = 10
LONGEST_DAYS: Final = 366


class TenantStatus(StrEnum):
    """Whether a tenant may be written."""

    ACTIVE = "ACTIVE"
    """Read and written."""
    SUSPENDED = "SUSPENDED"
    """Read only, until the operator resumes it."""


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """What a tenant says once for all its organisations. `reporting_zone`: where its calendar days begin.
    `deadline_reminder_days`: how many days before a deadline it is reminded of, the farthest first.
    """

    reporting_zone: str = "Asia/Shanghai"
    deadline_reminder_days: tuple[int, ...] = (90, 30, 7, 1)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer of the service: one group, or several companies that share an administration."""

    id: UUID
    slug: str
    name: str
    status: TenantStatus
    suspended_because: str | None
    settings: TenantSettings
    created_at: datetime


def checked_days(days: Collection[int]) -> tuple[int, ...]:
    """At most ten distances of 1 to 366 days, the farthest first. Errors: INVALID_INPUT."""
    found = sorted(set(days), reverse=True)
    if len(found) > MOST_REMINDERS or not all(1 <= d <= LONGEST_DAYS for d in found):
        raise wrong(
            f"reminders are made at most {MOST_REMINDERS} times, 1 to {LONGEST_DAYS} days before a deadline",
            f"提醒次数最多 {MOST_REMINDERS} 次，须在截止日前 1 至 {LONGEST_DAYS} 天之间",
            "deadlineReminderDays",
        )
    return tuple(found)


def checked_zone(name: str) -> str:
    """An IANA time zone. Errors: INVALID_INPUT."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise wrong(
            f"'{name[:60]}' is not a time zone of the IANA list, such as Asia/Shanghai",
            f"'{name[:60]}' 不是 IANA 时区名称，例如 Asia/Shanghai",
            "reportingZone",
        ) from error
