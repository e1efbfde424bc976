"""Use cases on the tenant's own factor sets: drafting, recording, proposing, approving, withdrawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from backend.accounting.domain import own_sets as domain
from backend.accounting.domain.factors import Factor
from backend.accounting.domain.own_sets import Draft, NewSet, NewValue, OwnSet, SetState, SetVersion
from backend.accounting.domain.units import checked_name
from backend.accounting.repository import factors as factor_rows
from backend.accounting.repository import own_sets as rows
from backend.accounting.service.batches import check_size, read_apart, refused_rows, sift, stop_if_refused
from backend.kit.errors import REASON_MISSING, not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require_organisation
from tenants.commands import STALE_VERSION, Actor, Change, Done, Refused, perform


@dataclass(frozen=True, slots=True)
class SetStep:
    """A step on the version that is in the making (or in force); `expected` is the version the caller saw."""

    set_id: UUID
    expected: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ValueOutcome:
    """What became of one row: the value, or why there is none."""

    factor: Factor | None
    refusal: Refused | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The set, and what became of each row."""

    of: OwnSet
    outcomes: tuple[ValueOutcome, ...]


class OwnSetService:
    """Factor sets of the tenant's own."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def create(self, actor: Actor, new: NewSet) -> Done[OwnSet]:
        """Begin a set with an empty first draft.

        Errors: NOT_FOUND, FORBIDDEN, BAD_FACTOR_SET_CODE, FACTOR_SET_CODE_TAKEN, BAD_FACTOR_SET_PURPOSE.
        """

        async def work(change: Change) -> OwnSet:
            await change.require(Permission.EMISSION_MANAGE, new.organisation_id)
            await require_organisation(change.unit, new.organisation_id, "organisationId")
            domain.check_purpose(new.purpose)
            me = actor.principal.member_id
            code, name = domain.checked_set_code(new.code), checked_name(new.name_zh)
            made = OwnSet(uuid7(), new.organisation_id, code, name, tidy(new.name_en), new.purpose, me)
            await rows.insert_set(change.unit, made)
            await rows.insert_version(change.unit, SetVersion(made.id, 1, SetState.DRAFT, "", me))
            await change.audit("OwnFactorSet", made.id, made.organisation_id, after=made)
            return made

        return await perform(self.toolbox, actor, "createOwnFactorSet", new, OwnSet, work)

    async def draft(self, actor: Actor, step: SetStep) -> Done[OwnSet]:
        """Begin the next version with the values of the one before.

        Errors: NOT_FOUND, FORBIDDEN, REASON_MISSING, FACTOR_SET_IN_THE_MAKING, STALE_VERSION.
        """

        async def work(change: Change) -> OwnSet:
            of, versions = await _reach(change, step, Permission.EMISSION_MANAGE)
            open_ = rows.in_the_making(versions)
            if open_ is not None:
                raise domain.VERSION_IN_THE_MAKING(path=("id",), version=open_.version)
            _expect(step, versions[-1])
            made = SetVersion(of.id, versions[-1].version + 1, SetState.DRAFT, _reason(step), actor.principal.member_id)
            await rows.insert_version(change.unit, made)
            await change.audit("OwnFactorSet", of.id, of.organisation_id, after=made)
            return of

        return await perform(self.toolbox, actor, "draftOwnFactorSet", step, OwnSet, work)

    async def record(
        self, actor: Actor, step: SetStep, given: Sequence[NewValue | Refused], *, all_or_nothing: bool
    ) -> Done[Recorded]:
        """Record up to 1000 values in the draft, each judged on its own unless all or nothing is asked.

        Errors: BATCH_SIZE, NOT_FOUND, FORBIDDEN, FACTOR_SET_STATE, STALE_VERSION; per row those of `Draft.read`.
        """
        check_size(len(given))

        async def work(change: Change) -> Recorded:
            of, version = await self._in_draft(change, step)
            held = {domain.key_of(f): f for f in await rows.values_in(change.unit, of.id, version.version)}
            draft = Draft(of, version.version, await factor_rows.library(change.unit), held)
            read, errors = read_apart(given)
            ended: list[Factor] = []
            made = sift(read, lambda new: _take(draft, new, ended), errors)
            refused = refused_rows(errors)
            stop_if_refused(errors, all_or_nothing, lambda: _recorded(of, len(given), {}, refused))
            if made:
                await rows.end_values(change.unit, version.version, [f.id for f in ended])
                await rows.insert_values(change.unit, list(made.values()), actor.principal.member_id)
                after = list(made.values())
                await change.audit("OwnFactorSet", of.id, of.organisation_id, before=ended, after=after)
            return _recorded(of, len(given), made, refused)

        body = {"step": step, "rows": list(given), "all_or_nothing": all_or_nothing}
        return await perform(self.toolbox, actor, "recordOwnFactors", body, Recorded, work)

    async def remove(self, actor: Actor, step: SetStep, factor_ids: Sequence[UUID]) -> Done[OwnSet]:
        """Take values out of the draft. Errors: FACTOR_NOT_HELD, FACTOR_SET_STATE, STALE_VERSION …"""
        check_size(len(factor_ids))

        async def work(change: Change) -> OwnSet:
            of, version = await self._in_draft(change, step)
            held = {f.id: f for f in await rows.values_in(change.unit, of.id, version.version)}
            for i, key in enumerate(factor_ids):
                if key not in held:
                    raise domain.FACTOR_NOT_HELD(path=("factorIds", str(i)))
            await rows.end_values(change.unit, version.version, list(factor_ids))
            before = [held[key] for key in factor_ids]
            await change.audit("OwnFactorSet", of.id, of.organisation_id, before=before)
            return of

        body = {"step": step, "factors": list(factor_ids)}
        return await perform(self.toolbox, actor, "removeOwnFactors", body, OwnSet, work)

    async def _in_draft(self, change: Change, step: SetStep) -> tuple[OwnSet, SetVersion]:
        of, versions = await _reach(change, step, Permission.EMISSION_MANAGE)
        version = versions[-1]
        _expect(step, version)
        version.must_be(SetState.DRAFT)
        return of, version

    async def propose(self, actor: Actor, step: SetStep) -> Done[OwnSet]:
        """Put the draft forward. Errors: FACTOR_SET_STATE, FACTOR_SET_EMPTY, STALE_VERSION …"""

        async def work(change: Change) -> OwnSet:
            of, version = await self._in_draft(change, step)
            if not await rows.values_in(change.unit, of.id, version.version):
                raise domain.SET_EMPTY(path=("id",))
            me, now = actor.principal.member_id, self.toolbox.clock.now()
            moved = replace(version, state=SetState.PROPOSED, proposed_by=me, proposed_at=now)
            return await _moved(change, of, version, moved)

        return await perform(self.toolbox, actor, "proposeOwnFactorSet", step, OwnSet, work)

    async def approve(self, actor: Actor, step: SetStep) -> Done[OwnSet]:
        """Approve what somebody else made; nothing changes for anybody until it is adopted.

        Errors: FACTOR_SET_STATE, FACTOR_SET_APPROVED_BY_ITS_MAKER, STALE_VERSION …
        """

        async def work(change: Change) -> OwnSet:
            of, versions = await _reach(change, step, Permission.EMISSION_APPROVE)
            version = versions[-1]
            _expect(step, version)
            version.must_be(SetState.PROPOSED)
            me, now = actor.principal.member_id, self.toolbox.clock.now()
            version.must_be_by_others(me)
            for old in (v for v in versions if v.state is SetState.APPROVED):
                await rows.move(change.unit, replace(old, state=SetState.SUPERSEDED, ended_by=me, ended_at=now))
            moved = replace(version, state=SetState.APPROVED, approved_by=me, approved_at=now)
            return await _moved(change, of, version, moved)

        return await perform(self.toolbox, actor, "approveOwnFactorSet", step, OwnSet, work)

    async def reject(self, actor: Actor, step: SetStep) -> Done[OwnSet]:
        """Send a proposed version back to its makers. Errors: FACTOR_SET_STATE, REASON_MISSING, STALE_VERSION …"""

        async def work(change: Change) -> OwnSet:
            of, versions = await _reach(change, step, Permission.EMISSION_APPROVE)
            version = versions[-1]
            _expect(step, version)
            version.must_be(SetState.PROPOSED)
            _reason(step)
            moved = replace(version, state=SetState.DRAFT, proposed_by=None, proposed_at=None)
            return await _moved(change, of, version, moved)

        return await perform(self.toolbox, actor, "rejectOwnFactorSet", step, OwnSet, work)

    async def withdraw(self, actor: Actor, step: SetStep) -> Done[OwnSet]:
        """Give up what is in the making, or take the approved version out of use for new adoptions.

        Coefficients that used it stay until another adoption. Errors: FACTOR_SET_STATE, REASON_MISSING …
        """

        async def work(change: Change) -> OwnSet:
            of, versions = await _reach(change, step, Permission.EMISSION_MANAGE)
            version = versions[-1]
            _expect(step, version)
            version.must_be(SetState.DRAFT, SetState.PROPOSED, SetState.APPROVED)
            if version.state is SetState.APPROVED:
                await change.require(Permission.EMISSION_APPROVE, of.organisation_id)
            before = version
            if version.state is SetState.PROPOSED:
                version = replace(version, state=SetState.DRAFT, proposed_by=None, proposed_at=None)
                await rows.move(change.unit, version)
            if version.state is SetState.DRAFT:
                await rows.undo_draft(change.unit, of.id, version.version)
            me, now = actor.principal.member_id, self.toolbox.clock.now()
            ended = replace(version, ended_by=me, ended_at=now, ended_because=_reason(step))
            return await _moved(change, of, before, replace(ended, state=SetState.WITHDRAWN))

        return await perform(self.toolbox, actor, "withdrawOwnFactorSet", step, OwnSet, work)

    async def page(self, principal: Principal, request: PageRequest) -> Page[OwnSet]:
        """Sets of organisations at, above or below where the caller reads emissions, by code."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.page_of_sets(session, principal, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, OwnSet]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.sets(session, keys, principal)

    async def versions_of(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, list[SetVersion]]:
        """The versions of sets the caller was given already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.versions_of(session, keys)

    async def values(self, principal: Principal, set_id: UUID, version: int, request: PageRequest) -> Page[Factor]:
        """What a version of a set holds. Errors: NOT_FOUND."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if set_id not in await rows.sets(session, [set_id], principal):
                raise _absent(set_id)
            return await rows.page_of_values(session, set_id, version, request)


