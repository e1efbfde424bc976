"""Carbon assets as pure data: lots, accounts, transfers, obligations (8.3, 8.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.kit.errors import CodedError, code_named
from backend.kit.ids import global_id

HOLDING: Final = "HOLDING"


class AssetClass(StrEnum):
    """What kind of carbon asset a lot is (6.2.3 a 6-7, 8.3)."""

    ALLOWANCE = "ALLOWANCE"
    """Emission allowance of a trading scheme, allocated, auctioned or bought (碳排放配额, 8.3.1)."""
    CCER = "CCER"
    """Certified voluntary emission reduction, or an offset credit of another scheme (核证自愿减排量, 8.3.2)."""
    VERIFIED_SAVING = "VERIFIED_SAVING"
    """Reduction from energy saving that the government verified (经政府核定的节能减排量, 8.4.2 b)."""
    SINK = "SINK"
    """The organisation's own certified carbon sink outside the boundary (经核证的自有碳汇, 8.3.3, 8.4.3)."""


class Origin(StrEnum):
    """How a lot came to its first holder; allowances that were bought weigh differently in 8.4.2."""

    ALLOCATED = "ALLOCATED"
    """Allocated free of charge by the authority (免费分配)."""
    AUCTIONED = "AUCTIONED"
    """Bought from the authority at an auction (有偿竞买)."""
    PURCHASED = "PURCHASED"
    """Bought on the market from someone outside (市场购入)."""
    ISSUED_CREDIT = "ISSUED_CREDIT"
    """Registered for a project's verified reduction (减排量登记)."""
    CERTIFIED_SINK = "CERTIFIED_SINK"
    """Certified removal of an own sink (碳汇核证)."""


class AccountKind(StrEnum):
    """What an account is for. The last five belong to nobody: with them every transfer balances."""

    HOLDING = "HOLDING"
    """Where an organisation keeps its units (持有账户)."""
    REGISTRY = "REGISTRY"
    """Account at a registry (注册登记账户, 8.3.1.2)."""
    TRADING = "TRADING"
    """Account at an exchange (交易账户, 8.3.1.2)."""
    ISSUER = "ISSUER"
    """Where lots come from; minus what is in the world (签发方)."""
    MARKET = "MARKET"
    """Everybody outside the tenant: what is sold goes there (外部市场)."""
    SURRENDERED = "SURRENDERED"
    """Surrendered for compliance; leaves only by reversal (已清缴)."""
    RETIRED = "RETIRED"
    """Retired for neutrality; leaves only by reversal (已注销用于中和)."""
    CANCELLED = "CANCELLED"
    """Cancelled voluntarily; leaves only by reversal (已自愿注销)."""


OUTSIDE: Final = frozenset(
    {
        AccountKind.ISSUER,
        AccountKind.MARKET,
        AccountKind.SURRENDERED,
        AccountKind.RETIRED,
        AccountKind.CANCELLED,
    }
)


class TransferKind(StrEnum):
    """What a transfer does."""

    ISSUE = "ISSUE"
    """Brings a lot into the world (签发)."""
    TRANSFER = "TRANSFER"
    """Moves units between accounts, or to and from the market (划转)."""
    SURRENDER = "SURRENDER"
    """Uses units for compliance (清缴)."""
    RETIRE = "RETIRE"
    """Uses units for carbon neutrality (注销用于中和, 8.4)."""
    CANCEL = "CANCEL"
    """Gives units up for good (自愿注销)."""
    REVERSE = "REVERSE"
    """Takes back one earlier transfer, wholly (冲正)."""
    SPLIT = "SPLIT"
    """Cuts a lot into others by serial numbers, where it rests (拆分)."""
    MERGE = "MERGE"
    """Joins lots of adjacent serial numbers into one, where they rest (合并)."""


# What comes about by a command of its own, not by posting.
OWN_COMMANDS: Final = {TransferKind.ISSUE: "issueLots", TransferKind.SPLIT: "splitLot", TransferKind.MERGE: "mergeLots"}
LASTING: Final = frozenset({TransferKind.REVERSE, TransferKind.SPLIT, TransferKind.MERGE})
"""What is not reversed: a reversal, and what only changed where lots begin and end."""


