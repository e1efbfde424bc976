"""Use cases on organisations: check, load, decide, store, audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants import repository
from tenants.access import Permission, Principal
from tenants.commands import Actor, Change, Done, perform
from tenants.domain import NewOrganisation, Organisation, checked_profile


class OrganisationService:
    """The organisation tree of a tenant."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def create(self, actor: Actor, new: NewOrganisation) -> Done[Organisation]:
        """Add a node. Errors: FORBIDDEN, NOT_FOUND, WRONG_PARENT, ORGANISATION_CODE_TAKEN, BAD_*_CODE."""
        new = replace(new, profile=checked_profile(new.profile))

        async def work(change: Change) -> Organisation:
            await change.require(Permission.ORGANISATION_MANAGE, new.parent_id)
            await repository.lock_tree(change.unit)
            made = await repository.insert_organisation(change.unit, new)
            await change.audit("Organisation", made.id, made.id, after=made)
            return made

        return await perform(self.toolbox, actor, "createOrganisation", new, Organisation, work)

    async def page(self, principal: Principal, request: PageRequest) -> Page[Organisation]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_organisations(session, principal, request)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Organisation]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.organisations(session, keys, principal)
