"""GraphQL of reminders: reading them, and taking notice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, input_type, object_type
from backend.kit.pages import PageRequest
from backend.ledger.graphql import OfOrganisation
from backend.ledger.graphql_legs import organisation
from backend.ledger.reminders import domain
from backend.ledger.reminders.domain import OVERDUE, Acknowledgement
from backend.ledger.reminders.service import ReminderService
from tenants.access import Permission
from tenants.context import Info, requires

_READ: Final = requires(Permission.ASSET_READ)
_MANAGE: Final = requires(Permission.ASSET_MANAGE)


@object_type
class ComplianceReminder(Node):
    """That a surrender falls due soon, or is late; made once for each distance from the deadline (履约截止提醒)."""

    organisation_id: strawberry.ID
    """The entity that owes."""
    obligation_id: strawberry.ID
    """The obligation as it stood when the reminder was made."""
    market: str
    """Market."""
    year: int
    """Compliance year."""
    day: date
    """Last day of the surrender."""
    rule: str
    """Code of the rule that sets the day."""
    days_before: int
    """The distance it was due at, in days, as the tenant's settings have it; 0 when the day has passed."""
    overdue: bool
    """Whether the day had passed."""
    open: Decimal
    """Tonnes still to surrender when it was made."""
    made_at: datetime
    """When it was made."""
    acknowledged_at: datetime | None
    """When somebody took notice; null while nobody did."""
    acknowledged_by_id: strawberry.ID | None
    """The member who did."""
    note: str
    """What that member noted."""

    @classmethod
    def of(cls, record: domain.Reminder) -> ComplianceReminder:
        by = record.acknowledged_by
        return build(
            cls,
            record,
            id=to_id("ComplianceReminder", record.id),
            organisation_id=to_id("Organisation", record.organisation_id),
            obligation_id=to_id("Obligation", record.obligation_id),
            overdue=record.days_before == OVERDUE,
            open=record.open_t,
            acknowledged_by_id=by and to_id("Member", by),
        )


@input_type
class AcknowledgeReminderInput(MutationInput):
    """A reminder to take notice of."""

    reminder_id: strawberry.ID
    """The reminder."""
    note: str = ""
    """A word about what follows, up to 2000 characters."""

    def command(self) -> Acknowledgement:
        return Acknowledgement(key_of(self.reminder_id, "ComplianceReminder", "reminderId"), self.note)


@object_type
class AcknowledgeReminderPayload(Payload):
    """The reminder, with who took notice."""

    reminder: ComplianceReminder | None = None
    """The reminder."""


@object_type
class Queries:
    """Root queries about reminders."""

    @query(_READ)
    async def compliance_reminders(
        self,
        info: Info,
        organisation_id: OfOrganisation = None,
        acknowledged: Annotated[
            bool | None, strawberry.argument(description="Only those that were, or were not, acknowledged.")
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[ComplianceReminder]:
        """Reminders of surrenders that fall due or are late, the latest first (履约截止提醒)."""
        owner = organisation(organisation_id, "organisationId") if organisation_id else None
        service, request = info.context.use(ReminderService), PageRequest.read(first, after)
        page = await service.reminders(info.context.principal, request, owner, acknowledged=acknowledged)
        return Connection.of(page.map(ComplianceReminder.of))


@object_type
class Mutations:
    """Root mutations on reminders."""

    @mutation(_MANAGE)
    async def acknowledge_reminder(self, info: Info, input: AcknowledgeReminderInput) -> AcknowledgeReminderPayload:
        """Take notice of a reminder; who did and when is recorded, once (确认提醒)."""
        done = await info.context.use(ReminderService).acknowledge(info.context.actor(input), input.command())
        return AcknowledgeReminderPayload(errors=[], reminder=ComplianceReminder.of(done.value), replayed=done.replayed)


async def _reminders(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(ReminderService).reminders_by_ids(info.context.principal, keys)
    return {key: ComplianceReminder.of(record) for key, record in found.items()}


NODES = {"ComplianceReminder": (ComplianceReminder, _reminders)}
