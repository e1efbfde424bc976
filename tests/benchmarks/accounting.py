"""accounting.*: a million activity lines of a thousand sites, and files of a hundred thousand, against a bare COPY.

Ours is the whole import as a worker does it, in a process of its own: the file fetched, read, every row understood and
judged, packed, stored behind row-level security with batches, sums and emissions, in one transaction. The limit copies
the same rows (stream, day, quantity, row number) into a table without keys, before and after each of our runs.
Recalculation points every stream-month at a new coefficient. Rederivation derives the coefficients of a year anew from
the library, supersedes those that come out otherwise, tells each stream-month that changes and recalculates; its limit
is REDERIVED_IN_S. At the end every stream-month is computed again from the
lines, in Python, and compared.

    python -m tests.benchmarks.accounting DATABASE_URL
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from backend.accounting.domain.imports import NewImport
from backend.accounting.domain.sources import Cadence, Category, DirectKind, NewSource, NewStream
from backend.accounting.repository.results import recalculate
from backend.accounting.service.coefficients import rederive
from backend.accounting.service.imports import ImportService
from backend.accounting.service.sources import SourceService
from backend.evidence.domain import NewDocument
from backend.evidence.service import DocumentService
from backend.kit.clock import Clock
from backend.kit.database import Database, UnitOfWork, connect
from backend.kit.objects.files import FileStore
from backend.kit.provision import APP, OWNER, WORKER
from backend.kit.quantity import round_half_up
from backend.kit.toolbox import Services, Toolbox
from tenants.access import Principal, Role
from tenants.commands import Actor
from tenants.domain.organisations import NewOrganisation, OrganisationKind, Profile
from tenants.service import OrganisationService
from tenants.service.organisations import NewOrganisations
from tests.benchmarks.table import Figure
from tests.fixtures.workbooks import write_workbook
from tests.fixtures.world import World

LINES: Final = 1_000_000
SMALL: Final = 100_000
REDERIVED_IN_S: Final = 5
YEARS: Final = (2024, 2025)
SITES: Final = 1_000
STREAMS: Final = 5
SINCE: Final = date(2015, 1, 1)
HEADER: Final = "组织,排放源,流,日期,数量,单位,凭证\n"


def run(database_url: str) -> list[dict[str, Any]]:
    """The rows of the table; `database_url` is a migrated database, which is left with one more tenant."""
    return [figure.row() for figure in asyncio.run(measure(database_url))]


@dataclass(frozen=True, slots=True)
class _Bench:
    url: str
    folder: Path
    world: World
    app: Services
    group: UUID

    @property
    def objects(self) -> Path:
        return self.folder / "objects"


async def measure(url: str) -> list[Figure]:
    owner, database, worker = (connect(url, role=role) for role in (OWNER, APP, WORKER))
    with tempfile.TemporaryDirectory() as folder:
        objects = FileStore(Path(folder) / "objects", "http://127.0.0.1", Clock())
        app = Services(Toolbox(database, Clock(), objects=objects))
        try:
            world = await World.create(owner, app)
            bench = _Bench(url, Path(folder), world, app, await _group(world, app))
            rounds = [await _round(bench, year, LINES, "csv") for year in YEARS]
            small = [await _round(bench, YEARS[0], SMALL, kind) for kind in ("csv", "xlsx")]
            await _rest(url)
            before = await _copy(bench, YEARS[-1], LINES)
            recalculate_s, months = await _recalculate(world, worker)
            after = await _copy(bench, YEARS[-1], LINES)
            rederived = await _rederive(world, worker)
            checked = await _check(world, worker)
        finally:
            for each in (owner, database, worker):
                await each.close()
    limit = 2 * LINES / (before + after)
    again = LINES * len(YEARS) / recalculate_s
    told = f"{months:,} stream-months of {LINES * len(YEARS):,} lines in {recalculate_s:.2f} s; {checked}"
    return [
        _figure("accounting.ingest", LINES, rounds),
        Figure("accounting.recalculate", again, limit, again / limit, "rows/s", told),
        rederived,
        _figure("accounting.import_csv_100k", SMALL, small[:1]),
        _figure("accounting.import_xlsx_100k", SMALL, small[1:]),
    ]


@dataclass(frozen=True, slots=True)
class _Round:
    copy_s: float
    seconds: float
    cpu_s: float
    peak_mib: float
    stored: int


def _figure(name: str, lines: int, rounds: Sequence[_Round]) -> Figure:
    ratio = statistics.median(r.copy_s / r.seconds for r in rounds)
    ours, limit = (lines / statistics.median(x) for x in zip(*((r.seconds, r.copy_s) for r in rounds), strict=True))
    each = ", ".join(f"{r.seconds:.1f} s ({r.copy_s / r.seconds:.2f})" for r in rounds)
    peak = max(r.peak_mib for r in rounds)
    stored = sum(r.stored for r in rounds)
    cpu = statistics.median(r.cpu_s for r in rounds)
    used = f"worker: {cpu:.1f} s of processor, peak {peak:.0f} MiB"
    note = f"{stored:,} of {lines * len(rounds):,} rows stored: {each}; {used}"
    return Figure(name, ours, limit, ratio, "rows/s", note)


async def _round(bench: _Bench, year: int, lines: int, kind: str) -> _Round:
    """One import between two copies of the same rows."""
    path = bench.folder / f"{year}.{kind}"
    await asyncio.to_thread(_write, path, year, lines)
    key = await _asked(bench, path)
    before = await _copy(bench, year, lines)
    command = ("tests.benchmarks.import_worker", bench.url, bench.objects, bench.world.tenant_id, key)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *map(str, command), stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    made = json.loads(told)
    after = await _copy(bench, year, lines)
    path.unlink()
    spent = made["seconds"], made["cpu_s"], made["peak_mib"]
    return _Round((before + after) / 2, *spent, made["stored"])


async def _group(world: World, services: Services) -> UUID:
    """A group of sites, each with one source of five streams."""
    admin = _principal(await world.caller(Role.TENANT_ADMINISTRATOR))
    engineer = _principal(await world.caller(Role.ACCOUNTING_ENGINEER))
    organisations = services.get(OrganisationService)
    rows = [NewOrganisation(OrganisationKind.GROUP, Profile("G", "集团"), None, SINCE)]
    rows += [
        NewOrganisation(OrganisationKind.SITE, Profile(f"S{i:04}", f"{i} 号厂区"), None, SINCE, parent_code="G")
        for i in range(SITES)
    ]
    ids: dict[str, UUID] = {}
    for part in _parts([rows[0], *rows[1:]], 500):
        done = await organisations.create_many(Actor(admin), NewOrganisations(tuple(part), all_or_nothing=True))
        ids |= {row.code: row.organisation.id for row in done.value.rows if row.organisation}
    streams = tuple(NewStream(f"F{n}", material="烟煤", cadence=Cadence.EVENT) for n in range(STREAMS))
    sources = [
        NewSource(ids[f"S{i:04}"], "B", "锅炉", Category.DIRECT, direct_kind=DirectKind.STATIONARY, streams=streams)
        for i in range(SITES)
    ]
    for some in _parts(sources, 500):
        await services.get(SourceService).create_many(Actor(engineer), some, all_or_nothing=True)
    return ids["G"]


def _parts(rows: list[Any], size: int) -> list[list[Any]]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _principal(caller: Any) -> Principal:
    assert caller.principal is not None
    principal: Principal = caller.principal
    return principal


def _lines(year: int, lines: int) -> Iterator[tuple[str, str, date, str]]:
    """Site, stream, day, quantity."""
    for i in range(lines):
        stream = i % (SITES * STREAMS)
        day = date(year, i // (SITES * STREAMS) % 12 + 1, i % 28 + 1)
        yield f"S{stream // STREAMS:04}", f"F{stream % STREAMS}", day, f"{i % 99_991}.{i % 1000:03}"


def _proof(path: Path, lines: int) -> str:
    """Other words for each of the small files: rows that repeat recorded ones to the letter are not stored again."""
    return f"化验单{path.suffix}" if lines == SMALL else "磅单"


def _write(path: Path, year: int, lines: int) -> None:
    if path.suffix == ".xlsx":
        rows = (
            [site, "B", stream, day, float(q), "t", _proof(path, lines)] for site, stream, day, q in _lines(year, lines)
        )
        write_workbook(path, chain([HEADER.rstrip().split(",")], rows))
        return
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        file.writelines(
            f"{site},B,{stream},{day},{q},t,{_proof(path, lines)}\n" for site, stream, day, q in _lines(year, lines)
        )


async def _copy(bench: _Bench, year: int, lines: int) -> float:
    """Seconds for a bare COPY of what a line says: the narrowest form of the same rows."""
    narrow = bench.folder / f"{year}-{lines}.narrow"
    if not narrow.exists():
        with narrow.open("w") as file:
            file.writelines(
                f"{int(site[1:]) * STREAMS + int(stream[1:])},{day},{quantity},{row}\n"
                for row, (site, stream, day, quantity) in enumerate(_lines(year, lines))
            )
    connection = await asyncpg.connect(bench.url)
    await connection.execute("DROP TABLE IF EXISTS bench_copy")
    await connection.execute("CREATE TABLE bench_copy (stream integer, day date, quantity numeric, row integer)")
    started = time.perf_counter()
    await connection.copy_to_table("bench_copy", source=str(narrow), format="csv")
    took = time.perf_counter() - started
    await connection.execute("DROP TABLE bench_copy")
    await connection.close()
    return took


async def _asked(bench: _Bench, path: Path) -> UUID:
    """The file is uploaded and its import asked for."""
    monitor = _principal(await bench.world.caller(Role.MONITORING_STAFF))
    content = await asyncio.to_thread(path.read_bytes)
    documents, imports = bench.app.get(DocumentService), bench.app.get(ImportService)
    digest = hashlib.sha256(content).hexdigest()
    new = NewDocument(bench.group, "", path.name, "application/octet-stream", len(content), digest)
    document = (await documents.announce(Actor(monitor), new)).value
    await bench.app.toolbox.store.put(document.announced(bench.world.tenant_id), path)
    await documents.complete(Actor(monitor), document.id)
    return (await imports.ask(Actor(monitor), NewImport(bench.group, document.id))).value.id


async def _check(world: World, worker: Database) -> str:
    """Every stream-month of the last year: the sum of its lines, and the emission, computed without the database."""
    sums: dict[tuple[str, str, int], Decimal] = defaultdict(Decimal)
    for site, stream, day, quantity in _lines(YEARS[-1], LINES):
        sums[site, stream, day.month] += Decimal(quantity)
    async with worker.read(world.tenant_id) as session:
        rows = await session.rows(_STREAM_MONTHS, {"year": YEARS[-1]})
    wrong = [
        row
        for row in rows
        if row.quantity != sums.pop((row.site, row.stream, row.month))
        or row.co2e_t != round_half_up(Fraction(row.quantity) * Fraction(row.co2e_per_unit), 9)
    ]
    assert not wrong, wrong[:3]
    assert not sums, list(sums)[:3]
    return f"{len(rows):,} sums and emissions equal those computed in Python"


_STREAM_MONTHS: Final = """
SELECT o.code AS site, t.code AS stream, extract(month FROM m.month)::integer AS month, m.quantity, m.co2e_t,
       c.co2e_per_unit
