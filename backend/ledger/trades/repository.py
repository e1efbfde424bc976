"""SQL of trades and prices, and the flows that costs are counted from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select, tuple_
from sqlalchemy.exc import DBAPIError

from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.ids import uuid7
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.domain.refusals import Refusal
from backend.ledger.trades.costs import Flow
from backend.ledger.trades.domain import PRICE_TAKEN, TRADE_KNOWN, Close, Mode, Side, Trade, TradeState
from backend.ledger.trades.tables import asset_trade, market_price
from tenants.access import Permission, Principal, within

# What one organisation's units of a scheme did, transfer by transfer: moves between its own accounts cancel out, what
# was reversed is left out with its reversal, and so are both halves of a carry-over, for the units stay what they cost.
# The other side of a trade inside the tenant sees it mirrored, fee apart.
# Within a day: what comes to the group, what moves inside it, what leaves it. So no cost waits for units of its day.
_FLOWS: Final = """
SELECT t.id, t.effective_on, k.organisation_id, k.quantity_t, CASE
         WHEN d.id IS NULL THEN NULL
         WHEN d.organisation_id <> k.organisation_id THEN d.quantity_t::numeric * d.price_fen
         WHEN d.side = 'BUY' THEN d.quantity_t::numeric * d.price_fen + d.fee_fen
         ELSE d.quantity_t::numeric * d.price_fen - d.fee_fen END AS money_fen,
       least(k.bought_t, k.quantity_t) AS bought_t
FROM (
  SELECT e.tenant_id, e.transfer_id, e.organisation_id, sum(e.quantity_t) AS quantity_t,
         coalesce(sum(e.quantity_t) FILTER (WHERE e.bought), 0) AS bought_t,
         CASE WHEN min(sum(e.quantity_t)) OVER w > 0 THEN 1
              WHEN max(sum(e.quantity_t)) OVER w > 0 THEN 2 ELSE 3 END AS turn
  FROM (
    SELECT l.tenant_id, l.transfer_id, x.organisation_id, x.quantity_t,
           x.quantity_t > 0 AND (f.kind = 'MARKET' OR f.issuing AND o.origin IN ('AUCTIONED', 'PURCHASED')) AS bought
    FROM asset_leg l
    JOIN asset_lot o ON o.tenant_id = l.tenant_id AND o.id = l.lot_id AND o.scheme = :scheme
    JOIN asset_account f ON f.tenant_id = l.tenant_id AND f.id = l.from_account_id
    JOIN asset_account g ON g.tenant_id = l.tenant_id AND g.id = l.to_account_id
    CROSS JOIN LATERAL (VALUES (f.organisation_id, -l.quantity_t), (g.organisation_id, l.quantity_t))
      AS x (organisation_id, quantity_t)
    WHERE x.organisation_id IS NOT NULL) AS e
  GROUP BY 1, 2, 3
  WINDOW w AS (PARTITION BY e.tenant_id, e.transfer_id)
) AS k
JOIN asset_transfer t ON t.tenant_id = k.tenant_id AND t.id = k.transfer_id
LEFT JOIN asset_trade d ON d.tenant_id = t.tenant_id AND d.transfer_id = t.id
WHERE k.quantity_t <> 0 AND t.kind <> 'REVERSE' AND t.effective_on <= :as_of
  AND NOT EXISTS (SELECT FROM asset_transfer r WHERE r.tenant_id = t.tenant_id AND r.reverses_id = t.id)
  AND NOT EXISTS (SELECT FROM carry_over v JOIN asset_lot n ON n.tenant_id = v.tenant_id AND n.id = v.lot_id
                  WHERE v.tenant_id = t.tenant_id AND n.scheme = :scheme AND t.id IN (v.transfer_id, n.issued_by))
ORDER BY t.effective_on, k.turn, t.id, k.organisation_id
"""
_CLOSE: Final = """
SELECT scheme, day, close_fen, source, recorded_at FROM market_price
WHERE scheme = :scheme AND day <= :on AND superseded_at IS NULL ORDER BY day DESC LIMIT 1
"""
_SUPERSEDE: Final = """
UPDATE market_price SET superseded_at = now(), superseded_because = :reason
WHERE scheme = :scheme AND day = ANY (CAST(:days AS date[])) AND superseded_at IS NULL
"""
_TAKEN: Final = """
SELECT day FROM market_price
WHERE scheme = :scheme AND day = ANY (CAST(:days AS date[])) AND superseded_at IS NULL ORDER BY day LIMIT 1
"""
_END: Final = """
UPDATE asset_trade SET state = :state, settled_on = :settled_on, lot_id = :lot_id, transfer_id = :transfer_id,
       reason = :reason
