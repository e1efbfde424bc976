"""When schedules are due, and which of them a worker starts."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.capabilities import modules
from backend.kit.errors import CodedError
from backend.kit.jobs import registry
from backend.kit.jobs.context import JobContext
from backend.kit.jobs.scheduler import wanted
from backend.kit.jobs.schedules import Daily, Every, Schedule

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("schedule", "now", "last", "next_"),
    [
        (Daily(time(0, 15)), "2026-01-02T00:15:00+08:00", "2026-01-02T00:15:00+08:00", "2026-01-03T00:15:00+08:00"),
        (Daily(time(0, 15)), "2026-01-02T00:14:59+08:00", "2026-01-01T00:15:00+08:00", "2026-01-02T00:15:00+08:00"),
        (Daily(time(0, 15)), "2026-01-01T16:20:00+00:00", "2026-01-02T00:15:00+08:00", "2026-01-03T00:15:00+08:00"),
        # Summer time: 02:30 comes twice on the one day, and not at all on the other.
        (Daily(time(2, 30), BERLIN), "2026-10-25T01:40:00+00:00", "2026-10-25T00:30:00+00:00",
         "2026-10-26T01:30:00+00:00"),
        (Daily(time(2, 30), BERLIN), "2026-03-29T01:40:00+00:00", "2026-03-29T01:30:00+00:00",
         "2026-03-30T00:30:00+00:00"),
        (Every(timedelta(minutes=10)), "2026-01-01T00:19:59+00:00", "2026-01-01T00:10:00+00:00",
         "2026-01-01T00:20:00+00:00"),
    ],
)  # fmt: skip
def test_when_it_is_due(schedule: Schedule, now: str, last: str, next_: str) -> None:
    moment = datetime.fromisoformat(now)
    assert schedule.last(moment) == datetime.fromisoformat(last)
    assert schedule.next(moment) == datetime.fromisoformat(next_)


@given(st.integers(1_600_000_000, 2_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC)), st.times())
def test_now_lies_between_the_last_and_the_next(now: datetime, when: time) -> None:
    for schedule in (Daily(when), Daily(when, BERLIN), Every(timedelta(minutes=7))):
        assert schedule.last(now) <= now < schedule.next(now)
        assert schedule.last(schedule.next(now)) == schedule.next(now)


def test_schedules_are_declared_beside_jobs_and_switched_off() -> None:
    assert all(modules("jobs"))
    found = registry.schedules()
    assert "jobs.prune" in found
    assert wanted(found, frozenset({"jobs.prune"})).keys() == found.keys() - {"jobs.prune"}
    assert wanted(found, frozenset({"all"})) == {}

    async def needs(context: JobContext, day: int) -> None: ...

    with pytest.raises(CodedError, match=r"test\.needs"):
        registry.job("test.needs", schedule=Every(timedelta(hours=1)))(needs)
