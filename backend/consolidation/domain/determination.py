"""A determination: a pure function of a frozen input, told node by node.

`determine(frozen)` says for every member of the subtree what it emitted, holds and used, alone and with all it
consolidates, and finds neutrality and compliance. The same input gives the same bytes, hence the same digest, on any
day and on any machine: `replay` is how a third party checks a run (8.4.4, 8.4.6 g and i).
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Final, TypeVar
from uuid import UUID

import orjson

from backend.accounting.domain.sources import Category, DirectKind
from backend.consolidation.domain.inputs import FrozenInput, decode, digest, plain_decimal
from backend.consolidation.domain.rollup import EXACT, ZERO, Place, Sums, count_up, places, roll_up
from backend.consolidation.domain.verdicts import (
    Compliance,
    ComplianceVerdict,
    Duty,
    Eligibility,
    Neutrality,
    RejectionReason,
    Remark,
    RemarkKind,
    compliance,
    neutrality,
    order_remarks,
)
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.transfers import Use
from tenants.domain import AllowancePolicy, OrganisationKind

K = TypeVar("K", bound=Hashable)
Kind = tuple[Category, DirectKind | None]


@dataclass(frozen=True, slots=True)
class CategoryResult:
    """Emissions of one category in tCO2e: the node's own sources, and all it consolidates.

    `counted` is False for a category outside the accounting boundary (8.2.2); it is shown, and in no total.
    """

    category: Category
    direct_kind: DirectKind | None
    own_t: Decimal
    consolidated_t: Decimal
    counted: bool


@dataclass(frozen=True, slots=True)
class HeldResult:
    """Tonnes of one class of assets held on the last day of the period."""

    asset_class: AssetClass
    own_t: Decimal
    consolidated_t: Decimal


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What a run found for one organisation: alone (`own`), and with all within its boundary.

    `share` is what the consolidating organisation takes in of it. The subtree is `position..last`; `outermost` is the
    least depth of an ancestor whose boundary it lies in. `members` counts the organisations within this one's
    boundary, itself included, `reporting` those of them that reported anything, from `records` records.
    """

    position: int
    last: int
    organisation_id: UUID
    depth: int
    outermost: int
    share: Decimal
    members: int
    reporting: int
    records: int
    categories: tuple[CategoryResult, ...]
    own_total_t: Decimal
    consolidated_total_t: Decimal
    held: tuple[HeldResult, ...]
    neutrality: Neutrality
    own_compliance: Compliance
    compliance: Compliance
    remarks: tuple[Remark, ...]


@dataclass(frozen=True, slots=True)
class RejectedAsset:
    """Units that a node itself used and that do not count for neutrality, with the reason."""

    position: int
    outermost: int
    organisation_id: UUID
    use: Use
    for_year: int
    lot_id: UUID
    transfer_id: UUID
    asset_class: AssetClass
    quantity_t: int
    reason: RejectionReason


@dataclass(frozen=True, slots=True)
class Judged:
    """A node's result, and the canonical line of JSON it is stored and hashed as."""

    result: NodeResult
    line: bytes


@dataclass(frozen=True, slots=True)
class Determination:
    """All nodes of a run in tree order, the consolidating organisation first, and what was rejected."""

    nodes: tuple[Judged, ...]
    rejected: tuple[RejectedAsset, ...]

    @property
    def digest(self) -> bytes:
        """sha256 over the canonical line of every node and every rejected asset."""
        lines = hashlib.sha256()
        for node in self.nodes:
            lines.update(node.line + b"\n")
        for asset in self.rejected:
            lines.update(_line(asset) + b"\n")
        return lines.digest()


@dataclass(frozen=True, slots=True)
class Replay:
    """The digests that a frozen input leads to."""

    input_sha256: bytes
    result_sha256: bytes


def replay(content: bytes) -> Replay:
    """Recompute a run from the bytes of its frozen input alone."""
    return Replay(digest(content), determine(decode(content)).digest)


def determine(frozen: FrozenInput) -> Determination:
    """Judge every member of the subtree, for the period, by the approach and the policy of the input."""
    judgement = Judgement(frozen)
    return judgement.determination(judgement.nodes(0, len(judgement)))


