"""Base years: a frozen value that later years are compared with, and when it is recalculated (8.2.2.7, 9.2.2.7).

The value is the sum of lines, each with the quantity and the coefficient it was made from. What has changed since is
told apart line by line:

    METHOD       the quantity of the line × the coefficient of today − the line
    ERROR        the quantity of today × the coefficient of the line − the line; lines that came or went
    ACQUISITION, DISPOSAL   what the organisation's part in the group changes, × its lines

Each holds what the others change at what the line says, so each can be accepted or declined on its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Context, Decimal
from enum import StrEnum
from functools import cached_property
from typing import Final
from uuid import UUID

from backend.accounting.domain.sources import Category
from backend.kit.errors import conflict, invalid, rule
from backend.kit.quantity import times
from tenants.domain import ConsolidationApproach

DEFAULT_THRESHOLD: Final = Decimal("0.05")
_WIDE: Final = Context(prec=120)

BASE_YEAR_UNKNOWN = rule(
    "BASE_YEAR_UNKNOWN",
    en="The boundary of the organisation names no base year; set one with its explanation first ({source}).",
    zh="该组织的边界未设定基准年；请先设定并说明（{source}）。",
)
BASE_YEAR_EMPTY = rule(
    "BASE_YEAR_EMPTY",
    en="There is nothing to compare with: the organisation has no results in {year}.",
    zh="没有可比对象：该组织在 {year} 年没有结果。",
)
BASE_YEAR_SET = conflict(
    "BASE_YEAR_SET",
    en="A base year is kept for this organisation already, changed just now by somebody else. Read it again.",
    zh="该组织的基准年刚被他人修改，请重新读取。",
)
BAD_THRESHOLD = invalid(
    "BAD_THRESHOLD",
    en="A threshold is a fraction from 0 to 1, such as 0.05; got {threshold}.",
    zh="阈值为 0 至 1 的小数，例如 0.05；收到 {threshold}。",
)
RECALCULATION_ENDED = conflict(
    "RECALCULATION_ENDED",
    en="The proposal is {state}; only an open one can be decided.",
    zh="该建议状态为 {state}；仅可对未决建议作出决定。",
)
RECALCULATION_STALE = conflict(
    "RECALCULATION_STALE",
    en="Its effect is {now} tCO2e by now, not {then}; propose again and decide on that.",
    zh="其影响现为 {now} tCO2e，而非 {then}；请重新提出建议后再决定。",
)
PROPOSER_DECIDES = rule(
    "PROPOSER_DECIDES",
    en="You proposed this recalculation; somebody else must decide on it.",
    zh="该重算由您提出；须由他人决定。",
)


class RecalculationTrigger(StrEnum):
    """What makes a base year be recalculated."""

    ACQUISITION = "ACQUISITION"
    """An organisation came in, or its part grew (收购)."""
    DISPOSAL = "DISPOSAL"
    """An organisation was sold or moved away, or its part shrank; closing down is none (处置)."""
    METHOD = "METHOD"
    """A method or a factor changed (方法或因子变化)."""
    ERROR = "ERROR"
    """Records were corrected, added or withdrawn (差错更正)."""


class RecalculationState(StrEnum):
    """Where a proposal stands."""

    PROPOSED = "PROPOSED"
    """To be decided."""
    ACCEPTED = "ACCEPTED"
    """Taken into the base-year value."""
    DECLINED = "DECLINED"
    """Left out of it."""
    REPLACED = "REPLACED"
    """Its effect has changed since."""


@dataclass(frozen=True, slots=True)
class BaseYearPolicy:
    """When a base year is recalculated: above which fraction of its value, and for which reasons."""

    organisation_id: UUID
    reason: str
    threshold: Decimal = DEFAULT_THRESHOLD
    triggers: tuple[RecalculationTrigger, ...] = tuple(RecalculationTrigger)


@dataclass(frozen=True, slots=True)
class BaseYear:
    """A base year in force, with the way its total is put together."""

    id: UUID
    organisation_id: UUID
    year: int
    approach: ConsolidationApproach
    categories: tuple[Category, ...]
    threshold: Decimal
    triggers: tuple[RecalculationTrigger, ...]
    reason: str
    recorded_at: datetime
    superseded_at: datetime | None = None
    superseded_because: str | None = None


@dataclass(frozen=True, slots=True)
class BaseYearValue:
    """A version of the value (tCO2e): the first as it was set, later ones by accepted recalculations."""

    base_year_id: UUID
    version: int
    co2e_t: Decimal
    recalculation_id: UUID | None
    made_at: datetime


@dataclass(frozen=True, slots=True)
class Recalculation:
    """A proposed change of the value: by what, about which organisation, with which effect (tCO2e)."""

    id: UUID
    organisation_id: UUID
    base_year_id: UUID
    version: int
    trigger: RecalculationTrigger
    about_id: UUID
    effect_t: Decimal
    base_t: Decimal
    above_threshold: bool
    state: RecalculationState
    reason: str
    proposed_by: UUID
    proposed_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None

    @property
    def slot(self) -> tuple[RecalculationTrigger, UUID]:
        return self.trigger, self.about_id


@dataclass(frozen=True, slots=True)
class BaseLine:
    """A result of the base year: of a stream in a month, or declared. `co2e_t` is all of it, `part` what counts."""

    organisation_id: UUID
    source_id: UUID
    stream_id: UUID | None
    declared_line_id: UUID | None
    first_month: date
    quantity: Decimal | None
    coefficient_id: UUID | None
    co2e_t: Decimal
    part: Decimal

    @property
    def slot(self) -> tuple[UUID | None, UUID | None, date | None]:
        """A stream's month, or a declared result whatever its period."""
        return self.stream_id, self.declared_line_id, self.first_month if self.stream_id else None


