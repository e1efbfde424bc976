"""`python -m tenants.examples.power_units DIR`: US power plants of 2021, accounted anew by the public API.

Starts a server (the embedded database unless DATABASE_URL is set), loads plants, units and factors into a tenant of its
own, and compares: what the records estimate against what is computed here, what they measure against what the factor
gives (both held by one source, the measurement counts), and equity shares consolidated against plain sums over units
and owners. The last line says how many estimated units agree. Exit code 1 when a row was refused, a tonne counted
twice, or a share differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from tenants.examples import server
from tenants.examples.api import Api
from tenants.examples.api import results as consolidated
from tenants.examples.load import Loader, consolidate
from tenants.examples.power_units.compare import recomputed, results, shares, two_methods
from tenants.examples.power_units.group import NOTICE, as_group
from tenants.examples.power_units.owners import read_owners
from tenants.examples.power_units.records import Records, read_records
from tenants.examples.progress import shown

console = Console(soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the CSV files of power units")
    parser.add_argument("--first", type=int, help="only so many rows from the beginning")
    given = parser.parse_args()
    records = read_records(given.folder)
    if given.first:
        records = Records(records.factors, records.units[: given.first], records.silent, records.traps)
    owners = read_owners(given.folder, records.units)
    started = time.monotonic()
    with server.running() as running:
        slug = f"power-units-{int(time.time())}"
        api = Api(running.url, running.tenant(slug, "US power plants 2021"))
        with shown(console) as progress:
            group = as_group(records, owners, slug)
            loaded = Loader(api, group, progress).load()
            (run,) = consolidate(api, loaded, group, progress)
        found = results(api, records, owners)
        held = shares(records, owners, consolidated(api, run["id"]))
    console.print(NOTICE)
    for trap in (*records.traps, *owners.traps):
        console.print(f"reported: {trap.file} line {trap.line}: {trap.code} {trap.message}")
    for refusal in loaded.refused:
        console.print(f"refused: {refusal.what} {refusal.row}: {refusal.code} {refusal.message}")
    for what, count in loaded.counts.items():
        console.print(f"{what}: {count:,} rows taken")
    console.print(f"{records.silent:,} rows say nothing of CO2; {time.monotonic() - started:.0f} s")
    both = two_methods(records, found)
    for line in (*both.lines(), *held.lines(), *recomputed(records, found).lines()):
        console.print(line)
    return 1 if loaded.refused or both.counted_twice or both.miscalculated or held.differing else 0


if __name__ == "__main__":
    sys.exit(main())
