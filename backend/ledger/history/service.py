"""How balances stood on a day, as known at a moment; and the life of a unit from its issue to its last use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from backend.kit.errors import FORBIDDEN, INVALID_INPUT
from backend.kit.ids import uuid7
from backend.kit.jobs.outbox import enqueue
from backend.kit.text import clean
from backend.kit.toolbox import Toolbox
from backend.ledger import codes
from backend.ledger.domain.accounts import Account
from backend.ledger.domain.balances import Balance
from backend.ledger.domain.lots import Lot
from backend.ledger.domain.transfers import Transfer
from backend.ledger.history import repository
from backend.ledger.history.domain import Accounts, Certainty, traced
from backend.ledger.history.repository import AsOf
from backend.ledger.repository import closings, holdings
from backend.ledger.repository.transfers import transfers
from backend.ledger.seals import SETTLED
from backend.ledger.values import needed, scheme_code
from tenants.access import Permission, Principal, require, require_organisation
from tenants.commands import Actor, Change, Done, perform

SLICE: Final = 50_000
"""Transfers that one checkpoint takes in, about."""
CHECKPOINT_JOB: Final = "ledger.checkpoint"


@dataclass(frozen=True, slots=True)
class UnitLife:
    """The lot a unit is in; the transfers that moved it or may have, as far as the caller sees them, the earliest
    first, each with how sure that is; and the accounts it may be in, as far as the caller may know of them
    (`elsewhere`: there are others), with how sure that is.
    """

    lot: Lot
    steps: Sequence[tuple[Transfer, Certainty]]
    certainty: Certainty
    places: Sequence[Account]
    elsewhere: bool


@dataclass(frozen=True, slots=True)
class ClosePeriod:
    """The last day to close, and why."""

    through: date
    reason: str


@dataclass(frozen=True, slots=True)
class ClosedPeriod:
    """What is closed now."""

    through: date


class HistoryService:
    """Reads of the past; nothing of it is ever changed."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def balances(
        self,
        principal: Principal,
        wanted: Accounts,
        effective_on: date | None,
        known_at: datetime | None,
        *,
        zero: bool = False,
    ) -> list[Balance]:
        """Units by account and lot at the end of a day (today when not given), from what was recorded by a moment (now
        when not given). Errors: FORBIDDEN, NOT_FOUND, INVALID_INPUT.
        """
        clock = self.toolbox.clock
        as_of = AsOf(_come(effective_on or clock.today(), clock.today()), known_at or clock.now())
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.ASSET_READ, wanted.organisation_id)
            await require_organisation(session, wanted.organisation_id, "organisationId")
            return await repository.balances(session, wanted, as_of, zero=zero)

    async def close(self, actor: Actor, given: ClosePeriod) -> Done[ClosedPeriod]:
        """Close all days up to one: nothing takes effect in them any more. A checkpoint follows by itself.

        Errors: FORBIDDEN, MISSING_TEXT, CLOSING_DAY.
        """
        reason = needed(given.reason, "reason")

        async def work(change: Change) -> ClosedPeriod:
            # A closing binds every account, so it takes the right over each.
            if await change.refusals(Permission.ASSET_MANAGE, await closings.account_owners(change.unit)):
                raise FORBIDDEN(permission=(Permission.ASSET_MANAGE,))
            last = await closings.closed_through(change.unit)
            if given.through >= self.toolbox.clock.today() or (last is not None and given.through <= last):
                raise codes.CLOSING_DAY(
                    path=("through",),
                    through=given.through.isoformat(),
                    last=str(last or "none"),
                    last_zh=str(last or "无"),
                )
            await closings.close(change.unit, given.through, reason)
            made = ClosedPeriod(given.through)
            await change.audit("AssetClosing", uuid7(), None, before={"through": last}, after=given)
            # So that the opening balances of the next period are at hand, as soon as all of this one is settled.
            run_at = self.toolbox.clock.now() + SETTLED + timedelta(minutes=1)
            by, closed = actor.principal.member_id, f"closed {given.through}"
            await enqueue(
                change.unit, CHECKPOINT_JOB, {}, organisation_id=None, created_by=by, deduplication_key=closed,
                run_at=run_at,
            )  # fmt: skip
            return made

        return await perform(self.toolbox, actor, "closeAssetPeriod", given, ClosedPeriod, work)

    async def checkpoint(self, tenant_id: UUID, older_than: timedelta = SETTLED) -> int:
        """Bring the checkpoints of a tenant up to date, a slice at a time; how many were made. For its job and the
        operator.
        """
        made = 0
        while await self.toolbox.database.write(
            tenant_id, lambda unit: repository.make_checkpoint(unit, older_than, SLICE)
        ):
            made += 1
        return made

    async def closed_through(self, principal: Principal) -> date | None:
        """The last closed day of the tenant."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await closings.closed_through(session)

    async def unit_life(self, principal: Principal, scheme: str, prefix: str, number: int) -> UnitLife | None:
        """None when no lot that the caller may know of holds the number."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            key = await repository.lot_of_unit(session, scheme_code(scheme), clean(prefix), number)
            lot = (await holdings.lots(session, [key], principal)).get(key) if key is not None else None
            if lot is None:
                return None
            trace = traced(await repository.stages_of_unit(session, lot.id, number))
            seen = await transfers(session, [step.transfer_id for step in trace.steps], principal)
            places = await repository.places(session, trace.places, principal)
        steps = [(seen[step.transfer_id], step.certainty) for step in trace.steps if step.transfer_id in seen]
        return UnitLife(lot, steps, trace.certainty, places, elsewhere=len(places) < len(trace.places))


def _come(day: date, today: date) -> date:
    """A day of which balances are known. Errors: INVALID_INPUT."""
    if day > today:
        raise INVALID_INPUT(
            path=("effectiveOn",),
            reason=f"{day} is to come (today is {today}): balances are known of today and of the days before.",
            reason_zh=f"{day} 尚未到来（今日为 {today}）；只能查询今日及此前日期的余额。",
        )
    return day
