"""Carrying allowances of old vintages over into a new one, inside a unit of work (结转)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from backend.kit.ids import uuid7
from backend.kit.toolbox import Toolbox
from backend.ledger.compliance import repository
from backend.ledger.compliance.domain import (
    CARRY_OVER_CLOSED,
    CARRY_OVER_EXCEEDED,
    CARRY_OVER_UNCLEARED,
    CARRY_OVER_VINTAGE,
    CarryOver,
    most_carried_over,
)
from backend.ledger.domain import AssetClass, LegOrder, NewLot, Order, Origin, Transfer, TransferKind
from backend.ledger.posting import post_within
from backend.ledger.rulebook import repository as rule_facts
from backend.ledger.rulebook.domain import DueEvent, Market, Rule, RuleKind, rulebook
from backend.ledger.rules import checked_order
from backend.ledger.service import LedgerService
from tenants.commands import Change

Into = tuple[UUID, Market, int]


async def carried_over(
    toolbox: Toolbox, change: Change, into: Into, legs: Sequence[LegOrder], evidence: str, *, claw_back: str
) -> CarryOver:
    """Give the old units up and issue as many of the year, once, within what the rule allows."""
    organisation_id, market, year = into
    today = toolbox.clock.today()
    rules = rulebook().binding(market.code, RuleKind.CARRY_OVER, year, today)
    if not rules:
        raise CARRY_OVER_CLOSED(path=("year",), year=year, market=market.code, on=str(today))
    rule = rules[0]
    await _must_be_clear(change, organisation_id, rule)
    schemes = [s for s, c in market.instruments.items() if c is AssetClass.ALLOWANCE]
    base = await repository.carry_over_base(change.unit, organisation_id, schemes, rule, claw_back)
    most = most_carried_over(base, rule)
    earlier = await repository.carried_before(change.unit, organisation_id, market.code, year)
    purpose = f"CARRY_OVER {year}"
    order = checked_order(Order(TransferKind.CANCEL, tuple(legs), purpose=purpose, evidence=evidence), today)
    asked = sum(leg.quantity_t for leg in order.legs)
    if earlier + asked > most:
        raise CARRY_OVER_EXCEEDED(path=("legs",), most=most, earlier=earlier, left=max(most - earlier, 0), asked=asked,
                                  rule=rule.code, source=rule.source)  # fmt: skip
    (row,) = (await post_within(change, [order])).rows
    if row.refusal is not None:
        raise row.refusal.error()
    assert row.transfer is not None, "what was not refused was posted"
    origin = await _one_origin(change, row.transfer, rule, organisation_id, schemes)
    reference = f"{rule.code}-{row.transfer.id}"
    new = NewLot(AssetClass.ALLOWANCE, schemes[0], reference, asked, origin, organisation_id, today, year,
                 evidence=evidence)  # fmt: skip
    (issued,) = await LedgerService(toolbox).issue_within(change, [new])
    if issued.refusal is not None:
        raise issued.refusal.error()
    assert issued.lot is not None, "what was not refused was issued"
    made = CarryOver(
        uuid7(), organisation_id, market.code, year, base.sold_t, base.bought_t, base.held_t, most, earlier, asked,
        rule.code, evidence, row.transfer.id, issued.lot.id,
    )  # fmt: skip
    return await repository.keep_carry_over(change.unit, made, change.actor.principal.member_id)


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


async def _must_be_clear(change: Change, organisation_id: UUID, rule: Rule) -> None:
    """Years that the rule wants cleared were cleared, by their deadline where the rulebook has one."""
    days = {
        r.years[1]: r.day
        for r in rulebook().rules(rule.market)
        if r.kind is RuleKind.DEADLINE and r.event is DueEvent.SURRENDER
    }
    late = await repository.not_cleared(change.unit, organisation_id, {y: days.get(y) for y in rule.cleared})
    if late:
        years = ", ".join(map(str, late))
        raise CARRY_OVER_UNCLEARED(path=("organisationId",), years=years, rule=rule.code, source=rule.source)
