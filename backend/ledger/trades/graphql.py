"""GraphQL of trades, prices and what holdings cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import strawberry

from backend.kit.errors import Locale
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from backend.ledger.graphql import OfOrganisation
from backend.ledger.graphql_inputs import SerialBlockInput
from backend.ledger.graphql_legs import AccountRefInput, LotRefInput, organisation
from backend.ledger.rulebook.graphql import TransferRemark
from backend.ledger.trades import domain
from backend.ledger.trades.costs import CostMethod
from backend.ledger.trades.domain import Mode, NewTrade, Side, TradeState, yuan
from backend.ledger.trades.service import Settlement, TradeService
from backend.ledger.trades.service import TradingResult as Result
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(Side, name="TradeSide")
enum_type(Mode, name="TradeMode")
enum_type(TradeState)
enum_type(CostMethod)

_READ = requires(Permission.ASSET_READ)
_MOVE = requires(Permission.ASSET_MANAGE, Permission.ASSET_SYNC)
OfScheme = Annotated[str, strawberry.argument(description="Scheme of the units, for example CEA.")]


@object_type
class AssetTrade(Node):
    """Units agreed to go over for money (碳资产交易, 8.3.1.3, 8.3.2.4)."""

    organisation_id: strawberry.ID
    """Organisation that trades."""
    side: Side
    """Whether it buys or sells."""
    mode: Mode
    """How the trade came about."""
    market: str
    """Market."""
    scheme: str
    """Scheme of the units."""
    account_id: strawberry.ID
    """Its account."""
    quantity: Tonnes
    """Units."""
    price: Decimal
    """CNY per unit."""
    value: Decimal
    """Price times quantity, CNY."""
    fee: Decimal
    """Fees, CNY."""
    counterparty: str
    """Who is on the other side; empty for an organisation of the tenant."""
    counterparty_account_id: strawberry.ID | None
    """Account of the other side, for a trade inside the tenant."""
    traded_on: date
    """Day of the trade."""
    reference: str
    """Reference of the exchange."""
    state: TradeState
    """Whether it is settled."""
    settled_on: date | None
    """Day of settlement."""
    lot_id: strawberry.ID | None
    """The lot that went over."""
    transfer_id: strawberry.ID | None
    """The transfer that settled it."""
    reason: str | None
    """Why it was called off."""
    told: strawberry.Private[Any]

    @strawberry.field
    def remarks(self, info: Info) -> list[TransferRemark]:
        """Limits of the market that the trade is outside of; recorded, not refused."""
        return [TransferRemark.of(r, _locale(info)) for r in self.told]

    @classmethod
    def of(cls, trade: domain.Trade) -> AssetTrade:
        other, lot, transfer = trade.counterparty_account_id, trade.lot_id, trade.transfer_id
        return build(
            cls,
            trade,
            id=to_id("AssetTrade", trade.id),
            organisation_id=to_id("Organisation", trade.organisation_id),
            account_id=to_id("AssetAccount", trade.account_id),
            counterparty_account_id=other and to_id("AssetAccount", other),
            lot_id=lot and to_id("AssetLot", lot),
            transfer_id=transfer and to_id("AssetTransfer", transfer),
            quantity=Tonnes(trade.quantity_t),
            price=yuan(trade.price_fen),
            value=yuan(trade.value_fen),
            fee=yuan(trade.fee_fen),
            told=trade.remarks,
        )


def _locale(info: Info) -> Locale:
    return info.context.locale


@object_type
class MarketPrice:
    """The closing price of a scheme's unit on a day."""

    scheme: str
    """Scheme."""
    day: date
    """Day."""
    close: Decimal
    """CNY per unit."""
    source: str
    """Where it was published."""
    recorded_at: datetime | None
    """When it was recorded; null in a rehearsal."""

    @classmethod
    def of(cls, price: domain.Close) -> MarketPrice:
        return build(cls, price, close=yuan(price.close_fen))


