"""Power plant units: read, mapped, accounted by the public API, compared with what was published."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tenants.examples.power_units.compare import by_factor, recomputed, two_methods
from tenants.examples.power_units.group import as_group, site
from tenants.examples.power_units.records import Basis, Records, read_records
from tests.fixtures.shared_data import public_records

ROOT = Path(__file__).resolve().parents[2]
FACTORS = """fuel_type,fuel_category,eia_fuel_code,co2_ef,co2_units,ch4_ef,ch4_units,n2o_ef,n2o_units,source
Natural gas,,NG,0.06,ton CO2/mmBtu,0,x,0,x,EPA GHG MRR
Geothermal,,,0,ton CO2/mmBtu,0,x,0,x,no EF
Odd,,OD,1,kg CO2/mmBtu,0,x,0,x,nobody
"""
COLUMNS = (
    "plant_code,plant_name,state,unit_id,prime_mover,fuel,operating_hours,heat_input_mmbtu,heat_input_source,"
    "co2_short_tons,co2_source"
)
UNITS = f"""{COLUMNS}
1,Alpha,AL,A,GT,NG,9,1000,EIA,60,Estimated using emissions factor
1,Alpha,AL,A,GT,NG,9,1000,EIA,66,Estimated using emissions factor
1,Alpha,AL,B,ST,NG,9,2000,CAMD,123,EPA/CAMD
2,Beta,CA,1,ST,GEO,9,5,EIA,0.1,Estimated using emissions factor
2,Beta,CA,2,PV,SUN,,,,,
3,Gamma,CA,1,ST,NG,9,x,EIA,1,EPA/CAMD
4,Delta,CA,1,ST,NG,9,1,EIA,1,guessed
"""


@pytest.fixture
def records(tmp_path: Path) -> Records:
    (tmp_path / "emission_factors.csv").write_text(FACTORS)
    (tmp_path / "units_2021.csv").write_text(UNITS)
    return read_records(tmp_path)


def test_every_row_is_a_unit_or_says_nothing_or_is_a_trap(records: Records) -> None:
    assert [(u.plant, u.code, u.basis) for u in records.units] == [
        ("1", "A NG", Basis.ESTIMATED),
        ("1", "A NG~2", Basis.ESTIMATED),
        ("1", "B NG", Basis.MEASURED),
        ("2", "1 GEO", Basis.ESTIMATED),
    ]
    assert records.silent == 1
    assert [(t.line, t.code) for t in records.traps] == [(4, "UNKNOWN_UNIT"), (7, "NOT_A_NUMBER"), (8, "UNKNOWN_BASIS")]
    assert records.units[0].co2_t == Decimal("54.4310844")
    assert records.factors["NG"].t_per_gj * records.units[0].heat_gj == pytest.approx(Decimal("54.4310844"))


def test_no_tonne_is_counted_twice(records: Records) -> None:
    group = as_group(records, "x")
    assert [r["source"] for r in group.activity] == [("P1", "A NG"), ("P1", "A NG~2")]
    assert [r["source"] for r in group.declared] == [("P1", "B NG")]
    assert [r["code"] for r in group.organisations] == ["US-POWER", "P1"]


def test_what_agrees_and_what_does_not(records: Records) -> None:
    found = {("P1", "A NG"): Decimal("54.43"), ("P1", "A NG~2"): Decimal("54.43"), ("P1", "B NG"): Decimal("111.58")}
    outcome = recomputed(records, found)
    assert (outcome.agreeing, outcome.compared, outcome.far) == (1, 2, Counter(NG=1))
    assert outcome.without_factor == Counter(GEO=1)
    both = two_methods(records, found)
    assert (both.units, both.measured_t, round(both.by_factor_t, 2)) == (1, Decimal("111.58"), Decimal("108.86"))


def test_the_published_estimates_follow_from_heat_and_factor() -> None:
    records = read_records(public_records("power_units"))
    units = [u for u in records.units if u.fuel in records.factors]
    outcome = recomputed(records, {(site(u), u.code): by_factor(u, records.factors[u.fuel]) for u in units})
    assert (outcome.compared, outcome.without_factor) == (3967, Counter(GEO=81))
    assert outcome.agreeing / outcome.compared >= 0.93


def test_some_units_through_the_api(tmp_path: Path) -> None:
    """The whole of them by the same command without --first."""
    folder = public_records("power_units")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DATABASE_", "BROKER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tenants.examples.power_units", str(folder), "--first", "1000"],
        cwd=ROOT,
        env=environment | {"TANHENG_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    last = done.stdout.strip().splitlines()[-1]
    found = re.fullmatch(r"power_units: ([\d,]+) of ([\d,]+) estimated units agree within 0\.1 % \(.*\)", last)
    assert found, last
    agreeing, compared = (int(n.replace(",", "")) for n in found.groups())
    assert agreeing / compared >= 0.93
    assert "two methods for" in done.stdout
