"""Use cases on registered accounts and on the states of accounts (8.3.1.2, 8.3.2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

from backend.kit.errors import not_found
from backend.kit.ids import uuid7
from backend.kit.pages import Page, PageRequest
from backend.kit.text import tidy
from backend.kit.toolbox import Toolbox
from backend.ledger.accounts import repository
from backend.ledger.accounts.domain import AccountState, NewRegisteredAccount, RegisteredAccount, StateSet, checked
from backend.ledger.domain.accounts import Account
from backend.ledger.repository import holdings
from backend.ledger.service import must_exist
from tenants.access import Permission, Principal
from tenants.commands import Actor, Change, Done, perform
from tenants.domain.tree import REASON_NEEDED


class AccountService:
    """Accounts as the outside knows them, and whether they are open."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def register(self, actor: Actor, new: NewRegisteredAccount, replaces_because: str) -> Done[RegisteredAccount]:
        """Record an account; with a reason it takes the place of the one before.

        Errors: those of `checked`, ACCOUNT_REGISTERED, FORBIDDEN, NOT_FOUND.
        """

        async def work(change: Change) -> RegisteredAccount:
            await change.require(Permission.ASSET_MANAGE, new.organisation_id)
            await must_exist(change, new.organisation_id)
            if new.account_id is not None:
                await self._own(change, new.account_id, new.organisation_id)
            own = await repository.own_credit_code(change.unit, new.organisation_id)
            sound = checked(new, own, self.toolbox.clock.today())
            made = RegisteredAccount(**asdict(sound), id=uuid7())
            if tidy(replaces_because):
                await repository.supersede(change.unit, made, tidy(replaces_because))
            await repository.register(change.unit, made, actor.principal.member_id)
            await change.audit("RegisteredAccount", made.id, made.organisation_id, after=made)
            return made

        body = {"new": new, "replaces_because": replaces_because}
        return await perform(self.toolbox, actor, "registerAccount", body, RegisteredAccount, work)

    async def set_state(self, actor: Actor, account_id: UUID, state: AccountState, reason: str) -> Done[StateSet]:
        """Freeze, open or close an account. Closing needs zero balances and is for ever.

        Errors: NOT_FOUND, FORBIDDEN, REASON_NEEDED, ACCOUNT_STATE_STANDS, ACCOUNT_HOLDS_UNITS.
        """

        async def work(change: Change) -> StateSet:
            account = await self._own(change, account_id, None)
            assert account.organisation_id is not None, "accounts of the outside are not read"
            await change.require(Permission.ASSET_MANAGE, account.organisation_id)
            why = tidy(reason)
            if not why:
                raise REASON_NEEDED(path=("reason",), what="setting an account's state", what_zh="设置账户状态",
                                    source="8.3.1.2")  # fmt: skip
            new = StateSet(account.id, account.organisation_id, state, why, 0)
            made = await repository.set_state(change.unit, new, account.named, actor.principal.member_id)
            await change.audit("AssetAccount", account.id, account.organisation_id, after=made)
            return made

        body = {"account_id": account_id, "state": state, "reason": reason}
        return await perform(self.toolbox, actor, "setAssetAccountState", body, StateSet, work)

    @staticmethod
    async def _own(change: Change, account_id: UUID, organisation_id: UUID | None) -> Account:
        found = (await holdings.accounts(change.unit, [account_id], change.actor.principal)).get(account_id)
        if found is None or organisation_id not in {None, found.organisation_id}:
            raise not_found("AssetAccount", account_id, "accountId")
        return found

    async def states(self, principal: Principal, account_ids: Sequence[UUID]) -> dict[UUID, StateSet]:
        """The last state of accounts the caller was shown; those that never had one are open."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.states(session, account_ids)

    async def registered(
        self, principal: Principal, request: PageRequest, organisation_id: UUID | None
    ) -> Page[RegisteredAccount]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_registered(session, principal, request, organisation_id)
