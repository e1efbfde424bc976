"""All SQL of reservations: the two calls that set aside and give back, and reading."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from asyncpg.exceptions import IntegrityConstraintViolationError
from sqlalchemy import Row, Select, case, func, select

from backend.kit.database import ReadSession, UnitOfWork
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.domain.accounts import Account, AccountKind
from backend.ledger.domain.transfers import TransferKind
from backend.ledger.repository import holdings
from backend.ledger.reservations import codes
from backend.ledger.reservations.domain import Aim, Reservation, ReservationState, ReservedLeg
from backend.ledger.reservations.tables import (
    asset_reservation,
    asset_reservation_end,
    asset_reservation_leg,
    asset_reservation_part,
)
from backend.ledger.tables import asset_account
from tenants.access import Permission, Principal, within
from tenants.commands import Change

_RESERVE: Final = """
SELECT leg, available_t, recorded_at
FROM ledger_reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::uuid[], $14::uuid[], $15::uuid[],
                    $16::bigint[])
"""
_OVERDUE: Final = """
SELECT r.id FROM asset_reservation r
WHERE r.expires_at <= now() AND NOT EXISTS (
  SELECT FROM asset_reservation_end e WHERE e.tenant_id = r.tenant_id AND e.reservation_id = r.id)
ORDER BY r.expires_at
"""
_END: Final = "SELECT ledger_end_reservation($1, $2, $3, $4, $5, $6, $7)"
_PART: Final = "SELECT ledger_part_reservation($1, $2, $3, $4, $5, $6::int[], $7::bigint[])"
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('reservation ' || :name, 0))"
_end, _part = asset_reservation_end, asset_reservation_part
_STATE: Final = func.coalesce(_end.c.outcome, ReservationState.ACTIVE.value)
_RESERVATION: Final[Select[Any]] = select(
    asset_reservation,
    _STATE.label("state"),
    _end.c.transfer_id,
    func.coalesce(_end.c.reason, "").label("reason"),
    _end.c.ended_at,
).outerjoin(
    _end, (_end.c.tenant_id == asset_reservation.c.tenant_id) & (_end.c.reservation_id == asset_reservation.c.id)
)
_from, _to = asset_account.alias("f"), asset_account.alias("t")
_LEGS: Final[Select[Any]] = (
    select(
        asset_reservation_leg,
        *(column.label(f"{side}_{column.name}") for side, a in (("f", _from), ("t", _to)) for column in a.c),
    )
    .join(
        _from,
        (_from.c.tenant_id == asset_reservation_leg.c.tenant_id) & (_from.c.id == asset_reservation_leg.c.account_id),
    )
    .outerjoin(
        _to,
        (_to.c.tenant_id == asset_reservation_leg.c.tenant_id) & (_to.c.id == asset_reservation_leg.c.to_account_id),
    )
    .order_by(asset_reservation_leg.c.reservation_id, asset_reservation_leg.c.leg)
)


@dataclass(frozen=True, slots=True)
class Short:
    """The leg (from 0) that lacked cover, how much was available, and how much was set aside already."""

    leg: int
    available_t: int
    reserved_t: int


async def reserve(change: Change, made: Reservation) -> Short | datetime:
    """Set the units of a reservation aside; when that was, or what was lacking."""
    driver = await change.unit.driver()
    row = await driver.fetchrow(
        _RESERVE,
        change.actor.principal.member_id,
        change.operation,
        change.actor.correlation_id,
        made.id,
        made.aim,
        made.kind,
        made.organisation_id,
        made.beneficiary_id,
        made.for_year,
        made.purpose,
        made.evidence,
        made.expires_at,
        [leg.lot_id for leg in made.legs],
        [leg.source.id for leg in made.legs],
        [leg.destination and leg.destination.id for leg in made.legs],
        [leg.quantity_t for leg in made.legs],
    )
    if row["leg"] is not None:
        short = made.legs[row["leg"] - 1]
        pair = (short.source.id, short.lot_id)
        aside = await holdings.reserved(change.unit, [pair])
        return Short(row["leg"] - 1, row["available_t"], aside.get(pair, 0))
    recorded_at: datetime = row["recorded_at"]
    return recorded_at


@dataclass(frozen=True, slots=True)
class Ending:
    """How a reservation is to end, and who ends it (None: its deadline)."""

    reservation_id: UUID
    outcome: ReservationState
    transfer_id: UUID | None = None
    reason: str = ""
    member_id: UUID | None = None
    operation: str = "expireReservation"
    correlation_id: str = "-"


async def lock(unit: UnitOfWork, key: UUID) -> None:
    """Until the unit of work ends nobody else decides about this reservation."""
    await unit.execute(_LOCK, {"name": f"{unit.tenant_id} {key}"})


async def end(unit: UnitOfWork, ending: Ending) -> bool:
    """Give what is left of the units back; False when the reservation has ended before. Errors:
    RESERVATION_OF_OFFSET.
    """
    who = (ending.member_id, ending.operation, ending.correlation_id)
    what = (ending.reservation_id, ending.outcome, ending.transfer_id, ending.reason)
    return await _called(unit, _END, *who, *what)


async def part(change: Change, found: Reservation, transfer_id: UUID, wanted: Sequence[int]) -> bool:
    """Free so much of each leg for a transfer that is posted right after; False when the reservation has ended.

    Errors: RESERVATION_OF_OFFSET.
    """
    who = (change.actor.principal.member_id, change.operation, change.actor.correlation_id)
    legs = [(number, quantity) for number, quantity in enumerate(wanted, 1) if quantity]
    return await _called(change.unit, _PART, *who, found.id, transfer_id, *map(list, zip(*legs, strict=True)))


async def _called(unit: UnitOfWork, call: str, *arguments: Any) -> bool:
    driver = await unit.driver()
    try:
        return bool(await driver.fetchval(call, *arguments))
    except IntegrityConstraintViolationError as error:
        if getattr(error, "constraint_name", "") == "offset_reservation_is_bound":
            raise codes.RESERVATION_OF_OFFSET(path=("reservationId",)) from error
        raise


async def overdue(session: ReadSession) -> list[UUID]:
    """Reservations that stand beyond their deadline, by the clock of the database, which lets none end before it."""
    return [row.id for row in await session.rows(_OVERDUE)]


async def reservations(
    session: ReadSession, keys: Collection[UUID], principal: Principal | None = None
) -> dict[UUID, Reservation]:
    """By id; with a principal, only those of organisations whose assets it may read."""
    statement = _RESERVATION.where(asset_reservation.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(within(principal, Permission.ASSET_READ, asset_reservation.c.organisation_id))
    return {r.id: r for r in await _with_legs(session, await session.rows(statement))}


async def page_of_reservations(
    session: ReadSession,
    principal: Principal,
    request: PageRequest,
    organisation_id: UUID | None,
    state: ReservationState | None,
) -> Page[Reservation]:
    """The latest first."""
    statement = _RESERVATION.where(within(principal, Permission.ASSET_READ, asset_reservation.c.organisation_id))
    if organisation_id is not None:
        statement = statement.where(asset_reservation.c.organisation_id == organisation_id)
    if state is not None:
        statement = statement.where(case((_end.c.outcome.is_(None), "ACTIVE"), else_=_end.c.outcome) == state.value)
    statement = keyset(statement, request, asset_reservation.c.id, latest_first=True)
    rows = await _with_legs(session, await session.rows(statement))
    return Page.cut(rows, request, lambda r: (r.id,))


async def _with_legs(session: ReadSession, rows: Sequence[Row[Any]]) -> list[Reservation]:
    legs: dict[UUID, list[ReservedLeg]] = defaultdict(list)
    parts: dict[UUID, list[UUID]] = defaultdict(list)
    parted: Counter[tuple[UUID, int]] = Counter()
    if rows:
        keys = [r.id for r in rows]
        for row in await session.rows(
            select(_part).where(_part.c.reservation_id.in_(keys)).order_by(_part.c.transfer_id)
        ):
            parted[row.reservation_id, row.leg] += row.quantity_t
            if row.transfer_id not in parts[row.reservation_id]:
                parts[row.reservation_id].append(row.transfer_id)
        for row in await session.rows(_LEGS.where(asset_reservation_leg.c.reservation_id.in_(keys))):
            source = _side(row, "f")
            assert source is not None, "units are set aside somewhere"
            posted_t = parted[row.reservation_id, row.leg]
            legs[row.reservation_id].append(ReservedLeg(row.lot_id, source, _side(row, "t"), row.quantity_t, posted_t))
    return [_reservation(row, tuple(legs[row.id]), tuple(parts[row.id])) for row in rows]


def _side(row: Row[Any], side: str) -> Account | None:
    at = row._mapping  # noqa: SLF001 - SQLAlchemy's public view of a row by name
    if at[f"{side}_id"] is None:
        return None
    kind = AccountKind(at[f"{side}_kind"])
    return Account(at[f"{side}_id"], at[f"{side}_organisation_id"], at[f"{side}_code"], at[f"{side}_name"], kind)


def _reservation(row: Row[Any], legs: tuple[ReservedLeg, ...], parts: tuple[UUID, ...]) -> Reservation:
    return Reservation(
        id=row.id,
        aim=Aim(row.aim),
        kind=None if row.kind is None else TransferKind(row.kind),
        organisation_id=row.organisation_id,
        legs=legs,
        beneficiary_id=row.beneficiary_id,
        for_year=row.for_year,
        purpose=row.purpose,
        evidence=row.evidence,
        expires_at=row.expires_at,
        recorded_at=row.recorded_at,
        state=ReservationState(row.state),
        transfer_id=row.transfer_id,
        reason=row.reason,
        ended_at=row.ended_at,
        parts=parts,
    )
