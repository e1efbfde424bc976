"""Trades of units for money, prices, and what holdings cost (8.3.1.3, 8.3.2.4). Money is whole fen (0.01 CNY)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.kit.errors import conflict, invalid, rule
from backend.kit.text import clean, tidy
from backend.kit.words import in_chinese, members_in_chinese
from backend.ledger.codes import EFFECTIVE_IN_FUTURE
from backend.ledger.domain.accounts import AccountRef
from backend.ledger.domain.refusals import Refusal
from backend.ledger.rulebook.domain import Market, RuleKind, known_market, rulebook
from backend.ledger.values import needed

MOST_PRICE_FEN: Final = 100_000_000
MOST_FEE_FEN: Final = 1_000_000_000_000
MOST_REFERENCE: Final = 200
"""Letters of what the market calls a trade: the purpose of its transfer names it."""
MOST_TRADED_T: Final = 9_000_000_000_000

in_chinese({"price": "价格", "fee": "费用", "close": "收盘价"})
BAD_MONEY = invalid(
    "BAD_MONEY",
    en="{what} is an amount in CNY from {least} to {most} with at most 2 decimals; got {value}.",
    zh="{what_zh}须为 {least} 至 {most} 元、至多两位小数的金额，收到 {value}。",
)
BAD_TRADE_QUANTITY = invalid(
    "BAD_TRADE_QUANTITY",
    en="A trade is of 1 to {most} whole tonnes; got {quantity}.",
    zh="交易数量须为 1 至 {most} 的整数吨，收到 {quantity}。",
)
NOT_TRADED_THERE = rule(
    "NOT_TRADED_THERE",
    en="{scheme} is not traded as {mode} in the market {market}; possible are: {possible}.",
    zh="市场 {market} 不以 {mode} 方式交易 {scheme}；可为：{possible}。",
)
NO_COUNTERPARTY = invalid(
    "NO_COUNTERPARTY",
    en="A trade names its counterparty: an account of the group, or who is outside.",
    zh="交易须指明对手方：集团内账户或外部主体名称。",
)
TRADE_KNOWN = conflict(
    "TRADE_KNOWN",
    en="The market {market} has a trade with the reference '{reference}' on this side already.",
    zh="市场 {market} 已有该方向、编号为 '{reference}' 的交易。",
)
TRADE_ENDED = conflict(
    "TRADE_ENDED",
    en="The trade is {state}; it can be settled or called off while it is AGREED.",
    zh="交易状态为 {state}；仅已成交待结算的交易可结算或撤销。",
)
SETTLES_TOO_EARLY = invalid(
    "SETTLES_TOO_EARLY",
    en="The trade was made on {traded_on}; it cannot be settled on {settled_on}.",
    zh="交易于 {traded_on} 成交，不能在 {settled_on} 结算。",
)
PRICE_TAKEN = conflict(
    "PRICE_TAKEN",
    en="There is a price of {scheme} for {day} already; give a reason to put another in its place.",
    zh="{scheme} 在 {day} 已有价格；如需替换请填写理由。",
)
WHICH_UNITS = invalid(
    "WHICH_UNITS",
    en="A purchase from outside names a lot that lies in the market, or the issue reference of the new one; every "
    "other trade names its lot.",
    zh="从外部买入须指明市场中的批次或新批次的签发编号；其他交易须指明批次。",
)
PRICE_OUTSIDE_LIMITS = rule(
    "PRICE_OUTSIDE_LIMITS",
    en="The price {price} is outside {lowest} to {highest}, from the close {close} of {day}. Rule {rule}: {source}.",
    zh="价格 {price} 超出 {lowest} 至 {highest}（{day} 收盘价 {close}）。规则 {rule}：{source}。",
)
SIZE_OUTSIDE_LIMITS = rule(
    "SIZE_OUTSIDE_LIMITS",
    en="A {mode} trade has {least} to {most} t; this one has {quantity} t. Rule {rule}: {source}.",
    zh="{mode} 交易量应为 {least} 至 {most} 吨，本笔为 {quantity} 吨。规则 {rule}：{source}。",
)


class Side(StrEnum):
    """Which side of a trade the organisation is on."""

    BUY = "BUY"
    """It buys (买入)."""
    SELL = "SELL"
    """It sells (卖出)."""


class Mode(StrEnum):
    """How a trade comes about."""

    LISTED = "LISTED"
    """Listing agreement: an order in the list is taken up (挂牌协议, 8.3.1.3 note 2)."""
    BLOCK = "BLOCK"
    """Block agreement, negotiated (大宗协议, 8.3.1.3 note 3)."""
    AUCTION = "AUCTION"
    """One side bids in an auction (单向竞价, 8.3.1.3 b)."""
    PICK = "PICK"
    """An order is picked from the live list (挂牌点选, 8.3.2.4 c)."""


class TradeState(StrEnum):
    """Where a trade stands."""

    AGREED = "AGREED"
    """Agreed, not settled (已成交待结算)."""
    SETTLED = "SETTLED"
    """Money and units went over, by the transfer it names (已结算)."""
    CALLED_OFF = "CALLED_OFF"
    """Not carried out, with a reason (已撤销)."""


members_in_chinese(Mode, {"LISTED": "挂牌协议", "BLOCK": "大宗协议", "AUCTION": "单向竞价", "PICK": "挂牌点选"})
members_in_chinese(TradeState, {"AGREED": "已成交待结算", "SETTLED": "已结算", "CALLED_OFF": "已撤销"})


@dataclass(frozen=True, slots=True)
class NewTrade:
    """A trade to record. `counterparty_account` makes it one inside the tenant."""

    organisation_id: UUID
    side: Side
    mode: Mode
    market: str
    scheme: str
    account: AccountRef
    quantity_t: int
    price: Decimal
    fee: Decimal
    traded_on: date
    reference: str
    counterparty: str = ""
    counterparty_account: AccountRef | None = None


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade as recorded: settled or called off once. `remarks`: limits of the market that it is outside of."""

    id: UUID
    organisation_id: UUID
    side: Side
    mode: Mode
    market: str
    scheme: str
    account_id: UUID
    quantity_t: int
    price_fen: int
    fee_fen: int
    counterparty: str
    counterparty_account_id: UUID | None
    traded_on: date
    reference: str
    remarks: tuple[Refusal, ...] = ()
    state: TradeState = TradeState.AGREED
    settled_on: date | None = None
    lot_id: UUID | None = None
    transfer_id: UUID | None = None
    reason: str | None = None

    @property
    def value_fen(self) -> int:
        """Price times quantity, without the fee."""
        return self.price_fen * self.quantity_t


