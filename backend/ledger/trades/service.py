"""Use cases of trades: agreed, settled by a transfer in the same transaction, or called off; prices; costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from backend.kit.errors import not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import clean, tidy
from backend.kit.toolbox import Toolbox
from backend.ledger import codes
from backend.ledger.accounts.codes import ACCOUNT_NOT_OPEN
from backend.ledger.domain.accounts import HOLDING, Account, AccountRef
from backend.ledger.domain.lots import LotRef, NewLot, Origin, SerialBlock
from backend.ledger.domain.transfers import LegOrder, Order, TransferKind
from backend.ledger.orders import checked_order
from backend.ledger.posting import post_within, require_manager
from backend.ledger.repository import names
from backend.ledger.rulebook import repository as rule_facts
from backend.ledger.rulebook.domain import known_market
from backend.ledger.service import LedgerService, must_exist
from backend.ledger.trades import repository
from backend.ledger.trades.costs import CostMethod, Costs, costs
from backend.ledger.trades.domain import (
    MOST_PRICE_FEN,
    NOT_TRADED_THERE,
    PRICE_TAKEN,
    SETTLES_TOO_EARLY,
    TRADE_ENDED,
    WHICH_UNITS,
    Close,
    NewTrade,
    Side,
    Trade,
    TradeState,
    checked_trade,
    fen,
    outside_limits,
)
from backend.ledger.values import check_size, scheme_code
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, perform
from tenants.domain.tree import REASON_NEEDED


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a trade is settled: the lot that goes over, or (bought outside) what tells of a new one."""

    lot: LotRef | None = None
    issue_reference: str = ""
    vintage: int | None = None
    settled_on: date | None = None
    evidence: str = ""
    serial: SerialBlock | None = None


@dataclass(frozen=True, slots=True)
class TradingResult:
    """What an organisation's units of a scheme cost and gained until a day, and what they are worth then (fen)."""

    organisation_id: UUID
    scheme: str
    method: CostMethod
    as_of: date
    costs: Costs
    close: Close | None

    @property
    def value_fen(self) -> int | None:
        return None if self.close is None else self.close.close_fen * self.costs.quantity_t


