"""What was consumed, by the stock book: opening + purchased − closing − sold − other use − losses (8.2.5.2 note 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from itertools import pairwise

from backend.kit.errors import rule

STOCK_NEGATIVE = rule(
    "STOCK_PART_NEGATIVE",
    en="{part} of a stock book cannot be {value}; it is a quantity from 0.",
    zh="库存台账的 {part} 不能为 {value}；须为不小于 0 的数量。",
)
NEGATIVE_CONSUMPTION = rule(
    "NEGATIVE_CONSUMPTION",
    en="Consumption would be {consumption}: opening {opening} + purchased {purchased} − closing {closing} "
    "− sold {sold} − other use {other_use} − losses {losses}. Correct the part that is wrong.",
    zh="消耗量为 {consumption}：期初 {opening} + 购入 {purchased} − 期末 {closing} "
    "− 外销 {sold} − 其他用途 {other_use} − 损耗 {losses}。请更正有误的一项。",
)
STOCK_NOT_CONTINUOUS = rule(
    "STOCK_NOT_CONTINUOUS",
    en="{month} opens with {opening}, but {before} closed with {closing}; they are one stock.",
    zh="{month} 期初库存为 {opening}，而 {before} 期末库存为 {closing}；两者应一致。",
)


@dataclass(frozen=True, slots=True)
class StockMonth:
    """A month of a stock book, all in one unit. Without a stock-taking, opening and closing stay 0: purchase − sale.

    Own and bought fuel of one kind are kept in books of their own.
    """

    month: date
    opening: Decimal = Decimal(0)
    purchased: Decimal = Decimal(0)
    closing: Decimal = Decimal(0)
    sold: Decimal = Decimal(0)
    other_use: Decimal = Decimal(0)
    losses: Decimal = Decimal(0)

    def parts(self) -> dict[str, Decimal]:
        """What it is made of, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "month"}


def consumption(book: StockMonth, *, negative_allowed: bool = False) -> Decimal:
    """What was consumed, exactly. `negative_allowed`: a stream that exports on balance.

    Errors: STOCK_PART_NEGATIVE, NEGATIVE_CONSUMPTION.
    """
    parts = book.parts()
    for part, value in parts.items():
        if not value.is_finite() or value < 0:
            raise STOCK_NEGATIVE(path=(part,), part=part, value=value)
    used = book.opening + book.purchased - book.closing - book.sold - book.other_use - book.losses
    if used < 0 and not negative_allowed:
        raise NEGATIVE_CONSUMPTION(path=("closing",), consumption=used, **parts)
    return used


def check_continuity(books: Sequence[StockMonth]) -> None:
    """Each month opens with what the one before it closed with. Errors: STOCK_NOT_CONTINUOUS."""
    ordered = sorted(books, key=lambda b: b.month)
    for before, after in pairwise(ordered):
        if before.closing != after.opening:
            raise STOCK_NOT_CONTINUOUS(
                path=("opening",),
                month=f"{after.month:%Y-%m}",
                opening=after.opening,
                before=f"{before.month:%Y-%m}",
                closing=before.closing,
            )


def escaped(
    month: date,
    *,
    opening: Decimal,
    purchased: Decimal,
    closing: Decimal,
    returned: Decimal,
    capacity_increase: Decimal,
) -> Decimal:
    """What a gas balance lacks: opening + purchased − closing − returned or sold − increase of the charge. The quantity
    of a stream by REFRIGERANT_BALANCE. Source: rules 2.11. Errors: those of `consumption`.
    """
    return consumption(StockMonth(month, opening, purchased, closing, returned, capacity_increase))
