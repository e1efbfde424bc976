"""GraphQL object types of the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Self
from uuid import UUID

import strawberry

from backend.kit.errors import Locale
from backend.kit.graphql.fields import batched
from backend.kit.graphql.nodes import Node, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import Payload, UserError, user_error
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, object_type
from backend.kit.pages import PageRequest
from backend.ledger.accounts.service import AccountService
from backend.ledger.domain import lots, obligations
from backend.ledger.domain.accounts import Account
from backend.ledger.domain.balances import Balance
from backend.ledger.domain.refusals import Refusal
from backend.ledger.domain.transfers import Leg, Transfer
from backend.ledger.graphql_enums import AccountKind, AccountState, AssetClass, Origin, TransferKind
from backend.ledger.outcomes import Posting
from backend.ledger.rulebook.graphql import TransferRemark
from backend.ledger.rulebook.service import RuleService
from backend.ledger.service import LedgerService
from tenants.commands import Done
from tenants.context import Info


@object_type
class SerialBlock:
    """Consecutive serial numbers of a registry, both ends included."""

    prefix: str
    """What stands before the number."""
    first: Tonnes
    """First number."""
    last: Tonnes
    """Last number: first + quantity - 1."""

    @classmethod
    def of(cls, block: lots.SerialBlock) -> SerialBlock:
        return cls(prefix=block.prefix, first=Tonnes(block.first), last=Tonnes(block.last))


@object_type
class AssetLot(Node):
    """Units issued together: one class, scheme, vintage and project (资产批次, 8.3)."""

    key: strawberry.Private[UUID]
    asset_class: AssetClass
    """Allowance, CCER, verified saving or own sink."""
    scheme: str
    """The scheme or registry, for example CEA, CCER or CARB-ALLOWANCE."""
    issue_reference: str
    """The scheme's own reference of the issue, unique in the scheme."""
    vintage: int | None
    """Year the units are for or arose in."""
    project: str
    """Project that gave rise to them; empty for allowances."""
    quantity: Tonnes
    """Units issued, one tonne of CO2e each."""
    origin: Origin
    """How the lot came to its first holder."""
    issued_to_id: strawberry.ID
    """Organisation it was issued to."""
    issued_on: date
    """Day of issue."""
    serial: SerialBlock | None
    """Serial numbers, where the registry gives them."""
    withdrawn: bool
    """Whether its issue was reversed, which frees its reference, or it was split or merged: then it holds nothing."""

    @classmethod
    def of(cls, lot: lots.Lot) -> AssetLot:
        return build(
            cls,
            lot,
            id=to_id("AssetLot", lot.id),
            key=lot.id,
            quantity=Tonnes(lot.quantity_t),
            issued_to_id=to_id("Organisation", lot.issued_to),
            serial=lot.serial and SerialBlock.of(lot.serial),
            withdrawn=lot.withdrawn_by is not None,
        )


async def _lots(parents: Sequence[LotBalance | AssetLeg], info: Info) -> list[AssetLot]:
    service, principal = info.context.use(LedgerService), info.context.principal
    found = await service.lots_by_ids(principal, list({p.lot_key for p in parents}), shown=True)
    return [AssetLot.of(p.rehearsed.get(p.lot_key) or found[p.lot_key]) for p in parents]


@object_type
class AssetParty:
    """An account, as far as those get to see it who are shown a balance of it or the other side of a leg."""

    account_id: strawberry.ID
    """The account."""
    organisation_id: strawberry.ID | None
    """Organisation it belongs to; null for the outside."""
    code: str
    """Code of the account."""
    kind: AccountKind
    """What the account is for."""

    @classmethod
    def of(cls, account: Account) -> AssetParty:
        owner = account.organisation_id
        return build(
            cls,
            account,
            account_id=to_id("AssetAccount", account.id),
            organisation_id=owner and to_id("Organisation", owner),
        )