@object_type
class TradingResult:
    """What an organisation's units of a scheme cost and gained until a day."""

    organisation_id: strawberry.ID
    """Organisation."""
    scheme: str
    """Scheme of the units."""
    method: CostMethod
    """Which units leave first, as far as their cost goes."""
    as_of: date
    """The day."""
    quantity: Tonnes
    """Units held."""
    cost: Decimal
    """What they cost, CNY; free allocations cost nothing, and neither do units that are `unpriced`."""
    unpriced: Tonnes
    """Units that came as bought, at an auction or from the market, without a trade that says at what price: they are
    counted at no cost."""
    average_cost: Decimal | None
    """Cost per unit, CNY, rounded to 0.01; null when nothing is held."""
    realised_gain: Decimal
    """What sales brought beyond the cost of what was sold, fees taken off, CNY."""
    cost_of_use: Decimal
    """Cost of the units surrendered, retired, cancelled or sent out of the group without a trade, CNY."""
    market_price: Decimal | None
    """Last closing price of the day or before, CNY; null when there is none."""
    market_value: Decimal | None
    """Units held at that price, CNY."""
    unrealised_gain: Decimal | None
    """Market value beyond cost, CNY."""

    @classmethod
    def of(cls, found: Result) -> TradingResult:
        held, value = found.costs, found.value_fen
        average = (
            (Decimal(held.cost_fen) / held.quantity_t / 100).quantize(Decimal("0.01")) if held.quantity_t else None
        )
        return cls(
            organisation_id=to_id("Organisation", found.organisation_id),
            scheme=found.scheme,
            method=found.method,
            as_of=found.as_of,
            quantity=Tonnes(held.quantity_t),
            cost=yuan(held.cost_fen),
            unpriced=Tonnes(held.unpriced_t),
            average_cost=average,
            realised_gain=yuan(held.realised_fen),
            cost_of_use=yuan(held.used_fen),
            market_price=None if found.close is None else yuan(found.close.close_fen),
            market_value=None if value is None else yuan(value),
            unrealised_gain=None if value is None else yuan(value - held.cost_fen),
        )


@input_type
class RecordTradeInput(MutationInput):
    """A trade as it was agreed."""

    organisation_id: strawberry.ID
    """Organisation that trades."""
    side: Side
    """Whether it buys or sells."""
    mode: Mode
    """How the trade came about."""
    market: str
    """Market, as `markets` lists them."""
    scheme: str
    """Scheme of the units."""
    account: AccountRefInput
    """Its account."""
    quantity: Tonnes
    """Units."""
    price: Decimal
    """CNY per unit, at most 2 decimals."""
    fee: Decimal = Decimal(0)
    """Fees, CNY, at most 2 decimals."""
    traded_on: date
    """Day of the trade."""
    reference: str
    """Reference of the exchange, unique in the market and on its side."""
    counterparty: str = ""
    """Who is on the other side, when it is outside."""
    counterparty_account: AccountRefInput | None = None
    """Account of the other side, when it is an organisation of the tenant."""

    def command(self) -> NewTrade:
        other = self.counterparty_account
        return build(
            NewTrade,
            self,
            organisation_id=organisation(self.organisation_id, "organisationId"),
            account=self.account.ref("account"),
            counterparty_account=other and other.ref("counterpartyAccount"),
            quantity_t=self.quantity,
        )


@input_type
class SettleTradeInput(MutationInput):
    """How a trade is settled."""

    trade_id: strawberry.ID
    """The trade."""
    lot: LotRefInput | None = None
    """The lot that goes over: of the seller, or one that lies in the market."""
    issue_reference: str = ""
    """For units bought outside that the ledger has not seen: the registry's reference of the new lot."""
    vintage: int | None = None
    """Its vintage."""
    serial: SerialBlockInput | None = None
    """Its serial numbers, as many as units, where the registry gives them."""
    settled_on: date | None = None
    """Day of settlement; today when not given."""
    evidence: str = ""
    """Reference of the document that proves it."""

    def command(self) -> Settlement:
        serial = self.serial and self.serial.block()
        return build(Settlement, self, lot=self.lot and self.lot.ref("lot"), serial=serial)


@input_type
class CallOffTradeInput(MutationInput):
    """A trade that is not carried out."""

    trade_id: strawberry.ID
    """The trade."""
    reason: str
    """Why."""


@input_type
class PriceOfDayInput:
    """A closing price."""

    day: date
    """Day."""
    close: Decimal
    """CNY per unit, at most 2 decimals."""


