"""The six categories of 8.2.2 in the words of others: scopes of the GHG Protocol, categories of ISO 14064-1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from backend.accounting.domain.sources import SUBTYPES, Category, Subtype


class Scope(StrEnum):
    """A scope of the GHG Protocol."""

    SCOPE_1 = "SCOPE_1"
    """Direct emissions (范围一)."""
    SCOPE_2 = "SCOPE_2"
    """Indirect emissions from purchased energy (范围二)."""
    SCOPE_3 = "SCOPE_3"
    """Other indirect emissions (范围三)."""


ISO_CATEGORY: Final[Mapping[Category, int]] = {category: n for n, category in enumerate(Category, 1)}
"""ISO 14064-1:2018 numbers the same six."""

# Categories of the Corporate Value Chain (Scope 3) Standard. It has none for visitors.
SCOPE_3_CATEGORY: Final[Mapping[Subtype, int]] = {
    Subtype.PURCHASED_GOODS: 1,
    Subtype.PURCHASED_SERVICES: 1,
    Subtype.CAPITAL_GOODS: 2,
    Subtype.FUEL_SUPPLY: 3,
    Subtype.UPSTREAM_FREIGHT: 4,
    Subtype.WASTE: 5,
    Subtype.BUSINESS_TRAVEL: 6,
    Subtype.COMMUTING: 7,
    Subtype.UPSTREAM_LEASES: 8,
    Subtype.DOWNSTREAM_FREIGHT: 9,
    Subtype.PROCESSING: 10,
    Subtype.USE_OF_PRODUCTS: 11,
    Subtype.END_OF_LIFE: 12,
    Subtype.DOWNSTREAM_LEASES: 13,
    Subtype.FRANCHISES: 14,
    Subtype.INVESTMENTS: 15,
}


@dataclass(frozen=True, slots=True)
class SubtypeMapping:
    """A sub-type (None: of a source that does not say it), and where others put it."""

    category: Category
    subtype: Subtype | None
    scope: Scope
    scope_3_category: int | None
    iso_category: int


def mapped(category: Category, subtype: Subtype | None) -> SubtypeMapping:
    """Where a source of a category and sub-type stands in the GHG Protocol and in ISO 14064-1."""
    scopes = {Category.DIRECT: Scope.SCOPE_1, Category.IMPORTED_ENERGY: Scope.SCOPE_2}
    scope_3 = SCOPE_3_CATEGORY.get(subtype) if subtype else None
    return SubtypeMapping(category, subtype, scopes.get(category, Scope.SCOPE_3), scope_3, ISO_CATEGORY[category])


def mappings() -> list[SubtypeMapping]:
    """All there are, in the order of the standard; of each category first what does not say its sub-type."""
    return [mapped(c, subtype) for c in Category for subtype in (None, *SUBTYPES[c])]


@dataclass(frozen=True, slots=True)
class SubtypeTotal:
    """tCO2e of a category and sub-type."""

    category: Category
    subtype: Subtype | None
    co2e_t: Decimal


@dataclass(frozen=True, slots=True)
class ProtocolTotal:
    """tCO2e of a scope; of scope 3 by category, None for what no category is said of."""

    scope: Scope
    scope_3_category: int | None
    co2e_t: Decimal


def by_protocol(totals: Iterable[SubtypeTotal]) -> list[ProtocolTotal]:
    """The same tonnes by scope and category of scope 3, in their order; what is in no category comes last."""
    found: dict[tuple[Scope, int | None], Decimal] = {}
    for total in totals:
        place = mapped(total.category, total.subtype)
        key = place.scope, place.scope_3_category
        found[key] = found.get(key, Decimal(0)) + total.co2e_t
    order = sorted(found, key=lambda key: (key[0], key[1] is None, key[1] or 0))
    return [ProtocolTotal(scope, number, found[scope, number]) for scope, number in order]
