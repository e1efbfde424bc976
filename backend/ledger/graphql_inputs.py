"""GraphQL input types of the ledger, each with the command it stands for."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

import strawberry

from backend.kit.graphql.nodes import key_of
from backend.kit.graphql.payloads import MutationInput
from backend.kit.graphql.scalars import Tonnes
from backend.kit.graphql.types import build, input_type
from backend.ledger.domain.accounts import HOLDING, NewAccount
from backend.ledger.domain.lots import NewLot, SerialBlock
from backend.ledger.domain.obligations import NewObligation
from backend.ledger.domain.transfers import LegOrder, Order
from backend.ledger.graphql_enums import AccountKind, AssetClass, Origin, TransferKind
from backend.ledger.graphql_legs import MovedLegInput, PostedLegInput, UsedLegInput, organisation
from backend.ledger.posting import Batch
from backend.ledger.service import LotBatch, ObligationBatch


@input_type
class CreateAssetAccountInput(MutationInput):
    """An account to open."""

    organisation_id: strawberry.ID
    """Organisation it belongs to."""
    code: str
    """Its code, unique in the organisation."""
    name: str = ""
    """Name."""
    kind: AccountKind = AccountKind.HOLDING
    """HOLDING, REGISTRY or TRADING."""

    def command(self) -> NewAccount:
        return NewAccount(organisation(self.organisation_id, "organisationId"), self.code, self.name, self.kind)


@input_type
class SerialBlockInput:
    """Consecutive serial numbers, both ends included."""

    prefix: str = ""
    """What stands before the number."""
    first: Tonnes
    """First number."""
    last: Tonnes
    """Last number."""

    def block(self) -> SerialBlock:
        return build(SerialBlock, self)


@input_type
class LotInput:
    """A lot to issue."""

    asset_class: AssetClass
    """Allowance, CCER, verified saving or own sink."""
    scheme: str
    """The scheme or registry, for example CEA, CCER or CARB-ALLOWANCE; in capitals, however it is written."""
    issue_reference: str
    """The scheme's own reference of the issue, unique in the scheme."""
    quantity: Tonnes
    """Units, whole tonnes."""
    origin: Origin
    """How it came to its first holder."""
    issued_to_id: strawberry.ID
    """Organisation it is issued to."""
    issued_on: date
    """Day of issue."""
    vintage: int | None = None
    """Year the units are for or arose in."""
    project: str = ""
    """Project that gave rise to them."""
    serial: SerialBlockInput | None = None
    """Serial numbers; as many as units, overlapping no other lot of the scheme."""
    account_code: str = HOLDING
    """Account of that organisation they go to; HOLDING is opened on first use."""
    evidence: str = ""
    """Reference of the document that proves the issue; at most 2000 characters. An issue without one is remarked."""
    effective_on: date | None = None
    """Day from which the units are in the account; the day of issue when not given. A later one is named when the
    period of the issue is closed."""

    def command(self, *path: str) -> NewLot:
        return build(
            NewLot,
            self,
            issued_to=organisation(self.issued_to_id, *path, "issuedToId"),
            quantity_t=self.quantity,
            serial=self.serial and self.serial.block(),
        )


@input_type
class IssueLotsInput(MutationInput):
    """Lots to issue."""

    lots: list[LotInput]
    """1 to 500 lots, each judged on its own."""
    all_or_nothing: bool = False
    """Issue none unless all can be issued."""

    def command(self) -> LotBatch:
        rows = tuple(row.command("lots", str(i)) for i, row in enumerate(self.lots))
        return LotBatch(rows, self.all_or_nothing)


@input_type
class TransferAssetsInput(MutationInput):
    """Units to move between accounts, or to and from the market."""

    legs: list[MovedLegInput]
    """1 to 100 legs: all of them or none."""
    purpose: str = ""
    """Purpose, in words."""
    evidence: str = ""
    """Reference of the document that proves it."""
    effective_on: date | None = None
    """Day it takes effect; today when not given, never later."""

    def command(self) -> Order:
        return _order(TransferKind.TRANSFER, self, tuple(x.order("legs", str(i)) for i, x in enumerate(self.legs)))


@input_type
class _UseInput(MutationInput):
    legs: list[UsedLegInput]
    """1 to 100 legs: all of them or none."""
    beneficiary_id: strawberry.ID
    """Organisation they serve."""
    for_year: int
    """Year they serve; a compliance period of several years is named by its last."""
    purpose: str = ""
    """Purpose, in words; at most 2000 characters."""
    evidence: str = ""
    """Reference of the document that proves it; at most 2000 characters. A use without one is remarked."""
    effective_on: date | None = None
    """Day it takes effect; today when not given, never later."""

    def order(self, kind: TransferKind) -> Order:
        legs = tuple(x.order("legs", str(i)) for i, x in enumerate(self.legs))
        return _order(kind, self, legs, organisation(self.beneficiary_id, "beneficiaryId"), self.for_year)


@input_type
class SurrenderAssetsInput(_UseInput):
    """Units to surrender for compliance (清缴)."""

    def command(self) -> Order:
        return self.order(TransferKind.SURRENDER)


