"""The full public record through the public API: loaded, consolidated, compared with the published answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tenants.examples.california.group import as_group
from tenants.examples.california.records import read_records
from tests.fixtures.shared_data import public_records

ROOT = Path(__file__).resolve().parents[2]


def test_exceptions_are_the_five_that_the_record_itself_makes() -> None:
    group = as_group(read_records(public_records("california")), "x")
    assert [(x["organisation"], x["year"], x["rule"]) for x in group.exceptions] == [
        (entity, 2017, "CARB-OFFSET-8") for entity in ("CA1095", "CA1165", "CA1275", "CA2358", "CA2579")
    ]


def test_the_published_verdicts_are_reached(tmp_path: Path) -> None:
    records = public_records("california")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DATABASE_", "BROKER_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tenants.examples.california", str(records)],
        cwd=ROOT,
        env=environment | {"TANHENG_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    last = done.stdout.strip().splitlines()[-1]
    found = re.fullmatch(r"california: (\d+) of (\d+) entity-periods agree with the published status", last)
    assert found, last
    assert int(found[2]) == 568
    assert int(found[1]) >= 566
    assert "3,540 rows taken" in done.stdout, "376 buffer contributions and 3,164 surrender lines, none refused"
    differing = [line for line in done.stdout.splitlines() if line.startswith("differs:") and "status" in line]
    assert len(differing) == 568 - int(found[1])
    assert not any("does not say why" in line for line in differing)
