"""Surrendering offsets over two registries: each step in a unit of work of its own, taken up again where it stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from backend.kit.database import UnitOfWork
from backend.kit.errors import CodedError
from backend.kit.ids import global_id, uuid7
from backend.kit.jobs.outbox import enqueue
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from backend.ledger.books import planned
from backend.ledger.domain.transfers import TransferKind
from backend.ledger.offsets import codes, domain, repository
from backend.ledger.offsets.domain import (
    Decision,
    NewOffsetSurrender,
    OffsetCause,
    OffsetStep,
    OffsetSurrender,
    StepTaken,
    Withdrawal,
)
from backend.ledger.orders import checked_order
from backend.ledger.posting import books_of, require_manager
from backend.ledger.reservations import domain as reserving
from backend.ledger.reservations import repository as reservations
from backend.ledger.reservations.domain import Aim, NewReservation, Reservation, ReservationState
from backend.ledger.reservations.repository import Ending
from backend.ledger.reservations.service import end_within, post_reserved, reserve_within
from backend.ledger.rulebook.judging import CREDITS
from backend.ledger.rulebook.repository import lot_facts
from backend.ledger.rulebook.service import judge_one
from backend.ledger.values import needed, worded
from tenants.access import Grant, Permission, Principal, Role
from tenants.commands import Actor, Change, Done, perform

ADVANCE_JOB: Final = "ledger.advance_offset_surrender"


class OffsetService:
    """Offset surrenders of the organisations of a tenant."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def begin(self, actor: Actor, new: NewOffsetSurrender) -> Done[OffsetSurrender]:
        """Freeze offsets at their registry; offering them follows by itself. They hold their part of the limit from
        then on. Errors: OFFSETS_ONLY, RESERVATION_DEADLINE, those of reserving.
        """
        clock = self.toolbox.clock
        reservation = NewReservation(
            Aim.PENDING, new.legs, TransferKind.SURRENDER, new.beneficiary_id, new.for_year, new.purpose, new.evidence,
            new.deadline,
        )  # fmt: skip

        async def work(change: Change) -> OffsetSurrender:
            checked, order = reserving.checked(reservation, clock.now(), clock.today())
            # The deadline is the surrender's: it takes the offer back before the units.
            held = await reserve_within(change, replace(checked, expires_at=None), order)
            await _only_offsets(change, held)
            made = OffsetSurrender(
                uuid7(), held.organisation_id, new.beneficiary_id, new.for_year, sum(x.quantity_t for x in held.legs),
                held.id, new.deadline, actor.principal.member_id, recorded_at=held.recorded_at,
            )  # fmt: skip
            await repository.begin(change.unit, made)
            reference = worded(new.reference, "reference")
            frozen = StepTaken(OffsetStep.FROZEN, reference=reference, taken_by=made.recorded_by)
            made = await _take(change, made, frozen)
            await _go_on(change, made)
            if made.deadline is not None:
                arguments = {"surrender_id": made.id}
                await enqueue(
                    change.unit, ADVANCE_JOB, arguments, organisation_id=made.organisation_id, run_at=made.deadline
                )
            return made

        return await perform(self.toolbox, actor, "beginOffsetSurrender", new, OffsetSurrender, work)

    async def decide(self, actor: Actor, given: Decision) -> Done[OffsetSurrender]:
        """Enter what the registry of allowances decided; using up or giving back follows by itself.

        Errors: UNKNOWN_OFFSET_SURRENDER, OFFSET_STEP, OFFSET_LATE, MISSING_TEXT, TEXT_TOO_LONG, FORBIDDEN.
        """
        reference = needed(given.reference, "reference")
        member = actor.principal.member_id
        step = StepTaken(OffsetStep.ACCEPTED, reference=reference, taken_by=member)
        if not given.accepted:
            reason = needed(given.reason, "reason")
            refused, cause = OffsetStep.TURNED_BACK, OffsetCause.REFUSED
            step = StepTaken(refused, cause=cause, reference=reference, reason=reason, taken_by=member)

        async def work(change: Change) -> OffsetSurrender:
            found = await _steerable(change, given.surrender_id)
            domain.check_decidable(found, self.toolbox.clock.now())
            return await _go_on(change, await _take(change, found, step))

        return await perform(self.toolbox, actor, "decideOffsetSurrender", given, OffsetSurrender, work)

    async def withdraw(self, actor: Actor, given: Withdrawal) -> Done[OffsetSurrender]:
        """Give an offset surrender up before it is accepted; taking it back follows by itself.

        Errors: UNKNOWN_OFFSET_SURRENDER, OFFSET_STEP, MISSING_TEXT, TEXT_TOO_LONG, FORBIDDEN.
        """
        step = StepTaken(
            OffsetStep.TURNED_BACK, cause=OffsetCause.WITHDRAWN, reason=needed(given.reason, "reason"),
            taken_by=actor.principal.member_id,
        )  # fmt: skip

        async def work(change: Change) -> OffsetSurrender:
            found = await _steerable(change, given.surrender_id)
            domain.check_withdrawable(found)
            return await _go_on(change, await _take(change, found, step))

        return await perform(self.toolbox, actor, "withdrawOffsetSurrender", given, OffsetSurrender, work)

    async def advance(self, tenant_id: UUID, key: UUID) -> OffsetStep | None:
        """Take the next step that waits for nobody, in a transaction of its own, and say which; None when none does.

        For its job, in the name of who began. A step that rules or books refuse turns the surrender back.
        """

        async def forward(unit: UnitOfWork) -> OffsetStep | None:
            change, found = await _opened(unit, key)
            step = domain.next_step(found, self.toolbox.clock.now())
            if step is not None:
                await self._step(change, found, step)
            return step

        try:
            return await self.toolbox.database.write(tenant_id, forward)
        except CodedError as refused:
            if refused.code.retryable:
                raise
            because = refused

        async def back(unit: UnitOfWork) -> OffsetStep:
            change, found = await _opened(unit, key)
            await _take(change, found, domain.turned_back(OffsetCause.RULE, because))
            return OffsetStep.TURNED_BACK

        return await self.toolbox.database.write(tenant_id, back)

    async def resume(self, unit: UnitOfWork) -> int:
        """Ask again for the steps that wait for nobody and were not taken: their job was cancelled, or failed.

        How many surrenders go on. For its job.
        """
        now = self.toolbox.clock.now()
        stuck = [s for s in await repository.unfinished(unit) if domain.next_step(s, now) is not None]
        for found in stuck:
            await enqueue(
                unit, ADVANCE_JOB, {"surrender_id": found.id}, organisation_id=found.organisation_id,
                deduplication_key=f"resumed {found.id}",
            )  # fmt: skip
        return len(stuck)

    async def _step(self, change: Change, found: OffsetSurrender, step: OffsetStep) -> None:
        if step is OffsetStep.TURNED_BACK:
            await _take(change, found, domain.turned_back(OffsetCause.DEADLINE, domain.late(found)))
            return
        held = (await reservations.reservations(change.unit, [found.reservation_id]))[found.reservation_id]
        if step is OffsetStep.OFFERED:
            order = checked_order(reserving.order_of(held), self.toolbox.clock.today())
            await judge_one(change, planned(order, await books_of(change, [order]), uuid7()), besides=held.id)
        taken = StepTaken(step, transfer_id=uuid7() if step is OffsetStep.SURRENDERED else None)
        # The step first: what was offered is counted no longer when what is surrendered is.
        await _take(change, found, taken)
        if taken.transfer_id is not None:
            order = checked_order(reserving.order_of(held), self.toolbox.clock.today())
            await post_reserved(change, held, order, taken.transfer_id)
        elif step is OffsetStep.VOIDED:
            why = domain.why_turned_back(found)
            await end_within(change, Ending(held.id, ReservationState.VOIDED, reason=why))

    async def surrenders_by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, OffsetSurrender]:
        """Those the caller may read."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.surrenders(session, keys, principal)

    async def surrenders(
        self, principal: Principal, request: PageRequest, organisation_id: UUID | None, state: OffsetStep | None
    ) -> Page[OffsetSurrender]:
        """Those the caller may read, the latest first."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_surrenders(session, principal, request, organisation_id, state)


