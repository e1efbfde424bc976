"""The job worker: as a process of its own, or beside the API in its process."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable

import structlog

from backend.capabilities import modules
from backend.config import BrokerSettings, WorkerSettings
from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.jobs.domain import Pace
from backend.kit.jobs.queue import Queue
from backend.kit.jobs.registry import schedules
from backend.kit.jobs.relay import Relay, listen
from backend.kit.jobs.run import Runner
from backend.kit.jobs.scheduler import Scheduler, wanted
from backend.kit.jobs.transport import Transport
from backend.kit.objects.store import ObjectStore
from backend.kit.toolbox import Services, Toolbox

log = structlog.get_logger()


class Worker:
    """Relay, transport, runner and scheduler on one database (in the worker role), in the event loop that starts it.

    `listening`: hear NOTIFY; off behind a pooler in transaction mode. `schedules_off`: periodic jobs it does not start,
    by name, or `all`.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        pace: Pace,
        broker: BrokerSettings,
        listening: bool = True,
        objects: ObjectStore | None = None,
        schedules_off: frozenset[str] = frozenset(),
    ) -> None:
        self.database = database
        self.clock = clock
        self.queue = Queue(database, pace)
        self.transport = Transport(broker.url, broker.queue, pace.slots)
        self.relay = Relay(self.queue, self.transport)
        self.runner = Runner(self.queue, Services(Toolbox(database, clock, objects=objects)), self.relay.ring)
        self._listening = listening
        self._schedules_off = schedules_off
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to work; returns when the first job could be taken."""
        for _ in modules("jobs"):
            pass
        await self.transport.start(self.runner.handle)
        self._tasks.append(asyncio.create_task(self.relay.run()))
        if self._listening:
            self._tasks.append(asyncio.create_task(listen(self.database, self.relay)))
        periodic = wanted(schedules(), self._schedules_off)
        scheduler = Scheduler(self.database, self.clock, periodic, self.relay.ring)
        self._tasks.append(asyncio.create_task(scheduler.run()))

    async def stop(self) -> None:
        """Claim nothing more, let running jobs end within the grace, put the others back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.runner.stop()
        for claim in await self.transport.stop():
            await self.queue.release(claim)


async def serve(worker: Worker, stop: asyncio.Event, ready: Callable[[], None] = lambda: None) -> None:
    """Work until `stop`, then let go of everything, the database too."""
    try:
        await worker.start()
        try:
            ready()
            log.info("worker is ready")
            await stop.wait()
        finally:
            await worker.stop()
    finally:
        await worker.database.close()
    log.info("worker has stopped")


class WorkerThread:
    """A worker beside the API, in a thread and event loop of its own: a heavy job does not hold up requests.

    `make` is called in that thread; the worker and the database in it belong to that thread alone.
    """

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._failure: BaseException | None = None

    async def start(self) -> None:
        """Returns when it works. Errors: whatever kept it from starting."""
        self._thread.start()
        await asyncio.to_thread(self._ready.wait)
        if self._failure is not None:
            raise self._failure

    def ring(self) -> None:
        """The bell of its relay, from any thread: what `Toolbox.wake_relay` is when the worker sits beside the API.

        NOTIFY does the same; this works behind a pooler too.
        """
        if self._thread.is_alive() and self._ready.is_set():
            self._loop.call_soon_threadsafe(self._worker.relay.ring)

    async def stop(self) -> None:
        """As `Worker.stop`. Harmless when it is not running, or died."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failure = error
            log.exception("worker died")
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._worker = self._make()
        await serve(self._worker, self._stop, self._ready.set)


def run_worker(
    open_database: Callable[[], Database],
    settings: WorkerSettings,
    broker: BrokerSettings,
    *,
    clock: Clock,
    listening: bool = True,
    objects: ObjectStore | None = None,
) -> None:
    """Work in this process until SIGTERM or SIGINT; returns after a graceful stop."""

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        worker = Worker(
            open_database(),
            clock,
            pace=settings.pace(),
            broker=broker,
            listening=listening,
            objects=objects,
            schedules_off=settings.off(),
        )
        await serve(worker, stop)

    asyncio.run(main())
