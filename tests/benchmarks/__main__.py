"""`make bench [ONLY=prefix]`: the table of figures, each ratio from interleaved runs in one go, and bench.json."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from backend.kit.embedded.cluster import Cluster
from backend.kit.provision import OWNER, create_database, migrate, prepare
from tests.benchmarks import access, ledger, read
from tests.benchmarks.table import Figure
from tests.conftest import at

ROOT: Final = Path(__file__).resolve().parents[2]
OUTPUT: Final = ROOT / "bench.json"
NAME: Final = "bench"
Bench = Callable[[str], Awaitable[Figure]]

# In the order of the table; the goals are those the project set itself.
BENCHES: Final[dict[str, tuple[Bench, float]]] = {
    "graphql.read_1000": (read.read_1000, 0.6),
    "ledger.post_service": (ledger.post_service, 0.6),
    "access.check": (access.check, 1.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="prefix of the rows to measure")
    wanted = [name for name in BENCHES if name.startswith(parser.parse_args().only)]
    # A database as an installation has it: durable, with the server's own settings.
    cluster = Cluster(ROOT / ".tanheng" / "bench")
    endpoint = cluster.start()
    try:
        server = endpoint.url(user=endpoint.superuser, database="postgres")
        asyncio.run(create_database(server, NAME))
        asyncio.run(prepare(at(server, NAME)))
        migrate(at(server, NAME), role=OWNER)
        figures = [_measure(name, at(server, NAME)) for name in wanted]
    finally:
        cluster.destroy()
    OUTPUT.write_text(json.dumps([f.row() for f in figures], indent=2, ensure_ascii=False) + "\n")
    _print(figures)


def _measure(name: str, url: str) -> Figure:
    with Console(stderr=True).status(f"measuring {name} …"):
        return asyncio.run(BENCHES[name][0](url))


def _print(figures: list[Figure]) -> None:
    table = Table("row", "ours", "limit", "ratio", "goal", "unit", "note")
    for f in figures:
        goal = BENCHES[f.name][1]
        colour = "green" if f.ratio >= goal else "yellow"
        table.add_row(
            f.name, f"{f.ours:,.2f}", f"{f.limit:,.2f}", f"[{colour}]{f.ratio:.2f}[/]", f"≥ {goal}", f.unit, f.note
        )
    Console().print(table)


if __name__ == "__main__":
    main()
