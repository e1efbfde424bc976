"""The programme as a group: owners are SUBSIDIARIES, facilities SITES under their largest owner with its share.

An organisation has one parent here, so the tree holds of each facility what its largest owner holds; what the other
owners hold stands in the report beside it, and is part of no total of the tree. A share above 100 % is held as 100 %.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from tenants.examples.ghgrp.records import YEAR, Facility, Records
from tenants.examples.model import Group, Wanted

TOP: Final = "GHGRP"
NOTICE: Final = "Public records of the US EPA Greenhouse Gas Reporting Program 2022, attributed; figures as published."
_BEGIN: Final = f"{YEAR}-01-01"


def as_group(records: Records, slug: str) -> Group:
    """Everything in the order it must be loaded."""
    codes = owner_codes(records.facilities)
    return Group(
        slug=slug,
        name="US GHGRP 2022",
        notice=NOTICE,
        organisations=list(_organisations(records.facilities, codes)),
        sources=[_source(f) for f in records.facilities],
        declared=[_declared(f) for f in records.facilities],
        gwp_set="AR4",
        consolidations=[Wanted(TOP, YEAR, YEAR, "EQUITY_SHARE")],
    )


def owner_codes(facilities: Iterable[Facility]) -> dict[str, str]:
    """A code for each owner under which a facility stands, in the order of the record."""
    owners = dict.fromkeys(f.largest.owner for f in facilities)
    return {owner: f"O{n:05}" for n, owner in enumerate(owners, start=1)}


def site(facility: Facility) -> str:
    return f"F{facility.facility_id}"


def share_in_tree(facility: Facility) -> Decimal:
    return min(facility.largest.share, Decimal(1))


def _organisations(facilities: Iterable[Facility], codes: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    yield _node("GROUP", TOP, "US Greenhouse Gas Reporting Program")
    for owner, code in codes.items():
        yield _node("SUBSIDIARY", code, owner, parentCode=TOP)
    for facility in facilities:
        above = {"parentCode": codes[facility.largest.owner], "equityShare": f"{share_in_tree(facility):f}"}
        yield _node("SITE", site(facility), facility.name, address=facility.place, **above)


def _node(kind: str, code: str, name: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "code": code, "nameZh": name, "nameEn": name, "enteredOn": _BEGIN, **more}


def _source(facility: Facility) -> dict[str, Any]:
    kind = {"category": "DIRECT", "directKind": "STATIONARY"}
    name = "Emissions as reported"
    return {"organisation": site(facility), "code": "ALL", "nameZh": name, "nameEn": name, **kind}


def _declared(facility: Facility) -> dict[str, Any]:
    what = {"gas": "CO2E", "massT": str(facility.co2e_t), "method": "FACTOR"}
    year = {"firstMonth": f"{YEAR}-01", "months": 12}
    return {
        "source": (site(facility), "ALL"),
        **year,
        **what,
        "evidence": f"facilities_{YEAR}.csv line {facility.line}",
    }