@object_type
class LotBalance:
    """Units of one lot in one account."""

    account_id: strawberry.ID
    """The account."""
    lot_id: strawberry.ID
    """The lot."""
    account_key: strawberry.Private[UUID]
    lot_key: strawberry.Private[UUID]
    past: strawberry.Private[bool]
    answer: strawberry.Private[Posting | None]
    quantity: Tonnes
    """Units that rest there."""
    version: str | None
    """Changes with every movement and whenever units are set aside or given back: a leg decided on this balance may
    name it. Null for balances of the past, and of what a list touched nothing of."""

    @classmethod
    def of(cls, balance: Balance, answer: Posting | None = None, *, past: bool = False) -> LotBalance:
        """`answer`: the posting that tells it; a rehearsed one knows lots and accounts that are nowhere afterwards."""
        return cls(
            account_id=to_id("AssetAccount", balance.account_id),
            lot_id=to_id("AssetLot", balance.lot_id),
            account_key=balance.account_id,
            lot_key=balance.lot_id,
            past=past,
            answer=answer,
            quantity=Tonnes(balance.quantity_t),
            version=None if balance.version is None else str(balance.version),
        )

    @batched
    async def lot(parents: list[Any], info: Info) -> list[AssetLot]:
        """The lot."""
        return await _lots(parents, info)

    @batched
    async def account(parents: list[Any], info: Info) -> list[AssetParty]:
        """The account, as far as whoever was shown the balance gets to see it."""
        answers = {id(p.answer): p.answer for p in parents if p.answer is not None}
        found = {key: account for answer in answers.values() for key, account in answer.accounts().items()}
        left = {p.account_key for p in parents} - found.keys()
        if left:
            found |= await info.context.use(LedgerService).parties(info.context.principal, left)
        return [AssetParty.of(found[p.account_key]) for p in parents]

    @property
    def rehearsed(self) -> Mapping[UUID, lots.Lot]:
        return {} if self.answer is None else {lot.id: lot for lot in self.answer.rehearsed}

    @batched
    async def reserved(parents: list[Any], info: Info) -> list[Tonnes | None]:
        """Units of these that are set aside at this moment (frozen, pledged, pending or offered as offsets) and so
        cannot be moved; the others are free. Null for balances of the past.
        """
        now = {(p.account_key, p.lot_key) for p in parents if not p.past}
        found = await info.context.use(LedgerService).reserved(info.context.principal, now) if now else {}
        return [None if p.past else Tonnes(found.get((p.account_key, p.lot_key), 0)) for p in parents]


@object_type
class AssetAccount(Node):
    """Where units of an organisation rest (碳资产账户, 8.3.1.2)."""

    key: strawberry.Private[UUID]
    organisation_id: strawberry.ID | None
    """Organisation it belongs to; null for the accounts of the outside."""
    code: str
    """The organisation's own code of the account."""
    name: str
    """Name."""
    kind: AccountKind
    """What it is for."""

    @classmethod
    def of(cls, account: Account) -> AssetAccount:
        owner = account.organisation_id
        return build(
            cls,
            account,
            id=to_id("AssetAccount", account.id),
            key=account.id,
            organisation_id=owner and to_id("Organisation", owner),
        )

    @batched
    async def state(parents: list[Any], info: Info) -> list[AccountState]:
        """Whether units may move in and out."""
        found = await info.context.use(AccountService).states(info.context.principal, [p.key for p in parents])
        return [found[p.key].state if p.key in found else AccountState.OPEN for p in parents]

    @batched
    async def balances(
        parents: list[Any],
        info: Info,
        first: Annotated[int | None, strawberry.argument(description="How many lots, 1 to 1000; 50 if none.")] = None,
        after: Annotated[str | None, strawberry.argument(description="Cursor of the last lot seen.")] = None,
    ) -> list[Connection[LotBalance]]:
        """What rests here, by lot; lots of which nothing is left are not listed."""
        request = PageRequest.read(first, after)
        keys = [p.key for p in parents]
        pages = await info.context.use(LedgerService).balances(info.context.principal, keys, request)
        return [Connection.of(pages[key].map(LotBalance.of)) for key in keys]


@object_type
class AssetLeg:
    """Units of one lot from one account to another."""

    lot_id: strawberry.ID
    """The lot."""
    lot_key: strawberry.Private[UUID]
    rehearsed: strawberry.Private[Mapping[UUID, lots.Lot]]
    quantity: Tonnes
    """Units moved."""
    source: AssetParty
    """Account debited."""
    destination: AssetParty
    """Account credited."""

    @classmethod
    def of(cls, leg: Leg, rehearsed: Sequence[lots.Lot] = ()) -> AssetLeg:
        return cls(
            lot_id=to_id("AssetLot", leg.lot_id),
            lot_key=leg.lot_id,
            rehearsed={lot.id: lot for lot in rehearsed},
            quantity=Tonnes(leg.quantity_t),
            source=AssetParty.of(leg.source),
            destination=AssetParty.of(leg.destination),
        )

    @batched
    async def lot(parents: list[Any], info: Info) -> list[AssetLot]:
        """The lot."""
        return await _lots(parents, info)


