"""`python -m tenants.examples.eutl DIR [--accounts N]`: the EUTL record of 2005 to 2012 through the public API.

Starts a server (the embedded database unless DATABASE_URL is set), loads every account, allocation, verified emission
and surrender by the batch path, reads them back, derives the compliance codes, and compares with the published ones.
Exit code 1 when a code of 2005 to 2007 without a star differs, or a row was refused.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from rich.console import Console

from tenants.examples import server
from tenants.examples.api import Api
from tenants.examples.eutl.compare import Comparison, compare, ledger_sums
from tenants.examples.eutl.group import as_group
from tenants.examples.eutl.records import Records, read_records
from tenants.examples.load import Loaded, Loader
from tenants.examples.progress import shown

console = Console(soft_wrap=True, highlight=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with the EUTL's CSV files")
    parser.add_argument("--accounts", type=int, help="only so many accounts, spread over the file")
    parser.add_argument("--list", action="store_true", help="list every trap and every difference")
    given = parser.parse_args()
    records = read_records(given.folder, given.accounts)
    started = time.monotonic()
    with server.running() as running:
        slug = f"eutl-{int(time.time())}"
        api = Api(running.url, running.tenant(slug, "EU ETS 2005-2012"))
        with shown(console) as progress:
            loaded = Loader(api, as_group(records, slug), progress).load()
        loading = time.monotonic() - started
        codes = {key: name for name, key in loaded.organisations.items()}
        comparison = compare(records, *ledger_sums(api, codes))
    return report(records, loaded, comparison, (loading, time.monotonic() - started), everything=given.list)


def report(
    records: Records, loaded: Loaded, comparison: Comparison, seconds: tuple[float, float], *, everything: bool
) -> int:
    for kind, count in Counter(t.code for t in records.traps).items():
        console.print(f"trap {kind}: {count:,} cells or rows")
    for trap in records.traps if everything else ():
        console.print(f"not read: {trap.file} line {trap.line}: {trap.code} {trap.message}")
    for what, count in loaded.counts.items():
        console.print(f"{what}: {count:,} rows taken")
    for refusal in loaded.refused[: None if everything else 20]:
        console.print(f"refused: {refusal.what} {refusal.row}: {refusal.code} {refusal.message}")
    for difference in comparison.differences if everything else ():
        console.print(f"differs: {difference.line()}")
    wrong = Counter((1 if d.row.year <= 2007 else 2, d.row.code) for d in comparison.differences)
    for (phase, code), count in sorted(comparison.compared.items()):
        years = "2005-2007" if phase == 1 else "2008-2012"
        console.print(f"{years} code {code}: {count - wrong[phase, code]:,} of {count:,} account-years agree")
    console.print(f"left out (no verified figure, or another code): {sum(comparison.left_out.values()):,}")
    console.print(f"eutl: {len(records.accounts):,} accounts, {len(records.years):,} account-years; "
                  f"loaded in {seconds[0]:.0f} s, compared in {seconds[1] - seconds[0]:.0f} s")  # fmt: skip
    exact = not any(count for (phase, code), count in wrong.items() if phase == 1 and "*" not in code)
    return 0 if exact and not loaded.refused else 1


if __name__ == "__main__":
    sys.exit(main())
