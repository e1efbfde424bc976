"""Making reminders of surrender deadlines, reading them, and taking notice of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from backend.kit.database import UnitOfWork
from backend.kit.errors import not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from backend.ledger.compliance.service import what_is_due
from backend.ledger.reminders import repository
from backend.ledger.reminders.domain import REMINDER_ACKNOWLEDGED, Acknowledgement, Reminder, threshold
from tenants.access import Permission, Principal
from tenants.commands import Actor, Change, Done, perform
from tenants.service.tenant import TenantService

MOST_NOTE: Final = 2000


class ReminderService:
    """Reminders of the organisations of a tenant."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def remind(self, unit: UnitOfWork) -> int:
        """Make the reminders that are due today in the tenant's zone, each once; how many were new. For its job."""
        settings = await TenantService.settings(unit)
        today = self.toolbox.clock.today(ZoneInfo(settings.reporting_zone))
        thresholds = settings.deadline_reminder_days
        until = today + timedelta(days=max(thresholds, default=0))
        found = []
        for due in await what_is_due(unit, None, today, until):
            at = threshold(due.days_left, thresholds)
            if due.obligation is None or at is None:
                continue
            owed, open_t = due.obligation, due.open_t
            assert open_t is not None, "what is owed by somebody is so much"
            found.append(
                Reminder(
                    uuid7(), owed.organisation_id, owed.id, due.market, due.year, due.day, due.rule.code, at, open_t
                )
            )
        return await repository.make(unit, found)

    async def acknowledge(self, actor: Actor, given: Acknowledgement) -> Done[Reminder]:
        """Take notice of a reminder, once. Errors: NOT_FOUND, FORBIDDEN, REMINDER_ACKNOWLEDGED."""
        tidied = Acknowledgement(given.reminder_id, tidy(given.note)[:MOST_NOTE])

        async def work(change: Change) -> Reminder:
            principal = actor.principal
            shown = (await repository.reminders(change.unit, [given.reminder_id], principal)).get(given.reminder_id)
            if shown is None:
                raise not_found("ComplianceReminder", given.reminder_id, "reminderId")
            await change.require(Permission.ASSET_MANAGE, shown.organisation_id)
            if not await repository.acknowledge(change.unit, tidied, principal.member_id):
                shown = (await repository.reminders(change.unit, [shown.id]))[shown.id]
                assert shown.acknowledged_at is not None, "somebody was quicker"
                raise REMINDER_ACKNOWLEDGED(path=("reminderId",), at=f"{shown.acknowledged_at:%Y-%m-%d}")
            after = (await repository.reminders(change.unit, [shown.id]))[shown.id]
            await change.audit("ComplianceReminder", after.id, after.organisation_id, before=shown, after=after)
            return after

        return await perform(self.toolbox, actor, "acknowledgeReminder", given, Reminder, work)

    async def reminders_by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Reminder]:
        """Those the caller may read."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.reminders(session, keys, principal)

    async def reminders(
        self, principal: Principal, request: PageRequest, organisation_id: UUID | None, *, acknowledged: bool | None
    ) -> Page[Reminder]:
        """Those the caller may read, the latest first; with `acknowledged` only those that were, or were not."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_reminders(
                session, principal, request, organisation_id, acknowledged=acknowledged
            )
