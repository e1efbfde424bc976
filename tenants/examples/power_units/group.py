"""Plants as sites, a source for each unit and fuel; what is estimated is accounted anew, what is measured is declared.

A year's heat is recorded in its last month. A unit whose CO2 is estimated has a stream of heat with the published
factor: its emission is computed here. A unit whose CO2 is measured counts as declared; its factor result stands beside
it in the comparison and is counted nowhere, so no tonne is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from tenants.examples.model import Group
from tenants.examples.power_units.records import Basis, Factor, Records, UnitYear

YEAR: Final = 2021
TOP: Final = "US-POWER"
NOTICE: Final = "Public records of the US EPA and EIA (units of 2021), attributed; figures as published."
_BEGIN: Final = f"{YEAR}-01-01"


def as_group(records: Records, slug: str) -> Group:
    """Everything in the order it must be loaded; units without a factor are left to the comparison."""
    taken = [u for u in records.units if u.basis is Basis.MEASURED or u.fuel in records.factors]
    return Group(
        slug=slug,
        name="US power plants 2021",
        notice=NOTICE,
        organisations=list(_organisations(taken)),
        sources=[_source(u, records.factors) for u in taken],
        activity=[_activity(u) for u in taken if u.basis is Basis.ESTIMATED],
        declared=[_declared(u) for u in taken if u.basis is Basis.MEASURED],
    )


def _organisations(units: Iterable[UnitYear]) -> Iterator[Mapping[str, Any]]:
    top = {"nameZh": "US power plants", "nameEn": "US power plants"}
    yield {"kind": "GROUP", "code": TOP, "enteredOn": _BEGIN, **top}
    for plant in {u.plant: u for u in units}.values():
        names = {"nameZh": plant.plant_name, "nameEn": plant.plant_name, "address": plant.state}
        yield {"kind": "SITE", "code": site(plant), "enteredOn": _BEGIN, "parentCode": TOP, **names}


def site(unit: UnitYear) -> str:
    return f"P{unit.plant}"


def _source(unit: UnitYear, factors: Mapping[str, Factor]) -> dict[str, Any]:
    kind = {"category": "DIRECT", "directKind": "STATIONARY"}
    name = {"nameZh": f"{unit.unit} {unit.fuel}", "nameEn": f"{unit.unit} {unit.fuel}"}
    row: dict[str, Any] = {"organisation": site(unit), "code": unit.code, **name, **kind}
    if unit.basis is Basis.ESTIMATED:
        factor = factors[unit.fuel]
        own = {"value": f"{factor.t_per_gj:f}", "unit": "GJ", "source": f"{factor.name} ({factor.source})"}
        row["streams"] = [{"code": "heat", "nameZh": "热量输入", "nameEn": "heat input", "ownFactor": own}]
    return row


def _activity(unit: UnitYear) -> dict[str, Any]:
    row = {"source": (site(unit), unit.code), "month": f"{YEAR}-12", "quantity": f"{unit.heat_gj:f}", "unit": "GJ"}
    return row | {"evidence": f"units_2021.csv, line {unit.line}"}


def _declared(unit: UnitYear) -> dict[str, Any]:
    year = {"firstMonth": f"{YEAR}-01", "months": 12}
    what = {"gas": "CO2", "massT": f"{unit.co2_t:f}", "method": "MEASURED"}
    return {"source": (site(unit), unit.code), **year, **what, "evidence": f"units_2021.csv, line {unit.line}"}