class TradeService:
    """Trades of a tenant."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def record(self, actor: Actor, new: NewTrade) -> Done[Trade]:
        """Record a trade as agreed. Limits of the market are remarked.

        Errors: those of `checked_trade`, UNKNOWN_ACCOUNT, TRADE_KNOWN, FORBIDDEN, NOT_FOUND.
        """
        sound, _, price_fen, fee_fen = checked_trade(new, self.toolbox.clock.today())

        async def work(change: Change) -> Trade:
            await require_manager(change, sound.organisation_id)
            own, other = await _sides(change, sound)
            await _check_open(change, own, other)
            before = await repository.last_close(change.unit, sound.scheme, sound.traded_on - timedelta(days=1))
            fields = {n: getattr(sound, n) for n in Trade.__dataclass_fields__ if hasattr(sound, n)}
            made = Trade(
                **fields,
                id=uuid7(),
                account_id=own.id,
                counterparty_account_id=None if other is None else other.id,
                price_fen=price_fen,
                fee_fen=fee_fen,
                remarks=tuple(outside_limits(sound, price_fen, before)),
            )
            await repository.insert(change.unit, made, actor.principal.member_id)
            await change.audit("AssetTrade", made.id, made.organisation_id, after=made)
            return made

        return await perform(self.toolbox, actor, "recordTrade", new, Trade, work)

    async def settle(self, actor: Actor, trade_id: UUID, by: Settlement) -> Done[Trade]:
        """Settle a trade: its units go over in the same transaction, or nothing happens.

        Errors: NOT_FOUND, TRADE_ENDED, WHICH_UNITS, SERIAL_OF_NEW_LOT, SETTLES_TOO_EARLY, NOT_TRADED_THERE, those of
        posting and issuing.
        """

        async def work(change: Change) -> Trade:
            trade = await _open(change, trade_id)
            on = by.settled_on or self.toolbox.clock.today()
            if on < trade.traded_on:
                raise SETTLES_TOO_EARLY(path=("settledOn",), traded_on=str(trade.traded_on), settled_on=str(on))
            outside = trade.side is Side.BUY and trade.counterparty_account_id is None
            if (by.lot is None) != bool(clean(by.issue_reference)) or (by.lot is None and not outside):
                raise WHICH_UNITS(path=("lot",))
            if by.lot is not None and by.serial is not None:
                what = "a settlement with units that the ledger has"
                raise codes.SERIAL_OF_NEW_LOT(path=("serial",), what=what, what_zh="以账内已有单位交割")
            went = self._issued if by.lot is None else self._moved
            lot_id, transfer_id = await went(change, trade, by, on)
            ended = replace(trade, state=TradeState.SETTLED, settled_on=on, lot_id=lot_id, transfer_id=transfer_id)
            return await _end(change, trade, ended)

        return await perform(self.toolbox, actor, "settleTrade", {"trade": trade_id, "by": by}, Trade, work)

    async def _issued(self, change: Change, trade: Trade, by: Settlement, on: date) -> tuple[UUID, UUID]:
        """Units bought outside that the ledger has not seen: a new lot."""
        market = known_market(trade.market)
        account = (await names.look_up(change.unit, {AccountRef(id=trade.account_id)})).accounts
        own = account[AccountRef(id=trade.account_id)]
        lot = NewLot(
            market.instruments[trade.scheme], trade.scheme, by.issue_reference, trade.quantity_t, Origin.PURCHASED,
            trade.organisation_id, on, by.vintage, serial=by.serial, account_code=own.code,
            evidence=by.evidence or trade.reference,
        )  # fmt: skip
        issued = await LedgerService(self.toolbox).issue_one(change, lot, "settledOn")
        return issued.id, issued.issued_by

    async def _moved(self, change: Change, trade: Trade, by: Settlement, on: date) -> tuple[UUID, UUID]:
        assert by.lot is not None, "a lot is named"
        own = AccountRef(id=trade.account_id)
        outside = trade.counterparty_account_id is None
        other = AccountRef(market=True) if outside else AccountRef(id=trade.counterparty_account_id)
        source, destination = (own, other) if trade.side is Side.SELL else (other, own)
        legs = (LegOrder(by.lot, trade.quantity_t, source, destination),)
        order = Order(TransferKind.TRANSFER, legs, purpose=f"{trade.side} {trade.market} {trade.reference}",
                      evidence=by.evidence or trade.reference, effective_on=on)  # fmt: skip
        (row,) = (await post_within(change, [checked_order(order, self.toolbox.clock.today())])).rows
        if row.refusal is not None:
            raise row.refusal.error()
        assert row.transfer is not None, "what was not refused was posted"
        lot_id = row.transfer.legs[0].lot_id
        found = (await rule_facts.lot_facts(change.unit, [lot_id]))[lot_id]
        if found.scheme != trade.scheme:
            raise NOT_TRADED_THERE(path=("lot",), scheme=found.scheme, mode=trade.mode, market=trade.market,
                                   possible=trade.scheme)  # fmt: skip
        return lot_id, row.transfer.id

    async def call_off(self, actor: Actor, trade_id: UUID, reason: str) -> Done[Trade]:
        """Errors: NOT_FOUND, FORBIDDEN, TRADE_ENDED, REASON_NEEDED."""

        async def work(change: Change) -> Trade:
            trade = await _open(change, trade_id)
            why = tidy(reason)
            if not why:
                raise REASON_NEEDED(path=("reason",), what="calling a trade off", what_zh="撤销交易", source="8.3.1.3")
            return await _end(change, trade, replace(trade, state=TradeState.CALLED_OFF, reason=why))

        body = {"trade": trade_id, "reason": reason}
        return await perform(self.toolbox, actor, "callOffTrade", body, Trade, work)

    async def record_prices(
        self, actor: Actor, scheme: str, days: Sequence[tuple[date, Decimal]], source: str, replaces_because: str
    ) -> Done[list[Close]]:
        """Record closing prices of a scheme, up to 500 days; with a reason they take the place of earlier ones.

        Errors: TOO_MANY_ROWS, BAD_MONEY, PRICE_TAKEN, MISSING_TEXT, EFFECTIVE_IN_FUTURE, FORBIDDEN.
        """
        check_size(len(days), "prices")
        named, said = scheme_code(scheme), tidy(source)
        for what, text in (("scheme", named), ("source", said)):
            if not text:
                raise codes.MISSING_TEXT(path=(what,), what=what)
        made, today = [], self.toolbox.clock.today()
        for i, (day, price) in enumerate(days):
            if day > today:
                path = ("prices", str(i), "day")
                raise codes.EFFECTIVE_IN_FUTURE(path=path, effective_on=str(day), today=str(today))
            made.append(Close(named, day, fen(price, "close", 1, MOST_PRICE_FEN), said))
        if len({c.day for c in made}) < len(made):
            raise PRICE_TAKEN(path=("prices",), day="?", scheme=named)

        async def work(change: Change) -> list[Close]:
            await require_manager(change, None)
            reason, member = tidy(replaces_because), actor.principal.member_id
            recorded_at = await repository.keep_prices(change.unit, made, reason, member)
            kept = [replace(c, recorded_at=None if actor.dry_run else recorded_at) for c in made]
            await change.audit("MarketPrice", uuid7(), None, after=[asdict(c) for c in kept])
            return kept

        body = {"scheme": scheme, "days": list(days), "source": source, "because": replaces_because}
        return await perform(self.toolbox, actor, "recordPrices", body, list[Close], work)

    async def result(
        self, principal: Principal, organisation_id: UUID, scheme: str, method: CostMethod, as_of: date | None
    ) -> TradingResult:
        """Errors: FORBIDDEN, NOT_FOUND."""
        day = as_of or self.toolbox.clock.today()
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await require(session, principal, Permission.ASSET_READ, organisation_id)
            if not await names.organisations(session, [organisation_id]):
                raise not_found("Organisation", organisation_id)
            flows = await repository.flows(session, scheme_code(scheme), day)
            close = await repository.last_close(session, scheme_code(scheme), day)
        own = costs(flows, method).get(organisation_id, Costs())
        return TradingResult(organisation_id, scheme_code(scheme), method, day, own, close)

    async def trades(self, principal: Principal, request: PageRequest, organisation_id: UUID | None) -> Page[Trade]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_trades(session, principal, request, organisation_id)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Trade]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.by_ids(session, keys, principal)

    async def prices(self, principal: Principal, request: PageRequest, scheme: str | None) -> Page[Close]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_prices(session, request, scheme and scheme_code(scheme))


async def _check_open(change: Change, own: Account, other: Account | None) -> None:
    """A trade that could not be settled is not agreed. Errors: ACCOUNT_NOT_OPEN."""
    sides = {"account": own} | ({} if other is None else {"counterpartyAccount": other})
    shut = await rule_facts.not_open(change.unit, [a.id for a in sides.values()])
    for field, account in sides.items():
        if account.id in shut:
            raise ACCOUNT_NOT_OPEN(path=(field,), account=account.named, state=shut[account.id])


async def _sides(change: Change, new: NewTrade) -> tuple[Account, Account | None]:
    await must_exist(change, new.organisation_id)
    refs = [ref for ref in (new.account, new.counterparty_account) if ref is not None]
    by_use = [r for r in refs if r.id is None and r.organisation_id is not None and r.code == HOLDING]
    await names.open_holding_accounts(change.unit, by_use)
    found = (await names.look_up(change.unit, refs)).accounts
    own = found.get(new.account)
    if own is None or own.organisation_id != new.organisation_id:
        raise codes.UNKNOWN_ACCOUNT(path=("account",), account=str(new.account))
    if new.counterparty_account is None:
        return own, None
    other = found.get(new.counterparty_account)
    if other is None or other.organisation_id is None or other.id == own.id:
        raise codes.UNKNOWN_ACCOUNT(path=("counterpartyAccount",), account=str(new.counterparty_account))
    return own, other


async def _open(change: Change, trade_id: UUID) -> Trade:
    trade = (await repository.by_ids(change.unit, [trade_id], change.actor.principal)).get(trade_id)
    if trade is None:
        raise not_found("AssetTrade", trade_id, "tradeId")
    await require_manager(change, trade.organisation_id)
    if trade.state is not TradeState.AGREED:
        raise TRADE_ENDED(path=("tradeId",), state=trade.state)
    return trade


async def _end(change: Change, before: Trade, ended: Trade) -> Trade:
    if not await repository.end(change.unit, ended):
        raise TRADE_ENDED(path=("tradeId",), state="ended meanwhile", state_zh="已被他人处理")
    await change.audit("AssetTrade", ended.id, ended.organisation_id, before=before, after=ended)
    return ended