@input_type
class RecordPricesInput(MutationInput):
    """Closing prices of a scheme."""

    scheme: str
    """Scheme of the units."""
    prices: list[PriceOfDayInput]
    """1 to 500 days."""
    source: str
    """Where they were published."""
    replaces_because: str = ""
    """Why they take the place of those in force, when they do."""


@object_type
class RecordTradePayload(Payload):
    """The trade as it was recorded."""

    trade: AssetTrade | None = None
    """The trade."""


@object_type
class SettleTradePayload(Payload):
    """The trade as it was settled."""

    trade: AssetTrade | None = None
    """The trade."""


@object_type
class CallOffTradePayload(Payload):
    """The trade as it was called off."""

    trade: AssetTrade | None = None
    """The trade."""


@object_type
class RecordPricesPayload(Payload):
    """The prices as they were recorded."""

    prices: list[MarketPrice]
    """The prices."""


@object_type
class Queries:
    """Root queries of trades."""

    @query(_READ)
    async def asset_trades(
        self, info: Info, organisation_id: OfOrganisation = None, first: int | None = None, after: str | None = None
    ) -> Connection[AssetTrade]:
        """Trades, the latest recorded first."""
        owner = organisation(organisation_id, "organisationId") if organisation_id else None
        request = PageRequest.read(first, after)
        page = await info.context.use(TradeService).trades(info.context.principal, request, owner)
        return Connection.of(page.map(AssetTrade.of))

    @query(_READ)
    async def trading_result(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        scheme: OfScheme,
        method: Annotated[CostMethod, strawberry.argument(description="How costs leave.")] = CostMethod.AVERAGE,
        as_of: date | None = None,
    ) -> TradingResult:
        """What an organisation's units of a scheme cost and gained, and what they are worth."""
        key = organisation(organisation_id, "organisationId")
        found = await info.context.use(TradeService).result(info.context.principal, key, scheme, method, as_of)
        return TradingResult.of(found)

    @query(_READ)
    async def market_prices(
        self,
        info: Info,
        scheme: Annotated[str | None, strawberry.argument(description="Only of this scheme.")] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[MarketPrice]:
        """Closing prices, by scheme and day."""
        request = PageRequest.read(first, after)
        page = await info.context.use(TradeService).prices(info.context.principal, request, scheme)
        return Connection.of(page.map(MarketPrice.of))


@object_type
class Mutations:
    """Root mutations of trades."""

    @mutation(_MOVE)
    async def record_trade(self, info: Info, input: RecordTradeInput) -> RecordTradePayload:
        """Record a trade that was agreed; no unit moves yet (成交登记)."""
        done = await info.context.use(TradeService).record(info.context.actor(input), input.command())
        return RecordTradePayload(errors=[], trade=AssetTrade.of(done.value), replayed=done.replayed)

    @mutation(_MOVE)
    async def settle_trade(self, info: Info, input: SettleTradeInput) -> SettleTradePayload:
        """Settle a trade: its units go over with it (结算)."""
        key = key_of(input.trade_id, "AssetTrade", "tradeId")
        done = await info.context.use(TradeService).settle(info.context.actor(input), key, input.command())
        return SettleTradePayload(errors=[], trade=AssetTrade.of(done.value), replayed=done.replayed)

    @mutation(_MOVE)
    async def call_off_trade(self, info: Info, input: CallOffTradeInput) -> CallOffTradePayload:
        """Call a trade off that is not settled (撤销)."""
        key = key_of(input.trade_id, "AssetTrade", "tradeId")
        done = await info.context.use(TradeService).call_off(info.context.actor(input), key, input.reason)
        return CallOffTradePayload(errors=[], trade=AssetTrade.of(done.value), replayed=done.replayed)

    @mutation(_MOVE)
    async def record_prices(self, info: Info, input: RecordPricesInput) -> RecordPricesPayload:
        """Record closing prices of a scheme."""
        days = [(p.day, p.close) for p in input.prices]
        service, actor = info.context.use(TradeService), info.context.actor(input)
        done = await service.record_prices(actor, input.scheme, days, input.source, input.replaces_because)
        prices = [MarketPrice.of(c) for c in done.value]
        return RecordPricesPayload(errors=[], prices=prices, replayed=done.replayed)


async def _trades(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(TradeService).by_ids(info.context.principal, keys)
    return {key: AssetTrade.of(record) for key, record in found.items()}


NODES = {"AssetTrade": (AssetTrade, _trades)}
