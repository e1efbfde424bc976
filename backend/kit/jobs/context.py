"""What a job's function is given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from backend.kit.database import UnitOfWork
from backend.kit.jobs.domain import Claim, Progress, Started
from backend.kit.jobs.queue import Queue, hold, mark_done
from backend.kit.jobs.registry import Answer
from backend.kit.toolbox import Services


class JobCancelledError(Exception):
    """Somebody asked to cancel the job. Let it pass through."""


class JobContext:
    """One attempt at one job: whose it is, the services, and the ways to say how far it is and that it is done."""

    def __init__(self, started: Started, services: Services, queue: Queue) -> None:
        self.services = services
        self.attempt = started.attempts
        self.finished = False
        self.finishing = False
        self.halted: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self._claim: Claim = started.claim
        self._queue = queue

    @property
    def tenant_id(self) -> UUID:
        return self._claim.tenant_id

    @property
    def job_id(self) -> UUID:
        return self._claim.job_id

    async def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Show how far the job is, at once, and keep the lease. Errors: JobCancelledError, LeaseLostError."""
        if self.finishing:
            message = "progress is shown outside of `finish`, whose transaction holds the job's row"
            raise RuntimeError(message)
        if await self._queue.extend(self._claim, Progress(done, total, note)):
            raise JobCancelledError

    @property
    def cancelled(self) -> bool:
        """Whether the attempt should end: somebody asked to cancel, the lease was lost, the worker must stop."""
        return self.halted.done()

    def check(self) -> None:
        """Raise what should end the attempt, if anything should: for long stretches that await nothing."""
        if self.halted.done():
            raise self.halted.result()

    async def finish(self, work: Callable[[UnitOfWork], Awaitable[Answer]], *, long: bool = False) -> Answer:
        """Write the effect and "done" in one transaction of the tenant: both are there exactly once, or neither.

        What `work` returns is kept as the job's result. `work` may be run again when writers met, so it must not touch
        anything but the unit of work. `long`: it shows progress and can be cancelled until its end, where the lease is
        asked for; a short one holds the job from the beginning. Errors: those of `work`, LeaseLostError,
        TENANT_SUSPENDED.
        """

        async def transaction(unit: UnitOfWork) -> Answer:
            self.finishing = not long
            if not long:
                await hold(unit, self._claim)
            answer = await work(unit)
            if long:
                self.check()
                self.finishing = True
                await hold(unit, self._claim)
            await mark_done(unit, self._claim, answer)
            return answer

        # While finishing nobody breaks the attempt off, and the row is locked by us: the pulse keeps still.
        self.finishing = not long
        try:
            answer = await self._queue.database.write(self.tenant_id, transaction)
        finally:
            self.finishing = False
        self.finished = True
        return answer

    def halt(self, because: Exception) -> None:
        """Ask the attempt to end (the runner does)."""
        if not self.halted.done():
            self.halted.set_result(because)

    async def pulse(self) -> None:
        """Keep the lease, and hear of a cancellation (the runner does). Errors: JobCancelledError, LeaseLostError."""
        if not self.finishing and not self.finished and await self._queue.extend(self._claim):
            raise JobCancelledError
