"""Plants as sites under their largest owner with its share, a source for each unit and fuel.

A year's heat is recorded in its last month, in a stream of heat with the published factor. A unit whose CO2 is
estimated is accounted by it. A unit whose CO2 is measured counts as declared, for the class MEASURED counts for it from
the beginning; what the factor says of its heat stands beside it in the comparison of methods and is counted nowhere, so
no tonne is counted twice.

An organisation has one parent here: the tree holds of each unit what its largest owner holds. Units of one plant that
differ in owners are sites of their own. Units whose owners are not on record stand under the top as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from tenants.examples.model import Group, Wanted
from tenants.examples.power_units.owners import Owners
from tenants.examples.power_units.records import Basis, Factor, Records, UnitYear

YEAR: Final = 2021
TOP: Final = "US-POWER"
NOTICE: Final = (
    "Public records of the US EPA and EIA (units of 2021, owners of 2020), attributed; figures as published."
)
_BEGIN: Final = f"{YEAR}-01-01"
Places = Mapping[tuple[str, str], str]
"""Code of the site of each unit, by plant and code of the unit."""


def as_group(records: Records, owners: Owners, slug: str) -> Group:
    """Everything in the order it must be loaded; units without a factor are left to the comparison."""
    taken = units_loaded(records)
    at = places(taken, owners)
    return Group(
        slug=slug,
        name="US power plants 2021",
        notice=NOTICE,
        organisations=list(_organisations(taken, owners, at)),
        sources=[_source(u, records.factors, at) for u in taken],
        activity=[_activity(u, at) for u in taken if u.fuel in records.factors],
        declared=[_declared(u, at) for u in taken if u.basis is Basis.MEASURED],
        consolidations=[Wanted(TOP, YEAR, YEAR, "EQUITY_SHARE")],
    )


def units_loaded(records: Records) -> list[UnitYear]:
    return [u for u in records.units if u.basis is Basis.MEASURED or u.fuel in records.factors]


def places(units: Iterable[UnitYear], owners: Owners) -> dict[tuple[str, str], str]:
    """P and the plant; a second way of owning within a plant is P, the plant and .2, and so on."""
    ways: dict[str, list[object]] = {}
    found = {}
    for unit in units:
        split, known = owners.of(unit), ways.setdefault(unit.plant, [])
        if split not in known:
            known.append(split)
        number = known.index(split) + 1
        found[unit.plant, unit.code] = f"P{unit.plant}" + (f".{number}" if number > 1 else "")
    return found


def owner_code(owner_id: str) -> str:
    return f"W{owner_id}"


def share_in_tree(unit: UnitYear, owners: Owners) -> tuple[str, Decimal]:
    """Code of the organisation the unit's site stands under, and the share it holds."""
    split = owners.of(unit)
    return (owner_code(split[0][0]), min(split[0][1], Decimal(1))) if split else (TOP, Decimal(1))


def _organisations(units: Iterable[UnitYear], owners: Owners, at: Places) -> Iterator[Mapping[str, Any]]:
    yield _node("GROUP", TOP, "US power plants")
    sites = {at[u.plant, u.code]: u for u in units}
    for owner_id in dict.fromkeys(split[0][0] for u in sites.values() if (split := owners.of(u))):
        yield _node("SUBSIDIARY", owner_code(owner_id), owners.names[owner_id], parentCode=TOP)
    for code, unit in sites.items():
        above, share = share_in_tree(unit, owners)
        held = {} if above == TOP else {"equityShare": f"{share:f}"}
        yield _node("SITE", code, unit.plant_name, address=unit.state, parentCode=above, **held)


def _node(kind: str, code: str, name: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "code": code, "nameZh": name, "nameEn": name, "enteredOn": _BEGIN, **more}


def _source(unit: UnitYear, factors: Mapping[str, Factor], at: Places) -> dict[str, Any]:
    kind = {"category": "DIRECT", "directKind": "STATIONARY"}
    name = {"nameZh": f"{unit.unit} {unit.fuel}", "nameEn": f"{unit.unit} {unit.fuel}"}
    row: dict[str, Any] = {"organisation": at[unit.plant, unit.code], "code": unit.code, **name, **kind}
    if unit.basis is Basis.MEASURED:
        row["method"] = "MEASURED"
    if (factor := factors.get(unit.fuel)) is not None:
        own = {"value": f"{factor.t_per_gj:f}", "unit": "GJ", "source": f"{factor.name} ({factor.source})"}
        row["streams"] = [{"code": "heat", "nameZh": "热量输入", "nameEn": "heat input", "ownFactor": own}]
    return row


def _activity(unit: UnitYear, at: Places) -> dict[str, Any]:
    what = {"month": f"{YEAR}-12", "quantity": f"{unit.heat_gj:f}", "unit": "GJ"}
    return {"source": (at[unit.plant, unit.code], unit.code), **what, "evidence": f"units_2021.csv, line {unit.line}"}


def _declared(unit: UnitYear, at: Places) -> dict[str, Any]:
    year = {"firstMonth": f"{YEAR}-01", "months": 12}
    what = {"gas": "CO2", "massT": f"{unit.co2_t:f}", "method": "MEASURED"}
    evidence = f"units_2021.csv, line {unit.line}"
    return {"source": (at[unit.plant, unit.code], unit.code), **year, **what, "evidence": evidence}
