"""Doing a job: take up the claim, call its function, keep its lease meanwhile, write down what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from backend.kit.database import TENANT_SUSPENDED
from backend.kit.errors import CodedError
from backend.kit.ids import global_id
from backend.kit.jobs.context import JobCancelledError, JobContext
from backend.kit.jobs.domain import JOB_CRASHED, JOB_TOOK_TOO_LONG, Claim, Reason, Started
from backend.kit.jobs.queue import LeaseLostError, Queue
from backend.kit.jobs.registry import Answer, handler_of
from backend.kit.toolbox import Services

log = structlog.get_logger()

PULSES_PER_LEASE: Final = 3


class WorkerStoppingError(Exception):
    """The worker must go; another one will do the job."""


class Runner:
    """Does jobs, many at a time, and rings when one has ended."""

    def __init__(self, queue: Queue, services: Services, ring: Callable[[], None]) -> None:
        self.queue = queue
        self.services = services
        self._ring = ring
        self._attempts: dict[asyncio.Task[None], JobContext | None] = {}
        self._stopping = False

    async def handle(self, claim: Claim) -> None:
        """Do what a message names. Never raises: what cannot be written down now, the end of the lease will settle."""
        task = asyncio.current_task()
        assert task is not None
        self._attempts[task] = None
        try:
            if self._stopping:
                await self.queue.release(claim)
                return
            started = await self.queue.start(claim)
            if started is None:
                log.info("job message was stale", job=str(claim.job_id))
                return
            context = self._attempts[task] = JobContext(started, self.services, self.queue)
            await self._settle(started, context, await self._attempt(started, context))
        except Exception:
            log.exception("job could not be settled", job=str(claim.job_id))
        finally:
            del self._attempts[task]
            self._ring()

    async def stop(self) -> None:
        """Let running jobs end within the grace; then break them off, so that another worker does them."""
        self._stopping = True
        running = set(self._attempts)
        if running:
            await asyncio.wait(running, timeout=self.queue.pace.grace_s)
        while self._attempts:
            for context in self._attempts.values():
                if context is not None:
                    context.halt(WorkerStoppingError())
            await asyncio.wait(set(self._attempts), timeout=1)

    async def _attempt(self, started: Started, context: JobContext) -> Answer | Exception:
        """What the function answered, or the exception that says why it did not."""
        try:
            handler = handler_of(started.name)
            arguments = handler.read(started.arguments)
        except CodedError as error:
            return error
        work = asyncio.ensure_future(handler.run(context, **arguments))
        pulse = asyncio.create_task(self._pulse(context))
        either: list[asyncio.Future[Any]] = [work, context.halted]
        await asyncio.wait(either, timeout=handler.time_limit_s, return_when=asyncio.FIRST_COMPLETED)
        if not work.done() and not context.halted.done():
            context.halt(JOB_TOOK_TOO_LONG(limit_s=handler.time_limit_s))
        # Never in the middle of writing the effect, and not once it is written.
        if not work.done() and not context.finishing and not context.finished:
            work.cancel()
        pulse.cancel()
        await asyncio.wait([work, pulse])
        return _outcome(work, context)

    async def _pulse(self, context: JobContext) -> None:
        """Keeps the lease while the attempt lives; ends it when the lease is lost or somebody asked to cancel."""
        while not context.cancelled:
            await asyncio.sleep(self.queue.pace.lease_s / PULSES_PER_LEASE)
            try:
                await context.pulse()
            except (JobCancelledError, LeaseLostError) as error:
                context.halt(error)
            except Exception:
                # The database is away for a moment. The next pulse, or the effect, will tell whether the lease held.
                log.warning("job lease could not be kept", job=str(context.job_id), exc_info=True)

    async def _settle(self, started: Started, context: JobContext, outcome: Answer | Exception) -> None:
        claim = started.claim
        if context.finished:
            log.info("job done", job=str(claim.job_id), name=started.name)
        elif isinstance(outcome, LeaseLostError):
            log.warning("job was taken over", job=str(claim.job_id), name=started.name)
        elif isinstance(outcome, JobCancelledError):
            await self.queue.cancel(claim)
        elif isinstance(outcome, WorkerStoppingError) or _is(outcome, TENANT_SUSPENDED.name):
            await self.queue.put_back(claim)
        elif isinstance(outcome, Exception):
            await self._fail(started, outcome)
        else:
            await self.queue.succeed(claim, outcome)
            log.info("job done", job=str(claim.job_id), name=started.name)

    async def _fail(self, started: Started, error: Exception) -> None:
        # Whoever asked knows it by the id of the API, and may quote that.
        job, known_as = str(started.claim.job_id), global_id("Job", started.claim.job_id)
        coded = error if isinstance(error, CodedError) else JOB_CRASHED(kind=type(error).__name__, job=known_as)
        trace = None if coded is error else error
        log.warning(
            "job failed", job=job, known_as=known_as, name=started.name, attempt=started.attempts, why=str(coded),
            exc_info=trace,
        )  # fmt: skip
        reason = Reason(coded.code.name, coded.message("en"), coded.message("zh-CN"))
        # A coded refusal stays one however often it is tried, unless its code says otherwise.
        await self.queue.fail(started, reason, for_good=not coded.code.retryable)


def _outcome(work: asyncio.Future[Answer], context: JobContext) -> Answer | Exception:
    if work.cancelled():
        return context.halted.result() if context.halted.done() else RuntimeError("the job cancelled itself")
    raised = work.exception()
    if raised is None:
        return work.result()
    return raised if isinstance(raised, Exception) else RuntimeError(repr(raised))


def _is(outcome: object, code: str) -> bool:
    return isinstance(outcome, CodedError) and outcome.code.name == code
