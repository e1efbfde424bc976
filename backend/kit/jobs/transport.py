"""What carries the ids of jobs to the workers: dramatiq, over memory, RabbitMQ or Redis; one actor for all three.

A message is only a hint that a job is there. It may be lost (its lease runs out and it is sent again), late or doubled
(its token no longer fits). So the broker's own retries, age limits and delays are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import dramatiq
import redis
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from redis.backoff import NoBackoff
from redis.retry import Retry

from backend.kit.errors import invalid
from backend.kit.jobs.domain import Claim

Handle = Callable[[Claim], Awaitable[None]]

IDLE_MS: Final = 200
STOP_MS: Final = 10_000

BAD_BROKER_URL = invalid(
    "BAD_BROKER_URL",
    en="BROKER_URL must begin with amqp://, amqps://, redis:// or rediss://; it begins with '{scheme}'.",
    zh="BROKER_URL 须以 amqp://、amqps://、redis:// 或 rediss:// 开头，收到 '{scheme}'。",
)


def broker_for(url: str | None) -> dramatiq.Broker:
    """The broker behind a URL; without one, the memory of this process. Errors: BAD_BROKER_URL."""
    if url is None:
        return StubBroker(middleware=[])
    scheme = urlsplit(url).scheme
    if scheme in {"amqp", "amqps"}:
        return RabbitmqBroker(url=url, middleware=[], confirm_delivery=True)
    if scheme in {"redis", "rediss"}:
        # The relay tries again by itself; one retry is for a connection that died of idleness.
        client = redis.Redis.from_url(url, retry=Retry(NoBackoff(), retries=1))
        return RedisBroker(client=client, middleware=[], namespace="tanheng")  # type: ignore[no-untyped-call]
    raise BAD_BROKER_URL(scheme=scheme)


class Transport:
    """Sends claims, and hands those that arrive to `handle` in the event loop that started it."""

    def __init__(self, url: str | None, queue_name: str, slots: int) -> None:
        self._broker = broker_for(url)
        self._shared = url is not None
        self._queue_name = queue_name
        self._slots = slots
        self._here: dict[UUID, Claim] = {}
        # One thread sends: the connections of both brokers belong to the thread that opened them.
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="job-sender")

    async def start(self, handle: Handle) -> None:
        loop = asyncio.get_running_loop()

        async def handled(claim: Claim) -> None:
            try:
                await handle(claim)
            finally:
                self._here.pop(claim.token, None)

        def carry(tenant_id: str, job_id: str, token: str) -> None:
            claim = Claim(UUID(tenant_id), UUID(job_id), UUID(token))
            asyncio.run_coroutine_threadsafe(handled(claim), loop).result()

        self._actor = dramatiq.actor(actor_name="job", queue_name=self._queue_name, broker=self._broker)(carry)
        self._worker = dramatiq.Worker(self._broker, worker_threads=self._slots, worker_timeout=IDLE_MS)
        # No more than can be worked on: a message that waits behind a long job could be another worker's.
        self._worker.queue_prefetch = self._slots
        await asyncio.to_thread(self._worker.start)

    def free_slots(self) -> int | None:
        """How many more jobs this process can take; None where the broker is shared and others take them too."""
        return None if self._shared else self._slots - len(self._here)

    async def send(self, claims: Sequence[Claim]) -> None:
        """Hand over to the broker; when this returns, it has them. Errors: those of the broker's connection."""
        if not self._shared:
            self._here |= {claim.token: claim for claim in claims}
        await asyncio.get_running_loop().run_in_executor(self._sender, self._send, claims)

    def _send(self, claims: Sequence[Claim]) -> None:
        for claim in claims:
            self._actor.send(str(claim.tenant_id), str(claim.job_id), str(claim.token))

    async def stop(self) -> list[Claim]:
        """Stop receiving; the claims that were sent within this process and have reached nobody."""
        await asyncio.to_thread(self._worker.stop, STOP_MS)
        await asyncio.to_thread(self._sender.shutdown)
        self._broker.close()
        if isinstance(self._broker, RedisBroker):
            self._broker.client.close()
        return list(self._here.values())
