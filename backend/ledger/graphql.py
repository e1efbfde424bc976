"""GraphQL roots of the ledger: accounts, lots, transfers, obligations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

import strawberry

from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import Payload
from backend.kit.graphql.types import object_type
from backend.kit.pages import PageRequest
from backend.ledger.domain.transfers import TransferFilter
from backend.ledger.graphql_enums import AssetClass, TransferKind
from backend.ledger.graphql_inputs import (
    CancelAssetsInput,
    CreateAssetAccountInput,
    IssueLotsInput,
    PostTransfersInput,
    RetireAssetsInput,
    ReverseTransferInput,
    SetObligationInput,
    SetObligationsInput,
    SurrenderAssetsInput,
    TransferAssetsInput,
)
from backend.ledger.graphql_position import AssetPosition
from backend.ledger.graphql_types import (
    AssetAccount,
    AssetLot,
    AssetTransfer,
    IssueLotsResult,
    LotBalance,
    Obligation,
    PostedPayload,
    PostTransfersResult,
    SetObligationsResult,
    row_error,
)
from backend.ledger.outcomes import Posting
from backend.ledger.posting import PostingService
from backend.ledger.rulebook.graphql import TransferRemark
from backend.ledger.service import LedgerService
from tenants.access import Permission
from tenants.commands import Done
from tenants.context import Info, requires

_READ: Final = requires(Permission.ASSET_READ)
_MANAGE: Final = requires(Permission.ASSET_MANAGE)
_MOVE: Final = requires(Permission.ASSET_MANAGE, Permission.ASSET_SYNC)

OfOrganisation = Annotated[
    strawberry.ID | None,
    strawberry.argument(name="organisationId", description="Only what concerns this organisation."),
]
OfYear = Annotated[int | None, strawberry.argument(description="Only what was used for this year.")]


@object_type
class CreateAssetAccountPayload(Payload):
    """The account as it was opened."""

    account: AssetAccount | None = None
    """The new account."""


@object_type
class IssueLotsPayload(Payload):
    """What became of each lot."""

    results: list[IssueLotsResult]
    """One per row, in the order asked for."""


@object_type
class TransferAssetsPayload(PostedPayload):
    """The transfer as it was posted."""


@object_type
class SurrenderAssetsPayload(PostedPayload):
    """The surrender as it was posted."""


@object_type
class RetireAssetsPayload(PostedPayload):
    """The retirement as it was posted."""


@object_type
class CancelAssetsPayload(PostedPayload):
    """The cancellation as it was posted."""


@object_type
class ReverseTransferPayload(PostedPayload):
    """The reversal as it was posted."""


@object_type
class PostTransfersPayload(Payload):
    """What became of each transfer."""

    results: list[PostTransfersResult]
    """One per row, in the order asked for."""
    balances: list[LotBalance]
    """The balances the request touched, as it left them; accounts of the outside, and those whose assets you may not
    read, are left out."""


@object_type
class SetObligationPayload(Payload):
    """The obligation in force."""

    obligation: Obligation | None = None
    """The obligation."""


@object_type
class SetObligationsPayload(Payload):
    """What became of each obligation."""

    results: list[SetObligationsResult]
    """One per row, in the order asked for."""


@object_type
class Queries:
    """Root queries of the ledger."""

    @query(_READ)
    async def asset_accounts(
        self, info: Info, organisation_id: OfOrganisation = None, first: int | None = None, after: str | None = None
    ) -> Connection[AssetAccount]:
        """Carbon-asset accounts of organisations, by code."""
        page = await info.context.use(LedgerService).accounts(
            info.context.principal, PageRequest.read(first, after), _organisation(organisation_id)
        )
        return Connection.of(page.map(AssetAccount.of))

    @query(_READ)
    async def asset_lots(
        self,
        info: Info,
        organisation_id: OfOrganisation = None,
        asset_class: Annotated[AssetClass | None, strawberry.argument(description="Only lots of this class.")] = None,
        scheme: Annotated[str | None, strawberry.argument(description="Only lots of this scheme.")] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[AssetLot]:
        """Lots, by scheme and issue reference; of an organisation: issued to it or once in its accounts."""
        page = await info.context.use(LedgerService).lots(
            info.context.principal,
            PageRequest.read(first, after),
            _organisation(organisation_id),
            asset_class,
            scheme,
        )
        return Connection.of(page.map(AssetLot.of))

    @query(_READ)
    async def asset_transfers(
        self,
        info: Info,
        organisation_id: OfOrganisation = None,
        below: Annotated[
            bool, strawberry.argument(description="With what concerns all organisations below it today.")
        ] = False,
        account_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only what touches this account.")
        ] = None,
        lot_id: Annotated[strawberry.ID | None, strawberry.argument(description="Only what moved this lot.")] = None,
        kind: Annotated[TransferKind | None, strawberry.argument(description="Only transfers of this kind.")] = None,
        for_year: OfYear = None,
        effective_from: Annotated[
            date | None, strawberry.argument(description="Only what takes effect on this day or later.")
        ] = None,
        effective_through: Annotated[
            date | None, strawberry.argument(description="Only what takes effect on this day or earlier.")
        ] = None,
        known_at: Annotated[
            datetime | None,
            strawberry.argument(
                description="Only what had been recorded by then, and reversed by then; all if not given."
            ),
        ] = None,
        first: int | None = None,
        after: str | None = None,
    ) -> Connection[AssetTransfer]:
        """Transfers, the last recorded first; of an organisation: those that touch its accounts or serve it."""
        wanted = TransferFilter(
            organisation_id=_organisation(organisation_id),
            below=below,
            account_id=key_of(account_id, "AssetAccount", "accountId") if account_id else None,
            lot_id=key_of(lot_id, "AssetLot", "lotId") if lot_id else None,
            kind=kind,
            for_year=for_year,
            effective_from=effective_from,
            effective_through=effective_through,
            known_at=known_at,
        )
        page = await info.context.use(LedgerService).transfers(
            info.context.principal, PageRequest.read(first, after), wanted
        )
        return Connection.of(page.map(AssetTransfer.of))

    @query(_READ)
    async def obligations(
        self, info: Info, organisation_id: OfOrganisation = None, first: int | None = None, after: str | None = None
    ) -> Connection[Obligation]:
        """Obligations with their history, by last year of the period."""
        page = await info.context.use(LedgerService).obligations(
            info.context.principal, PageRequest.read(first, after), _organisation(organisation_id)
        )
        return Connection.of(page.map(Obligation.of))

    @query(_READ)
    async def asset_position(
        self,
        info: Info,
        organisation_id: strawberry.ID,
        year: Annotated[int, strawberry.argument(description="Year of use and obligation.")],
    ) -> AssetPosition:
        """What an organisation holds, what was used for it and a year, and what it still owes."""
        key = key_of(organisation_id, "Organisation", "organisationId")
        position = await info.context.use(LedgerService).position(info.context.principal, key, year)
        return AssetPosition.of(position)


async def _post(info: Info, operation: str, input: _OneOrder) -> Done[Posting]:
    return await info.context.use(PostingService).post(info.context.actor(input), operation, input.command())


_OneOrder = TransferAssetsInput | SurrenderAssetsInput | RetireAssetsInput | CancelAssetsInput | ReverseTransferInput


@object_type
class Mutations:
    """Root mutations of the ledger."""

    @mutation(_MANAGE)
    async def create_asset_account(self, info: Info, input: CreateAssetAccountInput) -> CreateAssetAccountPayload:
        """Open a carbon-asset account of an organisation (8.3.1.2)."""
        done = await info.context.use(LedgerService).open_account(info.context.actor(input), input.command())
        return CreateAssetAccountPayload(errors=[], account=AssetAccount.of(done.value), replayed=done.replayed)

    @mutation(_MOVE)
    async def issue_lots(self, info: Info, input: IssueLotsInput) -> IssueLotsPayload:
        """Bring lots into the ledger: allocated, bought or registered (签发)."""
        done = await info.context.use(LedgerService).issue(info.context.actor(input), input.command())
        results = [
            IssueLotsResult(
                lot=None if row.lot is None else AssetLot.of(row.lot),
                error=row_error(row.refusal, info.context.locale, "lots", str(i)),
                remarks=[TransferRemark.of(r, info.context.locale) for r in row.remarks],
            )
            for i, row in enumerate(done.value.rows)
        ]
        return IssueLotsPayload(errors=[], results=results, replayed=done.replayed)

    @mutation(_MOVE)
    async def transfer_assets(self, info: Info, input: TransferAssetsInput) -> TransferAssetsPayload:
        """Move units between accounts of the tenant, sell to the market or buy back (划转)."""
        return TransferAssetsPayload.of(await _post(info, "transferAssets", input))

    @mutation(_MOVE)
    async def surrender_assets(self, info: Info, input: SurrenderAssetsInput) -> SurrenderAssetsPayload:
        """Use units for compliance with an obligation (清缴)."""
        return SurrenderAssetsPayload.of(await _post(info, "surrenderAssets", input))

    @mutation(_MOVE)
    async def retire_assets(self, info: Info, input: RetireAssetsInput) -> RetireAssetsPayload:
        """Use units for the carbon neutrality of an organisation and a year (8.4.1)."""
        return RetireAssetsPayload.of(await _post(info, "retireAssets", input))

    @mutation(_MOVE)
    async def cancel_assets(self, info: Info, input: CancelAssetsInput) -> CancelAssetsPayload:
        """Give units up for good (自愿注销)."""
        return CancelAssetsPayload.of(await _post(info, "cancelAssets", input))

    @mutation(_MOVE)
    async def reverse_transfer(self, info: Info, input: ReverseTransferInput) -> ReverseTransferPayload:
        """Take one transfer back by its contra entries (冲正); the reversed issue of a lot withdraws the lot."""
        return ReverseTransferPayload.of(await _post(info, "reverseTransfer", input))

    @mutation(_MOVE)
    async def post_transfers(self, info: Info, input: PostTransfersInput) -> PostTransfersPayload:
        """Post many transfers of mixed kinds, in order, each judged on its own."""
        done = await info.context.use(PostingService).post_all(info.context.actor(input), input.command())
        results = [
            PostTransfersResult(
                transfer=None if row.transfer is None else AssetTransfer.of(row.transfer, done.value.rehearsed),
                error=row_error(row.refusal, info.context.locale, "transfers", str(i)),
            )
            for i, row in enumerate(done.value.rows)
        ]
        balances = [LotBalance.of(b, done.value) for b in done.value.balances]
        return PostTransfersPayload(errors=[], results=results, balances=balances, replayed=done.replayed)

    @mutation(_MANAGE)
    async def set_obligation(self, info: Info, input: SetObligationInput) -> SetObligationPayload:
        """Record what an organisation must surrender for a period (履约义务)."""
        done = await info.context.use(LedgerService).set_obligation(info.context.actor(input), input.command())
        return SetObligationPayload(errors=[], obligation=Obligation.of(done.value), replayed=done.replayed)

    @mutation(_MANAGE)
    async def set_obligations(self, info: Info, input: SetObligationsInput) -> SetObligationsPayload:
        """Record many obligations, each judged on its own."""
        done = await info.context.use(LedgerService).set_obligations(info.context.actor(input), input.command())
        results = [
            SetObligationsResult(
                obligation=None if row.obligation is None else Obligation.of(row.obligation),
                error=row_error(row.refusal, info.context.locale, "obligations", str(i)),
            )
            for i, row in enumerate(done.value.rows)
        ]
        return SetObligationsPayload(errors=[], results=results, replayed=done.replayed)


def _organisation(value: strawberry.ID | None) -> UUID | None:
    return key_of(value, "Organisation", "organisationId") if value else None


async def _accounts(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(LedgerService).accounts_by_ids(info.context.principal, keys)
    return {key: AssetAccount.of(record) for key, record in found.items()}


async def _lots(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(LedgerService).lots_by_ids(info.context.principal, keys)
    return {key: AssetLot.of(record) for key, record in found.items()}


async def _transfers(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(LedgerService).transfers_by_ids(info.context.principal, keys)
    return {key: AssetTransfer.of(record) for key, record in found.items()}


async def _obligations(keys: Sequence[UUID], info: Info) -> dict[UUID, Any]:
    found = await info.context.use(LedgerService).obligations_by_ids(info.context.principal, keys)
    return {key: Obligation.of(record) for key, record in found.items()}


NODES = {
    "AssetAccount": (AssetAccount, _accounts),
    "AssetLot": (AssetLot, _lots),
    "AssetTransfer": (AssetTransfer, _transfers),
    "Obligation": (Obligation, _obligations),
}
