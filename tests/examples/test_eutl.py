"""A sample of the EUTL record through the public API: every code of the first phase is derived as published."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tenants.examples.eutl.group import as_group
from tenants.examples.eutl.records import read_records
from tests.fixtures.shared_data import public_records

ROOT = Path(__file__).resolve().parents[2]
HEADS = {
    "accounts.csv": "account_id,account_holder_name,parent_undertaking_name,country",
    "account_years_2005_2012.csv": "account_id,year,allocated,verified,surrendered,compliance_code",
}


def write(folder: Path, accounts: list[str], years: list[str]) -> Path:
    for name, rows in zip(HEADS, (accounts, years), strict=True):
        (folder / name).write_text("\n".join([HEADS[name], *rows]) + "\n", encoding="utf-8")
    return folder


def test_cells_that_are_no_figures_are_reported_not_absorbed(tmp_path: Path) -> None:
    years = ["1,2005,100,Not Reported,50,C", "1,2006,60+40,Excluded,,C", "1,2007,,n/a,5,A", "1,2013,1,1,1,A"]
    found = read_records(write(tmp_path, ["1,Werk,,AT"], [*years, "1,2005,1,1,1,A", "2,2005,1,1,1,A"]))
    assert sorted((t.line, t.code) for t in found.traps) == [
        (0, "UNKNOWN_ACCOUNT"),
        (2, "NOT_REPORTED"),
        (3, "COMPOSITE_CELL"),
        (3, "EXCLUDED"),
        (4, "NOT_WHOLE_TONNES"),
        (5, "NOT_A_YEAR"),
        (6, "DUPLICATE_ROW"),
    ]
    assert [(y.year, y.allocated_t, y.verified_t, y.surrendered_t) for y in found.years] == [
        (2005, 100, None, 50),
        (2006, None, None, None),
        (2007, None, None, 5),
    ]


def test_surrenders_take_the_phase_s_own_allowances_first(tmp_path: Path) -> None:
    years = ["1,2006,100,50,50,A", "1,2007,10,80,80,A", "1,2008,30,40,40,A"]
    group = as_group(read_records(write(tmp_path, ["1,Werk,,AT"], years)), "x")
    legs = [[(x["lot"]["issueReference"], x["quantity"]) for x in t["legs"]] for t in group.transfers]
    assert legs == [
        [("1-2006", 50)],
        [("1-2006", 50), ("1-2007", 10), ("1-2007-M", 20)],
        [("1-2008", 30), ("1-2008-M", 10)],
    ]
    assert sum(int(lot["quantity"]) for lot in group.lots) == 100 + 10 + 30 + 20 + 10


@pytest.mark.parametrize("accounts", [60])
def test_a_sample_of_the_record(tmp_path: Path, accounts: int) -> None:
    records = public_records("eutl")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DATABASE_", "BROKER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tenants.examples.eutl", str(records), "--accounts", str(accounts)],
        cwd=ROOT,
        env=environment | {"TANHENG_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    first = re.findall(r"2005-2007 code ([AB]): ([\d,]+) of ([\d,]+) account-years agree", done.stdout)
    assert {code for code, _, _ in first} == {"A", "B"}
    assert all(agree == compared for _, agree, compared in first)
    assert "refused:" not in done.stdout
