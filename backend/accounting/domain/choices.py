"""Which method of a source counts: one class in every month, chosen with a reason where it departs from precedence.

Clause 8.2.5: measurement before mass balance before factors, unless the programme says otherwise; 6.2.3 note 3: methods
side by side are compared, and a divergence is looked into.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from backend.accounting.domain.months import ALWAYS, Span, month_before, next_month
from backend.accounting.domain.records import Method
from backend.accounting.domain.results import MonthChange
from backend.kit.errors import invalid, rule

METHOD_ABSENT = rule(
    "METHOD_ABSENT",
    en="No stream of the source has a basis of the class {method} in {months}; there are: {known}. "
    "Set one with setStreamMethod first.",
    zh="该排放源在 {months} 没有任何流具备 {method} 类方法的依据；现有：{known}。请先用 setStreamMethod 设置。",
)
DEVIATION_NEEDS_REASON = rule(
    "DEVIATION_NEEDS_REASON",
    en="By the precedence of the programme {preferred} comes before {method}; say why {method} is used instead.",
    zh="按核算规则的优先顺序，{preferred} 优先于 {method}；采用 {method} 须说明原因。",
)
RESTATEMENT_NEEDS_REASON = rule(
    "RESTATEMENT_NEEDS_REASON",
    en="{count} stream-months from {first} to {last} have results that would change: that is a restatement, give its "
    "reason.",
    zh="{first} 至 {last} 的 {count} 个流月结果将随之改变：属于重述，须说明原因。",
)
NOTHING_WOULD_COUNT = rule(
    "NOTHING_WOULD_COUNT",
    en="In {months} the source has quantities, but nothing of the class {method} to account them by: they would emit "
    "nothing. Set its basis for these months first, or choose {method} for other months.",
    zh="{months} 该排放源有活动数据，但没有 {method} 类方法的依据，排放将为零。请先为这些月份设置依据，"
    "或对其他月份选择 {method}。",
)
METHOD_UNCHANGED = invalid(
    "METHOD_UNCHANGED",
    en="{method} already counts in all of these months; nothing would change.",
    zh="这些月份已采用 {method}，无需更改。",
)
THRESHOLD_RANGE = invalid(
    "THRESHOLD_OUT_OF_RANGE",
    en="A threshold is a share of what counts, from 0 to 1, such as 0.05; got {share}.",
    zh="阈值为占采用值的比例，介于 0 至 1，例如 0.05；收到 {share}。",
)


@dataclass(frozen=True, slots=True)
class SourceMethod:
    """The class that counts for a source in a span of months, as it was recorded."""

    id: UUID
    source_id: UUID
    span: Span
    method: Method
    reason: str
    recorded_at: datetime
    superseded_at: datetime | None = None
    superseded_because: str | None = None


@dataclass(frozen=True, slots=True)
class NewChoice:
    """A class to count in a span of months."""

    source_id: UUID
    method: Method
    span: Span
    reason: str = ""
    expected_version: int | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a choice does: each stream-month whose emission changes, or the job that will make the choice."""

    source_id: UUID
    changes: tuple[MonthChange, ...] = ()
    job_id: UUID | None = None

    @property
    def old_t(self) -> Decimal:
        return sum((c.old_t for c in self.changes), Decimal(0))

    @property
    def new_t(self) -> Decimal:
        return sum((c.new_t for c in self.changes), Decimal(0))


@dataclass(frozen=True, slots=True)
class NewDerivation:
    """Which coefficients to derive anew, and why: of an organisation and all below it, in a span of months."""

    organisation_id: UUID
    span: Span
    reason: str


@dataclass(frozen=True, slots=True)
class Derived:
    """What deriving anew did; `changes` lists the first stream-months, the totals are of all.

    `without_value`: streams and years for which nothing can be derived now, so that they keep what they had.
    """

    superseded: int
    made: int
    changed_months: int
    old_t: Decimal
    new_t: Decimal
    changes: tuple[MonthChange, ...]
    without_value: tuple[tuple[UUID, int], ...]
    frozen: tuple[str, ...]


def choices_at_first(
    bases: Sequence[tuple[Method, Span]], by_default: Collection[Method], precedence: Sequence[Method]
) -> list[tuple[Method, Span]]:
    """What counts for a new source through all time: in every month the first class of the precedence that it has a
    basis of then, so that no month is left to a class that cannot say anything.
    """
    turns = {ALWAYS.first} | {span.first for _, span in bases}
    turns |= {next_month(span.last) for _, span in bases if span.last is not None}
    ordered = sorted(turns)
    found: list[tuple[Method, Span]] = []
    for first, after in zip(ordered, [*ordered[1:], None], strict=True):
        method = preferred({m for m, span in bases if first in span} | set(by_default), precedence)
        last = None if after is None else month_before(after)
        if found and found[-1][0] is method:
            found[-1] = (method, Span(found[-1][1].first, last))
        else:
            found.append((method, Span(first, last)))
    return found


def preferred(available: Collection[Method], precedence: Sequence[Method]) -> Method:
    """The first class of the precedence that a source has; FACTOR when it has none yet."""
    return next((m for m in precedence if m in available), Method.FACTOR)
