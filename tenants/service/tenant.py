"""Use cases on the tenant as its members see it: its settings and its record of changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from backend.kit.database import ReadSession
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal
from tenants.commands import Actor, Change, Done, perform
from tenants.domain.audit import AuditEvent
from tenants.domain.organisations import wrong
from tenants.domain.tenant import Tenant, TenantSettings, checked_days, checked_zone
from tenants.repository import audit
from tenants.repository import tenant as repository


class TenantService:
    """The tenant of the caller."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def own(self, principal: Principal) -> Tenant:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.own_tenant(session)

    @staticmethod
    async def settings(session: ReadSession) -> TenantSettings:
        """The settings of the tenant a session is bound to: for jobs."""
        return (await repository.own_tenant(session)).settings

    async def update_settings(self, actor: Actor, settings: TenantSettings) -> Done[Tenant]:
        """Errors: FORBIDDEN, INVALID_INPUT."""
        settings = replace(
            settings,
            reporting_zone=checked_zone(settings.reporting_zone),
            deadline_reminder_days=checked_days(settings.deadline_reminder_days),
        )

        async def work(change: Change) -> Tenant:
            await change.require(Permission.TENANT_MANAGE, None)
            before = await repository.own_tenant(change.unit)
            if not await repository.knows_zone(change.unit, settings.reporting_zone):
                raise wrong(
                    f"the database does not know the time zone {settings.reporting_zone}",
                    f"数据库不支持时区 {settings.reporting_zone}",
                    "reportingZone",
                )
            await repository.set_settings(change.unit, settings)
            after = await repository.own_tenant(change.unit)
            await change.audit("Tenant", after.id, None, before=before, after=after)
            return after

        return await perform(self.toolbox, actor, "updateTenantSettings", settings, Tenant, work)

    async def events(self, principal: Principal, subject_id: UUID | None, request: PageRequest) -> Page[AuditEvent]:
        """Changes the caller may see, the latest first. Errors: BAD_CURSOR."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await audit.page_of_audit_events(session, principal, subject_id, request)

    async def events_by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, AuditEvent]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await audit.audit_events(session, keys, principal)
