"""Reservations as pure data: units set aside in an account, for a transfer to be decided later or so that they stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from backend.kit.words import members_in_chinese
from backend.ledger import codes as posting_codes
from backend.ledger.domain.accounts import Account, AccountKind, AccountRef
from backend.ledger.domain.lots import LotRef
from backend.ledger.domain.transfers import OWN_COMMANDS, LegOrder, Order, Transfer, TransferKind
from backend.ledger.orders import checked_order
from backend.ledger.reservations import codes


class Aim(StrEnum):
    """What units are set aside for."""

    PENDING = "PENDING"
    """A transfer that is posted, in full or in parts, or given up later (待定划转)."""
    FREEZE = "FREEZE"
    """That they stay: a court, a registry or a rule wants it so (冻结)."""
    PLEDGE = "PLEDGE"
    """A creditor's security (质押)."""


class ReservationState(StrEnum):
    """Where a reservation stands."""

    ACTIVE = "ACTIVE"
    """Its units are set aside, but for parts that were posted (有效)."""
    POSTED = "POSTED"
    """The transfer it was for has been posted, or the last one of it (已登记)."""
    VOIDED = "VOIDED"
    """Given up, unfrozen or released (已撤销)."""
    EXPIRED = "EXPIRED"
    """Ended by its deadline (已到期)."""


