"""Projects as life cycles kept as data: regimes with their steps, methodologies, the calendar of notices.

CCER follow Order 31 (8.3.2), forestry sinks may follow the filing of 8.3.3. The files lie in `data/`.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

from pydantic import TypeAdapter

from backend.kit.text import clean
from backend.ledger.domain.lots import SerialBlock
from backend.ledger.projects import codes
from backend.ledger.rulebook.domain import Level

FOLDER: Final = Path(__file__).parent / "data"
DRAFT: Final = "DRAFT"
REGISTERED: Final = "REGISTERED"
CANCELLED: Final = "CANCELLED"
ACCOUNTED: Final = "ACCOUNTED"
APPLIED: Final = "APPLIED"


@dataclass(frozen=True, slots=True)
class Wait:
    """Working days that must pass after an earlier step (notice periods)."""

    after: str
    working_days: int


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a life cycle: whence and where to, its documents, the body it names, the notice it waits for."""

    code: str
    to: str
    documents: tuple[str, ...]
    text_zh: str
    starts: tuple[str, ...] = ()
    names: Literal["VALIDATOR", "VERIFIER"] | None = None
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class Regime:
    """A way to registered reductions; its dates bound what may be claimed."""

    code: str
    name_zh: str
    name_en: str
    source: str
    level: Level
    begun_after: date
    reductions_after: date
    claim_within_years: int
    scheme: str
    step: tuple[Step, ...]
    claim_step: tuple[Step, ...]

    def find(self, code: str, state: str, *, claim: bool = False) -> Step:
        """The step from a state. Errors: WRONG_STEP."""
        steps = self.claim_step if claim else self.step
        found = next((s for s in steps if s.code == code and state in s.starts), None)
        if found is None:
            possible = ", ".join(s.code for s in steps if state in s.starts) or "-"
            raise codes.WRONG_STEP(path=("step",), step=code[:60], **codes.in_state(state), possible=possible)
        return found


