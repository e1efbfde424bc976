"""accounting.ingest and accounting.recalculate: a million activity lines of a thousand sites, against a bare COPY.

Ours is the whole import as a worker does it: the file fetched, read, every row understood and judged, packed, stored
behind row-level security with batches, sums and emissions, in one transaction. The limit copies the same rows (stream,
day, quantity, row number) into a table without keys. Recalculation points every stream-month at a new coefficient.

    python -m tests.benchmarks.accounting DATABASE_URL
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from backend.accounting.domain.imports import NewImport
from backend.accounting.domain.sources import Cadence, Category, DirectKind, NewSource, NewStream
from backend.accounting.repository.results import recalculate
from backend.accounting.service.imports import ImportService
from backend.accounting.service.sources import SourceService
from backend.evidence.domain import NewDocument
from backend.evidence.service import DocumentService
from backend.kit.clock import Clock
from backend.kit.database import Database, UnitOfWork, connect
from backend.kit.objects.files import FileStore
from backend.kit.provision import APP, OWNER, WORKER
from backend.kit.toolbox import Services, Toolbox
from tenants.access import Principal, Role
from tenants.commands import Actor
from tenants.domain.organisations import NewOrganisation, OrganisationKind, Profile
from tenants.service import OrganisationService
from tenants.service.organisations import NewOrganisations
from tests.benchmarks.table import Figure
from tests.fixtures.world import World

LINES: Final = 1_000_000
SITES: Final = 1_000
STREAMS: Final = 5
SINCE: Final = date(2015, 1, 1)
HEADER: Final = "组织,排放源,流,日期,数量,单位,凭证\n"


def run(database_url: str) -> list[dict[str, Any]]:
    """Both rows of the table; `database_url` is a migrated database, which is left with one more tenant."""
    return [figure.row() for figure in asyncio.run(measure(database_url))]


async def measure(url: str) -> list[Figure]:
    owner, database, worker = (connect(url, role=role) for role in (OWNER, APP, WORKER))
    with tempfile.TemporaryDirectory() as folder:
        objects = FileStore(Path(folder) / "objects", "http://127.0.0.1", Clock())
        app = Services(Toolbox(database, Clock(), objects=objects))
        try:
            world = await World.create(owner, app)
            group = await _group(world, app)
            path = Path(folder) / "lines.csv"
            await asyncio.to_thread(_write, path)
            bare = await _copy(url, path)
            ingest_s, made = await _ingest(world, app, Services(Toolbox(worker, Clock(), objects=objects)), group, path)
            again = await _copy(url, path)
            recalculate_s, months = await _recalculate(world, worker)
        finally:
            for each in (owner, database, worker):
                await each.close()
    limit = LINES / ((bare + again) / 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = f"{made['stored']:,} of {made['rows']:,} rows stored in {ingest_s:.1f} s, worker's peak {peak:.0f} MiB"
    rate = LINES / ingest_s
    again_rate = LINES / recalculate_s
    told = f"{months:,} stream-months of the same {LINES:,} lines in {recalculate_s:.2f} s"
    return [
        Figure("accounting.ingest", rate, limit, rate / limit, "rows/s", note),
        Figure("accounting.recalculate", again_rate, limit, again_rate / limit, "rows/s", told),
    ]


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


def _lines() -> Any:
    for i in range(LINES):
        stream = i % (SITES * STREAMS)
        month = i // (SITES * STREAMS) % 12 + 1
        quantity = f"{i % 99_991}.{i % 1000:03}"
        yield f"S{stream // STREAMS:04}", f"F{stream % STREAMS}", f"2024-{month:02}-{i % 28 + 1:02}", quantity


def _write(path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        file.writelines(f"{site},B,{stream},{day},{quantity},t,磅单\n" for site, stream, day, quantity in _lines())


async def _copy(url: str, path: Path) -> float:
    """Seconds for a bare COPY of what a line says: the narrowest form of the same rows."""
    connection = await asyncpg.connect(url)
    narrow = path.with_suffix(".narrow")
    with narrow.open("w") as file:
        file.writelines(
            f"{int(site[1:]) * STREAMS + int(stream[1:])},{day},{quantity},{row}\n"
            for row, (site, stream, day, quantity) in enumerate(_lines())
        )
    await connection.execute("DROP TABLE IF EXISTS bench_copy")
    await connection.execute("CREATE TABLE bench_copy (stream integer, day date, quantity numeric, row integer)")
    started = time.perf_counter()
    await connection.copy_to_table("bench_copy", source=str(narrow), format="csv")
    took = time.perf_counter() - started
    await connection.execute("DROP TABLE bench_copy")
    await connection.close()
    return took


async def _ingest(
    world: World, app: Services, worker: Services, group: UUID, path: Path
) -> tuple[float, dict[str, Any]]:
    monitor = _principal(await world.caller(Role.MONITORING_STAFF))
    digest, size = await asyncio.to_thread(_measured, path)
    documents, imports = app.get(DocumentService), app.get(ImportService)
    new = NewDocument(group, "", "lines.csv", "text/csv", size, digest)
    document = (await documents.announce(Actor(monitor), new)).value
    await app.toolbox.store.put(document.announced(world.tenant_id), path)
    await documents.complete(Actor(monitor), document.id)
    asked = (await imports.ask(Actor(monitor), NewImport(group, document.id))).value
    service = worker.get(ImportService)

    async def report(_done: int, _total: int, _note: str) -> None: ...

    started = time.perf_counter()
    read = await service.read(world.tenant_id, asked.id, report)
    made = await worker.toolbox.database.write(world.tenant_id, lambda unit: service.store(unit, read))
    return time.perf_counter() - started, made


def _measured(path: Path) -> tuple[str, int]:
    content = path.read_bytes()
    return hashlib.sha256(content).hexdigest(), len(content)


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
    year = (date(2024, 1, 1), date(2024, 12, 1))
    months = await worker.write(world.tenant_id, lambda unit: recalculate(unit, None, *year))
    return time.perf_counter() - started, months


def _shown(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        print(row)


if __name__ == "__main__":
    _shown(run(sys.argv[1]))
