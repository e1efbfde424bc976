"""`python -m tenants.examples.california DIR`: replay California's public record through the public API.

Starts a server (the embedded database unless DATABASE_URL is set), loads companies, facilities, emissions, lots and
surrenders into a tenant of its own, consolidates both compliance periods, and compares with the published answers.
The last line says how many entity-periods agree. Exit code 1 when a status differs that the record does not explain.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from tenants.examples import server
from tenants.examples.api import Api
from tenants.examples.california.compare import Comparison, compare, determinations
from tenants.examples.california.group import as_group, periods
from tenants.examples.california.records import Records, read_records
from tenants.examples.load import Loaded, Loader, consolidate
from tenants.examples.progress import shown

console = Console(soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder with California's CSV files")
    records = read_records(parser.parse_args().folder)
    for trap in records.traps:
        console.print(f"not read: {trap.file} line {trap.line}: {trap.code} {trap.message}")
    started = time.monotonic()
    with server.running() as running:
        slug = f"california-{int(time.time())}"
        api = Api(running.url, running.tenant(slug, "California cap-and-trade 2013-2017"))
        loaded, comparison = replay(api, records, slug)
    return report(loaded, comparison, time.monotonic() - started)


def replay(api: Api, records: Records, slug: str) -> tuple[Loaded, Comparison]:
    """Load, consolidate each period, compare."""
    group = as_group(records, slug)
    with shown(console) as progress:
        loaded = Loader(api, group, progress).load()
        runs = consolidate(api, loaded, group, progress)
    found = determinations(api, dict(zip(periods(records), runs, strict=True)))
    return loaded, compare(records, found, loaded.refused)


def report(loaded: Loaded, comparison: Comparison, seconds: float) -> int:
    for what, count in loaded.counts.items():
        console.print(f"{what}: {count:,} rows taken")
    for refusal in loaded.refused:
        console.print(f"refused: {refusal.what} {refusal.row}: {refusal.code} {refusal.message}")
    for difference in (*comparison.totals, *comparison.statuses):
        console.print(f"differs: {difference.line()}")
    console.print(
        f"{comparison.compared - len(comparison.totals)} of {comparison.compared} totals agree; {seconds:.0f} s"
    )
    console.print(
        f"california: {comparison.agreeing} of {comparison.compared} entity-periods agree with the published status"
    )
    return 1 if any(not d.because for d in comparison.statuses) else 0


if __name__ == "__main__":
    sys.exit(main())
