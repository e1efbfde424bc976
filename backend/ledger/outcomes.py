"""What a request to the ledger came to, row by row, in a form that is kept with its idempotency key."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from backend.kit.database import RollBack
from backend.ledger.codes import NOT_POSTED
from backend.ledger.domain.accounts import Account
from backend.ledger.domain.balances import Balance
from backend.ledger.domain.lots import Lot
from backend.ledger.domain.obligations import Obligation
from backend.ledger.domain.refusals import Refusal
from backend.ledger.domain.transfers import Transfer
from backend.ledger.effects import Touched
from tenants.commands import Done

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class LotOutcome:
    """One row of an issue: the lot and what was remarked about its issue, or why there is none."""

    lot: Lot | None = None
    refusal: Refusal | None = None
    remarks: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Issued:
    """The rows of an issue, in the order asked for."""

    rows: tuple[LotOutcome, ...]


@dataclass(frozen=True, slots=True)
class TransferOutcome:
    """One row of a posting: the transfer, or why there is none."""

    transfer: Transfer | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Posting:
    """The rows of a posting in the order asked for, and the organisations' balances it left behind. `rehearsed`: lots
    cut out in a rehearsal, which are nowhere afterwards.
    """

    rows: tuple[TransferOutcome, ...]
    balances: tuple[Balance, ...] = ()
    rehearsed: tuple[Lot, ...] = ()

    def accounts(self) -> dict[UUID, Account]:
        """Those its transfers touch, by id."""
        legs = [leg for row in self.rows if row.transfer is not None for leg in row.transfer.legs]
        return {account.id: account for leg in legs for account in leg.sides()}


@dataclass(frozen=True, slots=True)
class KeptPosting:
    """What was kept of a single posting's answer until migration 0023: the transfer and the balances it left."""

    transfer: UUID
    balances: tuple[tuple[UUID, UUID, int], ...]


@dataclass(frozen=True, slots=True)
class KeptList:
    """What is kept of a quick answer, in which every row stood: the transfers in order (`pack`), and each balance they
    touched as they left it, in the order of `touched_by`. They never change, so the rest can be read again.
    """

    transfers: str
    quantities: tuple[int, ...]

    def keys(self) -> list[UUID]:
        """The ids of the transfers, in order."""
        packed = b64decode(self.transfers)
        return [UUID(bytes=packed[i : i + 16]) for i in range(0, len(packed), 16)]

    @staticmethod
    def pack(transfers: Sequence[Transfer]) -> str:
        return b64encode(b"".join(t.id.bytes for t in transfers)).decode()


def told(touched: Touched, quantities: Sequence[int]) -> tuple[Balance, ...]:
    """The organisations' balances out of those that some transfers touched, as they left them."""
    found = zip(touched.items(), quantities, strict=True)
    return tuple([Balance(*pair, quantity_t, last) for (pair, last), quantity_t in found if last is not None])


@dataclass(frozen=True, slots=True)
class ObligationOutcome:
    """One row of a list of obligations: what is in force now, or why it was not recorded."""

    obligation: Obligation | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """The rows of a list of obligations, in the order asked for."""

    rows: tuple[ObligationOutcome, ...]


R = TypeVar("R", LotOutcome, TransferOutcome, ObligationOutcome)


def settled(rows: Sequence[R], answer: Callable[[tuple[R, ...]], A], *, all_or_nothing: bool) -> A:
    """The answer to keep; or, by RollBack, the answer to a request that leaves nothing behind.

    What writes nothing is not remembered either, so the same key may try again.
    """
    refused = [row.refusal is not None for row in rows]
    if all(refused):
        raise RollBack(Done(answer(tuple(rows))))
    if all_or_nothing and any(refused):
        spared = type(rows[0])(refusal=Refusal.of(NOT_POSTED()))
        raise RollBack(Done(answer(tuple(row if row.refusal else spared for row in rows))))
    return answer(tuple(rows))
