"""GraphQL of registered accounts and of the states of accounts."""

from __future__ import annotations

from datetime import date, datetime

import strawberry

from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from backend.ledger.accounts import domain
from backend.ledger.accounts.domain import NewRegisteredAccount, RegisteredKind
from backend.ledger.accounts.service import AccountService
from backend.ledger.graphql import OfOrganisation
from backend.ledger.graphql_enums import AccountState
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(RegisteredKind, name="RegisteredAccountKind")


@object_type
class RegisteredAccount:
    """An account at a registry, an exchange or a settlement bank, opened by real name (8.3.1.2, 8.3.2.3)."""

    organisation_id: strawberry.ID
    """Organisation it belongs to."""
    kind: RegisteredKind
    """What is kept in it."""
    market: str
    """Market it serves."""
    institution: str
    """Registry, exchange or bank."""
    code: str
    """Account or trading code there."""
    owner_name: str
    """Owner, as registered."""
    credit_code: str
    """Unified social credit code of the owner (GB 32100)."""
    account_id: strawberry.ID | None
    """The ledger's account that mirrors it; null for a fund account."""
    opened_on: date
    """Day it was opened."""
    superseded_at: datetime | None
    """When another took its place."""
    superseded_because: str | None
    """Why."""

    @classmethod
    def of(cls, record: domain.RegisteredAccount) -> RegisteredAccount:
        mirror = record.account_id
        owner = to_id("Organisation", record.organisation_id)
        return build(cls, record, organisation_id=owner, account_id=mirror and to_id("AssetAccount", mirror))


@object_type
class AccountStateRecord:
    """The state an account came into."""

    account_id: strawberry.ID
    """The account."""
    state: AccountState
    """The state."""
    reason: str
    """Why."""
    version: int
    """How often a state was set, this time included."""
    set_at: datetime | None
    """When; null for an account whose state was never set."""

    @classmethod
    def of(cls, record: domain.StateSet) -> AccountStateRecord:
        return build(cls, record, account_id=to_id("AssetAccount", record.account_id), version=record.number)


@input_type
class RegisterAccountInput(MutationInput):
    """An account at a registry, an exchange or a settlement bank."""

    organisation_id: strawberry.ID
    """Organisation it belongs to."""
    kind: RegisteredKind
    """What is kept in it."""
    market: str
    """Market it serves, as `markets` lists them."""
    institution: str
    """Registry, exchange or bank."""
    code: str
    """Account or trading code there."""
    owner_name: str
    """Owner, as registered."""
    credit_code: str
    """Unified social credit code of the owner, 18 characters; the organisation's own where that is recorded."""
    opened_on: date
    """Day it was opened."""
    account_id: strawberry.ID | None = None
    """The ledger's account that mirrors it; none for a fund account."""
    replaces_because: str = ""
    """Why it takes the place of the one before, when it does."""

    def command(self) -> NewRegisteredAccount:
        owner = key_of(self.organisation_id, "Organisation", "organisationId")
        mirror = key_of(self.account_id, "AssetAccount", "accountId") if self.account_id else None
        return build(NewRegisteredAccount, self, organisation_id=owner, account_id=mirror)


@object_type
class RegisterAccountPayload(Payload):
    """The account as it was recorded."""

    account: RegisteredAccount | None = None
    """The account."""


@input_type
class SetAssetAccountStateInput(MutationInput):
    """Freeze, open or close an account."""

    account_id: strawberry.ID
    """The account."""
    state: AccountState
    """What it becomes. CLOSED is for ever and needs an empty account."""
    reason: str
    """Why."""


@object_type
class SetAssetAccountStatePayload(Payload):
    """The state as it was set."""

    state: AccountStateRecord | None = None
    """The state."""


@object_type
class Queries:
    """Root queries of registered accounts."""

    @query(requires(Permission.ASSET_READ))
    async def registered_accounts(
        self, info: Info, organisation_id: OfOrganisation = None, first: int | None = None, after: str | None = None
    ) -> Connection[RegisteredAccount]:
        """Accounts at registries, exchanges and banks, by code; those superseded too."""
        owner = key_of(organisation_id, "Organisation", "organisationId") if organisation_id else None
        request = PageRequest.read(first, after)
        page = await info.context.use(AccountService).registered(info.context.principal, request, owner)
        return Connection.of(page.map(RegisteredAccount.of))


@object_type
class Mutations:
    """Root mutations of registered accounts."""

    @mutation(requires(Permission.ASSET_MANAGE))
    async def register_account(self, info: Info, input: RegisterAccountInput) -> RegisterAccountPayload:
        """Record an account at a registry, an exchange or a bank, by real name (8.3.1.2)."""
        service, actor = info.context.use(AccountService), info.context.actor(input)
        done = await service.register(actor, input.command(), input.replaces_because)
        return RegisterAccountPayload(errors=[], account=RegisteredAccount.of(done.value), replayed=done.replayed)

    @mutation(requires(Permission.ASSET_MANAGE))
    async def set_asset_account_state(
        self, info: Info, input: SetAssetAccountStateInput
    ) -> SetAssetAccountStatePayload:
        """Freeze, open or close an account of the ledger."""
        key = key_of(input.account_id, "AssetAccount", "accountId")
        service, actor = info.context.use(AccountService), info.context.actor(input)
        done = await service.set_state(actor, key, input.state, input.reason)
        return SetAssetAccountStatePayload(errors=[], state=AccountStateRecord.of(done.value), replayed=done.replayed)
