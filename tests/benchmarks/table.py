"""One row of the table of figures, and how two ways of doing the same are timed against each other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`ratio` compares our rate with the limit's, or the limit's time with ours: more is better, 1 is as good."""

    name: str
    ours: float
    limit: float
    ratio: float
    unit: str
    note: str

    def row(self) -> dict[str, Any]:
        return asdict(self)


async def rate(work: Callable[[], Awaitable[object]], seconds: float) -> float:
    """How often per second `work` runs, one after the other."""
    done, started = 0, time.perf_counter()
    while (took := time.perf_counter() - started) < seconds:
        await work()
        done += 1
    return done / took


async def interleaved(
    ours: Callable[[], Awaitable[object]],
    limit: Callable[[], Awaitable[object]],
    *,
    rounds: int = 5,
    seconds: float = 1.0,
) -> tuple[float, float, float]:
    """Median rates of both and the median of the ratios of neighbouring runs, which a noisy machine moves least."""
    pairs = [(await rate(ours, seconds), await rate(limit, seconds)) for _ in range(rounds)]
    ratio = statistics.median(a / b for a, b in pairs)
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratio
