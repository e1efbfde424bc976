"""A worker that is killed in the middle of an import: nothing half-written, and the import is finished once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.kit.objects.files import FileStore
from tests.accounting.test_bad_files import COLUMNS, written
from tests.accounting.test_imports import IMPORT, csv_bytes, finished, upload
from tests.fixtures.accounting import Works

ROOT = Path(__file__).parents[2]


@contextmanager
def worker(database_url: str, objects: FileStore, mark: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.fixtures.import_process", str(objects.folder), str(mark)]
    quick = {"WORKER_LEASE_S": "1.5", "WORKER_POLL_S": "0.2", "PYTHONPATH": str(ROOT)}
    environment = {**os.environ, **quick, "DATABASE_URL": database_url, "BROKER_QUEUE": f"imports-{mark.parent.name}"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("empty_queue")
async def test_killed_while_storing(works: Works, objects: FileStore, database_url: str, tmp_path: Path) -> None:
    source = await works.source("BOILER", {"code": "烟煤", "material": "烟煤", "cadence": "EVENT"})
    rows = [("S1", "BOILER", "", f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}", str(n), "t") for n in range(5000)]
    document = await upload(works, objects, csv_bytes(rows, COLUMNS), "活动数据.csv")
    call = {"organisationId": works.group_id, "documentId": document}
    before = await written(works)
    mark = tmp_path / "stored once"
    with worker(database_url, objects, mark) as first:
        made = (await works.monitor.do("importActivity", call, IMPORT))["activityImport"]
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(mark.exists):  # noqa: ASYNC110 - the event is in another process
                await asyncio.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        await asyncio.to_thread(first.wait)
    assert await written(works) == before
    with worker(database_url, objects, mark):
        done = await finished(works, made["id"])
        again = (await works.monitor.do("importActivity", call, IMPORT))["activityImport"]
    assert (done["state"], done["rows"], done["stored"], done["refused"]) == ("DONE", 5000, 5000, 0)
    assert again["id"] == made["id"]
    assert sum(r["records"] for r in await works.results(source, 2024)) == 5000