WHERE id = :id AND state = 'AGREED'
"""


def _trade(row: Row[Any]) -> Trade:
    fields = {n: getattr(row, n) for n in Trade.__dataclass_fields__}
    remarks = tuple(Refusal(r["code"], tuple(r["path"]), r["params"]) for r in row.remarks)
    kinds = {"side": Side(row.side), "mode": Mode(row.mode), "state": TradeState(row.state)}
    return Trade(**fields | {"remarks": remarks} | kinds)


async def insert(unit: UnitOfWork, made: Trade, recorded_by: UUID) -> None:
    """Errors: TRADE_KNOWN."""
    row = asdict(made) | {"tenant_id": unit.tenant_id, "recorded_by": recorded_by}
    known = TRADE_KNOWN(path=("reference",), market=made.market, reference=made.reference)
    try:
        await unit.execute(asset_trade.insert(), row)
    except DBAPIError as error:
        raise translate(error, {"trade_reference": lambda: known}) from error


async def end(unit: UnitOfWork, ended: Trade) -> bool:
    """Write down how a trade ended; False when it had ended before."""
    fields = ("id", "state", "settled_on", "lot_id", "transfer_id", "reason")
    return bool(await unit.execute(_END, {n: getattr(ended, n) for n in fields}))


async def by_ids(session: ReadSession, keys: Collection[UUID], principal: Principal) -> dict[UUID, Trade]:
    visible = within(principal, Permission.ASSET_READ, asset_trade.c.organisation_id)
    rows = await session.rows(select(asset_trade).where(asset_trade.c.id.in_(keys), visible))
    return {row.id: _trade(row) for row in rows}


async def page_of_trades(
    session: ReadSession, principal: Principal, request: PageRequest, organisation_id: UUID | None
) -> Page[Trade]:
    """The latest recorded first."""
    statement = select(asset_trade).where(within(principal, Permission.ASSET_READ, asset_trade.c.organisation_id))
    if organisation_id is not None:
        statement = statement.where(asset_trade.c.organisation_id == organisation_id)
    rows = await session.rows(keyset(statement, request, asset_trade.c.id, latest_first=True))
    return Page.cut([_trade(r) for r in rows], request, lambda t: (t.id,))


async def flows(session: ReadSession, scheme: str, as_of: date) -> list[Flow]:
    """What came to each organisation of the tenant and went, of a scheme's units, in order."""
    return [
        Flow(
            r.organisation_id,
            r.effective_on,
            int(r.quantity_t),
            None if r.money_fen is None else int(r.money_fen),
            r.id,
            int(r.bought_t),
        )
        for r in await session.rows(_FLOWS, {"scheme": scheme, "as_of": as_of})
    ]


async def last_close(session: ReadSession, scheme: str, on: date) -> Close | None:
    """The last price in force of a day or before."""
    row = await session.first(_CLOSE, {"scheme": scheme, "on": on})
    return row and Close(**row._mapping)  # noqa: SLF001 - by name


async def keep_prices(unit: UnitOfWork, closes: Sequence[Close], reason: str, recorded_by: UUID) -> datetime:
    """Keep prices of one scheme and say when; with a reason they take the place of those in force.

    Errors: PRICE_TAKEN.
    """
    keys = {"scheme": closes[0].scheme, "days": [c.day for c in closes]}
    if reason:
        await unit.execute(_SUPERSEDE, keys | {"reason": reason})
    taken = await unit.scalar(_TAKEN, keys)
    if taken is not None:
        raise PRICE_TAKEN(path=("prices",), day=str(taken), scheme=closes[0].scheme)
    same = {"tenant_id": unit.tenant_id, "recorded_by": recorded_by}
    rows = [
        same | {"id": uuid7(), "scheme": c.scheme, "day": c.day, "close_fen": c.close_fen, "source": c.source}
        for c in closes
    ]
    recorded_at: datetime = await unit.scalar(market_price.insert().values(rows).returning(market_price.c.recorded_at))
    return recorded_at


async def page_of_prices(session: ReadSession, request: PageRequest, scheme: str | None) -> Page[Close]:
    """Prices in force of a scheme or of all, by scheme and day."""
    table = market_price
    statement = select(table).where(table.c.superseded_at.is_(None))
    if scheme is not None:
        statement = statement.where(table.c.scheme == scheme)
    if request.after is not None:
        seen = request.key(str, date.fromisoformat)
        statement = statement.where(tuple_(table.c.scheme, table.c.day) > tuple_(*seen))
    rows = await session.rows(statement.order_by(table.c.scheme, table.c.day).limit(request.first + 1))
    made = [Close(r.scheme, r.day, r.close_fen, r.source, r.recorded_at) for r in rows]
    return Page.cut(made, request, lambda c: (c.scheme, c.day.isoformat()))
