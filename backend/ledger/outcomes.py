"""What a request to the ledger came to, row by row, in a form that is kept with its idempotency key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from backend.kit.database import RollBack
from backend.ledger.codes import NOT_POSTED
from backend.ledger.domain import Balance, Lot, Obligation, Refusal, Transfer
from tenants.commands import Done

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class LotOutcome:
    """One row of an issue: the lot, or why there is none."""

    lot: Lot | None = None
    refusal: Refusal | None = None


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
    """The rows of a posting in the order asked for, and the organisations' balances it left behind."""

    rows: tuple[TransferOutcome, ...]
    balances: tuple[Balance, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptPosting:
    """What is kept of a single posting's answer: the transfer, which never changes, and the balances it left."""

    transfer: UUID
    balances: tuple[tuple[UUID, UUID, int], ...]


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