@dataclass(frozen=True, slots=True)
class Part:
    """How an organisation counts: then (on the last day of the base year) and today, and what stands above it.

    `closed`: it was closed down, which changes nothing about the past.
    """

    then: Decimal = Decimal(0)
    now: Decimal = Decimal(0)
    parent_then: UUID | None = None
    parent_now: UUID | None = None
    closed: bool = False


@dataclass(frozen=True)
class Comparison:
    """The lines of a base year beside what its records say today."""

    lines: Sequence[BaseLine]
    live: Sequence[BaseLine]
    coefficients: Mapping[UUID, Decimal]
    parts: Mapping[UUID, Part]

    def effects(self) -> dict[tuple[RecalculationTrigger, UUID], Decimal]:
        """The effect of everything that has changed, by trigger and organisation; nothing that is 0."""
        found: dict[tuple[RecalculationTrigger, UUID], Decimal] = {}
        for organisation in {x.organisation_id for x in (*self.lines, *self.live)}:
            for trigger, change in (
                (RecalculationTrigger.METHOD, self._method),
                (RecalculationTrigger.ERROR, self._error),
            ):
                found[trigger, organisation] = self._difference(organisation, change)
        for top, members in self._moved().items():
            effect = Decimal(0)
            for member in members:
                effect = _WIDE.add(effect, self._difference(member, self._structure))
            trigger = RecalculationTrigger.ACQUISITION if effect > 0 else RecalculationTrigger.DISPOSAL
            found[trigger, top] = effect
        return {key: effect for key, effect in found.items() if effect}

    def after(self, trigger: RecalculationTrigger, about: UUID) -> list[BaseLine]:
        """The lines once a change is accepted."""
        if trigger in {RecalculationTrigger.METHOD, RecalculationTrigger.ERROR}:
            members, change = {about}, self._method if trigger is RecalculationTrigger.METHOD else self._error
        else:
            members, change = set(self._moved().get(about, ())), self._structure
        kept = [x for x in self.lines if x.organisation_id not in members]
        return kept + [x for m in members for x in change(m)]

    def _difference(self, organisation: UUID, change: Callable[[UUID], list[BaseLine]]) -> Decimal:
        return _WIDE.subtract(total(change(organisation)), total(self._own(organisation)))

    def _own(self, organisation: UUID) -> list[BaseLine]:
        return self._lines_by.get(organisation, [])

    def _method(self, organisation: UUID) -> list[BaseLine]:
        live = {x.slot: x for x in self._live_by.get(organisation, ())}
        return [self._counted(x, x.quantity, live.get(x.slot, x).coefficient_id) for x in self._own(organisation)]

    def _error(self, organisation: UUID) -> list[BaseLine]:
        lines = {x.slot: x for x in self._own(organisation)}
        counts = self.parts.get(organisation, Part())
        # What was in the group then and had nothing to count comes in with the part it has today.
        part = next((x.part for x in lines.values()), counts.now if counts.then else Decimal(0))
        made = []
        for live in self._live_by.get(organisation, ()):
            old = lines.get(live.slot)
            coefficient = old.coefficient_id if old else live.coefficient_id
            made.append(self._counted(replace(live, part=part), live.quantity, coefficient))
        return made

    def _structure(self, organisation: UUID) -> list[BaseLine]:
        counts = self.parts.get(organisation, Part())
        lines = self._own(organisation)
        if not lines and not counts.then:
            lines = self._live_by.get(organisation, [])
        return [replace(x, part=counts.now) for x in lines] if counts.now else []

    def _counted(self, line: BaseLine, quantity: Decimal | None, coefficient: UUID | None) -> BaseLine:
        """The line with a quantity and a coefficient, computed again (without one it emits nothing); a declared one
        as it is.
        """
        if quantity is None or (quantity, coefficient) == (line.quantity, line.coefficient_id):
            return line
        co2e_t = times(quantity, self.coefficients[coefficient]) if coefficient else Decimal(0)
        return replace(line, quantity=quantity, coefficient_id=coefficient, co2e_t=co2e_t)

    def _moved(self) -> dict[UUID, list[UUID]]:
        """Organisations whose part is another one today, under the topmost of those that moved together."""
        counted = {x.organisation_id: x.part for x in self.lines}
        moved = {
            key: part for key, part in self.parts.items() if part.now != counted.get(key, part.then) and not part.closed
        }
        found: dict[UUID, list[UUID]] = {}
        for key in moved:
            top, seen = key, {key}
            while (above := moved[top].parent_now or moved[top].parent_then) in moved and above not in seen:
                top = above
                seen.add(top)
            found.setdefault(top, []).append(key)
        return found

    @cached_property
    def _lines_by(self) -> dict[UUID, list[BaseLine]]:
        return grouped(self.lines)

    @cached_property
    def _live_by(self) -> dict[UUID, list[BaseLine]]:
        return grouped(self.live)


def grouped(lines: Iterable[BaseLine]) -> dict[UUID, list[BaseLine]]:
    """By organisation."""
    found: dict[UUID, list[BaseLine]] = {}
    for line in lines:
        found.setdefault(line.organisation_id, []).append(line)
    return found


def total(lines: Iterable[BaseLine]) -> Decimal:
    """What lines add up to (tCO2e), exactly."""
    found = Decimal(0)
    for line in lines:
        found = _WIDE.add(found, _WIDE.multiply(line.part, line.co2e_t))
    return found


def above_threshold(effect_t: Decimal, base_t: Decimal, threshold: Decimal) -> bool:
    """Whether an effect reaches the fraction of the base-year value that makes a recalculation due."""
    return abs(effect_t) >= threshold * abs(base_t)
