"""Carrying allowances of old vintages over into a new one, inside a unit of work (结转)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from backend.kit.ids import uuid7
from backend.kit.toolbox import Toolbox
from backend.ledger.compliance import repository
from backend.ledger.compliance.domain import (
    CARRY_OVER_CLOSED,
    CARRY_OVER_EXCEEDED,
    CARRY_OVER_TOO_EARLY,
    CARRY_OVER_UNCLEARED,
    CARRY_OVER_VINTAGE,
    CarryOver,
    NewCarryOver,
    most_carried_over,
)
from backend.ledger.domain.lots import AssetClass, NewLot, Origin
from backend.ledger.domain.transfers import Order, Transfer, TransferKind
from backend.ledger.orders import checked_order, effective
from backend.ledger.posting import post_within
from backend.ledger.rulebook import repository as rule_facts
from backend.ledger.rulebook.domain import DueEvent, Market, Rule, RuleKind, known_market, rulebook
from backend.ledger.service import LedgerService
from tenants.commands import Change


async def carried_over(toolbox: Toolbox, change: Change, new: NewCarryOver, *, claw_back: str) -> CarryOver:
    """Give the old units up and issue as many of the year, once, within what the rule of the day allows."""
    organisation_id, market, year = new.organisation_id, known_market(new.market, "market"), new.year
    on = effective(new.effective_on, toolbox.clock.today())
    rule = _rule_of(market, year, on)
    await _must_be_clear(change, organisation_id, rule, on)
    schemes = [s for s, c in market.instruments.items() if c is AssetClass.ALLOWANCE]
    base = await repository.carry_over_base(change.unit, organisation_id, schemes, rule, claw_back)
    most = most_carried_over(base, rule)
    earlier = await repository.carried_before(change.unit, organisation_id, market.code, year)
    asked = sum(leg.quantity_t for leg in new.legs)
    order = checked_order(
        Order(TransferKind.CANCEL, new.legs, None, None, f"CARRY_OVER {year}", new.evidence, new.effective_on), on
    )
    if earlier + asked > most:
        raise CARRY_OVER_EXCEEDED(path=("legs",), most=most, earlier=earlier, left=max(most - earlier, 0), asked=asked,
                                  rule=rule.code, source=rule.source)  # fmt: skip
    (row,) = (await post_within(change, [order])).rows
    if row.refusal is not None:
        raise row.refusal.error()
    assert row.transfer is not None, "what was not refused was posted"
    origin = await _one_origin(change, row.transfer, rule, organisation_id, schemes)
    lot = NewLot(AssetClass.ALLOWANCE, schemes[0], f"{rule.code}-{row.transfer.id}", asked, origin, organisation_id, on,
                 year, evidence=new.evidence)  # fmt: skip
    issued = await LedgerService(toolbox).issue_one(change, lot, "effectiveOn")
    made = CarryOver(
        uuid7(), organisation_id, market.code, year, base.sold_t, base.bought_t, base.held_t, most, earlier, asked,
        rule.code, new.evidence, on, row.transfer.id, issued.id,
    )  # fmt: skip
    return await repository.keep_carry_over(change.unit, made, change.actor.principal.member_id)


def _rule_of(market: Market, year: int, on: date) -> Rule:
    """The rule that was in force on the day. Errors: CARRY_OVER_CLOSED, CARRY_OVER_TOO_EARLY."""
    rules = rulebook().binding(market.code, RuleKind.CARRY_OVER, year, on)
    if not rules:
        raise CARRY_OVER_CLOSED(path=("year",), year=year, market=market.code, on=str(on))
    rule = rules[0]
    if rule.window_to is not None and on <= rule.window_to:
        raise CARRY_OVER_TOO_EARLY(path=("effectiveOn",), day=rule.window_to, on=on, rule=rule.code, source=rule.source)
    return rule


async def _one_origin(
    change: Change, given_up: Transfer, rule: Rule, organisation_id: UUID, schemes: Sequence[str]
) -> Origin:
    """The new lot says one thing about how it came, so the old ones must agree and be of the vintages of the rule."""
    lots = await rule_facts.lot_facts(change.unit, {leg.lot_id for leg in given_up.legs})
    origins = await repository.origins(change.unit, lots)
    assert rule.first_vintage is not None, "a carry-over names its vintages"
    assert rule.last_vintage is not None, "a carry-over names its vintages"
    for index, leg in enumerate(given_up.legs):
        lot = lots[leg.lot_id]
        fits = lot.vintage is not None and rule.first_vintage <= lot.vintage <= rule.last_vintage
        own = leg.source.organisation_id == organisation_id and lot.scheme in schemes
        if not fits or not own or len(origins) > 1:
            raise CARRY_OVER_VINTAGE(path=("legs", str(index), "lot"), lot=lot.name, vintage=lot.vintage or "-",
                                     first=rule.first_vintage, last=rule.last_vintage, rule=rule.code,
                                     source=rule.source)  # fmt: skip
    return Origin(origins.pop())


async def _must_be_clear(change: Change, organisation_id: UUID, rule: Rule, on: date) -> None:
    """Years that the rule wants cleared had been on the day, and by their deadline where the rulebook has one."""
    deadlines = rulebook().rules(rule.market, kind=RuleKind.DEADLINE)
    days = {r.years[1]: r.day for r in deadlines if r.event is DueEvent.SURRENDER}
    by = {year: min(days.get(year) or on, on) for year in rule.cleared}
    late = await repository.not_cleared(change.unit, organisation_id, by)
    if late:
        years = ", ".join(map(str, late))
        raise CARRY_OVER_UNCLEARED(path=("organisationId",), years=years, rule=rule.code, source=rule.source)
