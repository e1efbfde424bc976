"""What organisations owe (履约义务)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class NewObligation:
    """What an organisation owes for a period, in tonnes of CO2e; `market`: whose rules hold, where it is said."""

    organisation_id: UUID
    from_year: int
    to_year: int
    tonnes: Decimal
    source: str = ""
    market: str = ""


@dataclass(frozen=True, slots=True)
class Obligation:
    """An obligation as recorded; superseded by a later one for the same period, never edited."""

    id: UUID
    organisation_id: UUID
    from_year: int
    to_year: int
    tonnes: Decimal
    source: str
    recorded_at: datetime
    superseded_at: datetime | None = None
    superseded_by_id: UUID | None = None
    market: str = ""


@dataclass(frozen=True, slots=True)
class ObligationOf:
    """What an organisation owes for a period, in tonnes of CO2e (履约义务)."""

    organisation_id: UUID
    from_year: int
    to_year: int
    tonnes: Decimal
    id: UUID
