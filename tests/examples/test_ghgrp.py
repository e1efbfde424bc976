"""Facilities and their owners: read out of one column of text, loaded by the public API, consolidated by share."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from tenants.examples.ghgrp.compare import compare, equity_totals
from tenants.examples.ghgrp.group import as_group
from tenants.examples.ghgrp.records import Records, folded, read_owners, read_records
from tenants.examples.rows import UnreadableRow
from tests.fixtures.shared_data import public_records

ROOT = Path(__file__).resolve().parents[2]
HEAD = "year,facility_id,facility_name,city,state,latitude,longitude,parent_companies,co2e_t,subparts\n"

OWNERS = [
    ("A (60%); B (40%)", [("A", "0.6"), ("B", "0.4")], []),
    ("A CO (LONDON) (33.34%); B (66.66%)", [("A CO (LONDON)", "0.3334"), ("B", "0.6666")], []),
    ("US GOVERNMENT (%)", [("US GOVERNMENT", "1")], ["SHARE_MISSING"]),
    ("A (30%); B (%)", [("A", "0.3"), ("B", "0.7")], ["SHARE_MISSING"]),
    ("A (%); B (%)", [("A", "0"), ("B", "0")], ["SHARE_MISSING", "SHARE_MISSING", "SHARES_NOT_100"]),
    ("A (50%); A (50%)", [("A", "1")], ["OWNER_TWICE"]),
    ("A (57%); A (57%)", [("A", "1.14")], ["OWNER_TWICE", "SHARES_NOT_100"]),
    ("A (98%)", [("A", "0.98")], ["SHARES_NOT_100"]),
]


@pytest.mark.parametrize(("written", "owners", "traps"), OWNERS, ids=[o for o, _, _ in OWNERS])
def test_owners(written: str, owners: list[tuple[str, str]], traps: list[str]) -> None:
    found, told = read_owners(written)
    assert [(o.owner, o.share) for o in found] == [(name, Decimal(share)) for name, share in owners]
    assert [code for code, _ in told] == traps


@pytest.mark.parametrize("written", ["", "nobody", "A (60%), B", "(50%)"])
def test_a_column_without_owners_is_no_owner(written: str) -> None:
    with pytest.raises(UnreadableRow):
        read_owners(written)


def test_variants_of_a_name() -> None:
    assert folded("Comstock Resources, Inc") == folded("COMSTOCK RESOURCES INC")
    assert folded("Smith & Sons LLC") == folded("SMITH AND SONS L.L.C.".replace(".", "")) != folded("SMITH SONS")
    assert folded("The Company") == "THE COMPANY"


@pytest.fixture
def records(tmp_path: Path) -> Records:
    rows = [
        "2022,1,One,X,TX,0,0,ALPHA INC (60%); BETA (40%),1000,C",
        "2022,2,Two,X,TX,0,0,Alpha Inc. (100%),500,C",
        "2022,2,Two,X,TX,0,0,BETA (100%),7,C",
        "2022,3,Three,X,TX,0,0,somebody,7,C",
        "2022,4,Four,X,TX,0,0,GAMMA (114%),100,C",
    ]
    (tmp_path / "facilities_2022.csv").write_text(HEAD + "\n".join(rows) + "\n")
    return read_records(tmp_path)


def test_every_trap_is_told_with_its_row(records: Records) -> None:
    told = [(t.line, t.code) for t in records.traps]
    assert told == [(4, "DUPLICATE_ROW"), (5, "NO_OWNER"), (3, "NAME_VARIANT"), (6, "SHARES_NOT_100")]
    assert [f.largest.owner for f in records.facilities] == ["ALPHA INC", "ALPHA INC", "GAMMA"]


def test_equity_totals(records: Records) -> None:
    expected = {"O00001": Decimal(1100), "O00002": Decimal(100), "GHGRP": Decimal(1200)}
    assert equity_totals(records.facilities) == expected
    shares = {r["code"]: r["equityShare"] for r in as_group(records, "x").organisations if r["kind"] == "SITE"}
    assert shares == {"F1": "0.6", "F2": "1", "F4": "1"}
    nodes = [{"organisation": {"code": c}, "consolidatedTotalT": str(t)} for c, t in expected.items()]
    nodes[1]["consolidatedTotalT"] = "100.5"
    comparison = compare(records.facilities, nodes)
    assert comparison.differing == (("O00002", Decimal("100.5"), Decimal(100)),)
    assert (comparison.reported_t, comparison.in_tree_t, comparison.others_t) == (1600, Decimal(1200), Decimal(414))


def test_the_whole_record_is_read() -> None:
    records = read_records(public_records("ghgrp"))
    assert len(records.facilities) == 7573
    assert records.kinds == {"SHARE_MISSING": 85, "SHARES_NOT_100": 55, "NAME_VARIANT": 55, "OWNER_TWICE": 8}


def test_some_of_the_record_is_loaded_and_adds_up(tmp_path: Path) -> None:
    """The whole of it by the same command without --first."""
    folder = public_records("ghgrp")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DATABASE_", "BROKER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tenants.examples.ghgrp", str(folder), "--first", "1000"],
        cwd=ROOT,
        env=environment | {"TANHENG_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "1,000 facilities loaded" in done.stdout
    last = done.stdout.strip().splitlines()[-1]
    found = re.fullmatch(r"ghgrp: ([\d,]+) of ([\d,]+) equity-share totals are equal to the record's", last)
    assert found, last
    assert found[1] == found[2] != "0"
