"""The subtree as a tree, and sums carried up it without losing a digit.

Consolidated(N) = own(N) + Σ weight(child) x consolidated(child). Because a weight multiplies all that lies below, this
is the same as weighing each leaf by the product of the shares on its way up: the group's sum is the sum of its leaves
to the last decimal. Under a control approach a weight is 1 or 0, so what is not controlled takes its subtree with it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, localcontext
from typing import Final, TypeVar
from uuid import UUID

from backend.consolidation.domain.inputs import Member
from tenants.domain import ConsolidationApproach

K = TypeVar("K", bound=Hashable)
Sums = dict[K, Decimal]

# Shares have 8 decimals, emissions 9: a chain of 300 companies would still fit, and what did not would raise.
EXACT: Final = Context(prec=3000, rounding=ROUND_HALF_UP, traps=[Inexact])
ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member stands in the tree of a run.

    Places are numbered in pre-order, so a subtree is the range `position..last`. `share` is what the consolidating
    organisation has of it; `outermost` the least depth of an ancestor that has any of it.
    """

    member: Member
    position: int
    last: int
    depth: int
    parent: int | None
    weight: Decimal
    share: Decimal
    outermost: int


def weight(member: Member, approach: ConsolidationApproach) -> Decimal:
    """The part of a member that its parent takes in: its equity share, or all or nothing by control."""
    if approach is ConsolidationApproach.EQUITY_SHARE:
        return member.equity_share
    controlled = (
        member.operational_control
        if approach is ConsolidationApproach.OPERATIONAL_CONTROL
        else member.financial_control
    )
    return ONE if controlled else ZERO


def places(members: Iterable[Member], root: UUID, approach: ConsolidationApproach) -> list[Place]:
    """The members in pre-order, siblings by id. Members that do not hang below `root` are refused."""
    children: dict[UUID | None, list[Member]] = {}
    count = 0
    for member in members:
        above = None if member.organisation_id == root else member.parent_id
        children.setdefault(above, []).append(member)
        count += 1
    heads = children.get(None, [])
    if len(heads) != 1 or heads[0].organisation_id != root:
        message = "the members of a consolidation form one tree below the consolidating organisation"
        raise ValueError(message)
    found = _walk(heads[0], children, approach)
    if len(found) != count:
        message = f"{count - len(found)} members do not hang below the consolidating organisation"
        raise ValueError(message)
    return found


def _walk(head: Member, children: Mapping[UUID | None, list[Member]], approach: ConsolidationApproach) -> list[Place]:
    found: list[Place] = []
    waiting: list[tuple[Member, int | None]] = [(head, None)]
    with localcontext(EXACT):
        while waiting:
            member, parent = waiting.pop()
            found.append(_place(member, len(found), None if parent is None else found[parent], approach))
            below = sorted(children.get(member.organisation_id, ()), key=lambda m: m.organisation_id.int, reverse=True)
            here = len(found) - 1
            waiting.extend((child, here) for child in below)
    return _closed(found)


def _place(member: Member, position: int, above: Place | None, approach: ConsolidationApproach) -> Place:
    if above is None:
        return Place(member, position, position, 0, None, ONE, ONE, 0)
    part = weight(member, approach)
    depth = above.depth + 1
    outermost = above.outermost if part else depth
    return Place(member, position, position, depth, above.position, part, above.share * part, outermost)


def _closed(found: list[Place]) -> list[Place]:
    """The same places, each knowing the last position of its subtree."""
    last = [p.position for p in found]
    for place in reversed(found):
        if place.parent is not None:
            last[place.parent] = max(last[place.parent], last[place.position])
    return [
        Place(p.member, p.position, last[p.position], p.depth, p.parent, p.weight, p.share, p.outermost) for p in found
    ]


def roll_up(tree: Sequence[Place], own: Sequence[Mapping[K, Decimal]]) -> list[Sums[K]]:
    """Consolidated sums per place from own sums per place, by key, exact."""
    sums: list[Sums[K]] = [dict(mine) for mine in own]
    with localcontext(EXACT):
        for place in reversed(tree):
            if place.parent is None or not place.weight:
                continue
            above, share = sums[place.parent], place.weight
            for key, amount in sums[place.position].items():
                part = amount if share == 1 else amount * share
                above[key] = above[key] + part if key in above else part
    return sums


def count_up(tree: Sequence[Place], own: Sequence[int]) -> list[int]:
    """How many there are within each place's boundary: each counts wholly where its weight is above zero."""
    counts = list(own)
    for place in reversed(tree):
        if place.parent is not None and place.weight:
            counts[place.parent] += counts[place.position]
    return counts
