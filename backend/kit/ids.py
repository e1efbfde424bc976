"""Identifiers: UUID version 7 (RFC 9562), made by the application, so that keys grow with time."""

from __future__ import annotations

import base64
import functools
import os
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last = 0
_RANDOM_BITS = (1 << 62) - 1


@functools.lru_cache(maxsize=20_000)
def global_id(type_name: str, key: UUID) -> str:
    """The id by which the API knows an object: `base64url("Organisation:0193…")` without padding."""
    return base64.urlsafe_b64encode(f"{type_name}:{key}".encode()).rstrip(b"=").decode()


def uuid7() -> UUID:
    """A new identifier: 48 bits of milliseconds, 12 of sub-millisecond order, 62 random.

    Within a process each is greater than the one before, also when the clock steps back.
    """
    return uuids7(1)[0]


def uuids7(count: int) -> list[UUID]:
    """As many new identifiers as `uuid7` would make one after the other."""
    global _last  # noqa: PLW0603 - the order of identifiers is a fact of the process
    now_ns = time.time_ns()
    ticks = now_ns // 1_000_000 << 12 | (now_ns % 1_000_000) * 4096 // 1_000_000
    with _lock:
        first = max(ticks, _last + 1)
        _last = first + count - 1
    random = int.from_bytes(os.urandom(8 * count))
    made = []
    for tick in range(first, first + count):
        made.append(
            UUID(int=(tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random & _RANDOM_BITS)
        )
        random >>= 64
    return made
