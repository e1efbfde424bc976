"""Jobs as pure data: their states, the pace at which they are worked, and what can go wrong with them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from backend.kit.errors import conflict, rule, unavailable
from backend.kit.words import members_in_chinese, things_in_chinese

CHANNEL: Final = "tanheng_job"
"""NOTIFY channel that says: a job was written."""


things_in_chinese({"Job": "任务"})


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "QUEUED"
    """Waits for its time, for its turn, or for the next attempt."""
    RUNNING = "RUNNING"
    """A worker has it."""
    SUCCEEDED = "SUCCEEDED"
    """Done; its effect is there exactly once."""
    FAILED = "FAILED"
    """Given up, with a reason; it can be tried again."""
    CANCELLED = "CANCELLED"
    """Stopped on request, without effect; it can be tried again."""


members_in_chinese(JobState, {
    "QUEUED": "排队中", "RUNNING": "运行中", "SUCCEEDED": "已完成", "FAILED": "已失败", "CANCELLED": "已取消",
})  # fmt: skip
FINISHED: Final = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

JOB_CRASHED = unavailable(
    "JOB_CRASHED",
    en="The job failed in a way nobody foresaw ({kind}). Quote its id {job} to the operator.",
    zh="任务发生意外错误（{kind}）。请凭任务号 {job} 联系运营方。",
)
JOB_WORKER_LOST = unavailable(
    "JOB_WORKER_LOST",
    en="The worker that had the job vanished during attempt {attempt}.",
    zh="执行该任务的进程在第 {attempt} 次尝试时中途消失。",
)
JOB_TOOK_TOO_LONG = unavailable(
    "JOB_TOOK_TOO_LONG",
    en="The job was stopped after {limit_s} s, its time limit.",
    zh="任务超过 {limit_s} 秒的时限，已被停止。",
)
JOB_UNKNOWN = unavailable(
    "JOB_UNKNOWN",
    en="No worker here knows how to do '{name}'; the workers may be of an older release.",
    zh="当前工作进程不认识任务 '{name}'，其版本可能较旧。",
)
JOB_BAD_ARGUMENTS = rule(
    "JOB_BAD_ARGUMENTS",
    en="'{name}' cannot be done with these arguments: {problem}.",
    zh="任务 '{name}' 的参数无效：{problem}。",
)
JOB_FINISHED = conflict(
    "JOB_FINISHED",
    en="The job has ended already ({state}); only what is queued or running can be cancelled.",
    zh="任务已结束（{state}），只有排队或运行中的任务可以取消。",
)
JOB_NOT_OVER = conflict(
    "JOB_NOT_OVER",
    en="The job is {state}; only one that failed or was cancelled can be tried again.",
    zh="任务状态为 {state}，只有失败或已取消的任务可以重试。",
)
JOB_ALREADY_QUEUED = conflict(
    "JOB_ALREADY_QUEUED",
    en="The same work is queued or running already under another job.",
    zh="相同的工作已由另一任务排队或正在运行。",
)


@dataclass(frozen=True, slots=True)
class Job:
    """A job as its owner sees it. `lease` and arguments are the worker's business. `scheduled_for`: when a
    schedule had it due, for the run of one.
    """

    id: UUID
    name: str
    organisation_id: UUID | None
    created_by: UUID | None
    state: JobState
    attempts: int
    max_attempts: int
    progress_done: int
    progress_total: int | None
    progress_note: str
    error_code: str | None
    error_en: str
    error_zh: str
    cancel_requested: bool
    created_at: datetime
    run_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    scheduled_for: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do a job, as long as the lease behind `token` holds. All a broker ever carries."""

    tenant_id: UUID
    job_id: UUID
    token: UUID


@dataclass(frozen=True, slots=True)
class Started:
    """A claim that was taken up: what to do, and the how-manieth attempt it is."""

    claim: Claim
    name: str
    arguments: Mapping[str, Any]
    attempts: int
    max_attempts: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: `done` of `total` (None: unknown) and a word about it."""

    done: int
    total: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an attempt failed, said in both languages at the time."""

    code: str
    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How a worker works. Times in seconds.

    `slots`: jobs at once in one process. `window`: jobs on their way through a shared broker, few, so that the turn
    of a tenant is decided late. `lease_s`: how long a silent worker keeps a job; `sent_lease_s`: how long a message
    may be under way before it is taken for lost. `grace_s`: what running jobs get to end when the worker must stop.
    """

    slots: int = 4
    window: int = 64
    lease_s: float = 60.0
    sent_lease_s: float = 300.0
    poll_s: float = 1.0
    retry_s: float = 5.0
    retry_most_s: float = 3600.0
    grace_s: float = 30.0

    def backoff_s(self, attempts: int) -> float:
        """How long to wait after so many attempts: doubling, bounded, and jittered by a quarter either way."""
        wait = min(self.retry_s * 2.0 ** min(attempts - 1, 30), self.retry_most_s)
        return wait * random.uniform(0.75, 1.25)  # noqa: S311 - jitter, not a secret
