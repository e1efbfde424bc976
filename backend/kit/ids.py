"""Identifiers: UUID version 7 (RFC 9562), made by the application, so that keys grow with time."""

from __future__ import annotations

import base64
import functools
import os
import struct
import threading
import time
from uuid import UUID, SafeUUID

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
    random = struct.unpack(f"{count}Q", os.urandom(8 * count))
    return [_made(first + number, found) for number, found in enumerate(random)]


def _made(tick: int, random: int) -> UUID:
    """Without the checks of `UUID(int=…)`, which cost more than all the rest."""
    made = UUID.__new__(UUID)
    value = (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | random & _RANDOM_BITS
    object.__setattr__(made, "int", value)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made
