"""Setting units aside, posting what they were set aside for, giving them back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final
from uuid import UUID

from backend.kit.database import UnitOfWork
from backend.kit.errors import CodedError
from backend.kit.ids import global_id, uuid7
from backend.kit.jobs.outbox import enqueue
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from backend.ledger.books import insufficient, planned
from backend.ledger.domain.transfers import Order, TransferKind
from backend.ledger.exact import held_to
from backend.ledger.orders import checked_order
from backend.ledger.outcomes import Posting
from backend.ledger.posting import as_seen, books_of, post_within, require_manager
from backend.ledger.repository import exact
from backend.ledger.reservations import codes, domain, repository
from backend.ledger.reservations.domain import (
    NewReservation,
    PostReservation,
    Reservation,
    ReservationState,
    VoidReservation,
)
from backend.ledger.reservations.repository import Ending, Short
from backend.ledger.rulebook.service import judge_one, take_turn
from backend.ledger.values import needed
from tenants.access import Permission, Principal
from tenants.commands import Actor, Change, Done, perform

EXPIRE_JOB: Final = "ledger.expire_reservation"


@dataclass(frozen=True, slots=True)
class PostedReservation:
    """What was posted, and the reservation after it."""

    posting: Posting
    reservation: Reservation


class ReservationService:
    """Reservations of the organisations of a tenant."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def reserve(self, actor: Actor, new: NewReservation) -> Done[Reservation]:
        """Set units aside, all legs or none. Errors: those of `domain.checked`, RESERVATION_OF_ONE, UNKNOWN_LOT,
        UNKNOWN_ACCOUNT, UNKNOWN_BENEFICIARY, FORBIDDEN, NOT_FOUND, INSUFFICIENT_BALANCE; for SURRENDER those of
        the rules.
        """
        clock = self.toolbox.clock

        async def work(change: Change) -> Reservation:
            # Here, for what was answered once is answered again also when its deadline has passed.
            tidied, order = domain.checked(new, clock.now(), clock.today())
            made = await reserve_within(change, tidied, order)
            if made.expires_at is not None:
                await enqueue(
                    change.unit,
                    EXPIRE_JOB,
                    {"reservation_id": made.id},
                    organisation_id=made.organisation_id,
                    created_by=actor.principal.member_id,
                    run_at=made.expires_at,
                )
            return made

        return await perform(self.toolbox, actor, "reserveAssets", new, Reservation, work)

    async def post(self, actor: Actor, given: PostReservation) -> Done[PostedReservation]:
        """Post the transfer a reservation was for, in full or in part; what is left over after the final one is free
        again.

        Errors: UNKNOWN_RESERVATION, RESERVATION_ENDED, RESERVATION_EXPIRED, RESERVATION_STAYS, UNKNOWN_LEG,
        RESERVATION_PART, FORBIDDEN, those of posting.
        """

        async def work(change: Change) -> PostedReservation:
            found = await self._steerable(change, given.reservation_id)
            domain.check_active(found, self.toolbox.clock.now(), to_post=True)
            wanted = domain.quantities(found, given.parts)
            order = checked_order(domain.order_of(found, wanted), self.toolbox.clock.today())
            used_up = wanted == tuple(leg.left_t for leg in found.legs)
            posting = await post_reserved(change, found, order, uuid7(), None if given.final or used_up else wanted)
            return PostedReservation(posting, (await repository.reservations(change.unit, [found.id]))[found.id])

        done = await perform(self.toolbox, actor, "postReservation", given, PostedReservation, work)
        seen = await as_seen(self.toolbox.database, actor.principal, done.value.posting)
        return Done(replace(done.value, posting=seen), done.replayed)

    async def void(self, actor: Actor, given: VoidReservation) -> Done[Reservation]:
        """Give a pending transfer up, unfreeze, or release a pledge. Errors: MISSING_TEXT, TEXT_TOO_LONG,
        UNKNOWN_RESERVATION, RESERVATION_ENDED, FORBIDDEN.
        """
        reason = needed(given.reason, "reason")

        async def work(change: Change) -> Reservation:
            found = await self._steerable(change, given.reservation_id)
            domain.check_active(found, self.toolbox.clock.now(), to_post=False)
            await end_within(change, Ending(found.id, ReservationState.VOIDED, reason=reason))
            return (await repository.reservations(change.unit, [found.id]))[found.id]

        return await perform(self.toolbox, actor, "voidReservation", given, Reservation, work)

    @staticmethod
    async def expire(unit: UnitOfWork, reservation_id: UUID) -> bool:
        """End a reservation whose deadline has passed; False when it had ended before. For its job."""
        return await repository.end(unit, Ending(reservation_id, ReservationState.EXPIRED))

    async def expire_overdue(self, tenant_id: UUID) -> int:
        """End what should have ended and stands yet, one by one: its own job was cancelled, or failed. How many."""
        async with self.toolbox.database.read(tenant_id) as session:
            keys = await repository.overdue(session)
        ended = [await self.toolbox.database.write(tenant_id, partial(self.expire, reservation_id=k)) for k in keys]
        return sum(ended)

    async def reservations_by_ids(self, principal: Principal, keys: Collection[UUID]) -> dict[UUID, Reservation]:
        """Those the caller may read."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.reservations(session, keys, principal)

    async def reservations(
        self,
        principal: Principal,
        request: PageRequest,
        organisation_id: UUID | None,
        state: ReservationState | None,
    ) -> Page[Reservation]:
        """Those the caller may read, the latest first."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_reservations(session, principal, request, organisation_id, state)

    async def _steerable(self, change: Change, key: UUID) -> Reservation:
        """The reservation, when the caller may see it and decide about it; what is out of reach is not there."""
        principal = change.actor.principal
        await repository.lock(change.unit, key)
        shown = principal if principal.may_somewhere(Permission.ASSET_READ) else None
        found = (await repository.reservations(change.unit, [key], shown)).get(key)
        if found is None:
            raise codes.UNKNOWN_RESERVATION(path=("reservationId",), reservation=global_id("AssetReservation", key))
        await require_manager(change, found.organisation_id)
        return found


