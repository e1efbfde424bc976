"""Use cases of compliance (履约): obligations from inventories, allocation, carry-over, position, what is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from backend.accounting.domain.sources import Category
from backend.accounting.service.results import EmissionReader
from backend.kit.database import ReadSession
from backend.kit.errors import not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import clean
from backend.kit.toolbox import Toolbox
from backend.ledger.codes import BAD_YEAR, SERIAL_OF_NEW_LOT
from backend.ledger.compliance import repository
from backend.ledger.compliance.carrying import carried_over
from backend.ledger.compliance.domain import (
    CLAW_BACK_EXCEEDED,
    CLAW_BACK_NEEDS_LEGS,
    NO_APPROVED_INVENTORY,
    Allocation,
    CarryOver,
    Due,
    NewAllocation,
    NewCarryOver,
    Stage,
    check_order,
    year_remarks,
)
from backend.ledger.compliance.due import due_days, surrender_years
from backend.ledger.domain.balances import UsedAsset
from backend.ledger.domain.lots import AssetClass, NewLot, Origin
from backend.ledger.domain.obligations import NewObligation, Obligation
from backend.ledger.domain.refusals import Refusal
from backend.ledger.domain.transfers import LegOrder, Order, TransferKind, Use
from backend.ledger.orders import checked_order, effective
from backend.ledger.owing import record_obligations
from backend.ledger.posting import post_within
from backend.ledger.repository import holdings, names, obligations
from backend.ledger.rulebook import repository as rule_facts
from backend.ledger.rulebook.domain import DueEvent, RuleKind, known_market, rulebook
from backend.ledger.rulebook.judging import Headroom, ceiling, headroom
from backend.ledger.rulebook.repository import remember
from backend.ledger.service import LedgerService, must_exist
from backend.ledger.values import FIRST_YEAR, LAST_YEAR, check_quantity, needed
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, perform

CLAW_BACK: Final = "CLAW_BACK"


@dataclass(frozen=True, slots=True)
class CompliancePosition:
    """Where an entity stands for a year: tonnes due, surrendered by class, lacking; room for offsets, and those beyond
    it, which meet nothing; the deadline; the day of all that.
    """

    organisation_id: UUID
    year: int
    market: str
    obligation: Obligation | None
    surrendered: Sequence[UsedAsset]
    offsets: Sequence[Headroom]
    deadline: date | None
    on: date
    excepted: frozenset[str] = frozenset()

    @property
    def beyond_limit_t(self) -> int:
        """Offsets above a limit that binds: what is due was lowered, or taken back, after they were surrendered."""
        binding = (r for r in self.offsets if r.rule.must and r.rule.code not in self.excepted)
        return max((r.used_t - r.limit_t for r in binding if r.limit_t is not None and r.used_t > r.limit_t), default=0)

    @property
    def surrendered_t(self) -> int:
        return sum(u.quantity_t for u in self.surrendered)

    @property
    def shortfall_t(self) -> int | None:
        """Whole units still to surrender: a fraction of a tonne takes one more."""
        if self.obligation is None:
            return None
        return max(ceiling(self.obligation.tonnes) - self.surrendered_t + self.beyond_limit_t, 0)


class ComplianceService:
    """What entities owe and how they meet it."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def from_inventory(
        self, actor: Actor, organisation_id: UUID, year: int, market: str, categories: Sequence[Category]
    ) -> Done[Obligation]:
        """Set the obligation of a year from the approved inventories of the entity and all below it.

        Errors: NO_APPROVED_INVENTORY, OBLIGATION_OVERLAP, UNKNOWN_MARKET, BAD_YEAR, FORBIDDEN, NOT_FOUND.
        """
        _year(year)

        async def work(change: Change) -> Obligation:
            await change.require(Permission.ASSET_MANAGE, organisation_id)
            await must_exist(change, organisation_id)
            await obligations.lock(change.unit)
            at = await repository.subtree(change.unit, organisation_id)
            found = await EmissionReader.approved_totals(change.unit, at, year, year)
            counted = [t for t in found if t.category in categories]
            if not counted:
                raise NO_APPROVED_INVENTORY(path=("year",), year=year)
            total = max(sum((t.co2e_t for t in counted), Decimal(0)), Decimal(0))
            parts = len({t.organisation_id for t in counted})
            source = f"approved inventories of {parts} organisations, {', '.join(sorted(categories))}"
            new = NewObligation(organisation_id, year, year, total, source, market)
            (row,) = await record_obligations(change, [new])
            if row.refusal is not None:
                raise row.refusal.error()
            assert row.obligation is not None, "what was not refused was recorded"
            return row.obligation

        body = {"organisation": organisation_id, "year": year, "market": market, "categories": sorted(categories)}
        return await perform(self.toolbox, actor, "setObligationFromInventory", body, Obligation, work)

    async def allocate(self, actor: Actor, new: NewAllocation, legs: Sequence[LegOrder]) -> Done[Allocation]:
        """Record a stage of an allocation: a lot issued (PRE, FINAL), or units taken back (CLAW_BACK, by `legs`).

        Errors: ALLOCATED_ALREADY, STAGE_OUT_OF_ORDER, STAGE_TOO_EARLY, YEAR_NOT_ALLOCATED, CLAW_BACK_NEEDS_LEGS,
        CLAW_BACK_EXCEEDED, SERIAL_OF_NEW_LOT, UNKNOWN_MARKET, those of issuing and posting.
        """
        _year(new.year)
        check_quantity(new.quantity_t)
        market = known_market(clean(new.market), "market")
        if (new.stage is Stage.CLAW_BACK) != bool(legs) or sum(x.quantity_t for x in legs) not in {0, new.quantity_t}:
            raise CLAW_BACK_NEEDS_LEGS(
                path=("legs",),
                need="A claw-back names the units it takes, in legs that sum to its quantity; other stages name none",
                need_zh="收回须以分录指明所收回的配额且合计等于其数量；其他阶段不填分录",
            )
        if legs and new.serial is not None:
            raise SERIAL_OF_NEW_LOT(path=("serial",), what="a claw-back", what_zh="收回")
        on = effective(new.effective_on, self.toolbox.clock.today())
        years = tuple(rulebook().rules(market.code, kind=RuleKind.ALLOCATION_YEARS))
        said = tuple(Refusal.of(r) for r in year_remarks(market.code, new.year, years))
        own = next((s for s, c in market.instruments.items() if c is AssetClass.ALLOWANCE), "")
        evidence = needed(new.evidence, "evidence")
        sound = replace(new, market=market.code, evidence=evidence, scheme=clean(new.scheme) or own)

        async def work(change: Change) -> Allocation:
            await change.require(Permission.ASSET_MANAGE, sound.organisation_id)
            await must_exist(change, sound.organisation_id)
            check_order(sound, on, await repository.stages(change.unit, sound))
            made = await (self._taken_back(change, sound, on, legs) if legs else self._given(change, sound, on))
            made = await repository.keep_allocation(change.unit, made, actor.principal.member_id)
            await remember(change.unit, {made.moved_by: said})
            await change.audit("AllowanceAllocation", made.id, made.organisation_id, after=made)
            return replace(made, remarks=said)

        body = {"new": new, "legs": list(legs)}
        return await perform(self.toolbox, actor, "allocateAllowances", body, Allocation, work)

    async def _given(self, change: Change, new: NewAllocation, on: date) -> Allocation:
        reference = new.issue_reference or f"{new.year}-{new.stage}-{new.organisation_id}"
        allocated = NewLot(
            AssetClass.ALLOWANCE, new.scheme, reference, new.quantity_t, Origin.ALLOCATED, new.organisation_id, on,
            new.year, serial=new.serial, evidence=new.evidence,
        )  # fmt: skip
        lot = await LedgerService(self.toolbox).issue_one(change, allocated, "effectiveOn")
        return _allocation(new, on, lot.issued_by, lot_id=lot.id)

    @staticmethod
    async def _taken_back(change: Change, new: NewAllocation, on: date, legs: Sequence[LegOrder]) -> Allocation:
        """The units are cancelled: what went back to the authority is out of everybody's reach."""
        await rule_facts.lock(change.unit, [(new.organisation_id, new.year)])
        left = await repository.allocated_t(change.unit, new)
        if new.quantity_t > left:
            raise CLAW_BACK_EXCEEDED(path=("quantity",), quantity=new.quantity_t, year=new.year, left=left)
        order = checked_order(
            Order(TransferKind.CANCEL, tuple(legs), purpose=CLAW_BACK, evidence=new.evidence, effective_on=on), on
        )
        (row,) = (await post_within(change, [order])).rows
        if row.refusal is not None:
            raise row.refusal.error()
        assert row.transfer is not None, "what was not refused was posted"
        if any(leg.source.organisation_id != new.organisation_id for leg in row.transfer.legs):
            raise CLAW_BACK_NEEDS_LEGS(
                path=("legs",),
                need="A claw-back takes units out of accounts of the organisation itself",
                need_zh="收回须出自该组织自己的账户",
            )
        return _allocation(new, on, row.transfer.id, transfer_id=row.transfer.id)

    async def carry_over(self, actor: Actor, new: NewCarryOver) -> Done[CarryOver]:
        """Carry old vintages over into a year: the old units are given up and a lot of the year issued, together. The
        rule of the day it takes effect on holds, whenever it is entered.

        Errors: CARRY_OVER_CLOSED, CARRY_OVER_TOO_EARLY, CARRY_OVER_UNCLEARED, CARRY_OVER_EXCEEDED, CARRY_OVER_VINTAGE,
        UNKNOWN_MARKET, MISSING_TEXT, TEXT_TOO_LONG, those of posting.
        """
        sound = replace(new, market=clean(new.market), evidence=needed(new.evidence, "evidence"))

        async def work(change: Change) -> CarryOver:
            await change.require(Permission.ASSET_MANAGE, new.organisation_id)
            await must_exist(change, new.organisation_id)
            made = await carried_over(self.toolbox, change, sound, claw_back=CLAW_BACK)
            await change.audit("CarryOver", made.id, made.organisation_id, after=made)
            return made

        return await perform(self.toolbox, actor, "carryOverAllowances", new, CarryOver, work)

    async def position(self, principal: Principal, organisation_id: UUID, year: int) -> CompliancePosition:
        """Errors: FORBIDDEN, NOT_FOUND."""
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            await require(session, principal, Permission.ASSET_READ, organisation_id)
            if not await names.organisations(session, [organisation_id]):
                raise not_found("Organisation", organisation_id)
            owed = await repository.obligations_due(session, principal, [year], organisation_id)
            used = await holdings.used(session, [organisation_id], year, year)
            facts = await rule_facts.facts(session, (), [(organisation_id, year)])
        standing = facts.standings[organisation_id, year]
        market = standing.market or next(iter(rulebook().markets))
        today = self.toolbox.clock.today()
        deadlines = [
            r.day for r in rulebook().binding(market, RuleKind.DEADLINE, year, today) if r.event is DueEvent.SURRENDER
        ]
        rules = rulebook().binding(market, RuleKind.OFFSET_LIMIT, year, today)
        return CompliancePosition(
            organisation_id,
            year,
            market,
            owed[0] if owed else None,
            [u for u in used if u.use is Use.SURRENDERED],
            [headroom(rule, standing) for rule in rules],
            deadlines[0] if deadlines else None,
            today,
            standing.excepted,
        )

    async def due(
        self, principal: Principal, within_days: int, organisation_id: UUID | None, on: date | None
    ) -> list[Due]:
        """What is due within so many days of a day; surrenders by entity, those late and still open too, soonest first.

        Errors: FORBIDDEN, NOT_FOUND.
        """
        today = on or self.toolbox.clock.today()
        until = today + timedelta(days=min(max(within_days, 0), 3660))
        async with self.toolbox.database.snapshot(principal.tenant_id) as session:
            if organisation_id is not None:
                await require(session, principal, Permission.ASSET_READ, organisation_id)
            return await what_is_due(session, principal, today, until, organisation_id)

    async def allocations(
        self, principal: Principal, request: PageRequest, organisation_id: UUID | None
    ) -> Page[Allocation]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_allocations(session, principal, request, organisation_id)

    async def carry_overs(
        self, principal: Principal, request: PageRequest, organisation_id: UUID | None
    ) -> Page[CarryOver]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_carry_overs(session, principal, request, organisation_id)


async def what_is_due(
    session: ReadSession, principal: Principal | None, today: date, until: date, organisation_id: UUID | None = None
) -> list[Due]:
    """What is due by a day, and late surrenders that are open yet; without a principal (for jobs) of all entities."""
    years = surrender_years(until)
    owed = await repository.obligations_due(session, principal, years, organisation_id)
    owing = [o.organisation_id for o in owed]
    used = await holdings.used(session, owing, min(years), max(years)) if owing else []
    met: Counter[tuple[UUID, int]] = Counter()
    for u in used:
        if u.use is Use.SURRENDERED:
            met[u.organisation_id, u.for_year] += u.quantity_t
    return due_days(owed, met, today, until)


def _year(year: int) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise BAD_YEAR(path=("year",), year=year)


def _allocation(
    new: NewAllocation, on: date, moved_by: UUID, lot_id: UUID | None = None, transfer_id: UUID | None = None
) -> Allocation:
    return Allocation(
        uuid7(), new.organisation_id, new.market, new.year, new.stage, new.quantity_t, new.evidence, on, moved_by,
        lot_id, transfer_id,
    )  # fmt: skip
