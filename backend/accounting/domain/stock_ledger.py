"""The ledger of purchases, stock and sales of a stream (购产销存台账), month by month.

Consumption = opening + purchased + produced − closing − sold − other use − losses (8.2.5.2 note 2, 8.2.5.3 note 2; MEE
guides). A month opens with what the month before closed with; a difference is refused unless it is explained (a
stocktake, say). Consumption below zero, more sold than there was, is refused unless it is explained (net sales).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final
from uuid import UUID

from backend.accounting.domain.measured import Cause
from backend.accounting.domain.months import month_before
from backend.kit.errors import conflict, invalid, rule
from backend.kit.quantity import QUANTITY_DECIMALS, QUANTITY_DIGITS, read_unit, round_half_up, trimmed
from backend.kit.text import tidy

PLUS: Final = ("opening", "purchased", "produced")
MINUS: Final = ("closing", "sold", "other_use", "losses")

BAD_STOCK_PART = invalid(
    "BAD_STOCK_PART",
    en="{part} is {given}; the parts of a stock ledger are 0 or more, with at most 15 digits before the point and 12 "
    "behind it. What was sold or lost is written without a sign.",
    zh="{part} 为 {given}；台账各项须为非负数，小数点前至多 15 位、后至多 12 位。销售与损耗不写负号。",
)
STOCK_BELOW_ZERO = rule(
    "STOCK_BELOW_ZERO",
    en="{parts} leaves a consumption of {consumption} {unit}: more went than came. Correct the parts, or explain it.",
    zh="{parts_zh}，消费量为 {consumption} {unit}：出库多于入库。请更正各项，或填写说明。",
)
STOCK_NOT_CONTINUOUS = rule(
    "STOCK_NOT_CONTINUOUS",
    en="{earlier} closed with {closing} and {later} opens with {opening} {unit}. Make them equal, or explain it.",
    zh="{earlier} 期末为 {closing}，{later} 期初为 {opening} {unit}。请使两者一致，或填写说明。",
)
STOCK_MONTH_TAKEN = conflict(
    "STOCK_MONTH_TAKEN",
    en="The ledger has a row for {month} already; supersede that one.",
    zh="台账在 {month_zh} 已有记录，请替换该记录。",
)


_PARTS_ZH: Final = {
    "opening": "期初", "purchased": "购入", "produced": "自产", "closing": "期末", "sold": "外售",
    "other_use": "其他用途", "losses": "损耗",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a row, in one unit, none negative."""

    opening: Decimal = Decimal(0)
    purchased: Decimal = Decimal(0)
    produced: Decimal = Decimal(0)
    closing: Decimal = Decimal(0)
    sold: Decimal = Decimal(0)
    other_use: Decimal = Decimal(0)
    losses: Decimal = Decimal(0)

    @property
    def consumption(self) -> Decimal:
        """What is left for use; exact."""
        came = sum((getattr(self, p) for p in PLUS), Decimal(0))
        return trimmed(came - sum((getattr(self, p) for p in MINUS), Decimal(0)))

    def __str__(self) -> str:
        signs = [("+", p) for p in PLUS] + [("-", p) for p in MINUS]
        return " ".join(f"{sign} {part} {getattr(self, part)}" for sign, part in signs if getattr(self, part))

    @property
    def in_chinese(self) -> str:
        """As a Chinese text names them."""
        return " ".join(_PARTS_ZH.get(word, word) for word in str(self).split())


@dataclass(frozen=True, slots=True)
class NewStockRow:
    """A row to record. `explanation` says why it does not continue its neighbours, or why more went than came."""

    stream_id: UUID
    month: date
    unit: str
    parts: Parts
    explanation: str = ""
    evidence: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRow(Cause):
    """A month of the ledger; `quantity` is its consumption in the canonical unit of the stream."""

    unit: str
    opening: Decimal
    purchased: Decimal
    produced: Decimal
    closing: Decimal
    sold: Decimal
    other_use: Decimal
    losses: Decimal
    consumption: Decimal
    explanation: str

    @property
    def parts(self) -> Parts:
        return Parts(**{part: getattr(self, part) for part in (*PLUS, *MINUS)})


@dataclass(frozen=True, slots=True)
class StockChange:
    """What a new version of a row says; what is None stays."""

    parts: Parts | None = None
    unit: str | None = None
    explanation: str | None = None
    evidence: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class StockGap:
    """Two months that follow one another and do not meet."""

    stream_id: UUID
    month: date
    closed: Decimal
    opens: Decimal
    unit: str
    explanation: str

    @property
    def difference(self) -> Decimal:
        return trimmed(self.opens - self.closed)

    @property
    def key(self) -> tuple[str, str]:
        return (self.month.isoformat(), str(self.stream_id))


def checked_parts(parts: Parts, unit: str, explanation: str) -> Parts:
    """Errors: BAD_STOCK_PART, STOCK_BELOW_ZERO."""
    most = Decimal(10) ** (QUANTITY_DIGITS - QUANTITY_DECIMALS)
    for part in (*PLUS, *MINUS):
        given: Decimal = getattr(parts, part)
        fits = given.is_finite() and 0 <= given < most and round_half_up(given, QUANTITY_DECIMALS) == given
        if not fits:
            raise BAD_STOCK_PART(path=(_camel(part),), part=part, part_zh=_PARTS_ZH[part], given=str(given)[:60])
    if parts.consumption < 0 and not tidy(explanation):
        raise STOCK_BELOW_ZERO(
            path=("explanation",),
            parts=parts,
            parts_zh=parts.in_chinese,
            consumption=parts.consumption,
            unit=unit,
            source="8.2.5.3",
        )
    return parts


def check_continuity(
    month: date, parts: Parts, unit: str, explanation: str, beside: Sequence[tuple[date, Decimal, Decimal, str]]
) -> None:
    """Hold a row against its neighbours (month, opening, closing, unit). Errors: STOCK_NOT_CONTINUOUS.

    Neighbours in another unit are left to the list of gaps, which compares in canonical units.
    """
    if tidy(explanation):
        return
    for other, opening, closing, written in beside:
        if written != unit:
            continue
        after = other > month
        earlier, later = (month, other) if after else (other, month)
        closed, opens = (parts.closing, opening) if after else (closing, parts.opening)
        if closed != opens:
            raise STOCK_NOT_CONTINUOUS(
                path=("closing" if after else "opening",),
                earlier=f"{earlier:%Y-%m}",
                later=f"{later:%Y-%m}",
                closing=closed,
                opening=opens,
                unit=unit,
                source="8.2.5.3",
            )


def gaps(kept: Sequence[StockRow]) -> list[StockGap]:
    """Where a month opens with something else than the month before closed with, in canonical units; by month."""
    found = []
    by_month = {(row.stream_id, row.month): row for row in kept}
    for row in kept:
        before = by_month.get((row.stream_id, month_before(row.month)))
        if before is None:
            continue
        unit = read_unit(row.unit)
        closed = trimmed(before.closing * read_unit(before.unit).factor)
        opens = trimmed(row.opening * unit.factor)
        if closed != opens:
            found.append(StockGap(row.stream_id, row.month, closed, opens, unit.canonical, row.explanation))
    return sorted(found, key=lambda gap: gap.key)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
