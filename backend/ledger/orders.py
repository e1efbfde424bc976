"""What makes an order sound, and a question for transfers: the checks that need no books."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Final

from backend.kit.errors import INVALID_INPUT, CodedError
from backend.kit.text import clean
from backend.ledger import codes
from backend.ledger.domain.transfers import (
    OWN_COMMANDS,
    USES,
    LegOrder,
    Order,
    TransferFilter,
    TransferKind,
)
from backend.ledger.values import check_quantity, check_year, scheme_code, serial_count, worded

MAX_LEGS: Final = 100
LEG_PATHS: Final = tuple(("legs", str(number)) for number in range(MAX_LEGS))
"""The path of each leg."""
_SERVING: Final = frozenset({TransferKind.SURRENDER, TransferKind.RETIRE})
SELF: Final = ("an account cannot send to itself", "账户不能向自身划转")
"""What a leg needs that goes to where it comes from."""


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
    for path, leg in zip(LEG_PATHS, order.legs, strict=False):
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


def _check_beneficiary(order: Order) -> None:
    served, year = order.beneficiary_id is not None, order.for_year is not None
    if order.kind not in USES and (served or year):
        raise codes.NO_BENEFICIARY_HERE(path=("beneficiaryId",), kind=order.kind)
    if served != year or (not served and order.kind in _SERVING):
        raise codes.USE_NEEDS_BENEFICIARY(path=("forYear" if served else "beneficiaryId",), kind=order.kind)
    if order.for_year is not None:
        check_year(order.for_year, "forYear")


def _check_destination(kind: TransferKind, leg: LegOrder, path: tuple[str, ...]) -> None:
    moves, side = kind is TransferKind.TRANSFER, "destination"
    if not moves and leg.destination is not None:
        need = ("where the units go follows from the kind, so no destination is named", "去向由划转类型决定，不应指定")
    elif not moves and leg.source.market:
        side = "source"
        need = ("units are used out of an organisation's account, not out of the market", "须从组织账户而非市场使用")
    elif moves and leg.destination is None:
        need = ("each leg names the account its units go to", "每条分录须指定转入账户")
    else:
        return
    raise wrong_destination(kind, (*path, side), need)


def _check_serials(serials: tuple[int, int], quantity_t: int, path: tuple[str, ...]) -> None:
    first, last = serials
    length = serial_count(first, last, *path)
    if length != quantity_t:
        raise codes.SERIALS_LENGTH(path=path, first=first, last=last, length=length, quantity=quantity_t)


def wrong_destination(kind: TransferKind, path: tuple[str, ...], need: tuple[str, str]) -> CodedError:
    """WRONG_DESTINATION, with what is needed in both languages."""
    return codes.WRONG_DESTINATION(path=path, kind=kind, need=need[0], need_zh=need[1])


def _tidy_leg(leg: LegOrder) -> LegOrder:
    scheme, reference = scheme_code(leg.lot.scheme), clean(leg.lot.issue_reference)
    if scheme == leg.lot.scheme and reference == leg.lot.issue_reference:
        return leg
    return replace(leg, lot=replace(leg.lot, scheme=scheme, issue_reference=reference))
