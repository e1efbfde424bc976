"""The tree in time: who hangs below whom, and what a move, a change of ownership or a departure makes of it.

An organisation's place is two step functions over the days it is present: its parent, and how the parent holds it.
They are kept as one row of links. A change holds from its day up to the next change of the same thing that is already
recorded; so a change that is recorded late does not undo a later one, and one for the same day corrects it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import takewhile
from uuid import UUID

from backend.kit.errors import CodedError, rule
from backend.kit.ids import uuid7
from tenants.domain.organisations import LeavingReason, Organisation, OrganisationKind, Ownership

WRONG_PARENT = rule(
    "WRONG_PARENT",
    en="A {kind} {need}.",
    zh="{kind} {need_zh}。",
)
WOULD_CYCLE = rule(
    "ORGANISATION_CYCLE",
    en="The new parent lies below the organisation itself in that time; an organisation cannot contain itself.",
    zh="新的上级在该时段位于该组织之下，组织不能包含自身。",
)
PARENT_ABSENT = rule(
    "PARENT_ABSENT",
    en="The parent is not in the tree during the whole time from {since}; it must be, as long as its child is.",
    zh="上级组织自 {since} 起并非全程存在，下级存续期间上级必须存在。",
)
NOT_PRESENT = rule(
    "ORGANISATION_NOT_PRESENT",
    en="'{code}' is in the tree {present}; {on} does not lie in that time.",
    zh="'{code}' 的存续期间为 {present}，{on} 不在其中。",
)
HAS_DESCENDANTS = rule(
    "ORGANISATION_HAS_DESCENDANTS",
    en="'{code}' still lies below on or after {on}; close or move it first (withDescendants takes along what is "
    "below on that very day).",
    zh="'{code}' 在 {on} 或之后仍是其下级；请先关闭或迁出（withDescendants 仅带走当日的下级）。",
)
REASON_NEEDED = rule(
    "REASON_NEEDED",
    en="Say why: {what} needs a written reason ({source}).",
    zh="请说明原因：{what_zh}须有书面理由（{source}）。",
)


@dataclass(frozen=True, slots=True)
class Link:
    """Below `parent_id` from `valid_from` up to but not including `valid_until` (None: without end)."""

    id: UUID
    child_id: UUID
    parent_id: UUID
    valid_from: date
    valid_until: date | None
    ownership: Ownership
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Relative:
    """An ancestor or descendant on a day: how far, the share multiplied along the way, control if unbroken."""

    organisation: Organisation
    depth: int
    equity_share: Decimal
    operational_control: bool
    financial_control: bool


@dataclass(frozen=True, slots=True)
class Departure:
    """A node leaves the tree, and with it (or not) what lies below."""

    organisation_id: UUID
    on: date
    because: LeavingReason
    with_descendants: bool
    reason: str
    expected_version: int | None = None


def check_kinds(kind: OrganisationKind, parent: Organisation | None) -> None:
    """A GROUP is a root; a SUBSIDIARY or a SITE lies below a GROUP or a SUBSIDIARY. Errors: WRONG_PARENT."""
    if kind is OrganisationKind.GROUP and parent is not None:
        need, need_zh = "is the root of a tree and has no parent", "是树的根，不能有上级"
    elif kind is not OrganisationKind.GROUP and parent is None:
        need, need_zh = "needs a parent: a GROUP or a SUBSIDIARY", "须有上级：GROUP 或 SUBSIDIARY"
    elif parent is not None and parent.kind is OrganisationKind.SITE:
        need, need_zh = f"cannot lie below a SITE ('{parent.code}')", f"不能位于 SITE（'{parent.code}'）之下"
    else:
        return
    raise WRONG_PARENT(path=("parentId",), kind=kind, need=need, need_zh=need_zh)


def check_parents(child: Organisation, links: Iterable[Link], parents: Mapping[UUID, Organisation]) -> None:
    """Every parent fits the child and is present as long as it is one. Errors: WRONG_PARENT, PARENT_ABSENT."""
    for link in links:
        parent = parents[link.parent_id]
        check_kinds(child.kind, parent)
        if not parent.present_throughout(link.valid_from, link.valid_until):
            raise PARENT_ABSENT(path=("parentId",), since=link.valid_from)


def check_present(organisation: Organisation, on: date, path: str) -> None:
    """Errors: ORGANISATION_NOT_PRESENT when it is not in the tree on that day."""
    if on < organisation.entered_on or (organisation.left_on is not None and on >= organisation.left_on):
        raise not_present(organisation, on, path)


def check_departure(organisation: Organisation, on: date, path: str) -> None:
    """It leaves behind its first day, and before the day it leaves anyway. Errors: ORGANISATION_NOT_PRESENT."""
    if on <= organisation.entered_on or (organisation.left_on is not None and on >= organisation.left_on):
        raise not_present(organisation, on, path)


def not_present(organisation: Organisation, on: date, path: str) -> CodedError:
    present = f"[{organisation.entered_on}, {organisation.left_on or '…'})"
    return NOT_PRESENT(path=(path,), code=organisation.code, present=present, on=on)


def moved(links: Sequence[Link], on: date, parent_id: UUID, reason: str) -> list[Link]:
    """The links once the child hangs below another parent from `on` to the next recorded change of parent."""
    before, after = _split(links, on)
    present = after[0].parent_id
    run = list(takewhile(lambda x: x.parent_id == present, after))
    return [*before, *_explained([replace(x, parent_id=parent_id) for x in run], reason), *after[len(run) :]]


def reowned(links: Sequence[Link], on: date, ownership: Ownership, reason: str) -> list[Link]:
    """The links once the child is held differently from `on` to the next recorded change of ownership."""
    before, after = _split(links, on)
    present = after[0].ownership
    run = list(takewhile(lambda x: x.ownership == present, after))
    return [*before, *_explained([replace(x, ownership=ownership) for x in run], reason), *after[len(run) :]]


def ended(links: Sequence[Link], on: date) -> list[Link]:
    """The links of a child that leaves the tree on a day: nothing from that day on."""
    return _split(links, on)[0]


def _explained(run: list[Link], reason: str) -> list[Link]:
    """The reason stands where the change begins; what was recorded behind it keeps its own."""
    return [replace(run[0], reason=reason), *run[1:]]


def _split(links: Sequence[Link], on: date) -> tuple[list[Link], list[Link]]:
    """Links before a day and from it on; one that runs across is cut in two."""
    before: list[Link] = []
    after: list[Link] = []
    for link in sorted(links, key=lambda x: x.valid_from):
        if link.valid_from >= on:
            after.append(link)
        elif link.valid_until is not None and link.valid_until <= on:
            before.append(link)
        else:
            before.append(replace(link, valid_until=on))
            after.append(replace(link, id=uuid7(), valid_from=on))
    return before, after
