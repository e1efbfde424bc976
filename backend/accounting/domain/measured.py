"""What all records behind activity have in common: whose they are, and how they were superseded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A record that is superseded with a reason, never edited."""

    id: UUID
    evidence: str = ""
    note: str = ""
    recorded_at: datetime | None = None
    superseded_at: datetime | None = None
    superseded_because: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfStream(Kept):
    """A record of a stream."""

    stream_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OfSource(Kept):
    """A record of a source."""

    source_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause(OfStream):
    """What one activity record of a month follows from: line 1 of the batch, `quantity` in the canonical unit."""

    month: date
    quantity: Decimal
    batch_id: UUID
