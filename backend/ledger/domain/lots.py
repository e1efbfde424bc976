"""Units issued together, and how they are named (8.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from backend.kit.ids import global_id
from backend.ledger.domain.accounts import HOLDING


class AssetClass(StrEnum):
    """What kind of carbon asset a lot is (6.2.3 a 6-7, 8.3)."""

    ALLOWANCE = "ALLOWANCE"
    """Emission allowance of a trading scheme, allocated, auctioned or bought (碳排放配额, 8.3.1)."""
    CCER = "CCER"
    """Certified voluntary emission reduction, or an offset credit of another scheme (核证自愿减排量, 8.3.2)."""
    VERIFIED_SAVING = "VERIFIED_SAVING"
    """Reduction from energy saving that the government verified (经政府核定的节能减排量, 8.4.2 b)."""
    SINK = "SINK"
    """The organisation's own certified carbon sink outside the boundary (经核证的自有碳汇, 8.3.3, 8.4.3)."""


class Origin(StrEnum):
    """How a lot came to its first holder; allowances that were bought weigh differently in 8.4.2."""

    ALLOCATED = "ALLOCATED"
    """Allocated free of charge by the authority (免费分配)."""
    AUCTIONED = "AUCTIONED"
    """Bought from the authority at an auction (有偿竞买)."""
    PURCHASED = "PURCHASED"
    """Bought on the market from someone outside (市场购入)."""
    ISSUED_CREDIT = "ISSUED_CREDIT"
    """Registered for a project's verified reduction (减排量登记)."""
    CERTIFIED_SINK = "CERTIFIED_SINK"
    """Certified removal of an own sink (碳汇核证)."""


@dataclass(frozen=True, slots=True)
class SerialBlock:
    """Consecutive serial numbers, both ends included."""

    prefix: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class NewLot:
    """A lot to issue into an account of the organisation it is issued to."""

    asset_class: AssetClass
    scheme: str
    issue_reference: str
    quantity_t: int
    origin: Origin
    issued_to: UUID
    issued_on: date
    vintage: int | None = None
    project: str = ""
    serial: SerialBlock | None = None
    account_code: str = HOLDING
    evidence: str = ""
    effective_on: date | None = None
    """Since when its units are in the account: the day of issue, when none is named."""

    @property
    def entered_on(self) -> date:
        return self.effective_on or self.issued_on


@dataclass(frozen=True, slots=True)
class Lot:
    """Units issued together: one class, scheme, vintage and project; `quantity_t` whole tonnes of CO2e."""

    id: UUID
    asset_class: AssetClass
    scheme: str
    issue_reference: str
    vintage: int | None
    project: str
    quantity_t: int
    origin: Origin
    issued_to: UUID
    issued_on: date
    serial: SerialBlock | None
    issued_by: UUID
    withdrawn_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class NamedLot:
    """As much of a lot as a transfer of its units needs to know."""

    id: UUID
    scheme: str
    issue_reference: str
    issued_on: date
    standing: bool = True
    """Neither split, merged nor taken back."""

    def __str__(self) -> str:
        return f"{self.scheme} {self.issue_reference}"


@dataclass(frozen=True)  # without slots, as an order
class LotRef:
    """A lot by id, or by scheme and issue reference."""

    id: UUID | None = None
    scheme: str = ""
    issue_reference: str = ""

    def __str__(self) -> str:
        return global_id("AssetLot", self.id) if self.id else f"{self.scheme} {self.issue_reference}"
