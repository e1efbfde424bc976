"""Python, SQL and fractions agree: random streams, methods and quantities, each stream-month to the last kept digit."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

import pytest

from backend.accounting.repository import coefficients as coefficient_rows
from backend.accounting.repository.methods import bases_of
from backend.accounting.repository.sources import streams as read_streams
from backend.accounting.service.coefficients import kept_or_derived
from backend.accounting.service.results import ResultService
from backend.kit.database import Database
from backend.kit.quantity import times
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.methods import choose, method, set_method, streams

TO_CO2: Final = Fraction(44, 12)
UNITS: Final = {"t": Fraction(1), "kg": Fraction(1, 1000), "万吨": Fraction(10000)}
MONTHS: Final = [f"2024-{n:02}" for n in range(1, 13)]


@dataclass(frozen=True)
class Way:
    """A method with its parameters, and the coefficient by a formula written here again."""

    given: dict[str, Any]
    exact: Fraction


def number(dice: random.Random, low: str, high: str, places: int) -> str:
    """A decimal between two others, inclusive."""
    scale = 10**places
    return str(Decimal(dice.randint(int(Decimal(low) * scale), int(Decimal(high) * scale))).scaleb(-places))


def balance(dice: random.Random, span: Any, **more: Any) -> Way:
    carbon = number(dice, "0.01", "0.95", dice.randint(2, 12))
    return Way(method("MASS_BALANCE", span, carbonContent=f"{carbon} tC/t", **more), Fraction(carbon) * TO_CO2)


def combustion(dice: random.Random, span: Any, **more: Any) -> Way:
    ncv, carbon = number(dice, "15", "45", dice.randint(0, 6)), number(dice, "0.015", "0.035", dice.randint(3, 8))
    oxidation = number(dice, "90", "100", 2)
    parameters = {"ncv": f"{ncv} GJ/t", "carbonPerHeat": f"{carbon} tC/GJ", "oxidation": f"{oxidation} %"}
    exact = Fraction(ncv) * Fraction(carbon) * Fraction(oxidation) / 100 * TO_CO2
    return Way(method("FUEL_COMBUSTION", span, **parameters, **more), exact)


def formula(dice: random.Random, span: Any, **more: Any) -> Way:
    share, below, carbon = number(dice, "0", "99", 3), dice.randint(3, 97), number(dice, "0.1", "0.9", 5)
    given = method("EXPRESSION", span, formula=f"碳*k*(1-损失)/{below}", 碳=f"{carbon} tC/t", 损失=f"{share} %", **more)
    return Way(given, Fraction(carbon) * TO_CO2 * (1 - Fraction(share) / 100) / below)


COAL: Final = Fraction("23.736") * Fraction("0.02618") * Fraction("0.99") * TO_CO2
WAYS: Final[Mapping[str, tuple[Callable[..., Way], ...]]] = {
    "FACTOR": (combustion, formula),
    "MASS_BALANCE": (balance,),
}


@dataclass
class Tried:
    """A stream: its flow, and for each class and month the exact coefficient."""

    code: str
    sign: int
    exact: dict[tuple[str, str], Fraction]
    quantities: dict[str, Fraction]


async def tried_stream(works: Works, dice: random.Random, source: str, code: str, key: str) -> Tried:
    """Set methods of both classes for random spans, record random lines, set another afterwards."""
    leaving = code.startswith("out")
    made = Tried(code, -1 if leaving else 1, {}, {})
    made.exact = {("MASS_BALANCE", m): Fraction("0.5") * TO_CO2 * made.sign for m in MONTHS}
    if not leaving:
        made.exact |= {("FACTOR", m): COAL for m in MONTHS}

    async def set_one(which: str) -> None:
        first, last = sorted(dice.sample(range(12), 2))
        ways = (formula,) if leaving and which == "FACTOR" else WAYS[which]
        way = dice.choice(ways)(dice, (MONTHS[first], MONTHS[last]), reason="试验")
        await set_method(works, key, way.given)
        made.exact |= {(which, m): way.exact * made.sign for m in MONTHS[first : last + 1]}

    for which in ("FACTOR", "MASS_BALANCE", "MASS_BALANCE"):
        await set_one(which)
    for _ in range(12):
        month, unit = dice.choice(MONTHS), dice.choice(list(UNITS))
        # Up to 10⁷ t a line; a coefficient of 18 decimals stays within 1e-9 t up to 10⁹ t a month.
        written = number(dice, "0" if leaving else "-500", "1000", dice.randint(0, 9))
        await works.burn(source, month, written, unit, stream=code)
        made.quantities[month] = made.quantities.get(month, Fraction(0)) + Fraction(written) * UNITS[unit]
    for which in ("FACTOR", "MASS_BALANCE"):
        await set_one(which)
    return made


MONTH_ROWS: Final = """
SELECT t.code, to_char(m.month, 'YYYY-MM') AS month, m.quantity, m.co2e_t, c.co2e_per_unit, c.method, h.method AS counts
FROM stream_month m JOIN emission_stream t ON t.id = m.stream_id
LEFT JOIN stream_coefficient c ON c.id = m.coefficient_id
JOIN source_method h ON h.source_id = m.source_id AND h.superseded_at IS NULL AND m.month >= h.first_month
  AND (h.last_month IS NULL OR m.month <= h.last_month)
