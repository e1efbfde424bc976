"""What the names in orders stand for, the transfers that orders come to, and why units do not cover them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Protocol
from uuid import UUID

from backend.kit.errors import CodedError
from backend.kit.ids import global_id
from backend.ledger import codes
from backend.ledger.domain.accounts import Account, AccountKind, AccountRef
from backend.ledger.domain.lots import LotRef, NamedLot
from backend.ledger.domain.transfers import (
    LASTING,
    USES,
    Leg,
    Order,
    Transfer,
    TransferKind,
)
from backend.ledger.orders import LEG_PATHS, SELF, wrong_destination

_NAMED: Final = 5
"""Lots that are named in place of one that was cut."""


@dataclass(frozen=True, slots=True)
class Books:
    """What the names in some orders stand for, as far as it exists."""

    accounts: Mapping[AccountRef, Account]
    outside: Mapping[AccountKind, Account]
    lots: Mapping[LotRef, NamedLot]
    transfers: Mapping[UUID, Transfer]
    organisations: AbstractSet[UUID]
    bound: Mapping[UUID, codes.Bound] = field(default_factory=dict)
    """Transfers that are not reversed by themselves."""
    cut: Mapping[LotRef, Sequence[str]] = field(default_factory=dict)
    """Lots that were split or merged, as they were named, with the references of those in their place."""

    def account(self, ref: AccountRef, leg: tuple[str, ...], side: str) -> Account:
        found = self.outside[AccountKind.MARKET] if ref.market else self.accounts.get(ref)
        if found is None or (found.organisation_id is None and not ref.market):
            raise codes.UNKNOWN_ACCOUNT(path=(*leg, side), account=str(ref))
        return found

    def name_of(self, lot_id: UUID) -> str:
        """A lot that was found, as texts name it."""
        return str(next(x for x in self.lots.values() if x.id == lot_id))

    def lot(self, ref: LotRef, leg: tuple[str, ...]) -> NamedLot:
        found = self.lots.get(ref)
        if found is None or (not found.standing and ref in self.cut):
            raise no_lot(ref, self.cut, (*leg, "lot"), found)
        return found


def no_lot(
    ref: LotRef, cut: Mapping[LotRef, Sequence[str]], path: tuple[str, ...], gone: NamedLot | None = None
) -> CodedError:
    """Why no lot of this name stands: LOT_CUT (of `gone`) with those in its place, or UNKNOWN_LOT."""
    if ref not in cut:
        return codes.UNKNOWN_LOT(path=path, lot=str(ref))
    more = ", …" if len(cut[ref]) > _NAMED else ""
    return codes.LOT_CUT(path=path, lot=str(gone or ref), parts=", ".join(cut[ref][:_NAMED]) + more)


def planned(order: Order, books: Books, transfer_id: UUID) -> Transfer:
    """The transfer that a checked order comes to.

    Errors: UNKNOWN_LOT, LOT_CUT, UNKNOWN_ACCOUNT, UNKNOWN_BENEFICIARY, UNKNOWN_TRANSFER, EFFECTIVE_BEFORE_ISSUE,
    ALREADY_REVERSED, NOT_REVERSIBLE, REVERSAL_BOUND.
    """
    assert order.effective_on is not None, "a checked order has its day"
    if order.beneficiary_id is not None and order.beneficiary_id not in books.organisations:
        raise codes.UNKNOWN_BENEFICIARY(
            path=("beneficiaryId",), organisation=global_id("Organisation", order.beneficiary_id)
        )
    return Transfer(
        id=transfer_id,
        kind=order.kind,
        legs=_contra_legs(order, books) if order.kind is TransferKind.REVERSE else _legs(order, books),
        effective_on=order.effective_on,
        beneficiary_id=order.beneficiary_id,
        for_year=order.for_year,
        purpose=order.purpose,
        evidence=order.evidence,
        reverses_id=order.reverses_id,
    )


def answering(leg: Leg) -> UUID:
    """The organisation whose managers decide about a leg: the one debited, or the one credited from outside.

    Whoever may send may send to every organisation of the tenant: receiving is no loss, so it needs no consent.
    """
    organisation = leg.source.organisation_id or leg.destination.organisation_id
    assert organisation is not None, "one side of a leg is an organisation's"
    return organisation


def _legs(order: Order, books: Books) -> tuple[Leg, ...]:
    legs = []
    for path, asked in zip(LEG_PATHS, order.legs, strict=False):
        lot = books.lot(asked.lot, path)
        _check_day(order, lot, path)
        source = books.account(asked.source, path, "source")
        if order.kind is TransferKind.TRANSFER:
            assert asked.destination is not None, "a checked TRANSFER names its destinations"
            destination = books.account(asked.destination, path, "destination")
        else:
            destination = books.outside[USES[order.kind]]
        if source.id == destination.id:
            raise wrong_destination(order.kind, (*path, "destination"), SELF)
        legs.append(Leg(lot.id, source, destination, asked.quantity_t))
    return tuple(legs)


def _contra_legs(order: Order, books: Books) -> tuple[Leg, ...]:
    key = order.reverses_id
    if key is None:
        whole = {"what": "The transfer to reverse (transferId)", "what_zh": "要冲正的划转（transferId）"}
        raise codes.MISSING_TEXT(path=("transferId",), **whole)
    original = books.transfers.get(key)
    if original is None:
        raise codes.UNKNOWN_TRANSFER(path=("transferId",), transfer=global_id("AssetTransfer", key))
    if original.kind in LASTING:
        raise codes.NOT_REVERSIBLE(path=("transferId",), transfer=global_id("AssetTransfer", key))
    if original.id in books.bound:
        raise codes.REVERSAL_BOUND(
            path=("transferId",), transfer=global_id("AssetTransfer", key), bound=books.bound[original.id]
        )
    if original.reversed_by_id is not None:
        raise codes.ALREADY_REVERSED(path=("transferId",), transfer=global_id("AssetTransfer", key))
    for leg in original.legs:
        _check_day(order, books.lots[LotRef(leg.lot_id)], ())
    # Looked up, where they are: so a refusal names the account by its owner.
    whence = [books.accounts.get(AccountRef(leg.destination.id), leg.destination) for leg in original.legs]
    return tuple(
        replace(leg, source=source, destination=leg.source) for leg, source in zip(original.legs, whence, strict=True)
    )


def _check_day(order: Order, lot: NamedLot, path: tuple[str, ...]) -> None:
    assert order.effective_on is not None, "a checked order has its day"
    if order.effective_on < lot.issued_on:
        raise codes.EFFECTIVE_BEFORE_ISSUE(
            path=path or ("effectiveOn",),
            lot=str(lot),
            issued_on=lot.issued_on.isoformat(),
            effective_on=order.effective_on.isoformat(),
        )


def short_on(effective_on: date, account: Account, lot: str, short: tuple[date, int]) -> CodedError:
    """SHORT_ON_DAY: the first day on which so much would be missing, were units taken on an earlier one."""
    return codes.SHORT_ON_DAY(
        path=("effectiveOn",),
        effective_on=effective_on.isoformat(),
        account=account.named,
        lot=lot,
        day=short[0].isoformat(),
        short=short[1],
    )


class Taking(Protocol):
    """Units of a lot that are to leave an account: a leg, posted or set aside."""

    @property
    def lot_id(self) -> UUID: ...
    @property
    def source(self) -> Account: ...
    @property
    def quantity_t(self) -> int: ...


def asked_together(legs: Sequence[Taking], leg: Taking) -> int:
    """What some legs take from the balance that one of them takes from, in tonnes."""
    return sum(x.quantity_t for x in legs if (x.lot_id, x.source.id) == (leg.lot_id, leg.source.id))


def insufficient(legs: Sequence[Taking], number: int, books: Books, available: int, aside: int) -> CodedError:
    """INSUFFICIENT_BALANCE of a leg: what is free in its account, and what is set aside beside it."""
    leg = legs[number]
    lot = books.name_of(leg.lot_id)
    said = f", besides {aside} t that are frozen, pledged or reserved" if aside else ""
    said_zh = f"（另有 {aside} 吨已冻结、质押或预留）" if aside else ""
    return codes.INSUFFICIENT_BALANCE(
        path=("legs", str(number), "quantity"),
        account=leg.source.named,
        lot=lot,
        asked=asked_together(legs, leg),
        available=available,
        aside=said,
        aside_zh=said_zh,
    )