async def _reach(change: Change, step: SetStep, permission: Permission) -> tuple[OwnSet, list[SetVersion]]:
    """A set with its versions, locked, if the caller has the right there. Errors: NOT_FOUND, FORBIDDEN."""
    found = (await rows.sets(change.unit, [step.set_id], change.actor.principal)).get(step.set_id)
    if found is None:
        change.checked = True
        raise _absent(step.set_id)
    await change.require(permission, found.organisation_id)
    await rows.lock(change.unit, found.id)
    return found, (await rows.versions_of(change.unit, [found.id]))[found.id]


async def _moved(change: Change, of: OwnSet, before: SetVersion, after: SetVersion) -> OwnSet:
    await rows.move(change.unit, after)
    await change.audit("OwnFactorSet", of.id, of.organisation_id, before=before, after=after)
    return of


def _absent(set_id: UUID) -> Exception:
    return not_found("OwnFactorSet", set_id, "id")


def _expect(step: SetStep, version: SetVersion) -> None:
    if step.expected is not None and step.expected != version.version:
        raise STALE_VERSION(path=("expectedVersion",), actual=version.version, expected=step.expected)


def _reason(step: SetStep) -> str:
    reason = tidy(step.reason)
    if not reason:
        raise REASON_MISSING(path=("reason",))
    return reason


def _take(draft: Draft, new: NewValue, ended: list[Factor]) -> Factor:
    """Judge a row against all before it; what it replaces is ended."""
    made, replaced = draft.take(new)
    if replaced is not None:
        ended.append(replaced)
    return made


def _recorded(of: OwnSet, count: int, made: dict[int, Factor], refused: dict[int, Refused]) -> Recorded:
    return Recorded(of, tuple(ValueOutcome(made.get(i), refused.get(i)) for i in range(count)))
