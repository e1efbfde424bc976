"""What makes an order sound: the checks that need no books, and the plan of a transfer from the books it names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Protocol
from uuid import UUID

from backend.kit.errors import INVALID_INPUT, CodedError
from backend.kit.ids import global_id
from backend.kit.text import clean, tidy
from backend.ledger import codes
from backend.ledger.domain.accounts import OUTSIDE, Account, AccountKind, AccountRef, NewAccount
from backend.ledger.domain.lots import AssetClass, LotRef, NamedLot, NewLot, Origin
from backend.ledger.domain.obligations import NewObligation
from backend.ledger.domain.transfers import (
    LASTING,
    OWN_COMMANDS,
    USES,
    Leg,
    LegOrder,
    Order,
    Transfer,
    TransferFilter,
    TransferKind,
)
from backend.ledger.rulebook.domain import known_market

MAX_QUANTITY_T: Final = 9_000_000_000_000_000_000
MAX_LEGS: Final = 100
_LEGS: Final = tuple(("legs", str(number)) for number in range(MAX_LEGS))
"""The path of each leg."""
MAX_ROWS: Final = 500
_NAMED: Final = 5
"""Lots that are named in place of one that was cut."""
MOST_LETTERS: Final = 2000
"""Of a purpose, a reference, a reason: what is longer belongs into the document that is referred to."""
FIRST_YEAR, LAST_YEAR = 1990, 2100
_FITTING: Final[Mapping[AssetClass, tuple[Origin, ...]]] = {
    AssetClass.ALLOWANCE: (Origin.ALLOCATED, Origin.AUCTIONED, Origin.PURCHASED),
    AssetClass.CCER: (Origin.ISSUED_CREDIT, Origin.PURCHASED),
    AssetClass.VERIFIED_SAVING: (Origin.ISSUED_CREDIT, Origin.PURCHASED),
    AssetClass.SINK: (Origin.CERTIFIED_SINK, Origin.ISSUED_CREDIT),
}


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
    for path, asked in zip(_LEGS, order.legs, strict=False):
        lot = books.lot(asked.lot, path)
        _check_day(order, lot, path)
        source = books.account(asked.source, path, "source")
        if order.kind is TransferKind.TRANSFER:
            assert asked.destination is not None, "a checked TRANSFER names its destinations"
            destination = books.account(asked.destination, path, "destination")
        else:
            destination = books.outside[USES[order.kind]]
        if source.id == destination.id:
            raise _wrong_destination(order.kind, (*path, "destination"), _SELF)
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


def check_filter(wanted: TransferFilter) -> None:
    """Refuse (INVALID_INPUT) a filter that filters nothing as it stands, lest an answer be taken for what it is not."""
    first, last = wanted.effective_from, wanted.effective_through
    if wanted.below and wanted.organisation_id is None:
        raise INVALID_INPUT(
            path=("below",),
            reason="`below` says which organisations besides `organisationId`; name that too.",
            reason_zh="below 表示包含 organisationId 的下级组织；请同时给出 organisationId。",
        )
    if first is not None and last is not None and first > last:
        raise INVALID_INPUT(
            path=("effectiveThrough",),
            reason=f"From {first} through {last} there is no day; name the earlier one as `effectiveFrom`.",
            reason_zh=f"自 {first} 至 {last} 没有任何一天；请以较早的日期作为 effectiveFrom。",
        )


def check_size(count: int, what: str) -> None:
    """Refuse (TOO_MANY_ROWS) a request of no rows or of too many."""
    if not 1 <= count <= MAX_ROWS:
        raise codes.TOO_MANY_ROWS(path=(what,), count=count, most=MAX_ROWS)


def checked_lot(new: NewLot) -> NewLot:
    """The lot in canonical form.

    Errors: BAD_QUANTITY, BAD_YEAR, MISSING_TEXT, TEXT_TOO_LONG, SERIAL_RANGE, SERIAL_LENGTH, ORIGIN_DOES_NOT_FIT.
    """
    check_quantity(new.quantity_t)
    if new.vintage is not None:
        check_year(new.vintage, "vintage")
    if new.origin not in _FITTING[new.asset_class]:
        raise codes.ORIGIN_DOES_NOT_FIT(
            path=("origin",),
            asset_class=new.asset_class,
            origin=new.origin,
            fitting=_FITTING[new.asset_class],
        )
    if new.serial is not None:
        length = _count(new.serial.first, new.serial.last, "serial")
        if length != new.quantity_t:
            raise codes.SERIAL_LENGTH(
                path=("serial",),
                first=new.serial.first,
                last=new.serial.last,
                length=length,
                quantity=new.quantity_t,
            )
    return replace(
        new,
        scheme=scheme_code(_text(new.scheme, "scheme")),
        issue_reference=_text(new.issue_reference, "issueReference"),
        project=worded(new.project, "project"),
        serial=new.serial and replace(new.serial, prefix=clean(new.serial.prefix)),
        account_code=_text(new.account_code, "accountCode"),
        evidence=worded(new.evidence, "evidence"),
    )


def checked_order(order: Order, today: date) -> Order:
    """The order in canonical form, its day filled in; what needs the books to judge is judged later.

    Errors: ISSUE_BY_LOTS, WRONG_LEGS, BAD_QUANTITY, BAD_YEAR, USE_NEEDS_BENEFICIARY, NO_BENEFICIARY_HERE,
    PURPOSE_NEEDED, TEXT_TOO_LONG, WRONG_DESTINATION, EFFECTIVE_IN_FUTURE, SERIAL_RANGE, SERIALS_LENGTH.
    """
    effective_on = effective(order.effective_on, today)
    purpose = worded(order.purpose, "purpose")
    if order.kind in OWN_COMMANDS:
        raise codes.ISSUE_BY_LOTS(path=("kind",), kind=order.kind, command=OWN_COMMANDS[order.kind])
    if order.kind is not TransferKind.REVERSE:
        if not 1 <= len(order.legs) <= MAX_LEGS:
            raise codes.WRONG_LEGS(path=("legs",), count=len(order.legs), most=MAX_LEGS)
        _check_beneficiary(order)
    if order.kind is TransferKind.RETIRE and not purpose:
        raise codes.PURPOSE_NEEDED(path=("purpose",))
    for path, leg in zip(_LEGS, order.legs, strict=False):
        check_quantity(leg.quantity_t, *path, "quantity")
        _check_destination(order.kind, leg, path)
        if leg.serials is not None:
            _check_serials(leg.serials, leg.quantity_t, (*path, "serials"))
    # Made anew rather than by `replace`, which costs a posting as much as all its checks.
    return Order(
        kind=order.kind,
        legs=tuple([_tidy_leg(leg) for leg in order.legs]),
        beneficiary_id=order.beneficiary_id,
        for_year=order.for_year,
        purpose=purpose,
        evidence=worded(order.evidence, "evidence"),
        effective_on=effective_on,
        reverses_id=order.reverses_id,
    )


def effective(asked: date | None, today: date) -> date:
    """The day something takes effect: today unless it is said. Errors: EFFECTIVE_IN_FUTURE."""
    if asked is not None and asked > today:
        raise codes.EFFECTIVE_IN_FUTURE(path=("effectiveOn",), effective_on=asked.isoformat(), today=str(today))
    return asked or today


def worded(text: str, *path: str, most: int = MOST_LETTERS) -> str:
    """A purpose or reference in canonical form. Errors: TEXT_TOO_LONG."""
    said = tidy(text)
    if len(said) > most:
        raise codes.TEXT_TOO_LONG(path=path, what=path[-1], length=len(said), most=most)
    return said


def needed(text: str, *path: str, most: int = MOST_LETTERS) -> str:
    """The same of one that must be given. Errors: MISSING_TEXT, TEXT_TOO_LONG."""
    said = worded(text, *path, most=most)
    if not said:
        raise codes.MISSING_TEXT(path=path, what=path[-1])
    return said


def checked_account(new: NewAccount) -> NewAccount:
    """The account in canonical form. Errors: MISSING_TEXT, WRONG_ACCOUNT_KIND."""
    if new.kind in OUTSIDE:
        raise codes.WRONG_ACCOUNT_KIND(path=("kind",), kind=new.kind)
    return replace(new, code=_text(new.code, "code"), name=tidy(new.name))


def checked_obligation(new: NewObligation) -> NewObligation:
    """The obligation in canonical form. Errors: BAD_YEAR, BAD_OBLIGATION_PERIOD, BAD_TONNES, UNKNOWN_MARKET."""
    check_year(new.from_year, "fromYear")
    check_year(new.to_year, "toYear")
    if new.from_year > new.to_year:
        raise codes.BAD_PERIOD(path=("toYear",), first=new.from_year, last=new.to_year)
    if not 0 <= new.tonnes < 10**18 or new.tonnes != round(new.tonnes, 9):
        raise codes.BAD_TONNES(path=("tonnes",), tonnes=str(new.tonnes)[:60])
    market = clean(new.market)
    if market:
        known_market(market, "market")
    return replace(new, source=tidy(new.source), market=market)


def _check_beneficiary(order: Order) -> None:
    served, year = order.beneficiary_id is not None, order.for_year is not None
    if order.kind not in USES and (served or year):
        raise codes.NO_BENEFICIARY_HERE(path=("beneficiaryId",), kind=order.kind)
    if served != year or (not served and order.kind in _SERVING):
        raise codes.USE_NEEDS_BENEFICIARY(path=("forYear" if served else "beneficiaryId",), kind=order.kind)
    if order.for_year is not None:
        check_year(order.for_year, "forYear")


_SERVING: Final = frozenset({TransferKind.SURRENDER, TransferKind.RETIRE})
_SELF: Final = ("an account cannot send to itself", "账户不能向自身划转")


def _check_destination(kind: TransferKind, leg: LegOrder, path: tuple[str, ...]) -> None:
    moves, side = kind is TransferKind.TRANSFER, "destination"
    if not moves and leg.destination is not None:
        need = ("where the units go follows from the kind, so no destination is named", "去向由划转类型决定，不应指定")
    elif not moves and leg.source.market:
        side = "source"
        need = ("units are used out of an organisation's account, not out of the market", "须从组织账户而非市场使用")
    elif moves and leg.destination is None:
        need = ("each leg names the account its units go to", "每条分录须指定转入账户")
    elif moves and leg.destination == leg.source:
        need = _SELF
    else:
        return
    raise _wrong_destination(kind, (*path, side), need)


def _check_serials(serials: tuple[int, int], quantity_t: int, path: tuple[str, ...]) -> None:
    first, last = serials
    length = _count(first, last, *path)
    if length != quantity_t:
        raise codes.SERIALS_LENGTH(path=path, first=first, last=last, length=length, quantity=quantity_t)


def _count(first: int, last: int, *path: str) -> int:
    """How many serial numbers a block has. Errors: SERIAL_RANGE."""
    if not 0 <= first <= last <= MAX_QUANTITY_T:
        raise codes.SERIAL_RANGE(path=path, first=first, last=last, most=MAX_QUANTITY_T)
    return last - first + 1


def _wrong_destination(kind: TransferKind, path: tuple[str, ...], need: tuple[str, str]) -> CodedError:
    return codes.WRONG_DESTINATION(path=path, kind=kind, need=need[0], need_zh=need[1])


def _tidy_leg(leg: LegOrder) -> LegOrder:
    scheme, reference = scheme_code(leg.lot.scheme), clean(leg.lot.issue_reference)
    if scheme == leg.lot.scheme and reference == leg.lot.issue_reference:
        return leg
    return replace(leg, lot=replace(leg.lot, scheme=scheme, issue_reference=reference))


def check_quantity(quantity_t: int, *path: str) -> None:
    """Refuse (BAD_QUANTITY) what is no whole number of tonnes the ledger can hold."""
    if not 1 <= quantity_t <= MAX_QUANTITY_T:
        raise codes.BAD_QUANTITY(path=path or ("quantity",), quantity=quantity_t, most=MAX_QUANTITY_T)


def check_year(year: int, *path: str) -> None:
    """Refuse (BAD_YEAR) a year that no inventory or obligation is of."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise codes.BAD_YEAR(path=path, year=year)


def scheme_code(written: str) -> str:
    """Codes of schemes are in capitals: `cea` is CEA, lest units be there once under each."""
    return clean(written).upper()


def _text(written: str, what: str) -> str:
    text = clean(written)
    if not text:
        raise codes.MISSING_TEXT(path=(what,), what=what)
    return text
