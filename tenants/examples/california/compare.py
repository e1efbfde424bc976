"""Our verdicts beside the published ones: where they differ, and what in the record explains it.

The explanations are general rules that look at the record, never at an id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tenants.examples.api import Api, Refusal, results
from tenants.examples.california.group import homes
from tenants.examples.california.records import Obligation, Period, Records, SurrenderLine

Found = Mapping[tuple[str, Period], Mapping[str, Any]]
FULFILLED: Final = "FULFILLED"


@dataclass(frozen=True, slots=True)
class Difference:
    """One entity-period where something is not as published, and why, as far as the record tells."""

    obligation: Obligation
    what: str
    ours: str
    published: str
    because: tuple[str, ...]

    def line(self) -> str:
        who = f"{self.obligation.entity_id} {self.obligation.legal_name}, {self.obligation.period.code}"
        why = "; ".join(self.because) or "the record does not say why"
        return f"{who}: {self.what} {self.ours}, published {self.published}: {why}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many agree on the status, and every difference in status and in totals."""

    agreeing: int
    statuses: tuple[Difference, ...]
    totals: tuple[Difference, ...]
    compared: int


def determinations(api: Api, runs: Mapping[Period, Mapping[str, Any]]) -> Found:
    """The compliance determination of every organisation in each period's finished run."""
    return {
        (node["organisation"]["code"], period): node["ownCompliance"]
        for period, run in runs.items()
        for node in results(api, run["id"])
    }


def compare(records: Records, found: Found, refused: Iterable[Refusal]) -> Comparison:
    """`found`: the compliance determination of each entity and period, as the consolidation answered it."""
    explain = _Explanations(records, tuple(refused))
    statuses, totals = [], []
    for due in records.obligations:
        ours = found[due.entity_id, due.period]
        if (ours["verdict"] == FULFILLED) != due.status.fulfilled:
            why = tuple(explain.of(due, int(Decimal(ours["surrenderedT"]))))
            statuses.append(Difference(due, "status", ours["verdict"], due.status.value, why))
        if Decimal(ours["surrenderedT"]) != due.total_t:
            why = tuple(explain.of(due, int(Decimal(ours["surrenderedT"]))))
            totals.append(Difference(due, "surrendered", ours["surrenderedT"], str(due.total_t), why))
    count = len(records.obligations)
    return Comparison(count - len(statuses), tuple(statuses), tuple(totals), count)


class _Explanations:
    def __init__(self, records: Records, refused: tuple[Refusal, ...]) -> None:
        self.records = records
        self.refused = refused
        self.lines: dict[tuple[str, Period], list[SurrenderLine]] = defaultdict(list)
        for line in records.surrenders:
            self.lines[line.entity_id, line.period].append(line)
        self.due = {(o.entity_id, o.period): o for o in records.obligations}

    def of(self, due: Obligation, surrendered_t: int) -> Iterator[str]:
        yield from self._refusals(due)
        yield from self._totals_among_lines(due)
        yield from self._misplaced(due, surrendered_t)
        yield from self._takeovers(due)

    def _refusals(self, due: Obligation) -> Iterator[str]:
        for refusal in self.refused:
            if f"({due.entity_id} " in refusal.row:
                yield f"{refusal.row} was refused: {refusal.code}"

    def _totals_among_lines(self, due: Obligation) -> Iterator[str]:
        """A line that equals the sum of all its siblings of the same instrument is a total typed as a line."""
        mine = self.lines[due.entity_id, due.period]
        for line in mine:
            siblings = [x.quantity_t for x in mine if x.instrument is line.instrument and x is not line]
            if len(siblings) > 1 and sum(siblings) == line.quantity_t:
                yield f"surrender_lines line {line.line} ({line.quantity_t:,} t) equals the sum of the other lines"

    def _misplaced(self, due: Obligation, surrendered_t: int) -> Iterator[str]:
        """What one lacks, another has too much of, in one line of exactly that quantity, in the same period."""
        lacking = due.obligation_t - surrendered_t
        for (entity_id, period), other in self.due.items():
            if period != due.period or lacking <= 0:
                continue
            lines = self.lines[entity_id, period]
            if sum(x.quantity_t for x in lines) - other.obligation_t == lacking:
                for line in lines:
                    if line.quantity_t == lacking:
                        yield (
                            f"the {lacking:,} t lacking are {entity_id} {other.legal_name}'s excess, in one line "
                            f"(surrender_lines line {line.line})"
                        )

    def _takeovers(self, due: Obligation) -> Iterator[str]:
        for facility in self.records.facilities.values():
            stays = dict(homes(facility))
            holders = {entity for entity in stays.values() if entity != due.entity_id}
            if stays.get(due.period) == due.entity_id and holders:
                others = ", ".join(sorted(holders))
                yield f"takeover: facility {facility.arb_id} {facility.name} is also listed under {others}"
