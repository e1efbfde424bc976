"""Use cases on single organisations and lists of them: create, update, production lines, read.

Where an organisation hangs, how it is held and whether it is there at all is decided by whoever manages its parent;
its profile and lines by whoever manages the organisation itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from uuid import UUID

from backend.kit.database import ReadSession
from backend.kit.errors import CodedError, not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal
from tenants.commands import STALE_VERSION, Actor, Change, Changed, Done, Refused, perform
from tenants.domain.growth import Growth
from tenants.domain.organisations import (
    NewOrganisation,
    Organisation,
    OrganisationFilter,
    OrganisationOrder,
    ProductionLine,
    Profile,
    checked_lines,
    checked_profile,
    wrong,
)
from tenants.domain.tree import Link
from tenants.repository import organisations as writing
from tenants.repository import tree as reading

MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class ProfileEdit:
    """Fields of a profile to change, by name; what is not named stays."""

    organisation_id: UUID
    fields: dict[str, Any]
    expected_version: int


@dataclass(frozen=True, slots=True)
class NewOrganisations:
    """Many nodes at once; `all_or_nothing`: if one row is refused, none is added."""

    rows: tuple[NewOrganisation, ...]
    all_or_nothing: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one row of a bulk creation."""

    code: str
    organisation: Organisation | None = None
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """What became of all rows, in order."""

    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """The production lines of an organisation."""

    organisation_id: UUID
    lines: tuple[ProductionLine, ...]
    expected_version: int | None = None


class OrganisationService:
    """The organisations of a tenant."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def create(
        self, actor: Actor, new: NewOrganisation, operation: str = "createOrganisation"
    ) -> Done[Organisation]:
        """Add a node. Errors: FORBIDDEN, NOT_FOUND, WRONG_PARENT, PARENT_ABSENT, CODE_TAKEN, BAD_*_CODE."""

        async def work(change: Change) -> Organisation:
            (made,) = await _grow(change, [new])
            if isinstance(made, CodedError):
                raise made
            return made

        return await perform(self.toolbox, actor, operation, new, Organisation, work)

    async def create_many(self, actor: Actor, new: NewOrganisations) -> Done[Rows]:
        """Add up to 500 nodes, each judged on its own; a parent may stand in the same list. Errors: as `create`."""
        if not 1 <= len(new.rows) <= MOST_ROWS:
            raise wrong(
                f"1 to {MOST_ROWS} organisations can be added at once; got {len(new.rows)}",
                f"一次可添加 1 至 {MOST_ROWS} 个组织，收到 {len(new.rows)} 个",
                "organisations",
            )

        async def work(change: Change) -> Rows:
            made = await _grow(change, new.rows, all_or_nothing=new.all_or_nothing)
            return Rows(
                tuple(_row(i, asked, found) for i, (asked, found) in enumerate(zip(new.rows, made, strict=True)))
            )

        return await perform(self.toolbox, actor, "createOrganisations", new, Rows, work)

    async def update(self, actor: Actor, edit: ProfileEdit) -> Done[Organisation]:
        """Change the profile. Errors: FORBIDDEN, NOT_FOUND, STALE_VERSION, ORGANISATION_CODE_TAKEN, BAD_*_CODE."""

        async def work(change: Change) -> Organisation:
            before = await load(change, edit.organisation_id, edit.expected_version)
            present = Profile(**{f.name: getattr(before, f.name) for f in fields(Profile)})
            profile = checked_profile(replace(present, **edit.fields))
            async with writing.guarded(change.unit, code=profile.code):
                await writing.update_organisation(change.unit, before.id, asdict(profile))
            return await changed(change, before)

        return await perform(self.toolbox, actor, "updateOrganisation", edit, Organisation, work)

    async def set_lines(self, actor: Actor, given: Lines) -> Done[Lines]:
        """Replace the list of production lines (8.2.1). Errors: FORBIDDEN, NOT_FOUND, STALE_VERSION, INVALID_INPUT."""
        lines = tuple(checked_lines(list(given.lines)))

        async def work(change: Change) -> Lines:
            owner = await load(change, given.organisation_id, given.expected_version)
            before = (await writing.production_lines(change.unit, [owner.id]))[owner.id]
            await writing.set_production_lines(change.unit, owner.id, lines)
            await writing.update_organisation(change.unit, owner.id, {})
            after = Lines(owner.id, lines)
            await change.audit("Organisation", owner.id, owner.id, before=Lines(owner.id, tuple(before)), after=after)
            return after

        return await perform(self.toolbox, actor, "setProductionLines", given, Lines, work)

    async def page(
        self,
        principal: Principal,
        request: PageRequest,
        wanted: OrganisationFilter,
        order: OrganisationOrder,
    ) -> Page[Organisation]:
        """Those the caller may read. Errors: BAD_CURSOR."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await reading.page_of_organisations(session, principal, wanted, order, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Organisation]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await writing.organisations(session, keys, principal)

    async def production_lines(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, list[ProductionLine]]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await writing.production_lines(session, keys)