FROM stream_month m
JOIN emission_stream t ON t.tenant_id = m.tenant_id AND t.id = m.stream_id
JOIN organisation o ON o.tenant_id = m.tenant_id AND o.id = m.organisation_id
JOIN stream_coefficient c ON c.tenant_id = m.tenant_id AND c.id = m.coefficient_id
WHERE extract(year FROM m.month) = :year
"""


async def _rest(url: str) -> None:
    """What the server does by itself within a minute of an import, long before a factor changes."""
    connection = await asyncpg.connect(url)
    await connection.execute("VACUUM ANALYZE stream_month")
    await connection.close()


async def _recalculate(world: World, worker: Database) -> tuple[float, int]:
    """A factor has changed: every stream has a new coefficient, and its months follow."""

    async def change(unit: UnitOfWork) -> None:
        await unit.execute(
            """
            WITH old AS (
              UPDATE stream_coefficient SET superseded_at = now(), superseded_because = '因子更新'
              WHERE superseded_at IS NULL RETURNING *)
            SELECT count(*) FROM old
            """
        )
        await unit.execute(
            """
            INSERT INTO stream_coefficient (tenant_id, id, stream_id, method, first_month, last_month, co2e_per_unit,
                                            unit, gases, gwp_set, steps, kind)
            SELECT tenant_id, gen_random_uuid(), stream_id, method, first_month, last_month, co2e_per_unit * 1.01, unit,
                   gases, gwp_set, steps, kind FROM stream_coefficient
            """
        )

    await worker.write(world.tenant_id, change)
    started = time.perf_counter()
    year = (date(YEARS[0], 1, 1), date(YEARS[-1], 12, 1))
    months = await worker.write(world.tenant_id, lambda unit: recalculate(unit, None, *year))
    return time.perf_counter() - started, months


async def _rederive(world: World, worker: Database) -> Figure:
    """The coefficients of a year, which a factor has changed, as the library says."""
    year = (date(YEARS[-1], 1, 1), date(YEARS[-1], 12, 1))
    started = time.perf_counter()
    done = await worker.write(world.tenant_id, lambda unit: rederive(unit, None, *year, "因子更新", most=1000))
    took = time.perf_counter() - started
    months = done.changes.months
    note = f"{done.superseded:,} coefficients and {months:,} stream-months in {took:.1f} s, limit {REDERIVED_IN_S} s"
    return Figure("accounting.rederive", months / took, months / REDERIVED_IN_S, REDERIVED_IN_S / took, "rows/s", note)


def _shown(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        print(row)


if __name__ == "__main__":
    _shown(run(sys.argv[1]))
