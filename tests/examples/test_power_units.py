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

from tenants.examples.power_units.compare import Told, by_factor, equity_totals, recomputed, shares, two_methods
from tenants.examples.power_units.group import as_group, places
from tenants.examples.power_units.owners import Owners, read_owners
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
OWNERS = """operator,plant_code,plant_name,state,generator_id,owner,owner_id,share
X,1,Alpha,AL,A,Xan,7,0.4
X,1,Alpha,AL,A,Yen,8,0.6
X,1,Alpha,AL,G9,Xan,7,0.5
X,1,Alpha,AL,G9,Xan,7,0.4
Z,2,Beta,CA,1,Zed,9,
Z,5,Eps,CA,1,Zed,9,0.5
Z,5,Eps,CA,1,Xan,7,
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


@pytest.fixture
def owners(tmp_path: Path, records: Records) -> Owners:
    (tmp_path / "owners_2020.csv").write_text(OWNERS)
    return read_owners(tmp_path, records.units)


def test_owners_by_generator_and_nothing_is_guessed(owners: Owners, records: Records) -> None:
    a, sole = (("8", Decimal("0.6")), ("7", Decimal("0.4"))), (("9", Decimal(1)),)
    assert [owners.of(u) for u in records.units] == [a, a, (), sole]
    assert [(t.line, t.code) for t in owners.traps] == [
        (5, "OWNER_TWICE"),
        (4, "SHARES_NOT_100"),
        (6, "SHARE_MISSING"),
        (8, "SHARE_MISSING"),
        (4, "OWNERS_UNKNOWN"),
    ]


def test_no_tonne_is_counted_twice(records: Records, owners: Owners) -> None:
    group = as_group(records, owners, "x")
    assert [r["source"] for r in group.activity] == [("P1", "A NG"), ("P1", "A NG~2"), ("P1.2", "B NG")]
    assert [r["source"] for r in group.declared] == [("P1.2", "B NG")]
    assert [(r["code"], r.get("method")) for r in group.sources if "method" in r] == [("B NG", "MEASURED")]
    tree = [(r["code"], r.get("parentCode"), r.get("equityShare")) for r in group.organisations]
    above = "US-POWER"
    assert tree == [(above, None, None), ("W8", above, None), ("P1", "W8", "0.6"), ("P1.2", above, None)]


def test_shares_are_held_against_plain_sums(records: Records, owners: Owners) -> None:
    sums = equity_totals(records, owners)
    # Two units of 54.43 t by factor, six tenths of them; and all of what was measured, whose owners are not known.
    assert (round(sums["W8"], 4), round(sums["US-POWER"], 4)) == (Decimal("65.3173"), Decimal("176.9010"))
    nodes = [{"organisation": {"code": c}, "consolidatedTotalT": str(t)} for c, t in sums.items()]
    held = shares(records, owners, nodes)
    assert (held.compared, held.differing) == (2, ())
    assert abs(held.in_tree_t + held.others_t - held.whole_t) < Decimal("1e-6")
    nodes[0]["consolidatedTotalT"] = "1"
    assert [code for code, *_ in shares(records, owners, nodes).differing] == ["US-POWER"]


def test_what_agrees_and_what_does_not(records: Records) -> None:
    heat = (records.units[2].heat_gj * records.factors["NG"].t_per_gj).quantize(Decimal("1e-9"))
    measured = Decimal("111.583723020")
    estimated = Told(Decimal("54.43"), {})
    both = Told(measured, {"MEASURED": measured, "FACTOR": heat})
    found = {("1", "A NG"): estimated, ("1", "A NG~2"): estimated, ("1", "B NG"): both}
    outcome = recomputed(records, found)
    assert (outcome.agreeing, outcome.compared, outcome.far) == (1, 2, Counter(NG=1))
    assert outcome.without_factor == Counter(GEO=1)
    beside = two_methods(records, found)
    assert (beside.units, beside.measured_t, beside.by_factor_t) == (1, measured, heat)
    assert (beside.counted_twice, beside.miscalculated) == ((), ())
    both = Told(measured + heat, {"MEASURED": measured, "FACTOR": heat + 1})
    beside = two_methods(records, found | {("1", "B NG"): both})
    assert beside.counted_twice == beside.miscalculated == (("1", "B NG"),)


def test_the_published_estimates_follow_from_heat_and_factor() -> None:
    records = read_records(public_records("power_units"))
    units = [u for u in records.units if u.fuel in records.factors]
    outcome = recomputed(records, {(u.plant, u.code): Told(by_factor(u, records.factors[u.fuel]), {}) for u in units})
    assert (outcome.compared, outcome.without_factor) == (3967, Counter(GEO=81))
    assert outcome.agreeing / outcome.compared >= 0.93


def test_owners_of_the_published_units() -> None:
    folder = public_records("power_units")
    records = read_records(folder)
    owners = read_owners(folder, records.units)
    kinds = Counter(t.code for t in owners.traps)
    assert kinds["SHARE_MISSING"] == 1
    assert len(owners.splits) > 300
    assert len(places(records.units, owners)) == len(records.units)


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
    assert re.search(r"two methods for [\d,]+ units", done.stdout)
    told = re.search(r"equity share: ([\d,]+) of ([\d,]+) totals are equal", done.stdout)
    assert told is not None, done.stdout[-2000:]
    assert told[1] == told[2] != "1"
