"""Use cases on the tree in time: move, ownership, departure; and reading it as of a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from backend.kit.errors import FORBIDDEN, NOT_FOUND, CodedError
from backend.kit.pages import Page, PageRequest
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal
from tenants.commands import Actor, Change, Changed, Done, perform
from tenants.domain.organisations import Organisation, OrganisationKind, Ownership, checked_ownership
from tenants.domain.tree import (
    HAS_DESCENDANTS,
    REASON_NEEDED,
    WRONG_PARENT,
    Departure,
    Link,
    Relative,
    check_departure,
    check_parents,
    check_present,
    ended,
    moved,
    reowned,
)
from tenants.repository import organisations as writing
from tenants.repository import tree as reading
from tenants.service.organisations import existing, load


@dataclass(frozen=True, slots=True)
class Move:
    """To another parent from a day on; held as before unless `ownership` says how."""

    organisation_id: UUID
    parent_id: UUID
    on: date
    ownership: Ownership | None = None
    reason: str = ""
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class Holding:
    """Held by its parent in another way from a day on."""

    organisation_id: UUID
    on: date
    ownership: Ownership
    reason: str = ""
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """Who left the tree together, the one that was named first."""

    organisations: tuple[Organisation, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """The links of an organisation, for the audit trail."""

    links: tuple[Link, ...]


class TreeService:
    """The tree of a tenant in time."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def move(self, actor: Actor, move: Move) -> Done[Organisation]:
        """Hang an organisation, and all below it, under another parent from a day on; history stays as it was.

        Errors: FORBIDDEN, NOT_FOUND, STALE_VERSION, ORGANISATION_NOT_PRESENT, WRONG_PARENT, PARENT_ABSENT,
        ORGANISATION_CYCLE, INVALID_INPUT.
        """

        async def work(change: Change) -> Organisation:
            child, links = await _placed(change, move.organisation_id, move.on, "movedOn", move.expected_version)
            await change.require(Permission.ORGANISATION_MANAGE, move.parent_id)
            parent = await existing(change.unit, move.parent_id, "parentId")
            wanted = moved(links, move.on, parent.id, tidy(move.reason))
            if move.ownership is not None:
                wanted = reowned(wanted, move.on, checked_ownership(move.ownership), tidy(move.reason))
            return await _relink(change, child, links, wanted)

        return await perform(self.toolbox, actor, "moveOrganisation", move, Organisation, work)

    async def set_ownership(self, actor: Actor, holding: Holding) -> Done[Organisation]:
        """Change equity share and control from a day on. Errors: as `move`."""
        ownership = checked_ownership(holding.ownership)

        async def work(change: Change) -> Organisation:
            child, links = await _placed(
                change, holding.organisation_id, holding.on, "validFrom", holding.expected_version
            )
            return await _relink(change, child, links, reowned(links, holding.on, ownership, tidy(holding.reason)))

        return await perform(self.toolbox, actor, "setOwnership", holding, Organisation, work)

    async def close(self, actor: Actor, departure: Departure) -> Done[Left]:
        """Close an organisation from a day on. What lies below is closed too, or must have left before.

        Errors: FORBIDDEN, NOT_FOUND, STALE_VERSION, ORGANISATION_NOT_PRESENT, ORGANISATION_HAS_DESCENDANTS.
        """
        return await self._leave(actor, departure, "closeOrganisation", "closedOn")

    async def dispose(self, actor: Actor, departure: Departure) -> Done[Left]:
        """Let an organisation leave the group from a day on: what was sold takes along what lies below it.

        Errors: as `close`, and REASON_NEEDED (8.2.2.8).
        """
        if not departure.reason:
            raise REASON_NEEDED(path=("reason",), what="a disposal", what_zh="处置", source="8.2.2.8")
        return await self._leave(actor, departure, "recordDisposal", "disposedOn")

    async def _leave(self, actor: Actor, departure: Departure, operation: str, path: str) -> Done[Left]:

        async def work(change: Change) -> Left:
            top = await load(change, departure.organisation_id, departure.expected_version)
            check_departure(top, departure.on, path)
            await _require_above(change, top, departure.on)
            keys = await writing.subtree(change.unit, top.id, departure.on)
            if not departure.with_descendants:
                keys = [top.id]
            leaving = await writing.organisations(change.unit, keys)
            await _check_leaving(change, [leaving[key] for key in keys], departure.on, path)
            return await _depart(change, [leaving[key] for key in keys], departure)

        return await perform(self.toolbox, actor, operation, departure, Left, work)

    async def places(self, principal: Principal, keys: Sequence[UUID], as_of: date | None) -> dict[UUID, Link]:
        """Where each organisation hangs on a day, absent where it hangs nowhere."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await reading.places(session, keys, as_of)

    async def history(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, list[Link]]:
        """Where each organisation hung over time."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await writing.links_of(session, keys)

    async def children(
        self, principal: Principal, keys: Sequence[UUID], as_of: date | None, request: PageRequest
    ) -> dict[UUID, Page[Organisation]]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await reading.children(session, principal, keys, as_of, request)

    async def ancestors(
        self, principal: Principal, keys: Sequence[UUID], as_of: date | None
    ) -> dict[UUID, list[Relative]]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await reading.ancestors(session, principal, keys, as_of)

    async def descendants(
        self, principal: Principal, keys: Sequence[UUID], as_of: date | None, request: PageRequest
    ) -> dict[UUID, Page[Relative]]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await reading.descendants(session, principal, keys, as_of, request)


