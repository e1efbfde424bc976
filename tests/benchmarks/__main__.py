"""`make bench [ONLY=prefix]`: the table of figures, each ratio from interleaved runs in one go, and bench.json."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from backend.kit.embedded.cluster import Cluster, binary
from backend.kit.provision import OWNER, create_database, migrate, prepare
from tests.benchmarks import access, accounting, ledger, ledger_as_of, ledger_verify, read
from tests.conftest import at

ROOT: Final = Path(__file__).resolve().parents[2]
OUTPUT: Final = ROOT / "bench.json"
NAME: Final = "bench"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bench:
    """How a row is measured, given the server's and the database's address, and the ratio the project set itself."""

    measure: Callable[[str, str], Sequence[Row]]
    goal: float


def _posting(what: str) -> Callable[[str, str], Sequence[Row]]:
    return lambda server, url: [ledger.run(what, server, url, binary("pgbench")).row()]


BENCHES: Final[dict[str, Bench]] = {
    "graphql.read_1000": Bench(lambda _server, url: [asyncio.run(read.read_1000(url)).row()], 0.6),
    "ledger.post_service": Bench(_posting("post_service"), 0.6),
    "ledger.post_graphql": Bench(_posting("post_graphql"), 0.25),
    "ledger.post_batch": Bench(_posting("post_batch"), 5.0),
    "ledger.post_hot": Bench(_posting("post_hot"), 1.0),
    "ledger.balance_as_of": Bench(lambda _server, url: [asyncio.run(ledger_as_of.run(url)).row()], 1.0),
    "ledger.verify": Bench(lambda _server, _url: [ledger_verify.run().row()], 0.2),
    "accounting.ingest": Bench(lambda _server, url: accounting.run(url), 0.15),
    "access.check": Bench(lambda _server, url: [access.run(url)], 1.0),
}


# Rows that come with another's measuring, and what they are held to.
FURTHER_GOALS: Final = {"accounting.recalculate": 1.5, "accounting.rederive": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="prefix of the rows to measure")
    only = parser.parse_args().only
    wanted = [name for name in BENCHES if name.startswith(only)]
    if not wanted:
        parser.error(f"no row begins with '{only}'; there are {', '.join(BENCHES)}")
    rows = _measure(wanted)
    OUTPUT.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    _print(rows)


def _measure(wanted: Sequence[str]) -> list[Row]:
    """On a server of its own, as an installation has it: durable, with the server's own settings."""
    cluster = Cluster(ROOT / ".tanheng" / "bench")
    endpoint = cluster.start()
    rows: list[Row] = []
    try:
        server = endpoint.url(user=endpoint.superuser, database="postgres")
        asyncio.run(create_database(server, NAME))
        asyncio.run(prepare(at(server, NAME)))
        migrate(at(server, NAME), role=OWNER)
        for name in wanted:
            with Console(stderr=True).status(f"measuring {name} …"):
                rows += BENCHES[name].measure(server, at(server, NAME))
    finally:
        cluster.destroy()
    return rows


def _print(rows: Sequence[Row]) -> None:
    table = Table("row", "ours", "limit", "ratio", "goal", "unit", "note")
    for row in rows:
        bench = BENCHES.get(row["name"])
        goal = bench.goal if bench else FURTHER_GOALS.get(row["name"])
        colour = "green" if goal is None or row["ratio"] >= goal else "yellow"
        figures = (f"{row['ours']:,.2f}", f"{row['limit']:,.2f}", f"[{colour}]{row['ratio']:.2f}[/]")
        table.add_row(row["name"], *figures, f"≥ {goal}" if goal else "", row["unit"], row["note"])
    Console(width=None if Console().is_terminal else 160).print(table)


if __name__ == "__main__":
    main()