ORDER BY t.code, m.month
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_sql_python_and_fractions_agree(works: Works, database: Database, seed: int) -> None:
    dice = random.Random(seed)
    both = {"cadence": "EVENT", "unit": "t"}
    always = method("MASS_BALANCE", carbonContent="0.5 tC/t")
    source = await works.source(
        "S",
        {"code": "in1", "material": "烟煤", **both, "method": always},
        {"code": "in2", "material": "烟煤", **both, "method": always},
        {"code": "out1", "flow": "LEAVING", **both, "method": always},
    )
    keys = await streams(works, source)
    all_tried = {code: await tried_stream(works, dice, source, code, key) for code, key in keys.items()}
    first, last = sorted(dice.sample(range(12), 2))
    chosen = await choose(works, source, "FACTOR", firstMonth=MONTHS[first], lastMonth=MONTHS[last], reason="试验")
    assert chosen["errors"] == []
    async with database.read(works.world.tenant_id) as session:
        rows = await session.rows(MONTH_ROWS)
        found = await read_streams(session, [uuid_of(k) for k in keys.values()])
        derived = await kept_or_derived(session, [(s, 2024) for s in found.values()])
        assert await bases_of(session, list(found))
    kept = {
        (found[p.stream_id].code, f"{m:%Y-%m}", p.method.value): p.coefficient.co2e_per_unit
        for pieces in derived.values()
        for p in pieces
        for m in p.months
    }
    assert len(rows) == sum(len(t.quantities) for t in all_tried.values()) > 12
    assert {r.counts for r in rows} == {"FACTOR", "MASS_BALANCE"}
    for r in rows:
        stream = all_tried[r.code]
        exact = stream.exact.get((r.counts, r.month))
        assert Fraction(r.quantity) == stream.quantities[r.month]
        if exact is None:
            assert (r.co2e_t, r.co2e_per_unit) == (0, None)
            continue
        # As Python multiplies, to the last kept digit; and as fractions do, within 1e-9 t.
        assert r.co2e_per_unit == kept[r.code, r.month, r.counts]
        assert r.co2e_t == times(r.quantity, r.co2e_per_unit)
        assert abs(Fraction(r.co2e_t) - stream.quantities[r.month] * exact) < Fraction(1, 10**9)
    await ResultService(works.world.services.toolbox).rebuild(works.world.tenant_id)
    async with database.read(works.world.tenant_id) as session:
        assert await session.rows(MONTH_ROWS) == rows
        covered = await coefficient_rows.covered(session, [(key, 2024) for key in found])
    for months in covered.values():
        for which in ("FACTOR", "MASS_BALANCE"):
            spans = sorted((a, b) for m, a, b, _ in months if m == which)
            assert all(b < c for (_, b), (c, _) in pairwise(spans))
