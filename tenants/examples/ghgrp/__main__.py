"""`python -m tenants.examples.ghgrp DIR`: the US reporting programme's facilities of 2022 with their owners.

Starts a server (the embedded database unless DATABASE_URL is set), loads owners, facilities and their declared
emissions into a tenant of its own, consolidates by equity share, and compares every owner's total with plain sums over
the record. What is wrong with owners is listed per row, and counted by kind. Exit code 1 when a row was refused or a
total differs.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from tenants.examples import server
from tenants.examples.api import Api, results
from tenants.examples.ghgrp.compare import compare
from tenants.examples.ghgrp.group import NOTICE, as_group
from tenants.examples.ghgrp.records import Records, read_records
from tenants.examples.load import Loader, consolidate
from tenants.examples.progress import shown

console = Console(soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the CSV files of facilities")
    parser.add_argument("--first", type=int, help="only so many facilities from the beginning")
    given = parser.parse_args()
    records = read_records(given.folder)
    facilities = records.facilities[: given.first]
    group = as_group(Records(facilities, ()), slug := f"ghgrp-{int(time.time())}")
    started = time.monotonic()
    with server.running() as running:
        api = Api(running.url, running.tenant(slug, "US GHGRP 2022"))
        with shown(console) as progress:
            loaded = Loader(api, group, progress).load()
            (run,) = consolidate(api, loaded, group, progress)
        comparison = compare(facilities, results(api, run["id"]))
    console.print(NOTICE)
    for trap in records.traps:
        console.print(f"line {trap.line}: {trap.code} {trap.message}")
    for refusal in loaded.refused:
        console.print(f"refused: {refusal.what} {refusal.row}: {refusal.code} {refusal.message}")
    kinds = ", ".join(f"{kind} {n}" for kind, n in records.kinds.most_common())
    console.print(
        f"{len(facilities):,} facilities loaded in {time.monotonic() - started:.0f} s; rows reported: {kinds}"
    )
    for line in comparison.lines():
        console.print(line)
    return 1 if loaded.refused or comparison.differing else 0


if __name__ == "__main__":
    sys.exit(main())
