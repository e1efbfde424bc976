"""Targets, and serious deviations from them or from the year before, with their causes (9.1.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.accounting.domain.sources import Category
from backend.kit.errors import conflict, invalid, rule
from backend.kit.quantity import GREENHOUSE_GAS, round_half_up

TARGET_TAKEN = conflict(
    "TARGET_TAKEN",
    en="There is a target for this year, category and product already; give a reason to replace it.",
    zh="该年份、类别和产品已有目标；替换须说明原因。",
)
BAD_TARGET = invalid("BAD_TARGET", en="{reason}", zh="{reason_zh}")
YEAR_NOT_OVER = rule(
    "YEAR_NOT_OVER",
    en="{year} is not over; deviations are judged of whole years, up to {latest}.",
    zh="{year} 年尚未结束；偏差按完整年份判断，最晚为 {latest} 年。",
)
DEVIATION_ENDED = conflict(
    "DEVIATION_ENDED",
    en="The finding is {state}; only an open one can be closed.",
    zh="该偏差状态为 {state}；仅可关闭未关闭的偏差。",
)
ANALYSIS_MISSING = rule(
    "ANALYSIS_MISSING",
    en="A serious deviation is closed with its cause and an analysis ({source}).",
    zh="重大偏差须说明原因并附分析后方可关闭（{source}）。",
)


class DeviationKind(StrEnum):
    """What a year's figure was compared with."""

    YEAR_ON_YEAR = "YEAR_ON_YEAR"
    """The year before (同比)."""
    TARGET = "TARGET"
    """A target; only above it is a deviation (与目标比较)."""


class DeviationState(StrEnum):
    """Where a finding stands."""

    OPEN = "OPEN"
    """To be explained."""
    CLOSED = "CLOSED"
    """Explained."""
    REPLACED = "REPLACED"
    """The figures have changed since."""


class DeviationCause(StrEnum):
    """Why a serious deviation came about (9.1.2)."""

    SCOPE = "SCOPE"
    """The scope of accounting was wrong (核算范围有误)."""
    METHODOLOGY = "METHODOLOGY"
    """A methodology was missing (缺少方法学)."""
    OFFSET_USE = "OFFSET_USE"
    """Offsets were used wrongly (抵消使用不当)."""
    DATA = "DATA"
    """Data were wrong or missing (数据错误或缺失)."""
    ACTIVITY = "ACTIVITY"
    """More or less was made or used (活动水平变化)."""
    FACTOR = "FACTOR"
    """Factors or methods changed (因子或方法变化)."""
    STRUCTURE = "STRUCTURE"
    """The organisation changed (组织结构变化)."""
    OTHER = "OTHER"
    """Something else, as the analysis says (其他)."""


@dataclass(frozen=True, slots=True)
class NewTarget:
    """What an organisation aims at in a year: tCO2e (of one category, or in all), or tCO2e per unit of a product.

    `threshold`: which fraction of the target it may be exceeded by.
    """

    organisation_id: UUID
    year: int
    value: Decimal
    category: Category | None = None
    product: str | None = None
    threshold: Decimal = Decimal("0.05")
    note: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class EmissionTarget:
    """A target as recorded; `unit` is tCO2e, or tCO2e per unit of the product."""

    id: UUID
    organisation_id: UUID
    year: int
    category: Category | None
    product: str | None
    value: Decimal
    unit: str
    threshold: Decimal
    note: str
    recorded_at: datetime
    superseded_at: datetime | None = None
    superseded_because: str | None = None


@dataclass(frozen=True, slots=True)
class DeviationFinding:
    """A figure that departs from what it is compared with by more than a threshold."""

    id: UUID
    organisation_id: UUID
    kind: DeviationKind
    year: int
    category: Category | None
    product: str | None
    target_id: UUID | None
    compared: Decimal
    actual: Decimal
    unit: str
    threshold: Decimal
    state: DeviationState
    cause: DeviationCause | None
    analysis: str
    found_at: datetime
    closed_by: UUID | None
    closed_at: datetime | None

    @property
    def slot(self) -> tuple[DeviationKind, Category | None, str | None]:
        return self.kind, self.category, self.product

    @property
    def deviation(self) -> Decimal | None:
        """The difference as a fraction of what it was compared with, 6 decimals; None where that was 0."""
        return round_half_up((self.actual - self.compared) / abs(self.compared), 6) if self.compared else None


@dataclass(frozen=True, slots=True)
class Departure:
    """A comparison that departs too far, not yet recorded."""

    kind: DeviationKind
    compared: Decimal
    actual: Decimal
    threshold: Decimal
    category: Category | None = None
    product: str | None = None
    target_id: UUID | None = None
    unit: str = GREENHOUSE_GAS


def departs(kind: DeviationKind, compared: Decimal, actual: Decimal, threshold: Decimal) -> bool:
    """Whether it lies beyond the threshold; exactly at it does not. A target is departed from upwards only."""
    if kind is DeviationKind.TARGET and actual <= compared:
        return False
    return abs(actual - compared) > threshold * abs(compared)


Totals = Mapping[Category, Decimal]


def year_on_year(before: Totals, now: Totals, threshold: Decimal) -> list[Departure]:
    """In all, and category by category. A year before without any result is nothing to compare with."""
    if not before:
        return []
    kind = DeviationKind.YEAR_ON_YEAR
    pairs: list[tuple[Category | None, Decimal, Decimal]] = [(None, _in_all(before), _in_all(now))]
    pairs += [(c, before.get(c, _ZERO), now.get(c, _ZERO)) for c in Category if c in before or c in now]
    return [Departure(kind, a, b, threshold, category=c) for c, a, b in pairs if departs(kind, a, b, threshold)]


def beyond_targets(
    targets: Sequence[EmissionTarget], now: Totals, intensities: Mapping[UUID, Decimal | None]
) -> list[Departure]:
    """Targets that were exceeded; an intensity that cannot be told exceeds none."""
    found = []
    for target in targets:
        if target.product is not None:
            actual = intensities.get(target.id)
        else:
            actual = now.get(target.category, _ZERO) if target.category else _in_all(now)
        kind = DeviationKind.TARGET
        if actual is not None and departs(kind, target.value, actual, target.threshold):
            found.append(
                Departure(
                    kind,
                    target.value,
                    actual,
                    target.threshold,
                    target.category,
                    target.product,
                    target.id,
                    target.unit,
                )
            )
    return found


_ZERO: Final = Decimal(0)


def _in_all(totals: Totals) -> Decimal:
    return sum(totals.values(), _ZERO)