async def _placed(
    change: Change, key: UUID, on: date, path: str, expected_version: int | None
) -> tuple[Organisation, list[Link]]:
    """An organisation whose place the caller may change, and its links."""
    child = await load(change, key, expected_version)
    if child.kind is OrganisationKind.GROUP:
        need, need_zh = (
            "is the root of a tree: it has no parent and nobody above holds it",
            "是树的根，没有上级和持股关系",
        )
        raise WRONG_PARENT(path=("organisationId",), kind=child.kind, need=need, need_zh=need_zh)
    check_present(child, on, path)
    await _require_above(change, child, on)
    return child, (await writing.links_of(change.unit, [key]))[key]


async def _require_above(change: Change, child: Organisation, on: date) -> None:
    """Who changes a place manages the parent; who reaches the child but not its parent is told it is forbidden."""
    place = (await reading.places(change.unit, [child.id], on)).get(child.id)
    try:
        await change.require(Permission.ORGANISATION_MANAGE, place.parent_id if place else None)
    except CodedError as error:
        if error.code is NOT_FOUND:
            raise FORBIDDEN(permission=(Permission.ORGANISATION_MANAGE,)) from error
        raise


async def _relink(change: Change, child: Organisation, old: list[Link], new: list[Link]) -> Organisation:
    parents = await writing.organisations(change.unit, {link.parent_id for link in new})
    check_parents(child, [link for link in new if link not in old], parents)
    async with writing.guarded(change.unit, since=new[0].valid_from):
        await writing.replace_links(change.unit, old, new)
        await writing.update_organisation(change.unit, child.id, {})
    before, after = Places(tuple(old)), Places(tuple(new))
    await change.audit("Organisation", child.id, child.id, before=before, after=after)
    return await existing(change.unit, child.id, "organisationId")


async def _check_leaving(change: Change, leaving: list[Organisation], on: date, path: str) -> None:
    for organisation in leaving:
        check_departure(organisation, on, path)
    stray = await writing.stray(change.unit, [x.id for x in leaving], on)
    if stray is not None:
        code = (await existing(change.unit, stray, "organisationId")).code
        raise HAS_DESCENDANTS(path=("organisationId",), code=code, on=on)


async def _depart(change: Change, leaving: list[Organisation], departure: Departure) -> Left:
    keys = [x.id for x in leaving]
    links = await writing.links_of(change.unit, keys)
    old = [link for key in keys for link in links[key]]
    new = [link for key in keys for link in ended(links[key], departure.on)]
    async with writing.guarded(change.unit):
        await writing.replace_links(change.unit, old, new)
        await writing.leave(change.unit, leaving, departure.on, departure.because)
    after = await writing.organisations(change.unit, keys)
    await change.audit_all("Organisation", [Changed(x.id, x.id, x, after[x.id]) for x in leaving])
    return Left(tuple(after[key] for key in keys))
