"""Cutting lots by their serial numbers, as pure functions: what a split leaves, what a merge makes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final
from uuid import UUID

from backend.kit.errors import CodedError
from backend.ledger.cuts import codes
from backend.ledger.domain.accounts import Account
from backend.ledger.domain.lots import Lot, LotRef, SerialBlock
from backend.ledger.domain.transfers import Transfer

MOST: Final = 50
_CUT: Final = re.compile(r"/\d+-\d+$")


@dataclass(frozen=True, slots=True)
class SplitLot:
    """Parts to cut out of a lot, each from its first number to its last."""

    lot: LotRef
    parts: tuple[tuple[int, int], ...]
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class MergeLots:
    """Lots of adjacent numbers to join."""

    lots: tuple[LotRef, ...]
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """What came of a split or merge: the new lots in the order of their numbers, and the transfer that made them."""

    lots: tuple[Lot, ...]
    transfer: Transfer


@dataclass(frozen=True, slots=True)
class Resting:
    """Where a lot rests, when it rests wholly and free in one account of an organisation."""

    lot: Lot
    account: Account | None


def serial_of(lot: Lot) -> SerialBlock:
    """Errors: NO_SERIALS."""
    if lot.serial is None:
        raise codes.NO_SERIALS(path=("lot",), lot=_name(lot))
    return lot.serial


def blocks(lot: Lot, parts: Sequence[tuple[int, int]], asked_as: str = "parts") -> list[tuple[int, int]]:
    """All blocks the lot falls into when these are cut out, in order: they, and what is left around them.

    Errors: NO_SERIALS, CUT_SIZE and BAD_CUT at the field they were `asked_as`.
    """
    whole = serial_of(lot)
    wanted = sorted(parts)
    if not 1 <= len(wanted) <= MOST:
        by = ("A split", "拆分") if asked_as == "parts" else ("A transfer, of one lot,", "一笔划转对同一批次")
        raise _size(asked_as, len(wanted), 1, by, ("blocks of numbers", "号段"))
    at, found = whole.first, list[tuple[int, int]]()
    for first, last in wanted:
        if not at <= first <= last <= whole.last or (first, last) == (whole.first, whole.last):
            raise _bad(lot, whole, first, last, asked_as)
        if at < first:
            found.append((at, first - 1))
        found.append((first, last))
        at = last + 1
    if at <= whole.last:
        found.append((at, whole.last))
    return found


def check_merge(count: int) -> None:
    """Errors: CUT_SIZE."""
    if not 2 <= count <= MOST:
        raise _size("lots", count, 2, ("A merge", "合并"), ("lots", "批次"))


def merged(resting: Sequence[Resting]) -> tuple[list[Lot], tuple[int, int]]:
    """The lots in the order of their numbers, and the block they make together. Errors: NO_SERIALS, NOT_ADJACENT."""
    ordered = sorted(resting, key=lambda r: serial_of(r.lot).first)
    lots = [r.lot for r in ordered]
    for one, next_ in pairwise(ordered):
        adjacent = serial_of(one.lot).last + 1 == serial_of(next_.lot).first
        if not adjacent or _kin(one) != _kin(next_):
            raise codes.NOT_ADJACENT(path=("lots",), lot=_name(one.lot), other=_name(next_.lot))
    return lots, (serial_of(lots[0]).first, serial_of(lots[-1]).last)


def part_of(lot: Lot, key: UUID, issued_by: UUID, block: tuple[int, int]) -> Lot:
    """The new lot with a block of the numbers of an old one; its reference says which."""
    first, last = block
    return replace(
        lot,
        id=key,
        issue_reference=f"{_CUT.sub('', lot.issue_reference)}/{first}-{last}",
        quantity_t=last - first + 1,
        serial=SerialBlock(serial_of(lot).prefix, first, last),
        issued_by=issued_by,
    )


def not_whole(lot: Lot) -> CodedError:
    """LOT_NOT_WHOLE of this lot."""
    return codes.LOT_NOT_WHOLE(path=("lot",), lot=_name(lot))


def _kin(resting: Resting) -> tuple[object, ...]:
    lot = resting.lot
    described = (lot.asset_class, lot.scheme, lot.vintage, lot.project, lot.origin, lot.issued_to, lot.issued_on)
    return (*described, serial_of(lot).prefix, resting.account)


def _size(asked_as: str, count: int, least: int, what: tuple[str, str], parts: tuple[str, str]) -> CodedError:
    said = {"what": what[0], "what_zh": what[1], "parts": parts[0], "parts_zh": parts[1]}
    return codes.CUT_SIZE(path=(asked_as,), count=count, least=least, most=MOST, **said)


def _bad(lot: Lot, whole: SerialBlock, first: int, last: int, asked_as: str) -> Exception:
    of_lot = {"lot": _name(lot), "lot_first": whole.first, "lot_last": whole.last}
    return codes.BAD_CUT(path=(asked_as,), first=first, last=last, most=MOST, **of_lot)


def _name(lot: Lot) -> str:
    return f"{lot.scheme} {lot.issue_reference}"
