"""Use cases on jobs: see them, cancel them, try them again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from backend.kit.database import UnitOfWork
from backend.kit.errors import not_found
from backend.kit.jobs.domain import FINISHED, JOB_FINISHED, JOB_NOT_OVER, Job, JobState
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal
from tenants.commands import Actor, Change, Done, perform
from tenants.work import repository


class JobService:
    """The jobs of a tenant, as its members see them."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, Job]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.jobs(session, principal, keys)

    async def page(
        self, principal: Principal, request: PageRequest, state: JobState | None, *, scheduled: bool | None = None
    ) -> Page[Job]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await repository.page_of_jobs(session, principal, request, state, scheduled=scheduled)

    async def cancel(self, actor: Actor, key: UUID) -> Done[Job]:
        """A queued job is cancelled at once; a running one is asked to end without effect.

        Errors: NOT_FOUND, FORBIDDEN, JOB_FINISHED.
        """

        async def steer(unit: UnitOfWork, job: Job) -> None:
            if job.state in FINISHED:
                raise JOB_FINISHED(path=("id",), state=job.state)
            if job.state is JobState.QUEUED:
                await repository.cancel_queued(unit, key)
            else:
                await repository.ask_to_cancel(unit, key)

        return await self._steer(actor, "cancelJob", key, steer)

    async def retry(self, actor: Actor, key: UUID) -> Done[Job]:
        """Queue again what failed or was cancelled, with all its attempts before it.

        Errors: NOT_FOUND, FORBIDDEN, JOB_NOT_OVER, JOB_ALREADY_QUEUED.
        """

        async def steer(unit: UnitOfWork, job: Job) -> None:
            if job.state not in {JobState.FAILED, JobState.CANCELLED}:
                raise JOB_NOT_OVER(path=("id",), state=job.state)
            await repository.queue_again(unit, key)

        return await self._steer(actor, "retryJob", key, steer)

    async def _steer(
        self, actor: Actor, operation: str, key: UUID, steer: Callable[[UnitOfWork, Job], Awaitable[None]]
    ) -> Done[Job]:
        async def work(change: Change) -> Job:
            before = await repository.locked(change.unit, actor.principal, key)
            if before is None:
                raise not_found("Job", key, "id")
            await change.require_unless_own(before.created_by, Permission.JOB_MANAGE, before.organisation_id)
            await steer(change.unit, before)
            after = (await repository.jobs(change.unit, actor.principal, [key]))[key]
            await change.audit("Job", key, after.organisation_id, before=before, after=after)
            return after

        return await perform(self.toolbox, actor, operation, key, Job, work)