async def reserve_within(change: Change, new: NewReservation, order: Order) -> Reservation:
    """Set units aside in a unit of work that is open; both as `domain.checked` gives them. Errors: as `reserve`."""
    books = await books_of(change, [order])
    plan = planned(order, books, uuid7())
    await require_manager(change, domain.reserved(new, plan).organisation_id)
    if new.kind is TransferKind.SURRENDER:
        # Now, for it holds its part of the limit; posting judges again, by what holds then.
        plan = await judge_one(change, plan)
    held = await held_to(change, [order], [plan], books)
    (found,), books = held.plans, held.books
    if isinstance(found, CodedError):
        raise found
    made = domain.reserved(new, found)
    outcome = await repository.reserve(change, made)
    if isinstance(outcome, Short):
        raise insufficient(made.legs, outcome.leg, books, outcome.available_t, outcome.reserved_t)
    return replace(made, recorded_at=None if change.actor.dry_run else outcome)


async def post_reserved(
    change: Change, found: Reservation, order: Order, transfer_id: UUID, wanted: Sequence[int] | None = None
) -> Posting:
    """Post the transfer that a pending reservation was for: the last one, which ends it, or (`wanted` of each leg) one
    of several. Errors: RESERVATION_ENDED, those of posting.
    """
    if found.kind is TransferKind.SURRENDER:
        assert found.beneficiary_id is not None, "a surrender names whom it serves"
        assert found.for_year is not None, "a surrender names its year"
        await take_turn(change, found.beneficiary_id, found.for_year)
    # To free and to post are two statements, and the second makes balances that are missing: here they are made, which
    # may have to wait for others who make them, before any that is there is locked.
    sides = ((side, leg.lot_id) for leg in found.legs for side in (leg.source, leg.destination))
    await exact.hold(change, {(side.id, lot_id) for side, lot_id in sides if side is not None})
    if wanted is None:
        await end_within(change, Ending(found.id, ReservationState.POSTED, transfer_id))
    elif not await repository.part(change, found, transfer_id, wanted):
        raise _ended()
    outcome = await post_within(change, [order], transfer_ids=[transfer_id], besides=found.id)
    refusal = outcome.rows[0].refusal
    if refusal is not None:
        raise refusal.error()
    return outcome


async def end_within(change: Change, ending: Ending) -> None:
    """Give the units of a reservation back in a unit of work that is open. Errors: RESERVATION_ENDED,
    RESERVATION_OF_OFFSET.
    """
    actor = change.actor
    by = replace(
        ending,
        member_id=actor.principal.member_id,
        operation=change.operation,
        correlation_id=actor.correlation_id,
    )
    if not await repository.end(change.unit, by):
        raise _ended()


def _ended() -> CodedError:
    return codes.RESERVATION_ENDED(path=("reservationId",), state="ended", state_zh="已结束")
