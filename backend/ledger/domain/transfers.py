"""Units that move: orders as they are asked for, transfers as they were posted (8.3, 8.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.ledger.domain.accounts import Account, AccountKind, AccountRef
from backend.ledger.domain.lots import LotRef
from backend.ledger.domain.refusals import Refusal


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


@dataclass(frozen=True)  # without slots, as an order
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


@dataclass(frozen=True)  # without slots: so its digest, by which a replay is known, costs a fifth
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
        """This plan, posted: who made it tells it when, once. In place, since nobody else has seen it yet, and another
        for each row cost a long list a tenth of this process's time.
        """
        assert self.recorded_at is None, "a transfer is posted once"
        object.__setattr__(self, "recorded_at", at)
        return self


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