class Use(StrEnum):
    """What units were used for; each unit is used once."""

    SURRENDERED = "SURRENDERED"
    """For compliance with an obligation (清缴)."""
    RETIRED = "RETIRED"
    """For carbon neutrality (中和)."""
    CANCELLED = "CANCELLED"
    """Given up voluntarily, for an organisation and a year (自愿注销)."""


USES: Final[Mapping[TransferKind, AccountKind]] = {
    TransferKind.SURRENDER: AccountKind.SURRENDERED,
    TransferKind.RETIRE: AccountKind.RETIRED,
    TransferKind.CANCEL: AccountKind.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class SerialBlock:
    """Consecutive serial numbers, both ends included."""

    prefix: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class NewLot:
    """A lot to issue into an account of the organisation it is issued to."""

    asset_class: AssetClass
    scheme: str
    issue_reference: str
    quantity_t: int
    origin: Origin
    issued_to: UUID
    issued_on: date
    vintage: int | None = None
    project: str = ""
    serial: SerialBlock | None = None
    account_code: str = HOLDING
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Lot:
    """Units issued together: one class, scheme, vintage and project; `quantity_t` whole tonnes of CO2e."""

    id: UUID
    asset_class: AssetClass
    scheme: str
    issue_reference: str
    vintage: int | None
    project: str
    quantity_t: int
    origin: Origin
    issued_to: UUID
    issued_on: date
    serial: SerialBlock | None
    issued_by: UUID
    withdrawn_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class NamedLot:
    """As much of a lot as a transfer of its units needs to know."""

    id: UUID
    scheme: str
    issue_reference: str
    issued_on: date
    standing: bool = True
    """Neither split, merged nor taken back."""

    def __str__(self) -> str:
        return f"{self.scheme} {self.issue_reference}"


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to open."""

    organisation_id: UUID
    code: str
    name: str
    kind: AccountKind = AccountKind.HOLDING


@dataclass(frozen=True, slots=True)
class Account:
    """Where units rest. `organisation_id` is None for the accounts of the outside; `owner`: code and name of the
    organisation, where they were looked up.
    """

    id: UUID
    organisation_id: UUID | None
    code: str
    name: str
    kind: AccountKind
    owner: str = field(default="", compare=False)

    @property
    def named(self) -> str:
        """As texts name it to who may know of it: by owner and code; where it is not known, as `coded`."""
        return f"{self.owner} / {self.code}" if self.owner else self.coded

    @property
    def coded(self) -> str:
        """As texts name it to anybody: by its code and by the id the API knows."""
        return f"{self.code} ({global_id('AssetAccount', self.id)})"


@dataclass(frozen=True, slots=True)
class LotRef:
    """A lot by id, or by scheme and issue reference."""

    id: UUID | None = None
    scheme: str = ""
    issue_reference: str = ""

    def __str__(self) -> str:
        return global_id("AssetLot", self.id) if self.id else f"{self.scheme} {self.issue_reference}"


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An account by id, or by organisation and code; or the market outside."""

    id: UUID | None = None
    organisation_id: UUID | None = None
    code: str = HOLDING
    market: bool = False

    def __str__(self) -> str:
        if self.market:
            return AccountKind.MARKET
        if self.id is not None:
            return global_id("AssetAccount", self.id)
        assert self.organisation_id is not None, "a code is one of an organisation"
        return f"{global_id('Organisation', self.organisation_id)}/{self.code}"


@dataclass(frozen=True, slots=True)
class LegOrder:
    """Some units of one lot out of an account; where to follows from the kind unless it is a TRANSFER.

    `expected`, `expected_there`: the versions of the balances on either side that the leg was decided on. `serials`:
    which units, from the first number to the last; they are cut out of the lot.
    """

    lot: LotRef
    quantity_t: int
    source: AccountRef
    destination: AccountRef | None = None
    expected: UUID | None = None
    expected_there: UUID | None = None
    serials: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A transfer as it is asked for: all of its legs or none. A REVERSE names what it takes back and has no legs."""

    kind: TransferKind
    legs: tuple[LegOrder, ...] = ()
    beneficiary_id: UUID | None = None
    for_year: int | None = None
    purpose: str = ""
    evidence: str = ""
    effective_on: date | None = None
    reverses_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """`quantity_t` units of a lot from one account to another: a debit and a credit that cannot differ."""

    lot_id: UUID
    source: Account
    destination: Account
    quantity_t: int

    def sides(self) -> tuple[Account, Account]:
        return self.source, self.destination


@dataclass(frozen=True, slots=True)
class Refusal:
    """A coded error as plain values, so that a replay can tell it again."""

    code: str
    path: tuple[str, ...]
    params: Mapping[str, str | int | None]

    @classmethod
    def of(cls, error: CodedError) -> Refusal:
        params = {k: v if isinstance(v, int) or v is None else str(v) for k, v in error.params.items()}
        return cls(error.code.name, error.path, params)

    def error(self) -> CodedError:
        return code_named(self.code)(path=self.path, **self.params)


@dataclass(frozen=True, slots=True)
class Transfer:
    """What was posted. `for_year` is the year served; a period of several years is named by its last. `remarks`: rules
    that recommend otherwise, as far as they are known with the transfer.
    """

    id: UUID
    kind: TransferKind
    legs: tuple[Leg, ...]
    effective_on: date
    beneficiary_id: UUID | None = None
    for_year: int | None = None
    purpose: str = ""
    evidence: str = ""
    reverses_id: UUID | None = None
    reversed_by_id: UUID | None = None
    recorded_at: datetime | None = None
    remarks: tuple[Refusal, ...] = ()

    def recorded(self, at: datetime) -> Transfer:
        """This transfer as it was posted. Written out, for `replace` costs several times as much."""
        return Transfer(
            self.id,
            self.kind,
            self.legs,
            self.effective_on,
            self.beneficiary_id,
            self.for_year,
            self.purpose,
            self.evidence,
            self.reverses_id,
            self.reversed_by_id,
            at,
            self.remarks,
        )


@dataclass(frozen=True, slots=True)
class TransferFilter:
    """Which transfers are asked for; `organisation_id`: those that touch its accounts or serve it, or one `below` it
    today. Days are those of effect, both ends included. `known_at`: those recorded by then, as they were then known.
    """

    organisation_id: UUID | None = None
    below: bool = False
    account_id: UUID | None = None
    lot_id: UUID | None = None
    kind: TransferKind | None = None
    for_year: int | None = None
    effective_from: date | None = None
    effective_through: date | None = None
    known_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """Units of a lot that rest in an account; `version` names what last touched them, unless they are of the past."""

    account_id: UUID
    lot_id: UUID
    quantity_t: int
    version: UUID | None = None


@dataclass(frozen=True, slots=True)
class NewObligation:
    """What an organisation owes for a period, in tonnes of CO2e; `market`: whose rules hold, where it is said."""

    organisation_id: UUID
    from_year: int
    to_year: int
    tonnes: Decimal
    source: str = ""
    market: str = ""


@dataclass(frozen=True, slots=True)
class Obligation:
    """An obligation as recorded; superseded by a later one for the same period, never edited."""

    id: UUID
    organisation_id: UUID
    from_year: int
    to_year: int
    tonnes: Decimal
    source: str
    recorded_at: datetime
    superseded_at: datetime | None = None
    superseded_by_id: UUID | None = None
    market: str = ""


@dataclass(frozen=True, slots=True)
class UsedAsset:
    """Units used for `organisation_id` and `for_year`, net of reversals.

    `bought`: auctioned or purchased, or issued to an organisation that is neither the user nor the beneficiary.
    `allocated_to`: who was given the lot free of charge, None when nobody was; a group that passes it on inside has
    not bought it.
    """

    organisation_id: UUID
    use: Use
    for_year: int
    lot_id: UUID
    asset_class: AssetClass
    bought: bool
    quantity_t: int
    transfer_id: UUID
    vintage: int | None
    allocated_to: UUID | None = None


@dataclass(frozen=True, slots=True)
class HeldAsset:
    """Units of a lot in the accounts of an organisation."""

    organisation_id: UUID
    lot_id: UUID
    asset_class: AssetClass
    quantity_t: int


@dataclass(frozen=True, slots=True)
class ObligationOf:
    """What an organisation owes for a period, in tonnes of CO2e (履约义务)."""

    organisation_id: UUID
    from_year: int
    to_year: int
    tonnes: Decimal
    id: UUID
