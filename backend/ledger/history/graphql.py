"""GraphQL of the past: balances as of a day and as known at a moment, the life of a unit."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Final

import strawberry

from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.ledger.domain.transfers import Transfer
from backend.ledger.graphql_enums import TransferKind
from backend.ledger.graphql_types import AssetLot, AssetParty, AssetTransfer, LotBalance
from backend.ledger.history.domain import Accounts, Certainty
from backend.ledger.history.service import ClosePeriod, HistoryService, UnitLife
from tenants.access import Permission
from tenants.context import Info, requires

enum_type(Certainty, name="UnitCertainty")
_READ: Final = requires(Permission.ASSET_READ)
_MANAGE: Final = requires(Permission.ASSET_MANAGE)


@object_type
class AssetUnitStep:
    """A transfer that moved a unit, or may have."""

    certainty: Certainty
    """Whether it certainly moved the unit, which it did when it moved the whole lot that the unit was in. Units that go
    without serial numbers are alike, so of a part the books cannot tell."""
    kind: TransferKind
    """Kind of the transfer."""
    effective_on: date
    """Day it took effect."""
    evidence: str
    """Reference of the document that proves it."""
    transfer: AssetTransfer
    """The transfer."""

    @classmethod
    def of(cls, step: Transfer, certainty: Certainty) -> AssetUnitStep:
        return build(cls, step, certainty=certainty, transfer=AssetTransfer.of(step))


@object_type
class AssetUnitHistory:
    """The life of the unit with a serial number: what certainly moved it, what may have, and where it is."""

    lot: AssetLot
    """The lot that holds the number."""
    steps: list[AssetUnitStep]
    """Every transfer of its lot, and of those it was cut from while it was in them, from the issue on."""
    certainty: Certainty
    """CERTAIN when it is in one account for sure; POSSIBLE when units of its lot rest in several."""
    places: list[AssetParty]
    """The accounts it is or may be in, as far as you may see them."""
    elsewhere: bool
    """Whether it is or may be in accounts that you may not see."""

    @classmethod
    def of(cls, found: UnitLife) -> AssetUnitHistory:
        return build(
            cls,
            found,
            lot=AssetLot.of(found.lot),
            steps=[AssetUnitStep.of(*step) for step in found.steps],
            places=[AssetParty.of(account) for account in found.places],
        )


@input_type
class CloseAssetPeriodInput(MutationInput):
    """Days to close."""

    through: date
    """The last of them, in the past; all before it are closed too."""
    reason: str
    """Why, for example the month's close."""


@object_type
class CloseAssetPeriodPayload(Payload):
    """What is closed now."""

    through: date | None = None
    """The last closed day."""


@object_type
class Queries:
    """Root queries about the past."""

    @query(_READ)
    async def asset_balances_as_of(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        effective_on: Annotated[
            date | None, strawberry.argument(description="At the end of this day; today when not given.")
        ] = None,
        known_at: Annotated[
            datetime | None, strawberry.argument(description="From what had been recorded by then; now when not given.")
        ] = None,
        below: Annotated[bool, strawberry.argument(description="With all organisations below it today.")] = False,
        account_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only in this one of the accounts.")
        ] = None,
        zero: Annotated[
            bool, strawberry.argument(description="Also lots that were ever there and of which nothing was left.")
        ] = False,
    ) -> list[LotBalance]:
        """What rested in the accounts of an organisation, by account and lot."""
        key = key_of(organisation_id, "Organisation", "organisationId")
        account = key_of(account_id, "AssetAccount", "accountId") if account_id else None
        wanted = Accounts(key, below=below, account_id=account)
        service = info.context.use(HistoryService)
        found = await service.balances(info.context.principal, wanted, effective_on, known_at, zero=zero)
        return [LotBalance.of(balance, past=True) for balance in found]

    @query(_READ)
    async def asset_closed_through(self, info: Info) -> date | None:
        """The last closed day: nothing takes effect on it or before it any more. Null when no period is closed."""
        return await info.context.use(HistoryService).closed_through(info.context.principal)

    @query(_READ)
    async def asset_unit_history(
        self,
        info: Info,
        scheme: Annotated[str, strawberry.argument(description="Scheme of the serial number, for example CEA.")],
        number: Annotated[Tonnes, strawberry.argument(description="The serial number.")],
        prefix: Annotated[str, strawberry.argument(description="What stands before the number.")] = "",
    ) -> AssetUnitHistory | None:
        """The life of one unit from its issue to its last use; null when no lot known to the caller holds it."""
        found = await info.context.use(HistoryService).unit_life(info.context.principal, scheme, prefix, number)
        return None if found is None else AssetUnitHistory.of(found)


@object_type
class Mutations:
    """Root mutations about periods."""

    @mutation(_MANAGE)
    async def close_asset_period(self, info: Info, input: CloseAssetPeriodInput) -> CloseAssetPeriodPayload:
        """Close the ledger's days up to one: back-dated transfers stay out of them (关账)."""
        given = ClosePeriod(input.through, input.reason)
        done = await info.context.use(HistoryService).close(info.context.actor(input), given)
        return CloseAssetPeriodPayload(errors=[], through=done.value.through, replayed=done.replayed)
