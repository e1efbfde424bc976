"""What a determination is made from, frozen: plain rows, one canonical form, one digest (8.4).

The canonical form is JSON with sorted keys, sorted rows and plain decimals, so the same facts give the same bytes in
any order of loading; rows name organisations by their place in the sorted list of members, which keeps a group of
20,000 sites at a few megabytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import orjson

from backend.accounting.domain.sources import Category, DirectKind
from backend.ledger.domain.balances import UsedAsset
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.obligations import ObligationOf
from backend.ledger.domain.transfers import Use
from tenants.domain import AllowancePolicy, ConsolidationApproach, OrganisationKind

FORM: Final = "tanheng.consolidation.input/1"


class Basis(StrEnum):
    """Which emissions are put together."""

    ALL = "ALL"
    """All that is recorded, checked or not."""
    APPROVED = "APPROVED"
    """Those of approved inventories alone: what is pending stays out."""


@dataclass(frozen=True, slots=True)
class Member:
    """An organisation of the subtree on the last day of the period, and how its parent holds it that day.

    `equity_share` is a fraction of 1. What the consolidating organisation's own parent holds of it does not matter:
    its `parent_id` is None and its share 1.
    """

    organisation_id: UUID
    parent_id: UUID | None
    kind: OrganisationKind
    equity_share: Decimal = Decimal(1)
    operational_control: bool = True
    financial_control: bool = True


@dataclass(frozen=True, slots=True)
class Emission:
    """What an organisation's own sources emitted in the period, in tCO2e, and from how many records."""

    organisation_id: UUID
    category: Category
    direct_kind: DirectKind | None
    co2e_t: Decimal
    records: int


@dataclass(frozen=True, slots=True)
class Held:
    """Whole tonnes of a class in an organisation's accounts on the last day of the period."""

    organisation_id: UUID
    asset_class: AssetClass
    quantity_t: int


@dataclass(frozen=True, slots=True)
class FrozenInput:
    """All that a determination depends on; nothing else may be asked while it is made.

    The approach, the allowance policy and the accounted categories are the consolidating organisation's: one
    statement, one set of rules for all its members.
    """

    organisation_id: UUID
    from_year: int
    to_year: int
    as_of: date
    approach: ConsolidationApproach
    allowance_policy: AllowancePolicy
    categories: tuple[Category, ...]
    members: tuple[Member, ...]
    emissions: tuple[Emission, ...] = ()
    used: tuple[UsedAsset, ...] = ()
    held: tuple[Held, ...] = ()
    obligations: tuple[ObligationOf, ...] = ()
    basis: Basis = Basis.ALL


def held_by_class(lots: Iterable[tuple[UUID, AssetClass, int]]) -> tuple[Held, ...]:
    """Sums per organisation and class of what is held lot by lot."""
    sums: dict[tuple[UUID, AssetClass], int] = {}
    for organisation_id, asset_class, quantity_t in lots:
        key = (organisation_id, asset_class)
        sums[key] = sums.get(key, 0) + quantity_t
    return tuple(Held(*key, quantity_t) for key, quantity_t in sums.items() if quantity_t)


def digest(content: bytes) -> bytes:
    """The sha256 by which a frozen input or a result is known."""
    return hashlib.sha256(content).digest()


def plain_decimal(value: Decimal) -> str:
    """A decimal as digits alone, every way of writing the same number as one: `1.500` and `15E-1` are `1.5`."""
    if not value:
        return "0"
    written = format(value, "f")
    return written.rstrip("0").rstrip(".") if "." in written else written