members_in_chinese(Aim, {"PENDING": "待定划转", "FREEZE": "冻结", "PLEDGE": "质押"})
members_in_chinese(ReservationState, {
    "ACTIVE": "有效", "POSTED": "已登记", "VOIDED": "已撤销", "EXPIRED": "已到期",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewReservation:
    """Units to set aside. A PENDING one says what transfer it is for, as an order does; the others name no kind."""

    aim: Aim
    legs: tuple[LegOrder, ...]
    kind: TransferKind | None = None
    beneficiary_id: UUID | None = None
    for_year: int | None = None
    purpose: str = ""
    evidence: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReservedLeg:
    """`quantity_t` units of a lot set aside in an account, of which `parted_t` were posted in parts; where they are to
    go, when that is known.
    """

    lot_id: UUID
    source: Account
    destination: Account | None
    quantity_t: int
    parted_t: int = 0

    @property
    def left_t(self) -> int:
        return self.quantity_t - self.parted_t


@dataclass(frozen=True, slots=True)
class Reservation:
    """A reservation as recorded; it ends once. `parts`: the transfers posted of it before its end, in their order."""

    id: UUID
    aim: Aim
    kind: TransferKind | None
    organisation_id: UUID
    legs: tuple[ReservedLeg, ...]
    beneficiary_id: UUID | None
    for_year: int | None
    purpose: str
    evidence: str
    expires_at: datetime | None
    recorded_at: datetime | None
    state: ReservationState = ReservationState.ACTIVE
    transfer_id: UUID | None = None
    reason: str = ""
    ended_at: datetime | None = None
    parts: tuple[UUID, ...] = ()

    @property
    def transfers(self) -> tuple[UUID, ...]:
        """All transfers posted of it, the first one first."""
        return self.parts if self.transfer_id is None else (*self.parts, self.transfer_id)

    def held_t(self, leg: ReservedLeg) -> int:
        """What is set aside of a leg now."""
        return leg.left_t if self.state is ReservationState.ACTIVE else 0


@dataclass(frozen=True, slots=True)
class PostReservation:
    """A pending reservation to post: `parts` is the quantity of each leg by its number, for legs of which not all that
    is left is posted. Then what is left over is free again when this is the `final` posting, else it stays set aside.
    """

    reservation_id: UUID
    parts: Mapping[int, int]
    final: bool = True


@dataclass(frozen=True, slots=True)
class VoidReservation:
    """A reservation to give up, and why."""

    reservation_id: UUID
    reason: str


def checked(new: NewReservation, now: datetime, today: date) -> tuple[NewReservation, Order]:
    """The reservation in canonical form, and the order its units are looked up by.

    Units that are to stay are looked at as if they were to be given up: that names where they are and nowhere to go.
    Errors: RESERVATION_KIND, RESERVATION_DEADLINE, those of `checked_order`.
    """
    pending = new.aim is Aim.PENDING
    if pending != (new.kind is not None) or new.kind in {*OWN_COMMANDS, TransferKind.REVERSE}:
        raise codes.RESERVATION_KIND(path=("kind",), aim=new.aim)
    if new.expires_at is not None and new.expires_at <= now:
        raise codes.RESERVATION_DEADLINE(path=("expiresAt",), expires_at=new.expires_at.isoformat())
    for number, leg in enumerate(new.legs):
        if leg.source.market:
            raise posting_codes.WRONG_DESTINATION(
                path=("legs", str(number), "source"),
                kind=new.aim,
                need="units are set aside in an organisation's account, not in the market",
                need_zh="只能在组织账户而非市场中预留",
            )
        if leg.destination is not None and not pending:
            raise posting_codes.WRONG_DESTINATION(
                path=("legs", str(number), "destination"),
                kind=new.aim,
                need="the units stay where they are, so no destination is named",
                need_zh="资产留在原账户，不应指定去向",
            )
    given = (new.beneficiary_id, new.for_year, new.purpose, new.evidence)
    order = checked_order(Order(new.kind or TransferKind.CANCEL, new.legs, *given), today)
    return replace(new, legs=order.legs, purpose=order.purpose, evidence=order.evidence), order


def reserved(new: NewReservation, plan: Transfer) -> Reservation:
    """The reservation that a planned transfer comes to. Errors: RESERVATION_OF_ONE."""
    owners = {leg.source.organisation_id for leg in plan.legs}
    owner = owners.pop()
    if owners or owner is None:
        raise codes.RESERVATION_OF_ONE(path=("legs",))
    pending = new.aim is Aim.PENDING
    return Reservation(
        id=plan.id,
        aim=new.aim,
        kind=new.kind,
        organisation_id=owner,
        legs=tuple(
            ReservedLeg(leg.lot_id, leg.source, leg.destination if pending else None, leg.quantity_t)
            for leg in plan.legs
        ),
        beneficiary_id=new.beneficiary_id,
        for_year=new.for_year,
        purpose=new.purpose,
        evidence=new.evidence,
        expires_at=new.expires_at,
        recorded_at=None,
    )


def check_active(found: Reservation, now: datetime, *, to_post: bool) -> None:
    """Refuse to end what has ended or, to post it, what cannot be. Errors: RESERVATION_ENDED, RESERVATION_EXPIRED,
    RESERVATION_STAYS.
    """
    if found.state is not ReservationState.ACTIVE:
        raise codes.RESERVATION_ENDED(path=("reservationId",), state=found.state)
    if to_post and found.aim is not Aim.PENDING:
        raise codes.RESERVATION_STAYS(path=("reservationId",), aim=found.aim)
    if to_post and found.expires_at is not None and found.expires_at <= now:
        raise codes.RESERVATION_EXPIRED(path=("reservationId",), expires_at=found.expires_at.isoformat())


def quantities(found: Reservation, parts: Mapping[int, int]) -> tuple[int, ...]:
    """What is posted of each leg: its part, else all that is left of it. Errors: UNKNOWN_LEG, RESERVATION_PART."""
    for row, (number, part) in enumerate(parts.items()):
        if not 0 <= number < len(found.legs):
            raise codes.UNKNOWN_LEG(path=("parts", str(row), "leg"), leg=number, last=len(found.legs) - 1)
        most = found.legs[number].left_t
        if not 0 <= part <= most:
            path = ("parts", str(row), "quantity")
            raise codes.RESERVATION_PART(path=path, leg=number, part=part, reserved=most)
    wanted = tuple(parts.get(number, leg.left_t) for number, leg in enumerate(found.legs))
    if not any(wanted):
        raise codes.RESERVATION_PART(path=("parts",), leg=0, part=0, reserved=found.legs[0].left_t)
    return wanted


def order_of(found: Reservation, wanted: Sequence[int] | None = None) -> Order:
    """The order that a pending reservation was for, with what is posted of each leg: all that is left, if not said."""
    assert found.kind is not None, "a pending reservation has its kind"
    each = zip(found.legs, wanted or [leg.left_t for leg in found.legs], strict=True)
    legs = tuple(_leg(found.kind, leg, quantity) for leg, quantity in each if quantity)
    return Order(found.kind, legs, found.beneficiary_id, found.for_year, found.purpose, found.evidence)


def _leg(kind: TransferKind, leg: ReservedLeg, quantity_t: int) -> LegOrder:
    assert leg.destination is not None, "a pending reservation knows where its units go"
    to = None
    if kind is TransferKind.TRANSFER:
        market = leg.destination.kind is AccountKind.MARKET
        to = AccountRef(market=True) if market else AccountRef(id=leg.destination.id)
    return LegOrder(LotRef(id=leg.lot_id), quantity_t, AccountRef(id=leg.source.id), to)