@object_type
class AssetTransfer(Node):
    """Units that moved, all legs together; never changed, only reversed (资产划转)."""

    kind: TransferKind
    """What it did."""
    legs: list[AssetLeg]
    """Its legs, in order."""
    effective_on: date
    """Day it takes effect."""
    beneficiary_id: strawberry.ID | None
    """Organisation the units served, when they were used up."""
    for_year: int | None
    """Year they served; a compliance period of several years is named by its last."""
    purpose: str
    """Purpose, in words."""
    evidence: str
    """Reference of the document that proves it."""
    reverses_id: strawberry.ID | None
    """The transfer this one takes back."""
    reversed_by_id: strawberry.ID | None
    """The transfer that took this one back."""
    recorded_at: datetime | None
    """When the ledger recorded it; null in a rehearsal."""
    key: strawberry.Private[UUID]
    told: strawberry.Private[tuple[Refusal, ...]]

    @batched
    async def remarks(parents: list[Any], info: Info) -> list[list[TransferRemark]]:
        """What rules recommend otherwise (8.4.2, say); recorded with the transfer, known in a rehearsal too."""
        kept = await info.context.use(RuleService).remarks(info.context.principal, [p.key for p in parents])
        return [[TransferRemark.of(r, info.context.locale) for r in p.told or kept.get(p.key, ())] for p in parents]

    @classmethod
    def of(cls, transfer: Transfer, rehearsed: Sequence[lots.Lot] = ()) -> AssetTransfer:
        served, takes_back, taken_back = transfer.beneficiary_id, transfer.reverses_id, transfer.reversed_by_id
        return build(
            cls,
            transfer,
            id=to_id("AssetTransfer", transfer.id),
            key=transfer.id,
            told=transfer.remarks,
            legs=[AssetLeg.of(leg, rehearsed) for leg in transfer.legs],
            beneficiary_id=served and to_id("Organisation", served),
            reverses_id=takes_back and to_id("AssetTransfer", takes_back),
            reversed_by_id=taken_back and to_id("AssetTransfer", taken_back),
        )


@object_type
class Obligation(Node):
    """What an organisation must surrender for a period (履约义务)."""

    organisation_id: strawberry.ID
    """The organisation that owes."""
    from_year: int
    """First year of the period."""
    to_year: int
    """Last year of the period; it names the period."""
    tonnes: Decimal
    """Tonnes of CO2e to surrender."""
    source: str
    """Where the figure comes from."""
    market: str
    """Market whose rules hold for it; empty: that of the units surrendered."""
    recorded_at: datetime
    """When it was recorded."""
    superseded_at: datetime | None
    """When a later one took its place; null while it is in force."""
    superseded_by_id: strawberry.ID | None
    """The one that took its place."""

    @classmethod
    def of(cls, obligation: obligations.Obligation) -> Obligation:
        successor = obligation.superseded_by_id
        return build(
            cls,
            obligation,
            id=to_id("Obligation", obligation.id),
            organisation_id=to_id("Organisation", obligation.organisation_id),
            superseded_by_id=successor and to_id("Obligation", successor),
        )


@object_type
class IssueLotsResult:
    """What became of one row of `issueLots`."""

    lot: AssetLot | None = None
    """The lot, when it was issued."""
    error: UserError | None = None
    """Why it was not; its path begins with the row."""
    remarks: list[TransferRemark]
    """What is to be said of the issue; recorded with its transfer."""


@object_type
class PostTransfersResult:
    """What became of one row of `postTransfers`."""

    transfer: AssetTransfer | None = None
    """The transfer, when it was posted."""
    error: UserError | None = None
    """Why it was not; its path begins with the row."""


@object_type
class SetObligationsResult:
    """What became of one row of `setObligations`."""

    obligation: Obligation | None = None
    """The obligation in force, when it was recorded."""
    error: UserError | None = None
    """Why it was not; its path begins with the row."""


@object_type
class PostedPayload(Payload):
    """What posting one transfer answers; each mutation has its own type of it."""

    transfer: AssetTransfer | None = None
    """The transfer."""
    balances: list[LotBalance]
    """The balances it touched, as it left them; accounts of the outside, and those whose assets you may not read, are
    left out."""

    @classmethod
    def of(cls, done: Done[Posting]) -> Self:
        (row,) = done.value.rows
        assert row.transfer is not None, "a refused order raises"
        lots = done.value.rehearsed
        balances = [LotBalance.of(b, done.value) for b in done.value.balances]
        return cls(errors=[], transfer=AssetTransfer.of(row.transfer, lots), balances=balances, replayed=done.replayed)


def row_error(refusal: Refusal | None, locale: Locale, *row: str) -> UserError | None:
    """The error of one row, its path counted from the input."""
    return None if refusal is None else user_error(refusal.error().at(*row), locale)