@input_type
class RetireAssetsInput(_UseInput):
    """Units to retire for carbon neutrality (8.4): for whom, which year and what for; the purpose must be given."""

    def command(self) -> Order:
        return self.order(TransferKind.RETIRE)


@input_type
class CancelAssetsInput(MutationInput):
    """Units to give up for good (自愿注销)."""

    legs: list[UsedLegInput]
    """1 to 100 legs: all of them or none."""
    beneficiary_id: strawberry.ID | None = None
    """Organisation they serve, when they serve one; then the year is named too."""
    for_year: int | None = None
    """Year they serve."""
    purpose: str = ""
    """Purpose, in words; at most 2000 characters."""
    evidence: str = ""
    """Reference of the document that proves it; at most 2000 characters. A use without one is remarked."""
    effective_on: date | None = None
    """Day it takes effect; today when not given, never later."""

    def command(self) -> Order:
        legs = tuple(x.order("legs", str(i)) for i, x in enumerate(self.legs))
        served = self.beneficiary_id and organisation(self.beneficiary_id, "beneficiaryId")
        return _order(TransferKind.CANCEL, self, legs, served or None, self.for_year)


@input_type
class ReverseTransferInput(MutationInput):
    """A transfer to take back, wholly; once, and only if its units are still where it put them."""

    transfer_id: strawberry.ID
    """The transfer."""
    purpose: str = ""
    """Why it is taken back."""
    evidence: str = ""
    """Reference of the document that proves it."""
    effective_on: date | None = None
    """Day it takes effect; today when not given, never later."""

    def command(self) -> Order:
        key = key_of(self.transfer_id, "AssetTransfer", "transferId")
        return build(Order, self, kind=TransferKind.REVERSE, reverses_id=key)


@input_type
class TransferInput:
    """A transfer of any kind but ISSUE."""

    kind: TransferKind
    """What it does. REVERSE names `transferId` and no legs."""
    legs: list[PostedLegInput] = strawberry.field(default_factory=list)
    """Its legs: all of them or none."""
    beneficiary_id: strawberry.ID | None = None
    """Organisation the units serve: for SURRENDER and RETIRE."""
    for_year: int | None = None
    """Year they serve; a compliance period of several years is named by its last."""
    transfer_id: strawberry.ID | None = None
    """The transfer to take back: for REVERSE."""
    purpose: str = ""
    """Purpose, in words; at most 2000 characters. RETIRE must have one."""
    evidence: str = ""
    """Reference of the document that proves it; at most 2000 characters. A use without one is remarked."""
    effective_on: date | None = None
    """Day it takes effect; today when not given, never later."""

    def command(self, *path: str) -> Order:
        legs = tuple(x.order(*path, "legs", str(i)) for i, x in enumerate(self.legs))
        served = self.beneficiary_id and organisation(self.beneficiary_id, *path, "beneficiaryId")
        reverses = self.transfer_id and key_of(self.transfer_id, "AssetTransfer", *path, "transferId")
        return build(Order, self, legs=legs, beneficiary_id=served or None, reverses_id=reverses or None)


@input_type
class PostTransfersInput(MutationInput):
    """Transfers to post in order."""

    transfers: list[TransferInput]
    """1 to 500 transfers, each judged on its own after those before it."""
    all_or_nothing: bool = False
    """Post none unless all can be posted."""

    def command(self) -> Batch:
        rows = tuple(row.command("transfers", str(i)) for i, row in enumerate(self.transfers))
        return Batch(rows, self.all_or_nothing)


@input_type
class ObligationInput:
    """What an organisation must surrender for a period."""

    organisation_id: strawberry.ID
    """The organisation that owes."""
    from_year: int
    """First year of the period."""
    to_year: int
    """Last year of the period; it names the period."""
    tonnes: Decimal
    """Tonnes of CO2e to surrender, at most 9 decimals."""
    source: str = ""
    """Where the figure comes from."""
    market: str = ""
    """Market whose rules hold for it, as `markets` lists them; empty: that of the units surrendered."""

    def command(self, *path: str) -> NewObligation:
        return build(NewObligation, self, organisation_id=organisation(self.organisation_id, *path, "organisationId"))


@input_type
class SetObligationInput(MutationInput, ObligationInput):
    """An obligation to put in force; one of the same period is superseded."""


@input_type
class SetObligationsInput(MutationInput):
    """Obligations to put in force; each supersedes the one of the same period."""

    obligations: list[ObligationInput]
    """1 to 500 obligations, each judged on its own."""
    all_or_nothing: bool = False
    """Record none unless all can be recorded."""

    def command(self) -> ObligationBatch:
        rows = tuple(row.command("obligations", str(i)) for i, row in enumerate(self.obligations))
        return ObligationBatch(rows, self.all_or_nothing)


def _order(
    kind: TransferKind,
    given: TransferAssetsInput | CancelAssetsInput | _UseInput,
    legs: tuple[LegOrder, ...],
    beneficiary_id: UUID | None = None,
    for_year: int | None = None,
) -> Order:
    return build(Order, given, kind=kind, legs=legs, beneficiary_id=beneficiary_id, for_year=for_year)