async def _opened(unit: UnitOfWork, key: UUID) -> tuple[Change, OffsetSurrender]:
    """A change in the name of who began it, whose right was asked then; nobody else takes a step meanwhile."""
    await repository.lock(unit, key)
    found = (await repository.surrenders(unit, [key]))[key]
    grant = Grant(found.id, Role.ASSET_MANAGER, None, None)
    assert unit.tenant_id is not None, "a surrender is a tenant's"
    principal = Principal(unit.tenant_id, found.recorded_by, "", (grant,))
    return Change(unit, Actor(principal), "advanceOffsetSurrender"), found


async def _steerable(change: Change, key: UUID) -> OffsetSurrender:
    """The surrender, when the caller may see it and decide about it; what is out of reach is not there."""
    principal = change.actor.principal
    await repository.lock(change.unit, key)
    shown = principal if principal.may_somewhere(Permission.ASSET_READ) else None
    found = (await repository.surrenders(change.unit, [key], shown)).get(key)
    if found is None:
        raise codes.UNKNOWN_OFFSET_SURRENDER(path=("surrenderId",), surrender=global_id("OffsetSurrender", key))
    await require_manager(change, found.organisation_id)
    return found


async def _take(change: Change, found: OffsetSurrender, step: StepTaken) -> OffsetSurrender:
    await repository.take(change.unit, found, step)
    after = replace(found, steps=(*found.steps, step))
    before = found.state if found.steps else None
    await change.audit("OffsetSurrender", found.id, found.organisation_id, before={"state": before}, after=step)
    return after


async def _go_on(change: Change, found: OffsetSurrender) -> OffsetSurrender:
    await enqueue(change.unit, ADVANCE_JOB, {"surrender_id": found.id}, organisation_id=found.organisation_id)
    return found


async def _only_offsets(change: Change, held: Reservation) -> None:
    facts = await lot_facts(change.unit, {leg.lot_id for leg in held.legs})
    for number, leg in enumerate(held.legs):
        if facts[leg.lot_id].asset_class not in CREDITS:
            raise codes.OFFSETS_ONLY(path=("legs", str(number), "lot"), lot=facts[leg.lot_id].name)