async def _grow(
    change: Change, rows: Sequence[NewOrganisation], *, all_or_nothing: bool = False
) -> list[Organisation | CodedError]:
    """Judge rows against the tree and add those that can be added."""
    await writing.lock_tree(change.unit)
    growth = await _growth(change, rows)
    outcomes = growth.judge(rows)
    if all_or_nothing:
        for i, outcome in enumerate(outcomes):
            if isinstance(outcome, CodedError):
                raise outcome.at("organisations", str(i))
    made = {i: found for i, found in enumerate(outcomes) if isinstance(found, Organisation)}
    if made:
        links = [_first_link(found, growth.rows[i]) for i, found in made.items() if growth.rows[i].parent_id]
        async with writing.guarded(change.unit):
            await writing.insert_organisations(change.unit, list(made.values()), links)
        await change.audit_all(
            "Organisation", [Changed(found.id, found.id, None, growth.rows[i]) for i, found in made.items()]
        )
    return outcomes


async def _growth(change: Change, rows: Sequence[NewOrganisation]) -> Growth:
    codes = {row.profile.code.strip() for row in rows} | {row.parent_code for row in rows if row.parent_code}
    by_code = await writing.by_codes(change.unit, codes)
    by_id = await writing.organisations(change.unit, {row.parent_id for row in rows if row.parent_id})
    nodes = [None, *by_id, *(row.parent_id for row in rows), *(found.id for found in by_code.values())]
    refused = await change.refusals(Permission.ORGANISATION_MANAGE, nodes)
    return Growth(by_id, by_code, refused.get)


def _first_link(made: Organisation, row: NewOrganisation) -> Link:
    assert row.parent_id is not None
    return Link(uuid7(), made.id, row.parent_id, row.entered_on, None, row.ownership, row.reason)


def _row(i: int, asked: NewOrganisation, found: Organisation | CodedError) -> Row:
    if isinstance(found, CodedError):
        return Row(asked.profile.code, refused=Refused.of(found.at("organisations", str(i))))
    return Row(found.code, organisation=found)


async def load(change: Change, key: UUID, expected_version: int | None) -> Organisation:
    """An organisation the caller manages, for a change under the tree's lock. Errors: FORBIDDEN, NOT_FOUND,
    STALE_VERSION.
    """
    await writing.lock_tree(change.unit)
    await change.require(Permission.ORGANISATION_MANAGE, key)
    found = await existing(change.unit, key, "organisationId")
    if expected_version is not None and found.version != expected_version:
        raise STALE_VERSION(path=("expectedVersion",), actual=found.version, expected=expected_version)
    return found


async def existing(session: ReadSession, key: UUID, path: str) -> Organisation:
    """Errors: NOT_FOUND."""
    found = (await writing.organisations(session, [key])).get(key)
    if found is None:
        raise not_found("Organisation", key, path)
    return found


async def changed(change: Change, before: Organisation) -> Organisation:
    """The organisation as it now is, written into the audit trail."""
    after = await existing(change.unit, before.id, "organisationId")
    await change.audit("Organisation", after.id, after.id, before=before, after=after)
    return after
