"""Totals by another set of warming potentials, from the masses by gas that are kept beside the results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from backend.accounting.domain.sources import Category, DirectKind
from tenants.domain import GwpSet


@dataclass(frozen=True, slots=True)
class GasSum:
    """One gas of one category under one set: tonnes of the gas, tCO2e; None where the set does not know the gas.

    `about` is what was asked for, an organisation or an inventory. CO2E has no gas split: it is the same in each set.
    """

    about: UUID
    gwp_set: GwpSet
    category: Category
    direct_kind: DirectKind | None
    gas: str
    mass_t: Decimal
    co2e_t: Decimal | None
    split: bool


@dataclass(frozen=True, slots=True)
class GwpCategory:
    """tCO2e of a category under a set, and what of it is taken as it was given."""

    category: Category
    direct_kind: DirectKind | None
    co2e_t: Decimal
    unsplit_t: Decimal


@dataclass(frozen=True, slots=True)
class GasMass:
    """Tonnes of a gas."""

    gas: str
    mass_t: Decimal


@dataclass(frozen=True, slots=True)
class GwpTotal:
    """A total under one set. `lacking` gases have no potential in it and are not in the total."""

    gwp_set: GwpSet
    co2e_t: Decimal
    unsplit_t: Decimal
    biogenic_t: Decimal
    by_category: tuple[GwpCategory, ...]
    lacking: tuple[GasMass, ...]


def totals_by_set(sums: Iterable[GasSum], sets: Sequence[GwpSet], biogenic: str) -> list[GwpTotal]:
    """One total for each set asked for, in the order of asking; sums exactly."""
    rows = list(sums)
    return [_total([r for r in rows if r.gwp_set is wanted], wanted, biogenic) for wanted in dict.fromkeys(sets)]


def _total(rows: Sequence[GasSum], gwp_set: GwpSet, biogenic: str) -> GwpTotal:
    zero = Decimal(0)
    counted = [r for r in rows if r.gas != biogenic]
    terms: dict[tuple[Category, DirectKind | None], list[GasSum]] = {}
    for row in counted:
        terms.setdefault((row.category, row.direct_kind), []).append(row)
    by_category = tuple(
        GwpCategory(
            category,
            kind,
            sum((r.co2e_t or zero for r in of), zero),
            sum((r.co2e_t or zero for r in of if not r.split), zero),
        )
        for (category, kind), of in sorted(terms.items(), key=lambda t: (list(Category).index(t[0][0]), t[0][1] or ""))
    )
    lacking: dict[str, Decimal] = {}
    for row in counted:
        if row.co2e_t is None:
            lacking[row.gas] = lacking.get(row.gas, zero) + row.mass_t
    return GwpTotal(
        gwp_set,
        sum((c.co2e_t for c in by_category), zero),
        sum((c.unsplit_t for c in by_category), zero),
        sum((r.mass_t for r in rows if r.gas == biogenic), zero),
        by_category,
        tuple(GasMass(gas, lacking[gas]) for gas in sorted(lacking)),
    )
