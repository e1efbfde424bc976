"""Lots, accounts and obligations as they are entered: checked, and in canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from backend.kit.text import clean, tidy
from backend.ledger import codes
from backend.ledger.domain.accounts import OUTSIDE, NewAccount
from backend.ledger.domain.lots import AssetClass, NewLot, Origin
from backend.ledger.domain.obligations import NewObligation
from backend.ledger.rulebook.domain import known_market
from backend.ledger.values import check_quantity, check_year, named_text, scheme_code, serial_count, worded

_FITTING: Final[Mapping[AssetClass, tuple[Origin, ...]]] = {
    AssetClass.ALLOWANCE: (Origin.ALLOCATED, Origin.AUCTIONED, Origin.PURCHASED),
    AssetClass.CCER: (Origin.ISSUED_CREDIT, Origin.PURCHASED),
    AssetClass.VERIFIED_SAVING: (Origin.ISSUED_CREDIT, Origin.PURCHASED),
    AssetClass.SINK: (Origin.CERTIFIED_SINK, Origin.ISSUED_CREDIT),
}


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
        length = serial_count(new.serial.first, new.serial.last, "serial")
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
        scheme=scheme_code(named_text(new.scheme, "scheme")),
        issue_reference=named_text(new.issue_reference, "issueReference"),
        project=worded(new.project, "project"),
        serial=new.serial and replace(new.serial, prefix=clean(new.serial.prefix)),
        account_code=named_text(new.account_code, "accountCode"),
        evidence=worded(new.evidence, "evidence"),
    )


def checked_account(new: NewAccount) -> NewAccount:
    """The account in canonical form. Errors: MISSING_TEXT, WRONG_ACCOUNT_KIND."""
    if new.kind in OUTSIDE:
        raise codes.WRONG_ACCOUNT_KIND(path=("kind",), kind=new.kind)
    return replace(new, code=named_text(new.code, "code"), name=tidy(new.name))


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
