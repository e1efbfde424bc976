"""GraphQL of jobs: what is being done in the background, how far it is, and the ways to stop it or try it again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

import strawberry

from backend.kit.errors import Locale
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.jobs import domain
from backend.kit.jobs.domain import JobState
from backend.kit.pages import PageRequest
from tenants.context import Info, SignedIn
from tenants.work.service import JobService

enum_type(JobState)


@object_type
class JobProgress:
    """How far a job is."""

    done: int
    """Steps done."""
    total: int | None
    """Steps in all, where that is known."""
    note: str
    """What it is doing, in a few words; empty when it has not said."""


@object_type
class Job(Node):
    """Work done in the background (后台任务)."""

    name: str
    """What is done, as `slice.verb`."""
    organisation_id: strawberry.ID | None
    """The organisation it is about; null when it is about the whole tenant."""
    state: JobState
    """Where it stands."""
    progress: JobProgress
    """How far the present or last attempt is."""
    attempts: int
    """Attempts begun so far."""
    max_attempts: int
    """Attempts after which it is given up."""
    error_code: str | None
    """Code of what went wrong in the last failed attempt; null when nothing did."""
    error_message: str
    """What went wrong, in the language of Accept-Language; empty when nothing did."""
    cancel_requested: bool
    """Whether somebody asked to cancel it."""
    created_at: datetime
    """When it was asked for."""
    run_at: datetime
    """Earliest moment of the next attempt."""
    started_at: datetime | None
    """When the last attempt began."""
    finished_at: datetime | None
    """When it ended; null while it has not."""
    scheduled_for: datetime | None
    """When it was due, for the run of a schedule; null for what somebody or something asked for."""

    @classmethod
    def of(cls, record: domain.Job, locale: Locale) -> Job:
        return build(
            cls,
            record,
            id=to_id("Job", record.id),
            organisation_id=record.organisation_id and to_id("Organisation", record.organisation_id),
            progress=JobProgress(done=record.progress_done, total=record.progress_total, note=record.progress_note),
            error_message=record.error_zh if locale == "zh-CN" else record.error_en,
        )


@input_type
class CancelJobInput(MutationInput):
    """A job to stop."""

    id: strawberry.ID
    """The job."""


@input_type
class RetryJobInput(MutationInput):
    """A job to try again."""

    id: strawberry.ID
    """The job, which has failed or was cancelled."""


@object_type
class CancelJobPayload(Payload):
    """The job after it was asked to end."""

    job: Job | None = None
    """CANCELLED when it had not begun; RUNNING with `cancelRequested` until its worker has heard of it."""


@object_type
class RetryJobPayload(Payload):
    """The job, queued again."""

    job: Job | None = None
    """The job with a fresh count of attempts."""


_STEER = SignedIn("a caller's own jobs, others' by job.manage where they belong")


@object_type
class Queries:
    """Root queries on jobs."""

    @query(SignedIn("shows the caller's own jobs and those of organisations whose totals it may see"))
    async def jobs(
        self,
        info: Info,
        first: int | None = None,
        after: str | None = None,
        state: Annotated[JobState | None, strawberry.argument(description="Only jobs in this state.")] = None,
        scheduled: Annotated[
            bool | None, strawberry.argument(description="Only runs of schedules, or only what was asked for.")
        ] = None,
    ) -> Connection[Job]:
        """Background jobs, newest first."""
        service = info.context.use(JobService)
        page = await service.page(info.context.principal, PageRequest.read(first, after), state, scheduled=scheduled)
        return Connection.of(page.map(lambda record: Job.of(record, info.context.locale)))


@object_type
class Mutations:
    """Root mutations on jobs."""

    @mutation(_STEER)
    async def cancel_job(self, info: Info, input: CancelJobInput) -> CancelJobPayload:
        """Stop a job: a queued one at once, a running one at its next step; neither leaves an effect."""
        key = key_of(input.id, "Job", "id")
        done = await info.context.use(JobService).cancel(info.context.actor(input), key)
        return CancelJobPayload(errors=[], job=Job.of(done.value, info.context.locale), replayed=done.replayed)

    @mutation(_STEER)
    async def retry_job(self, info: Info, input: RetryJobInput) -> RetryJobPayload:
        """Queue again a job that failed or was cancelled."""
        key = key_of(input.id, "Job", "id")
        done = await info.context.use(JobService).retry(info.context.actor(input), key)
        return RetryJobPayload(errors=[], job=Job.of(done.value, info.context.locale), replayed=done.replayed)


async def job_shown(key: UUID | None, info: Info) -> Job | None:
    """The job that carries on what a mutation began, if any does."""
    return (await fetch_jobs([key], info)).get(key) if key else None


async def fetch_jobs(keys: Sequence[UUID], info: Info) -> dict[UUID, Job]:
    found = await info.context.use(JobService).by_ids(info.context.principal, keys)
    return {key: Job.of(record, info.context.locale) for key, record in found.items()}


NODES = {"Job": (Job, fetch_jobs)}
