"""The published figures, through the public door."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest

from tests.accounting.vectors import (
    ACTIVITY,
    DECLARED,
    ROLL_UPS,
    STEEL_ANON,
    STEEL_ANON_MONTHS,
    STEEL_ANON_YEAR,
    STEEL_ANON_YEAR_OF_ROUNDED,
    ActivityVector,
    DeclaredVector,
)
from tests.fixtures.accounting import OUTCOME, RESULT, Works


@pytest.mark.parametrize("vector", ACTIVITY, ids=lambda v: v.name)
async def test_activity(works: Works, vector: ActivityVector) -> None:
    streams = [{"code": str(i), **stream.definition} for i, stream in enumerate(vector.streams)]
    source = await works.source("V", *streams)
    for i, stream in enumerate(vector.streams):
        await works.burn(source, vector.month, stream.quantity, stream.unit, stream=str(i))
    (result,) = await works.results(source, int(vector.month[:4]))
    assert result["records"] == len(vector.streams)
    assert abs(Decimal(result["co2eT"]) - Decimal(vector.tonnes)) <= Decimal(vector.tolerance)


@pytest.mark.parametrize("vector", DECLARED, ids=lambda v: v.name)
async def test_declared(works: Works, vector: DeclaredVector) -> None:
    facility = await works.source("V", category="DIRECT", directKind="PROCESS")
    for gas, mass in vector.masses:
        await works.declare(vector.gwp_set, sourceId=facility, firstMonth=f"{vector.year}-01", gas=gas, massT=mass)
    results = await works.results(facility, vector.year)
    assert {r["gas"]: Decimal(r["massT"]) for r in results} == {g: Decimal(m) for g, m in vector.masses}
    total = sum(Decimal(r["co2eT"]) for r in results)
    assert abs(total - Decimal(vector.tonnes)) <= Decimal(vector.tolerance)


@pytest.mark.parametrize("name", ROLL_UPS)
async def test_parts_add_up(works: Works, name: str) -> None:
    parts, total, tolerance = ROLL_UPS[name]
    found = Decimal(0)
    for i, part in enumerate(parts):
        source = await works.source(f"P{i}")
        row = await works.declare(sourceId=source, firstMonth="2021-01", massT=part, method="MASS_BALANCE")
        found += Decimal(row["co2eT"])
    assert abs(found - Decimal(total)) <= Decimal(tolerance)


async def test_twelve_months_of_a_steel_works(works: Works) -> None:
    """Integers are for display: the sum of rounded months is not the rounded sum, and nothing is clamped at 0."""
    rows = []
    for part, months in STEEL_ANON.items():
        source = await works.source(part)
        for month, mass in enumerate(months.split(), start=1):
            rows.append(
                {
                    "sourceId": source,
                    "firstMonth": f"2020-{month:02}",
                    "gas": "CO2",
                    "massT": mass,
                    "method": "MASS_BALANCE",
                }
            )
    done = await works.monitor.do("recordDeclaredResults", {"rows": rows}, f"outcomes {OUTCOME % RESULT}")
    totals = [Decimal(0)] * 12
    for outcome in done["outcomes"]:
        totals[int(outcome["result"]["firstMonth"][-2:]) - 1] += Decimal(outcome["result"]["co2eT"])
    rounded = [t.quantize(Decimal(1), rounding=ROUND_HALF_UP) for t in totals]
    published = [Decimal(m) for m in STEEL_ANON_MONTHS.split()]
    assert all(abs(ours - theirs) <= 1 for ours, theirs in zip(rounded, published, strict=True))
    assert abs(sum(totals) - Decimal(STEEL_ANON_YEAR)) <= 1
    assert sum(published) == Decimal(STEEL_ANON_YEAR_OF_ROUNDED)
