"""Recording, withdrawing and reading exceptions from market rules.

Who answers for the tenant decides, not who manages its assets: nobody lifts the limit he is held to.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from backend.kit.errors import not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from backend.ledger.exceptions import repository
from backend.ledger.exceptions.domain import (
    MOST_AT_ONCE,
    RULE_EXCEPTED_ALREADY,
    RULE_EXCEPTION_WITHDRAWN,
    TOO_MANY_EXCEPTIONS,
    NewException,
    RuleException,
    WithdrawException,
    checked,
)
from backend.ledger.repository import names
from backend.ledger.rulebook.domain import rulebook
from backend.ledger.values import needed
from tenants.access import Permission, Principal
from tenants.commands import Actor, Change, Changed, Done, perform


class ExceptionService:
    """Exceptions for the organisations of a tenant."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def record(self, actor: Actor, new: Sequence[NewException]) -> Done[list[RuleException]]:
        """Record exceptions, all or none. Errors: TOO_MANY_EXCEPTIONS, MISSING_TEXT, UNKNOWN_RULE,
        RULE_WITHOUT_EXCEPTIONS, RULE_EXCEPTED_ALREADY, NOT_FOUND, FORBIDDEN.
        """
        if not 1 <= len(new) <= MOST_AT_ONCE:
            raise TOO_MANY_EXCEPTIONS(path=("exceptions",), most=MOST_AT_ONCE, count=len(new))
        sound = {uuid7(): checked(n, rulebook(), "exceptions", str(i)) for i, n in enumerate(new)}

        async def work(change: Change) -> list[RuleException]:
            await change.require(Permission.TENANT_MANAGE, None)
            known = await names.organisations(change.unit, {n.organisation_id for n in sound.values()})
            for index, n in enumerate(sound.values()):
                if n.organisation_id not in known:
                    path = ("exceptions", str(index), "organisationId")
                    raise not_found("Organisation", n.organisation_id, *path)
            made = await repository.record(change.unit, sound, actor.principal.member_id)
            for index, (key, n) in enumerate(sound.items()):
                if key not in made:
                    raise RULE_EXCEPTED_ALREADY(path=("exceptions", str(index)), rule=n.rule, year=n.year)
            found = [made[key] for key in sound]
            await change.audit_all("RuleException", [Changed(x.id, x.organisation_id, after=x) for x in found])
            return found

        return await perform(self.toolbox, actor, "recordRuleExceptions", list(new), list[RuleException], work)

    async def withdraw(self, actor: Actor, given: WithdrawException) -> Done[RuleException]:
        """Let the rule bind again; what was used under the exception stays. Errors: MISSING_TEXT, NOT_FOUND,
        RULE_EXCEPTION_WITHDRAWN, FORBIDDEN.
        """
        reason = needed(given.reason, "reason")

        async def work(change: Change) -> RuleException:
            await change.require(Permission.TENANT_MANAGE, None)
            before = (await repository.exceptions(change.unit, [given.exception_id])).get(given.exception_id)
            if before is None:
                raise not_found("RuleException", given.exception_id, "exceptionId")
            withdrawn = await repository.withdraw(change.unit, before.id, actor.principal.member_id, reason)
            after = (await repository.exceptions(change.unit, [before.id]))[before.id]
            if not withdrawn:
                raise RULE_EXCEPTION_WITHDRAWN(path=("exceptionId",), at=f"{after.withdrawn_at:%Y-%m-%d}")
            await change.audit("RuleException", after.id, after.organisation_id, before=before, after=after)
            return after

        return await perform(self.toolbox, actor, "withdrawRuleException", given, RuleException, work)

    async def exceptions_by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, RuleException]:
        """Those the caller may read."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.exceptions(session, keys, principal)

    async def exceptions(
        self, principal: Principal, request: PageRequest, organisation_id: UUID | None
    ) -> Page[RuleException]:
        """Those the caller may read, the latest first."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_exceptions(session, principal, request, organisation_id)