@dataclass(frozen=True, slots=True)
class Methodology:
    """How a kind of project is accounted; for sinks what is taken off for uncertainty and for reversals (fractions)."""

    code: str
    name_zh: str
    name_en: str
    regime: str
    years: tuple[int, int]
    sink: bool
    level: Level
    risk: Decimal = Decimal(0)
    deductions: tuple[tuple[Decimal, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project to enter."""

    organisation_id: UUID
    code: str
    name: str
    regime: str
    methodology: str
    begun_on: date
    crediting_from: date
    crediting_to: date
    region: str = ""
    in_allowance_scheme: bool = False
    in_other_mechanism: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """A project and the state it came to; crediting runs from the first day to before the last."""

    id: UUID
    organisation_id: UUID
    code: str
    name: str
    regime: str
    methodology: str
    region: str
    begun_on: date
    crediting_from: date
    crediting_to: date
    in_allowance_scheme: bool
    in_other_mechanism: bool
    state: str = DRAFT
    version: int = 1
    validator: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A step that was taken: of the project (claim 0) or of one of its claims."""

    claim_number: int
    number: int
    step: str
    state: str
    happened_on: date
    documents: Mapping[str, str]
    note: str = ""
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A step to take: when it happened, the references of its documents by kind, the body it names."""

    step: str
    happened_on: date
    documents: Mapping[str, str]
    body: str = ""
    note: str = ""
    verified_t: int | None = None
    expected_version: int | None = None
    serial: SerialBlock | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Reductions (t) of a period, claimed in part or whole; registered as one lot, once."""

    id: UUID
    project_id: UUID
    number: int
    period_from: date
    period_to: date
    quantity_t: int
    validator: str
    verified_t: int | None = None
    verifier: str = ""
    state: str = ACCOUNTED
    version: int = 1
    lot_id: UUID | None = None


def checked_project(new: NewProject) -> tuple[Regime, Methodology]:
    """Errors: UNKNOWN_REGIME, UNKNOWN_METHODOLOGY, BEGUN_TOO_EARLY, BAD_CREDITING_PERIOD."""
    regime = regimes().get(new.regime)
    if regime is None:
        raise codes.UNKNOWN_REGIME(path=("regime",), regime=new.regime[:60], known=", ".join(regimes()))
    fitting = {m.code: m for m in methodologies().values() if m.regime == regime.code}
    method = fitting.get(new.methodology)
    if method is None:
        raise codes.UNKNOWN_METHODOLOGY(path=("methodology",), methodology=new.methodology[:60], regime=regime.code,
                                        known=", ".join(fitting))  # fmt: skip
    if new.begun_on <= regime.begun_after:
        raise codes.BEGUN_TOO_EARLY(path=("begunOn",), begun=str(new.begun_on), after=str(regime.begun_after),
                                    source=regime.source)  # fmt: skip
    least, most = (years_later(new.crediting_from, n) for n in method.years)
    if new.crediting_from < new.begun_on or not least <= new.crediting_to <= most:
        raise codes.BAD_CREDITING_PERIOD(
            path=("creditingTo",), first=str(new.crediting_from), last=str(new.crediting_to), methodology=method.code,
            least=method.years[0], most=method.years[1],
        )  # fmt: skip
    return regime, method


def check_step(regime: Regime, step: Step, taken: Taken, events: Sequence[Event], today: date) -> None:
    """What a step needs besides its state. Errors: STEP_BEFORE_LAST, NOTICE_RUNS, DOCUMENT_MISSING, BODY_MISSING."""
    last = max((e.happened_on for e in events), default=date.min)
    if not last <= taken.happened_on <= today:
        raise codes.STEP_BEFORE_LAST(path=("happenedOn",), day=str(taken.happened_on), earliest=str(last),
                                     today=str(today))  # fmt: skip
    earliest = earliest_day(step, events)
    if earliest is not None and taken.happened_on < earliest:
        assert step.wait is not None, "only a notice sets an earliest day"
        raise codes.NOTICE_RUNS(path=("happenedOn",), step=step.code, earliest=str(earliest),
                                days=step.wait.working_days, after=step.wait.after, source=regime.source)  # fmt: skip
    missing = [kind for kind in step.documents if not taken.documents.get(kind)]
    if missing:
        raise codes.DOCUMENT_MISSING(path=("documents",), step=step.code, missing=", ".join(missing),
                                     source=regime.source)  # fmt: skip
    if step.names is not None and not taken.body:
        raise codes.BODY_MISSING(path=("body",), step=step.code)


def same_body(one: str, other: str) -> bool:
    """Whether two names are of one body: letters count alike in either case and width."""
    return clean(one).casefold() == clean(other).casefold()


def check_registrable(regime: Regime, project: Project) -> None:
    """No project inside an allowance scheme or another mechanism is registered. Errors: PROJECT_NOT_ELIGIBLE."""
    for flag, why, why_zh in (
        (project.in_allowance_scheme, "lies inside an allowance scheme", "属于配额管理范围"),
        (project.in_other_mechanism, "takes part in another reduction mechanism", "参与其他减排交易机制"),
    ):
        if flag:
            raise codes.PROJECT_NOT_ELIGIBLE(path=("step",), why=why, why_zh=why_zh, source=regime.source)


def check_let_go(held_t: int, seen_t: int) -> None:
    """A registered project is cancelled when nothing issued for it is held any more; the caller is told of what he may
    see (`seen_t`). Errors: PROJECT_UNITS_HELD.

    By Order 31 a cancelled project is not registered again; what becomes of its reductions is not known here. So they
    come first, and no reversal brings units back to an account once it is gone. What was sold rests with others.
    """
    if held_t:
        raise codes.PROJECT_UNITS_HELD(path=("step",), held=seen_t)


def check_claim(regime: Regime, project: Project, first: date, last: date) -> None:
    """A claim lies in the crediting period and after the regime's day. Errors: CLAIM_OUTSIDE."""
    earliest = max(project.crediting_from, regime.reductions_after + timedelta(days=1))
    if not earliest <= first < last <= project.crediting_to:
        raise _outside(regime, first, last, earliest, project.crediting_to)


def check_claimed_in_time(regime: Regime, claim: Claim, applied_on: date) -> None:
    """Reductions are claimed within the regime's years before the application. Errors: CLAIM_OUTSIDE."""
    earliest = years_later(applied_on, -regime.claim_within_years)
    if not earliest <= claim.period_from < claim.period_to <= applied_on:
        raise _outside(regime, claim.period_from, claim.period_to, earliest, applied_on)


def _outside(regime: Regime, first: date, last: date, earliest: date, latest: date) -> Exception:
    return codes.CLAIM_OUTSIDE(path=("periodFrom",), first=str(first), last=str(last), earliest=str(earliest),
                               latest=str(latest), source=regime.source)  # fmt: skip


def earliest_day(step: Step, events: Sequence[Event]) -> date | None:
    """From when on a step may be taken, for the notice it waits for."""
    if step.wait is None:
        return None
    begun = [e.happened_on for e in events if e.step == step.wait.after]
    return working_days_later(max(begun), step.wait.working_days) if begun else None


def working_days_later(day: date, count: int) -> date:
    """The day on which so many working days have passed: the day itself is not counted."""
    while count:
        day += timedelta(days=1)
        count -= is_working_day(day)
    return day


def is_working_day(day: date) -> bool:
    off, works = _calendar()
    return day in works or (day.weekday() < 5 and day not in off)


def years_later(day: date, years: int) -> date:
    """The same day of another year; 29 February becomes the 28th. The first and last years known bound it."""
    year = min(max(day.year + years, 1), 9998)
    return day.replace(year=year, day=28) if (day.month, day.day) == (2, 29) else day.replace(year=year)


@functools.cache
def regimes() -> Mapping[str, Regime]:
    read = tomllib.loads((FOLDER / "regimes.toml").read_text())["regime"]
    for made in read:
        for step in (*made["step"], *made["claim_step"]):
            step["starts"] = step.pop("from")
    return {r.code: r for r in TypeAdapter(tuple[Regime, ...]).validate_python(read)}


@functools.cache
def methodologies() -> Mapping[str, Methodology]:
    read = tomllib.loads((FOLDER / "methodologies.toml").read_text())["methodology"]
    return {m.code: m for m in TypeAdapter(tuple[Methodology, ...]).validate_python(read)}


@functools.cache
def _calendar() -> tuple[frozenset[date], frozenset[date]]:
    read = tomllib.loads((FOLDER / "calendar.toml").read_text())
    off = set()
    for first, last in read["holidays"]:
        day = date.fromisoformat(first)
        while day <= date.fromisoformat(last):
            off.add(day)
            day += timedelta(days=1)
    return frozenset(off), frozenset(date.fromisoformat(d) for d in read["works"])
