"""The record of changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

# A subject as JSON; of a change of many rows at once, the list of them.
Recorded = Mapping[str, Any] | list[Any] | None


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
    before: Recorded
    after: Recorded
    correlation_id: str


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs; text as it stands, everything else as JSON; None where there was nothing."""

    field: str
    before: str | None
    after: str | None


def differences(event: AuditEvent) -> list[FieldChange]:
    """What an event changed, field by field; the rows of a bulk change are one field, `rows`."""
    before, after = _fields(event.before), _fields(event.after)
    fields = [*before, *(name for name in after if name not in before)]
    return [
        FieldChange(name, _shown(before.get(name)), _shown(after.get(name)))
        for name in fields
        if before.get(name) != after.get(name)
    ]


def _fields(recorded: Recorded) -> Mapping[str, Any]:
    return {"rows": recorded} if isinstance(recorded, list) else recorded or {}


def _shown(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
