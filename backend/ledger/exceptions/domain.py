"""Exceptions from market rules as pure data: that a rule which refuses only warns, for one entity and year.

Only where the rulebook says that the market itself has let entities go beyond the rule (`exceptions`), and each with
the reason and the paper that shows it. What is used under an exception carries the rule as a remark.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from backend.kit.errors import conflict, invalid, rule
from backend.kit.text import clean
from backend.ledger.rulebook.domain import Rulebook
from backend.ledger.values import needed

UNKNOWN_RULE = invalid(
    "UNKNOWN_RULE",
    en="There is no rule '{rule}' for {year} in the rulebook.",
    zh="规则库中没有适用于 {year} 年度的规则 '{rule}'。",
)
RULE_WITHOUT_EXCEPTIONS = rule(
    "RULE_WITHOUT_EXCEPTIONS",
    en="Rule {rule} knows no exceptions: {source}.",
    zh="规则 {rule} 不允许例外：{source}。",
)
RULE_EXCEPTED_ALREADY = conflict(
    "RULE_EXCEPTED_ALREADY",
    en="An exception from {rule} for the organisation and {year} stands already.",
    zh="该组织 {year} 年度对规则 {rule} 的例外已登记且有效。",
)
RULE_EXCEPTION_WITHDRAWN = conflict(
    "RULE_EXCEPTION_WITHDRAWN",
    en="The exception was withdrawn on {at} already.",
    zh="该例外已于 {at} 撤销。",
)
TOO_MANY_EXCEPTIONS = invalid(
    "TOO_MANY_EXCEPTIONS",
    en="1 to {most} exceptions are recorded at once; got {count}.",
    zh="每次可登记 1 至 {most} 项例外，收到 {count} 项。",
)
MOST_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class NewException:
    """An exception to record: from which rule, for whom and which compliance year, why, and what shows it."""

    organisation_id: UUID
    year: int
    rule: str
    reason: str
    evidence: str


@dataclass(frozen=True, slots=True)
class RuleException:
    """An exception as recorded; it can be withdrawn, not edited."""

    id: UUID
    organisation_id: UUID
    year: int
    rule: str
    reason: str
    evidence: str
    recorded_by: UUID
    recorded_at: datetime | None = None
    withdrawn_at: datetime | None = None
    withdrawn_by: UUID | None = None
    withdrawn_because: str | None = None


@dataclass(frozen=True, slots=True)
class WithdrawException:
    """An exception to withdraw, and why."""

    exception_id: UUID
    reason: str


def checked(new: NewException, book: Rulebook, *path: str) -> NewException:
    """In canonical form. Errors: MISSING_TEXT, TEXT_TOO_LONG, UNKNOWN_RULE, RULE_WITHOUT_EXCEPTIONS."""
    code = clean(new.rule)
    found = next((r for r in book.rules() if r.code == code and r.years[0] <= new.year <= r.years[1]), None)
    if found is None:
        raise UNKNOWN_RULE(path=(*path, "rule"), rule=code[:60], year=new.year)
    if not found.exceptions:
        raise RULE_WITHOUT_EXCEPTIONS(path=(*path, "rule"), rule=code, source=found.source)
    reason, evidence = needed(new.reason, *path, "reason"), needed(new.evidence, *path, "evidence")
    return replace(new, rule=code, reason=reason, evidence=evidence)
