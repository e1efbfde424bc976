"""One import, carried out by a process of its own as a worker carries it out; says how long it took and what it held.

python -m tests.benchmarks.import_worker DATABASE_URL OBJECTS TENANT IMPORT
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from uuid import UUID

from backend.accounting.service.imports import ImportService
from backend.capabilities import CAPABILITIES
from backend.kit.clock import Clock
from backend.kit.database import connect
from backend.kit.objects.files import FileStore
from backend.kit.provision import WORKER
from backend.kit.toolbox import Services, Toolbox

assert CAPABILITIES  # a worker has all of them loaded


async def main(url: str, objects: str, tenant: str, key: str) -> dict[str, object]:
    database = connect(url, role=WORKER)
    store = FileStore(Path(objects), "http://127.0.0.1", Clock())
    service = Services(Toolbox(database, Clock(), objects=store)).get(ImportService)

    async def report(_done: int, _total: int, _note: str) -> None: ...

    started, spent_before = time.perf_counter(), time.process_time()
    read = await service.read(UUID(tenant), UUID(key), report)
    made = await database.write(UUID(tenant), lambda unit: service.store(unit, read))
    took = time.perf_counter() - started
    await database.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = {"seconds": took, "cpu_s": time.process_time() - spent_before, "peak_mib": used.ru_maxrss / 1024}
    return {**made, **spent}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:]))))
