"""Boundary settings: what holds where and since when (8.2.2), and setting it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from backend.kit.database import ReadSession
from backend.kit.pages import Page, PageRequest
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require
from tenants.commands import Actor, Change, Done, perform
from tenants.domain.boundaries import (
    FACTOR_SET_IS_ADOPTED,
    BoundaryKey,
    BoundarySetting,
    BoundaryValue,
    EffectiveBoundary,
    NewSetting,
    Spell,
    check_reason,
    checked_value,
    effective,
    rest_of,
    written,
)
from tenants.domain.organisations import wrong
from tenants.domain.tree import REASON_NEEDED
from tenants.repository import boundaries as repository
from tenants.repository.organisations import lock_tree
from tenants.repository.rows import today
from tenants.service.organisations import existing


@dataclass(frozen=True, slots=True)
class SetBoundary:
    """A value for [valid_from, valid_until); None as value: back to what is inherited."""

    organisation_id: UUID
    key: BoundaryKey
    value: BoundaryValue | None
    valid_from: date
    valid_until: date | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BoundaryChanged:
    """The record that now holds (None when it was taken away) and those that are history now."""

    organisation_id: UUID
    setting: BoundarySetting | None
    superseded: tuple[BoundarySetting, ...]


class BoundaryReader:
    """For other slices: what holds, inside a session they have."""

    @staticmethod
    async def effective(
        session: ReadSession, organisation_ids: Collection[UUID], as_of: date, known_at: datetime | None = None
    ) -> dict[UUID, EffectiveBoundary]:
        """For each organisation all settings on a day, with their sources, as known at a moment (None: now)."""
        nearest = await repository.nearest(session, organisation_ids, as_of, known_at)
        return {key: effective(key, as_of, nearest.get(key, {})) for key in organisation_ids}

    @staticmethod
    async def over_time(
        session: ReadSession, organisation_ids: Collection[UUID], key: BoundaryKey
    ) -> dict[UUID, list[Spell]]:
        """For each organisation all that is set for a key at it or above it, over time; those without are absent."""
        return await repository.spells(session, organisation_ids, key)


async def put(change: Change, given: SetBoundary) -> BoundaryChanged:
    """Record a value in a change that has asked for the caller's right; what was set for these days becomes history.

    Errors: NOT_FOUND, REASON_NEEDED (8.2.2.7, 8.2.2.8), INVALID_INPUT.
    """
    await lock_tree(change.unit)
    await existing(change.unit, given.organisation_id, "organisationId")
    where = (given.organisation_id, given.key, given.valid_from, given.valid_until)
    before = await repository.colliding(change.unit, *where)
    if given.value is None:
        _check_removal(before, given.reason)
    else:
        above = await repository.is_set_above(change.unit, *where)
        check_reason(given.key, given.reason, overrides=above, replaces=bool(before))
    return await _record(change, given, before)


class BoundaryService:
    """Boundary settings of a tenant's organisations."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def set(self, actor: Actor, given: SetBoundary, operation: str) -> Done[BoundaryChanged]:
        """Set a value at an organisation, or take it away; what was set for these days becomes history.

        Errors: FORBIDDEN, NOT_FOUND, REASON_NEEDED (8.2.2.7, 8.2.2.8), INVALID_INPUT, FACTOR_SET_IS_ADOPTED.
        """
        if given.valid_until is not None and given.valid_until <= given.valid_from:
            raise wrong("validUntil lies behind validFrom", "validUntil 须晚于 validFrom", "validUntil")
        value = None if given.value is None else checked_value(given.key, given.value)
        reason = tidy(given.reason)

        async def work(change: Change) -> BoundaryChanged:
            await lock_tree(change.unit)
            await change.require(Permission.BOUNDARY_MANAGE, given.organisation_id)
            if given.key is BoundaryKey.FACTOR_SET:
                raise FACTOR_SET_IS_ADOPTED(path=("setting", given.key.value))
            return await put(change, replace(given, value=value, reason=reason))

        return await perform(self.toolbox, actor, operation, given, BoundaryChanged, work)

    async def effective(
        self, principal: Principal, keys: Sequence[UUID], as_of: date | None, known_at: datetime | None
    ) -> dict[UUID, EffectiveBoundary]:
        """As of a day (None: today), as known at a moment (None: now)."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            day = as_of or await today(session)
            return await BoundaryReader.effective(session, keys, day, known_at)

    async def history(self, principal: Principal, key: UUID, request: PageRequest) -> Page[BoundarySetting]:
        """All that was recorded at one organisation. Errors: NOT_FOUND, FORBIDDEN, BAD_CURSOR."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            await require(session, principal, Permission.ORGANISATION_READ, key)
            return await repository.page_of_settings(session, key, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, BoundarySetting]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.settings(session, keys, principal)


def _check_removal(before: Sequence[BoundarySetting], reason: str) -> None:
    if not before:
        raise wrong("nothing is set here for these days", "该时段此处没有设置", "key")
    if not reason:
        raise REASON_NEEDED(path=("reason",), what="a change of the boundary", what_zh="边界变更", source="8.2.2.8")


async def _record(change: Change, given: SetBoundary, before: Sequence[BoundarySetting]) -> BoundaryChanged:
    await repository.supersede(change.unit, [x.id for x in before])
    for old in before:
        for rest in rest_of(old, given.valid_from, given.valid_until):
            await repository.insert_setting(change.unit, rest)
    made = None
    if given.value is not None:
        new = NewSetting(
            given.organisation_id,
            given.key,
            written(given.value),
            given.valid_from,
            given.valid_until,
            given.reason,
            change.actor.principal.member_id,
        )
        made = await repository.insert_setting(change.unit, new)
    answer = BoundaryChanged(given.organisation_id, made, tuple(before))
    await change.audit(
        "Organisation",
        given.organisation_id,
        given.organisation_id,
        before={"settings": [_noted(x) for x in before]},
        after={"setting": _noted(made) if made else None, "reason": given.reason},
    )
    return answer


def _noted(setting: BoundarySetting) -> dict[str, object]:
    return {
        "key": setting.key,
        "value": setting.written,
        "validFrom": setting.valid_from,
        "validUntil": setting.valid_until,
    }
