"""Use cases on base years: set one, propose recalculations, accept or decline them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from backend.accounting.domain.base_years import (
    BAD_THRESHOLD,
    BASE_YEAR_EMPTY,
    BASE_YEAR_SET,
    BASE_YEAR_UNKNOWN,
    PROPOSER_DECIDES,
    RECALCULATION_ENDED,
    RECALCULATION_STALE,
    BaseYear,
    BaseYearPolicy,
    BaseYearValue,
    Recalculation,
    RecalculationState,
    RecalculationTrigger,
    above_threshold,
    total,
)
from backend.accounting.domain.records import checked_reason
from backend.accounting.repository import base_years as rows
from backend.accounting.repository.base_years import BASE_YEARS, RECALCULATIONS
from backend.accounting.service.explain import TotalSubject, frame_of
from backend.accounting.service.reach import reach
from backend.kit.errors import not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import trimmed
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require, require_organisation
from tenants.commands import Actor, Change, Done, perform
from tenants.service import BoundaryReader


@dataclass(frozen=True, slots=True)
class Proposals:
    """The recalculations that are open after the records were compared."""

    open: tuple[Recalculation, ...]


class BaseYearService:
    """The value later years are compared with, and its recalculation (8.2.2.7, 9.2.2.7)."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def set(self, actor: Actor, policy: BaseYearPolicy) -> Done[BaseYear]:
        """Keep the value of the year that the boundary names, and the policy; an earlier one is superseded.

        Errors: NOT_FOUND, FORBIDDEN, REASON_MISSING, BAD_THRESHOLD, BASE_YEAR_UNKNOWN, BASE_YEAR_EMPTY, BASE_YEAR_SET.
        """
        if not 0 <= policy.threshold <= 1:
            raise BAD_THRESHOLD(path=("threshold",), threshold=policy.threshold)

        async def work(change: Change) -> BaseYear:
            reason = checked_reason(policy.reason)
            owner = policy.organisation_id
            await change.require(Permission.EMISSION_MANAGE, owner)
            await require_organisation(change.unit, owner, "organisationId")
            made = await self._made(change, replace(policy, reason=reason))
            old = await BASE_YEARS.current(change.unit, BASE_YEARS.of.c.organisation_id == owner)
            for earlier in old:
                await BASE_YEARS.supersede(change.unit, earlier.id, reason)
            codes = {"base_year_once": lambda: BASE_YEAR_SET(path=("organisationId",))}
            member = actor.principal.member_id
            await BASE_YEARS.insert(change.unit, [made], codes, recorded_by=member)
            await self._first_value(change, made)
            await change.audit("BaseYear", made.id, owner, before=old[0] if old else None, after=made)
            return made

        return await perform(self.toolbox, actor, "setBaseYear", policy, BaseYear, work)

    async def _made(self, change: Change, policy: BaseYearPolicy) -> BaseYear:
        owner, today = policy.organisation_id, self.toolbox.clock.today()
        boundary = (await BoundaryReader.effective(change.unit, [owner], today))[owner]
        if boundary.base_year is None:
            raise BASE_YEAR_UNKNOWN(path=("organisationId",), source="8.2.2.7")
        frame = await frame_of(change.unit, TotalSubject(owner, boundary.base_year))
        return BaseYear(
            id=uuid7(),
            organisation_id=owner,
            year=boundary.base_year,
            approach=frame.approach,
            categories=frame.categories,
            threshold=policy.threshold,
            triggers=policy.triggers,
            reason=policy.reason,
            recorded_at=self.toolbox.clock.now(),
        )

    async def _first_value(self, change: Change, made: BaseYear) -> None:
        """What the records say today, by the tree of the year's last day."""
        found = await rows.compared(change.unit, made, 0, self.toolbox.clock.today())
        lines = [replace(x, part=part.then) for x in found.live if (part := found.parts[x.organisation_id]).then]
        if not lines:
            raise BASE_YEAR_EMPTY(path=("organisationId",), year=made.year)
        value = BaseYearValue(made.id, 1, total(lines), None, made.recorded_at)
        await rows.keep_value(change.unit, value, lines, change.actor.principal.member_id)

    async def propose(self, actor: Actor, key: UUID) -> Done[Proposals]:
        """Compare the base year with its records and the tree of today; what has changed is proposed, with its effect.

        A proposal whose effect has changed is replaced; what was declined with the same effect is not proposed again.
        Errors: NOT_FOUND, FORBIDDEN.
        """

        async def work(change: Change) -> Proposals:
            base = await self._own(change, key, Permission.EMISSION_MANAGE)
            value = (await rows.values(change.unit, [key]))[key][-1]
            found = await rows.compared(change.unit, base, value.version, self.toolbox.clock.today())
            effects = {k: trimmed(e) for k, e in found.effects().items() if k[0] in base.triggers}
            known = await RECALCULATIONS.matching(change.unit, RECALCULATIONS.of.c.base_year_id == key)
            declined = {(p.slot, p.effect_t) for p in known if p.state is RecalculationState.DECLINED}
            standing = {p.slot: p for p in known if p.state is RecalculationState.PROPOSED}
            made: list[Recalculation] = []
            for slot, effect in sorted(effects.items(), key=lambda x: (x[0][0], x[0][1])):
                old = standing.get(slot)
                if old is not None and old.effect_t == effect and old.version == value.version:
                    made.append(standing.pop(slot))
                elif (slot, effect) not in declined:
                    await self._replace(change, [standing.pop(slot)] if old else [])
                    made.append(await self._proposed(change, base, value, slot, effect))
            await self._replace(change, list(standing.values()))
            return Proposals(tuple(made))

        return await perform(self.toolbox, actor, "proposeBaseYearRecalculations", {"id": key}, Proposals, work)

    async def _proposed(
        self,
        change: Change,
        base: BaseYear,
        value: BaseYearValue,
        slot: tuple[RecalculationTrigger, UUID],
        effect: Decimal,
    ) -> Recalculation:
        made = Recalculation(
            id=uuid7(),
            organisation_id=base.organisation_id,
            base_year_id=base.id,
            version=value.version,
            trigger=slot[0],
            about_id=slot[1],
            effect_t=effect,
            base_t=value.co2e_t,
            above_threshold=above_threshold(effect, value.co2e_t, base.threshold),
            state=RecalculationState.PROPOSED,
            reason="",
            proposed_by=change.actor.principal.member_id,
            proposed_at=self.toolbox.clock.now(),
            decided_by=None,
            decided_at=None,
        )
        await RECALCULATIONS.insert(change.unit, [made], {})
        await change.audit("BaseYearRecalculation", made.id, made.organisation_id, after=made)
        return made

    @staticmethod
    async def _replace(change: Change, old: Sequence[Recalculation]) -> None:
        for proposal in old:
            await RECALCULATIONS.change(change.unit, proposal.id, state=RecalculationState.REPLACED.value)
            after = replace(proposal, state=RecalculationState.REPLACED)
            await change.audit(
                "BaseYearRecalculation", proposal.id, proposal.organisation_id, before=proposal, after=after
            )

    async def decide(self, actor: Actor, key: UUID, reason: str, *, accept: bool) -> Done[Recalculation]:
        """Take a proposal into the value, or leave it out; not by who proposed it.

        Errors: NOT_FOUND, FORBIDDEN, REASON_MISSING, RECALCULATION_ENDED, PROPOSER_DECIDES, RECALCULATION_STALE.
        """

        async def work(change: Change) -> Recalculation:
            because = checked_reason(reason)
            found = (await RECALCULATIONS.by_ids(change.unit, [key], lock=True)).get(key)
            old = await reach(change, Permission.EMISSION_APPROVE, "BaseYearRecalculation", key, found)
            if old.state is not RecalculationState.PROPOSED:
                raise RECALCULATION_ENDED(path=("id",), state=old.state)
            member = actor.principal.member_id
            if old.proposed_by == member:
                raise PROPOSER_DECIDES(path=("id",))
            if accept:
                await self._apply(change, old)
            state = RecalculationState.ACCEPTED if accept else RecalculationState.DECLINED
            decided = {"decided_by": member, "decided_at": self.toolbox.clock.now()}
            await RECALCULATIONS.change(change.unit, key, state=state.value, reason=because, **decided)
            made = (await RECALCULATIONS.by_ids(change.unit, [key]))[key]
            await change.audit("BaseYearRecalculation", key, made.organisation_id, before=old, after=made)
            return made

        operation = "acceptBaseYearRecalculation" if accept else "declineBaseYearRecalculation"
        return await perform(self.toolbox, actor, operation, {"id": key, "reason": reason}, Recalculation, work)

    async def _apply(self, change: Change, proposal: Recalculation) -> None:
        """The next version of the value, if the proposal still has the effect it was made with."""
        base = (await BASE_YEARS.by_ids(change.unit, [proposal.base_year_id], lock=True))[proposal.base_year_id]
        value = (await rows.values(change.unit, [base.id]))[base.id][-1]
        found = await rows.compared(change.unit, base, value.version, self.toolbox.clock.today())
        effect = trimmed(found.effects().get(proposal.slot, Decimal(0)))
        if effect != proposal.effect_t:
            raise RECALCULATION_STALE(path=("id",), now=effect, then=proposal.effect_t)
        lines = found.after(*proposal.slot)
        made = BaseYearValue(base.id, value.version + 1, total(lines), proposal.id, self.toolbox.clock.now())
        await rows.keep_value(change.unit, made, lines, change.actor.principal.member_id)

    @staticmethod
    async def _own(change: Change, key: UUID, permission: Permission) -> BaseYear:
        found = (await BASE_YEARS.by_ids(change.unit, [key], lock=True)).get(key)
        return await reach(change, permission, "BaseYear", key, found)

    async def current(self, principal: Principal, organisation_id: UUID) -> BaseYear | None:
        """The base year in force. Errors: NOT_FOUND, FORBIDDEN."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.EMISSION_READ, organisation_id)
            found = await BASE_YEARS.current(session, BASE_YEARS.of.c.organisation_id == organisation_id)
            return found[0] if found else None

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, BaseYear]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await BASE_YEARS.by_ids(session, keys, principal)

    async def recalculations_by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Recalculation]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await RECALCULATIONS.by_ids(session, keys, principal)

    async def values(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, list[BaseYearValue]]:
        """The history of base years the caller was given already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.values(session, keys)

    async def pending(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Decimal]:
        """What the open proposals about base years the caller was given already come to together."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.pending(session, keys)

    async def recalculations(self, principal: Principal, key: UUID, request: PageRequest) -> Page[Recalculation]:
        """The proposals about a base year, the latest first. Errors: NOT_FOUND."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if key not in await BASE_YEARS.by_ids(session, [key], principal):
                raise not_found("BaseYear", key, "id")
            return await RECALCULATIONS.page(session, principal, request, RECALCULATIONS.of.c.base_year_id == key)