def encode(frozen: FrozenInput) -> bytes:
    """The canonical form: equal inputs, whatever the order of their rows, give equal bytes."""
    members = sorted(frozen.members, key=lambda m: m.organisation_id.int)
    place = {m.organisation_id: i for i, m in enumerate(members)}
    # Named only where it is not the usual one, so that the usual inputs keep the digests they always had.
    basis = {} if frozen.basis is Basis.ALL else {"basis": frozen.basis}
    return orjson.dumps(
        basis
        | {
            "form": FORM,
            "organisation": place[frozen.organisation_id],
            "period": [frozen.from_year, frozen.to_year],
            "as_of": frozen.as_of,
            "approach": frozen.approach,
            "allowance_policy": frozen.allowance_policy,
            "categories": sorted(frozen.categories),
            "members": [_member(m, place) for m in members],
            "emissions": _sorted(
                [place[e.organisation_id], e.category, e.direct_kind, plain_decimal(e.co2e_t), e.records]
                for e in frozen.emissions
            ),
            "used": _sorted(_used(u, place) for u in frozen.used),
            "held": _sorted([place[h.organisation_id], h.asset_class, h.quantity_t] for h in frozen.held),
            "obligations": _sorted(
                [place[o.organisation_id], o.from_year, o.to_year, plain_decimal(o.tonnes), str(o.id)]
                for o in frozen.obligations
            ),
        },
        option=orjson.OPT_SORT_KEYS,
    )


def decode(content: bytes) -> FrozenInput:
    """The input behind its canonical form; its rows come in canonical order."""
    read = orjson.loads(content)
    if read["form"] != FORM:
        message = f"a frozen input of the form {read['form']}; this release reads {FORM}"
        raise ValueError(message)
    ids = [UUID(row[0]) for row in read["members"]]
    return FrozenInput(
        organisation_id=ids[read["organisation"]],
        from_year=read["period"][0],
        to_year=read["period"][1],
        as_of=date.fromisoformat(read["as_of"]),
        approach=ConsolidationApproach(read["approach"]),
        allowance_policy=AllowancePolicy(read["allowance_policy"]),
        categories=tuple(Category(c) for c in read["categories"]),
        members=tuple(_read_member(row, ids) for row in read["members"]),
        emissions=tuple(
            Emission(ids[i], Category(c), k and DirectKind(k), Decimal(t), n) for i, c, k, t, n in read["emissions"]
        ),
        used=tuple(_read_used(row, ids) for row in read["used"]),
        held=tuple(Held(ids[i], AssetClass(c), q) for i, c, q in read["held"]),
        obligations=tuple(ObligationOf(ids[i], a, b, Decimal(t), UUID(k)) for i, a, b, t, k in read["obligations"]),
        basis=Basis(read.get("basis", Basis.ALL)),
    )


def _member(m: Member, place: Mapping[UUID, int]) -> list[Any]:
    parent = None if m.parent_id is None else place[m.parent_id]
    share = plain_decimal(m.equity_share)
    return [str(m.organisation_id), parent, m.kind, share, m.operational_control, m.financial_control]


def _read_member(row: Sequence[Any], ids: Sequence[UUID]) -> Member:
    key, parent, kind, share, operational, financial = row
    above = None if parent is None else ids[parent]
    return Member(UUID(key), above, OrganisationKind(kind), Decimal(share), operational, financial)


def _used(u: UsedAsset, place: Mapping[UUID, int]) -> list[Any]:
    key, lot, transfer = place[u.organisation_id], str(u.lot_id), str(u.transfer_id)
    allocated_to = u.allocated_to and str(u.allocated_to)
    return [key, u.use, u.for_year, u.asset_class, u.bought, u.quantity_t, u.vintage, lot, transfer, allocated_to]


def _read_used(row: Sequence[Any], ids: Sequence[UUID]) -> UsedAsset:
    key, use, year, asset_class, bought, quantity, vintage, lot, transfer, allocated_to = row
    return UsedAsset(
        organisation_id=ids[key],
        use=Use(use),
        for_year=year,
        lot_id=UUID(lot),
        asset_class=AssetClass(asset_class),
        bought=bought,
        quantity_t=quantity,
        transfer_id=UUID(transfer),
        vintage=vintage,
        allocated_to=allocated_to and UUID(allocated_to),
    )


def _sorted(rows: Iterable[list[Any]]) -> list[list[Any]]:
    # None sorts before everything, so that an absent kind or vintage has its place too.
    return sorted(rows, key=lambda row: [(part is not None, part if part is not None else 0) for part in row])
