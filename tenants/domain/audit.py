"""The record of changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """Who changed what, and what it was before and after."""

    id: UUID
    at: datetime
    member_id: UUID | None
    operation: str
    organisation_id: UUID | None
    subject_type: str
    subject_id: UUID
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    correlation_id: str


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs; text as it stands, everything else as JSON; None where there was nothing."""

    field: str
    before: str | None
    after: str | None


def differences(event: AuditEvent) -> list[FieldChange]:
    """What an event changed, field by field."""
    before, after = event.before or {}, event.after or {}
    fields = [*before, *(name for name in after if name not in before)]
    return [
        FieldChange(name, _shown(before.get(name)), _shown(after.get(name)))
        for name in fields
        if before.get(name) != after.get(name)
    ]


def _shown(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
