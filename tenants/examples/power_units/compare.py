"""What was computed against what was published; what was measured beside what the factor gives."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from tenants.examples.api import Api
from tenants.examples.power_units.group import YEAR, site
from tenants.examples.power_units.records import Basis, Factor, Records, UnitYear

NEAR: Final = Decimal("0.001")
Results = Mapping[tuple[str, str], Decimal]


@dataclass(frozen=True, slots=True)
class Recomputed:
    """Estimated units. `far`: those whose published CO2 another factor must have given, by fuel."""

    agreeing: int
    compared: int
    far: Counter[str]
    without_factor: Counter[str]

    def lines(self) -> list[str]:
        share = f"{self.agreeing / self.compared:.1%}"
        far = ", ".join(f"{fuel} {n}" for fuel, n in self.far.most_common())
        return [
            f"differ by more than 0.1 %, by fuel: {far}",
            f"no factor is published for: {', '.join(f'{f} {n}' for f, n in self.without_factor.items()) or 'none'}",
            f"power_units: {self.agreeing:,} of {self.compared:,} estimated units agree within 0.1 % ({share})",
        ]


@dataclass(frozen=True, slots=True)
class TwoMethods:
    """Measured units that have a factor: both totals, and the ratio of factor result to measurement."""

    units: int
    measured_t: Decimal
    by_factor_t: Decimal
    ratios: tuple[Decimal, ...]

    def lines(self) -> list[str]:
        within = {limit: sum(abs(r - 1) <= limit for r in self.ratios) for limit in (NEAR, NEAR * 10, NEAR * 50)}
        told = ", ".join(f"{n:,} within {limit:.1%}" for limit, n in within.items())
        total = f"{self.measured_t:,.0f} t measured, {self.by_factor_t:,.0f} t by factor"
        median = f"median of factor to measurement {statistics.median(self.ratios):.4f}"
        off = f"{self.by_factor_t / self.measured_t - 1:+.2%}"
        return [f"two methods for {self.units:,} units: {total} ({off}); {median}; {told}"]


def results(api: Api) -> dict[tuple[str, str], Decimal]:
    """tCO2e of every source in the year, as the API tells them."""
    found: dict[tuple[str, str], Decimal] = {}
    after: str | None = None
    while True:
        page = api.run("YearResults", {"year": YEAR, "after": after})
        for node in page["nodes"]:
            total = sum((Decimal(r["co2eT"]) for r in node["monthlyResults"]), Decimal(0))
            found[node["organisation"]["code"], node["code"]] = total
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def recomputed(records: Records, found: Results) -> Recomputed:
    """Estimated units, by what the API says against what was published."""
    estimated = [u for u in records.units if u.basis is Basis.ESTIMATED]
    compared = [u for u in estimated if u.fuel in records.factors]
    far = Counter(u.fuel for u in compared if not _near(found.get((site(u), u.code), Decimal(-1)), u.co2_t))
    without = Counter(u.fuel for u in estimated if u.fuel not in records.factors)
    return Recomputed(len(compared) - far.total(), len(compared), far, without)


def _near(ours: Decimal, published: Decimal) -> bool:
    return abs(ours - published) <= abs(published) * NEAR


def two_methods(records: Records, found: Results) -> TwoMethods:
    """Measured units, as the API says, beside heat × factor."""
    pairs = [
        (found[site(u), u.code], by_factor(u, records.factors[u.fuel]))
        for u in records.units
        if u.basis is Basis.MEASURED and u.fuel in records.factors and (site(u), u.code) in found
    ]
    ratios = tuple(ours / measured for measured, ours in pairs if measured)
    return TwoMethods(len(pairs), sum(m for m, _ in pairs) + Decimal(0), sum(f for _, f in pairs) + Decimal(0), ratios)


def by_factor(unit: UnitYear, factor: Factor) -> Decimal:
    """T CO2 of the heat the unit took in."""
    return unit.heat_gj * factor.t_per_gj