class Judgement:
    """A determination in the making, so that a job can take the nodes in pieces and say how far it is."""

    def __init__(self, frozen: FrozenInput) -> None:
        self.frozen = frozen
        self.tree = places(frozen.members, frozen.organisation_id, frozen.approach)
        members = frozenset(m.organisation_id for m in frozen.members)
        self._eligible = Eligibility(frozen.from_year, frozen.to_year, frozen.allowance_policy, members)
        with localcontext(EXACT):
            self._sums = _Sums.of(frozen, self.tree, self._eligible)

    def __len__(self) -> int:
        return len(self.tree)

    def nodes(self, start: int, stop: int) -> list[Judged]:
        """The results of the positions `start..stop - 1`."""
        with localcontext(EXACT):
            results = [_node(self.frozen, place, self._sums) for place in self.tree[start:stop]]
        return [Judged(result, _line(result)) for result in results]

    def determination(self, nodes: Iterable[Judged]) -> Determination:
        """All nodes together with what was rejected."""
        return Determination(tuple(nodes), tuple(sorted(self._rejected(), key=_order)))

    def _rejected(self) -> Iterator[RejectedAsset]:
        for used in self.frozen.used:
            reason = self._eligible.rejection(used)
            if reason is not None:
                place = self.tree[self._sums.at[used.organisation_id]]
                yield RejectedAsset(
                    position=place.position,
                    outermost=place.outermost,
                    organisation_id=used.organisation_id,
                    use=used.use,
                    for_year=used.for_year,
                    lot_id=used.lot_id,
                    transfer_id=used.transfer_id,
                    asset_class=used.asset_class,
                    quantity_t=used.quantity_t,
                    reason=reason,
                )


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums by place, own and rolled up, each list in the order of the tree."""

    at: Mapping[UUID, int]
    emitted: Sequence[Mapping[Kind, Decimal]]
    all_emitted: Sequence[Mapping[Kind, Decimal]]
    held: Sequence[Mapping[AssetClass, Decimal]]
    all_held: Sequence[Mapping[AssetClass, Decimal]]
    counted: Sequence[Mapping[AssetClass, Decimal]]
    duties: Sequence[Mapping[Duty, Decimal]]
    all_duties: Sequence[Mapping[Duty, Decimal]]
    records: Sequence[int]
    reporting: Sequence[int]
    members: Sequence[int]
    silent: Sequence[int]
    short: Sequence[int]

    @classmethod
    def of(cls, frozen: FrozenInput, tree: Sequence[Place], eligible: Eligibility) -> _Sums:
        at = {place.member.organisation_id: place.position for place in tree}
        size = len(tree)
        emitted = _by_place(
            size, ((at[e.organisation_id], (e.category, e.direct_kind), e.co2e_t) for e in frozen.emissions)
        )
        held = _by_place(size, ((at[h.organisation_id], h.asset_class, Decimal(h.quantity_t)) for h in frozen.held))
        counted = _by_place(
            size,
            (
                (at[u.organisation_id], u.asset_class, Decimal(u.quantity_t))
                for u in frozen.used
                if eligible.rejection(u) is None
            ),
        )
        duties = _by_place(size, ((at[key], duty, amount) for key, duty, amount in _duties(frozen)))
        records = [0] * size
        for emission in frozen.emissions:
            records[at[emission.organisation_id]] += emission.records
        return cls(
            at=at,
            emitted=emitted,
            all_emitted=roll_up(tree, emitted),
            held=held,
            all_held=roll_up(tree, held),
            counted=roll_up(tree, counted),
            duties=duties,
            all_duties=roll_up(tree, duties),
            records=count_up(tree, records),
            reporting=count_up(tree, [int(n > 0) for n in records]),
            members=count_up(tree, [1] * size),
            silent=count_up(
                tree, [int(p.member.kind is OrganisationKind.SITE and not records[p.position]) for p in tree]
            ),
            short=count_up(tree, [int(_is_short(d)) for d in duties]),
        )


def _node(frozen: FrozenInput, place: Place, sums: _Sums) -> NodeResult:
    here = place.position
    own, everything = sums.emitted[here], sums.all_emitted[here]
    total = _total(everything, frozen)
    counted = sums.counted[here]
    mine = compliance(sums.duties[here])
    return NodeResult(
        position=here,
        last=place.last,
        organisation_id=place.member.organisation_id,
        depth=place.depth,
        outermost=place.outermost,
        share=place.share,
        members=sums.members[here],
        reporting=sums.reporting[here],
        records=sums.records[here],
        categories=tuple(
            CategoryResult(key[0], key[1], own.get(key, ZERO), everything[key], key[0] in frozen.categories)
            for key in sorted(everything, key=_rank)
        ),
        own_total_t=_total(own, frozen),
        consolidated_total_t=total,
        held=tuple(
            HeldResult(c, sums.held[here].get(c, ZERO), sums.all_held[here][c])
            for c in AssetClass
            if c in sums.all_held[here]
        ),
        neutrality=neutrality(total, counted, reported=sums.records[here] > 0),
        own_compliance=mine,
        compliance=compliance(sums.all_duties[here]),
        remarks=tuple(
            _remarks(
                frozen,
                counted,
                silent=sums.silent[here],
                short=sums.short[here] - int(mine.verdict is ComplianceVerdict.SHORT),
            )
        ),
    )


def _remarks(
    frozen: FrozenInput, counted: Mapping[AssetClass, Decimal], *, silent: int, short: int
) -> Iterator[Remark]:
    yield from order_remarks(counted)
    if silent:
        yield Remark(RemarkKind.SITES_WITHOUT_DATA, count=silent)
    if frozen.allowance_policy is AllowancePolicy.ALL and counted.get(AssetClass.ALLOWANCE):
        yield Remark(RemarkKind.ALLOCATED_ALLOWANCES_COUNT)
    if short:
        yield Remark(RemarkKind.MEMBERS_SHORT, count=short)


def _by_place(size: int, amounts: Iterable[tuple[int, K, Decimal]]) -> list[Sums[K]]:
    sums: list[Sums[K]] = [{} for _ in range(size)]
    for position, key, amount in amounts:
        mine = sums[position]
        mine[key] = mine[key] + amount if key in mine else amount
    return sums


def _duties(frozen: FrozenInput) -> Iterator[tuple[UUID, Duty, Decimal]]:
    """Obligations and surrenders of the compliance periods that end within this one, named by their last year."""
    for owed in frozen.obligations:
        if frozen.from_year <= owed.to_year <= frozen.to_year:
            yield owed.organisation_id, Duty.OWED, owed.tonnes
    for used in frozen.used:
        if used.use is Use.SURRENDERED and frozen.from_year <= used.for_year <= frozen.to_year:
            yield used.organisation_id, Duty.SURRENDERED, Decimal(used.quantity_t)


def _order(asset: RejectedAsset) -> tuple[int, int, int, int]:
    return asset.position, asset.transfer_id.int, asset.lot_id.int, asset.quantity_t


def _is_short(duties: Mapping[Duty, Decimal]) -> bool:
    return compliance(duties).verdict is ComplianceVerdict.SHORT


def _total(sums: Mapping[Kind, Decimal], frozen: FrozenInput) -> Decimal:
    return sum((t for (category, _), t in sums.items() if category in frozen.categories), ZERO)


_CATEGORY_RANK: Final = {c: i for i, c in enumerate(Category)}
_KIND_RANK: Final = {None: 0} | {k: i for i, k in enumerate(DirectKind, start=1)}


def _rank(key: Kind) -> tuple[int, int]:
    return _CATEGORY_RANK[key[0]], _KIND_RANK[key[1]]


def _line(part: NodeResult | RejectedAsset) -> bytes:
    return orjson.dumps(part, default=_plain, option=orjson.OPT_SORT_KEYS)


def _plain(value: object) -> str:
    if isinstance(value, Decimal):
        return plain_decimal(value)
    if isinstance(value, UUID):  # a driver's own kind of UUID
        return str(value)
    raise TypeError(type(value).__name__)