@dataclass(frozen=True, slots=True)
class Close:
    """The closing price of a scheme's unit on a day, in fen."""

    scheme: str
    day: date
    close_fen: int
    source: str = ""
    recorded_at: datetime | None = None


def fen(amount: Decimal, what: str, least: int, most: int) -> int:
    """An amount in CNY as whole fen. Errors: BAD_MONEY."""
    scaled = amount * 100
    if not amount.is_finite() or not least <= scaled <= most or scaled != scaled.to_integral_value():
        low, high = yuan(least), yuan(most)
        raise BAD_MONEY(path=(what,), what=what, least=low, most=high, value=str(amount)[:60])
    return int(scaled)


def yuan(amount_fen: int) -> Decimal:
    """Whole fen as CNY with two decimals."""
    return Decimal(amount_fen).scaleb(-2)


def checked_trade(new: NewTrade, today: date) -> tuple[NewTrade, Market, int, int]:
    """In canonical form, with its market, price and fee in fen.

    Errors: UNKNOWN_MARKET, NOT_TRADED_THERE, BAD_TRADE_QUANTITY, BAD_MONEY, MISSING_TEXT, TEXT_TOO_LONG,
    NO_COUNTERPARTY, EFFECTIVE_IN_FUTURE.
    """
    market = known_market(clean(new.market), "market")
    made = replace(
        new,
        market=market.code,
        scheme=clean(new.scheme),
        reference=needed(clean(new.reference), "reference", most=MOST_REFERENCE),
        counterparty=tidy(new.counterparty),
    )
    possible = market.modes.get(made.scheme, tuple(Mode)) if made.scheme in market.instruments else ()
    if made.mode not in possible:
        raise NOT_TRADED_THERE(path=("mode",), scheme=made.scheme, mode=made.mode, market=market.code,
                               possible=tuple(possible))  # fmt: skip
    if not 1 <= made.quantity_t <= MOST_TRADED_T:
        raise BAD_TRADE_QUANTITY(path=("quantity",), quantity=made.quantity_t, most=MOST_TRADED_T)
    if not made.counterparty and made.counterparty_account is None:
        raise NO_COUNTERPARTY(path=("counterparty",))
    if made.traded_on > today:
        raise EFFECTIVE_IN_FUTURE(path=("tradedOn",), effective_on=str(made.traded_on), today=str(today))
    return made, market, fen(made.price, "price", 1, MOST_PRICE_FEN), fen(made.fee, "fee", 0, MOST_FEE_FEN)


def outside_limits(new: NewTrade, price_fen: int, before: Close | None) -> Iterator[Refusal]:
    """What the market's limits say about a trade; they warn. `before`: the last close before the day."""
    for found in rulebook().rules(new.market, new.traded_on):
        if found.kind is not RuleKind.PRICE_LIMIT or found.mode != new.mode:
            continue
        said = {"rule": found.code, "source": found.source}
        least, most = found.least_t or 1, found.most_t or MOST_TRADED_T
        if not least <= new.quantity_t <= most:
            yield Refusal.of(SIZE_OUTSIDE_LIMITS(path=("quantity",), mode=new.mode, least=least, most=most,
                                                 quantity=new.quantity_t, **said))  # fmt: skip
        if before is not None and found.share is not None:
            lowest, highest = before.close_fen * (1 - found.share), before.close_fen * (1 + found.share)
            if not lowest <= price_fen <= highest:
                yield Refusal.of(
                    PRICE_OUTSIDE_LIMITS(path=("price",), price=yuan(price_fen), close=yuan(before.close_fen),
                                         day=before.day, lowest=(lowest / 100).normalize(),
                                         highest=(highest / 100).normalize(), **said)
                )  # fmt: skip
