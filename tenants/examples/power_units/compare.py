"""What was computed against what was published; measurement beside factor, and equity shares, as the API tells them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from tenants.examples.api import Api
from tenants.examples.power_units.group import TOP, YEAR, places, share_in_tree, units_loaded
from tenants.examples.power_units.owners import Owners
from tenants.examples.power_units.records import Basis, Factor, Records, UnitYear

NEAR: Final = Decimal("0.001")
GRAM: Final = Decimal("1e-6")
Key = tuple[str, str]
"""A unit: its plant and its code."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the API says of a source in the year: tCO2e that count, and by class of method."""

    counted_t: Decimal
    by_method: Mapping[str, Decimal]


Results = Mapping[Key, Told]


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
    """Units that hold both classes: both totals, the ratio of factor result to measurement, and where the API counts
    anything but the published measurement, or the factor result is not heat × factor to the last digit.
    """

    units: int
    measured_t: Decimal
    by_factor_t: Decimal
    ratios: tuple[Decimal, ...]
    counted_twice: tuple[Key, ...]
    miscalculated: tuple[Key, ...]

    def lines(self) -> list[str]:
        if not self.units:
            return ["no unit holds both methods"]
        within = {limit: sum(abs(r - 1) <= limit for r in self.ratios) for limit in (NEAR, NEAR * 10, NEAR * 50)}
        told = ", ".join(f"{n:,} within {limit:.1%}" for limit, n in within.items())
        total = f"{self.measured_t:,.0f} t measured, {self.by_factor_t:,.0f} t by factor"
        median = f"median of factor to measurement {statistics.median(self.ratios):.4f}"
        off = f"{self.by_factor_t / self.measured_t - 1:+.2%}"
        return [
            *(f"counts other than its measurement: unit {code} of plant {plant}" for plant, code in self.counted_twice),
            *(f"is not heat × factor: unit {code} of plant {plant}" for plant, code in self.miscalculated),
            f"two methods for {self.units:,} units: {total} ({off}); {median}; {told}",
        ]


@dataclass(frozen=True, slots=True)
class Shares:
    """Equity shares: `differing` are code of the owner, the total consolidated, and the total of plain sums."""

    compared: int
    differing: tuple[tuple[str, Decimal, Decimal], ...]
    whole_t: Decimal
    in_tree_t: Decimal
    others_t: Decimal

    def lines(self) -> list[str]:
        agree = self.compared - len(self.differing)
        held = f"{self.in_tree_t:,.2f} t held by largest owners or not told apart, {self.others_t:,.2f} t by others"
        return [
            *(
                f"differs: {code}: consolidated {ours} t, by plain sums {theirs} t"
                for code, ours, theirs in self.differing
            ),
            f"operated {self.whole_t:,.2f} t: {held}",
            f"equity share: {agree:,} of {self.compared:,} totals are equal to plain sums over units and owners",
        ]


def results(api: Api, records: Records, owners: Owners) -> dict[Key, Told]:
    """Every unit in the year, as the API tells it."""
    loaded = units_loaded(records)
    at = places(loaded, owners)
    units = {(at[u.plant, u.code], u.code): (u.plant, u.code) for u in loaded}
    found: dict[Key, Told] = {}
    after: str | None = None
    while True:
        page = api.run("YearResults", {"year": YEAR, "after": after})
        for node in page["nodes"]:
            counted = sum((Decimal(r["co2eT"]) for r in node["monthlyResults"]), Decimal(0))
            by_method = {t["method"]: Decimal(t["co2eT"]) for t in node["methodComparison"]["totals"]}
            found[units[node["organisation"]["code"], node["code"]]] = Told(counted, by_method)
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def recomputed(records: Records, found: Results) -> Recomputed:
    """Estimated units, by what the API says against what was published."""
    estimated = [u for u in records.units if u.basis is Basis.ESTIMATED]
    compared = [u for u in estimated if u.fuel in records.factors]
    far = Counter(u.fuel for u in compared if not _near(found.get((u.plant, u.code)), u.co2_t))
    without = Counter(u.fuel for u in estimated if u.fuel not in records.factors)
    return Recomputed(len(compared) - far.total(), len(compared), far, without)


def _near(ours: Told | None, published: Decimal) -> bool:
    return ours is not None and abs(ours.counted_t - published) <= abs(published) * NEAR


def two_methods(records: Records, found: Results) -> TwoMethods:
    """Measured units that have a factor: both results as the API says, held against the record."""
    measured, by_factor_t, ratios = Decimal(0), Decimal(0), []
    twice: list[Key] = []
    wrong: list[Key] = []
    units = [
        u
        for u in records.units
        if u.basis is Basis.MEASURED and u.fuel in records.factors and (u.plant, u.code) in found
    ]
    for unit in units:
        key = unit.plant, unit.code
        told = found[key]
        ours, beside = told.by_method.get("MEASURED", Decimal(0)), told.by_method.get("FACTOR", Decimal(0))
        measured, by_factor_t = measured + ours, by_factor_t + beside
        ratios += [beside / ours] if ours else []
        twice += [key] if not told.counted_t == ours == _kept(unit.co2_t) else []
        wrong += [key] if beside != _kept(by_factor(unit, records.factors[unit.fuel])) else []
    return TwoMethods(len(units), measured, by_factor_t, tuple(ratios), tuple(twice), tuple(wrong))


def by_factor(unit: UnitYear, factor: Factor) -> Decimal:
    """T CO2 of the heat the unit took in."""
    return unit.heat_gj * factor.t_per_gj


def _kept(tonnes: Decimal) -> Decimal:
    return tonnes.quantize(Decimal("1e-9"), ROUND_HALF_UP)


def own_t(unit: UnitYear, records: Records) -> Decimal:
    """What must count for a unit, by the record alone."""
    return _kept(unit.co2_t if unit.basis is Basis.MEASURED else by_factor(unit, records.factors[unit.fuel]))


def equity_totals(records: Records, owners: Owners) -> dict[str, Decimal]:
    """Tonnes by code of the owner, and of all: unit × share of its largest owner, the whole where none is known."""
    totals: dict[str, Decimal] = {TOP: Decimal(0)}
    for unit in units_loaded(records):
        above, share = share_in_tree(unit, owners)
        held = own_t(unit, records) * share
        for code in {above, TOP}:
            totals[code] = totals.get(code, Decimal(0)) + held
    return totals


def shares(records: Records, owners: Owners, nodes: Iterable[Mapping[str, Any]]) -> Shares:
    """`nodes`: those of the finished run, as the API tells them. Equal means equal to the gram."""
    sums = equity_totals(records, owners)
    ours = {n["organisation"]["code"]: Decimal(n["consolidatedTotalT"]) for n in nodes}
    differing = [(c, ours.get(c, Decimal(0)), t) for c, t in sums.items() if abs(ours.get(c, Decimal(-1)) - t) >= GRAM]
    loaded = units_loaded(records)
    beside = sum((own_t(u, records) * share for u in loaded for _, share in owners.of(u)[1:]), Decimal(0))
    whole = sum((own_t(u, records) for u in loaded), Decimal(0))
    return Shares(len(sums), tuple(differing), whole, sums[TOP], beside)
