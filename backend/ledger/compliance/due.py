"""What is due by when: the deadlines of the rulebook met with what entities still owe. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from backend.ledger.compliance.domain import Due
from backend.ledger.domain.obligations import Obligation
from backend.ledger.rulebook.domain import DueEvent, Rule, RuleKind, rulebook


def surrender_years(until: date) -> set[int]:
    """The years whose surrender is due by a day, whether it is over or not."""
    return {r.years[1] for r, event, day in _dated() if event is DueEvent.SURRENDER and day <= until}


def due_days(owed: Sequence[Obligation], met: Mapping[tuple[UUID, int], int], today: date, until: date) -> list[Due]:
    """Surrenders by entity, late ones that are still open too; everything else from today on. The soonest first.

    `met`: tonnes surrendered by organisation and year.
    """
    found: list[Due] = []
    for rule, event, day in _dated():
        if event is DueEvent.SURRENDER and day <= until:
            found += _open_surrenders(rule, day, owed, met, today)
        elif event is not DueEvent.SURRENDER and today <= day <= until:
            found.append(Due(None, rule.market, rule.years[1], event, day, (day - today).days, None, rule))
    return sorted(found, key=lambda d: (d.day, d.market, str(d.organisation_id)))


def _open_surrenders(
    rule: Rule, day: date, owed: Sequence[Obligation], met: Mapping[tuple[UUID, int], int], today: date
) -> Iterator[Due]:
    usual = next(iter(rulebook().markets))
    for obligation in owed:
        at, year = obligation.organisation_id, obligation.to_year
        open_t = obligation.tonnes - met.get((at, year), 0)
        if year == rule.years[1] and rule.market == (obligation.market or usual) and open_t > Decimal(0):
            yield Due(at, rule.market, year, DueEvent.SURRENDER, day, (day - today).days, open_t, rule, obligation)


def _dated() -> Iterator[tuple[Rule, DueEvent, date]]:
    for rule in rulebook().rules():
        event = DueEvent.CARRY_OVER if rule.kind is RuleKind.CARRY_OVER else rule.event
        if event is not None and rule.day is not None:
            yield rule, event, rule.day
