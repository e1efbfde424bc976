"""GraphQL of exceptions from market rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, input_type, object_type
from backend.kit.pages import PageRequest
from backend.ledger.exceptions import domain
from backend.ledger.exceptions.domain import NewException, WithdrawException
from backend.ledger.exceptions.service import ExceptionService
from backend.ledger.graphql import OfOrganisation
from backend.ledger.graphql_legs import organisation
from tenants.access import Permission
from tenants.context import Info, requires

_READ: Final = requires(Permission.ASSET_READ)
_DECIDE: Final = requires(Permission.TENANT_MANAGE)


@object_type
class RuleException(Node):
    """That a market rule which refuses only warns, for one entity and year, and why (规则例外)."""

    organisation_id: strawberry.ID
    """The entity."""
    year: int
    """Compliance year."""
    rule: str
    """Code of the rule."""
    reason: str
    """Why."""
    evidence: str
    """Reference of the paper that shows it."""
    recorded_by_id: strawberry.ID
    """The member who recorded it."""
    recorded_at: datetime | None
    """When."""
    withdrawn_at: datetime | None
    """When it was withdrawn; null while it stands."""
    withdrawn_by_id: strawberry.ID | None
    """The member who withdrew it."""
    withdrawn_because: str | None
    """Why it was withdrawn."""

    @classmethod
    def of(cls, record: domain.RuleException) -> RuleException:
        return build(
            cls,
            record,
            id=to_id("RuleException", record.id),
            organisation_id=to_id("Organisation", record.organisation_id),
            recorded_by_id=to_id("Member", record.recorded_by),
            withdrawn_by_id=record.withdrawn_by and to_id("Member", record.withdrawn_by),
        )


@input_type
class RuleExceptionInput:
    """An exception to record."""

    organisation_id: strawberry.ID
    """The entity."""
    year: int
    """Compliance year."""
    rule: str
    """Code of a rule of which the rulebook says that there are exceptions."""
    reason: str
    """Why."""
    evidence: str
    """Reference of the paper that shows it."""


@input_type
class RecordRuleExceptionsInput(MutationInput):
    """Exceptions to record, all or none."""

    exceptions: list[RuleExceptionInput]
    """1 to 1000 of them."""

    def command(self) -> list[NewException]:
        return [
            build(
                NewException, x, organisation_id=organisation(x.organisation_id, "exceptions", str(i), "organisationId")
            )
            for i, x in enumerate(self.exceptions)
        ]


@object_type
class RecordRuleExceptionsPayload(Payload):
    """The exceptions as recorded."""

    exceptions: list[RuleException] = strawberry.field(default_factory=list)
    """The exceptions, in the order given."""


@input_type
class WithdrawRuleExceptionInput(MutationInput):
    """An exception to withdraw."""

    exception_id: strawberry.ID
    """The exception."""
    reason: str
    """Why."""

    def command(self) -> WithdrawException:
        return WithdrawException(key_of(self.exception_id, "RuleException", "exceptionId"), self.reason)


@object_type
class WithdrawRuleExceptionPayload(Payload):
    """The exception as it stands now."""

    exception: RuleException | None = None
    """The exception."""


@object_type
class Queries:
    """Root queries about exceptions from rules."""

    @query(_READ)
    async def rule_exceptions(
        self, info: Info, organisation_id: OfOrganisation = None, first: int | None = None, after: str | None = None
    ) -> Connection[RuleException]:
        """Exceptions from market rules, the withdrawn ones too, the latest first."""
        owner = organisation(organisation_id, "organisationId") if organisation_id else None
        service, request = info.context.use(ExceptionService), PageRequest.read(first, after)
        return Connection.of((await service.exceptions(info.context.principal, request, owner)).map(RuleException.of))


@object_type
class Mutations:
    """Root mutations on exceptions from rules."""

    @mutation(_DECIDE)
    async def record_rule_exceptions(self, info: Info, input: RecordRuleExceptionsInput) -> RecordRuleExceptionsPayload:
        """Let a rule that knows exceptions only warn for an entity and year; uses then carry it as a remark."""
        done = await info.context.use(ExceptionService).record(info.context.actor(input), input.command())
        made = [RuleException.of(x) for x in done.value]
        return RecordRuleExceptionsPayload(errors=[], exceptions=made, replayed=done.replayed)

    @mutation(_DECIDE)
    async def withdraw_rule_exception(
        self, info: Info, input: WithdrawRuleExceptionInput
    ) -> WithdrawRuleExceptionPayload:
        """Let the rule bind again; what was used under the exception stays."""
        done = await info.context.use(ExceptionService).withdraw(info.context.actor(input), input.command())
        return WithdrawRuleExceptionPayload(errors=[], exception=RuleException.of(done.value), replayed=done.replayed)


async def _exceptions(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(ExceptionService).exceptions_by_ids(info.context.principal, keys)
    return {key: RuleException.of(record) for key, record in found.items()}


NODES = {"RuleException": (RuleException, _exceptions)}
