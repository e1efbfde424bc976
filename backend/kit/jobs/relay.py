"""From the queue to the transport: claims due jobs and sends their ids, when a bell rings and at every poll."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import structlog

from backend.kit.database import Database
from backend.kit.jobs.domain import CHANNEL
from backend.kit.jobs.queue import Queue
from backend.kit.jobs.transport import Transport

log = structlog.get_logger()

LISTEN_AGAIN_S: Final = 5.0


class Relay:
    """One per worker process. Any number may run at once: they skip what another is claiming."""

    def __init__(self, queue: Queue, transport: Transport) -> None:
        self.queue = queue
        self.transport = transport
        self._bell = asyncio.Event()
        self._next_taking_back = 0.0

    def ring(self) -> None:
        """Something may be due."""
        self._bell.set()

    async def run(self) -> None:
        """Until cancelled. Survives the absence of the database and of the broker."""
        while True:
            self._bell.clear()
            try:
                sent = await self._round()
            except Exception:
                log.warning("job relay could not work", exc_info=True)
                sent = 0
                await asyncio.sleep(self.queue.pace.poll_s)
            if not sent:
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self.queue.pace.poll_s):
                await self._bell.wait()
        except TimeoutError:
            return

    async def _round(self) -> int:
        if time.monotonic() >= self._next_taking_back:
            await self.queue.take_back()
            self._next_taking_back = time.monotonic() + self.queue.pace.poll_s
        room = self.transport.free_slots()
        if room is None:
            room = self.queue.pace.window - await self.queue.on_the_way()
        if room <= 0:
            return 0
        claims = await self.queue.claim(room)
        try:
            await self.transport.send(claims)
        except Exception:
            for claim in claims:
                await self.queue.release(claim)
            raise
        return len(claims)


async def listen(database: Database, relay: Relay) -> None:
    """Ring the relay at each NOTIFY, on one connection of its own; until cancelled.

    Not behind a pooler in transaction mode, where no connection is one's own: there the relay only polls.
    """
    while True:
        try:
            async with database.engine.connect() as connection:
                raw: Any = (await connection.get_raw_connection()).driver_connection
                gone = asyncio.Event()
                raw.add_termination_listener(lambda _raw, gone=gone: gone.set())
                await raw.add_listener(CHANNEL, lambda *_: relay.ring())
                relay.ring()
                try:
                    await gone.wait()
                finally:
                    await connection.invalidate()
        except Exception:
            log.warning("job notifications cannot be heard, polling", exc_info=True)
        await asyncio.sleep(LISTEN_AGAIN_S)
