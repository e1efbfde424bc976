"""Equity shares of every owner: as the consolidation found them, and as plain sums over the record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from tenants.examples.ghgrp.group import TOP, owner_codes, share_in_tree
from tenants.examples.ghgrp.records import Facility


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differing`: code of the organisation, the total found, the total of the record."""

    compared: int
    differing: tuple[tuple[str, Decimal, Decimal], ...]
    reported_t: int
    in_tree_t: Decimal
    others_t: Decimal

    def lines(self) -> list[str]:
        agree = self.compared - len(self.differing)
        held = f"{self.in_tree_t:,.2f} t held by largest owners, {self.others_t:,.2f} t by others"
        return [
            *(
                f"differs: {code}: consolidated {found} t, by the record {total} t"
                for code, found, total in self.differing
            ),
            f"{self.reported_t:,} t reported; {held}",
            f"ghgrp: {agree:,} of {self.compared:,} equity-share totals are equal to the record's",
        ]


def equity_totals(facilities: Iterable[Facility]) -> dict[str, Decimal]:
    """T CO2e by code of the owner, and of all of them: facility × share of its largest owner."""
    facilities = list(facilities)
    codes = owner_codes(facilities)
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for facility in facilities:
        held = facility.co2e_t * share_in_tree(facility)
        totals[codes[facility.largest.owner]] += held
        totals[TOP] += held
    return dict(totals)


def compare(facilities: Iterable[Facility], nodes: Iterable[Mapping[str, object]]) -> Comparison:
    """`nodes`: those of the finished run, as the API tells them. Equal means equal to the gram."""
    facilities = list(facilities)
    sums = equity_totals(facilities)
    found: dict[str, Decimal] = {}
    for node in nodes:
        organisation = node["organisation"]
        assert isinstance(organisation, Mapping)
        if organisation["code"] in sums:
            found[organisation["code"]] = Decimal(str(node["consolidatedTotalT"]))
    gram = Decimal("1e-6")
    differing = [(c, found.get(c, Decimal(0)), t) for c, t in sums.items() if abs(found.get(c, Decimal(0)) - t) >= gram]
    held = sum((f.co2e_t * o.share for f in facilities for o in f.owners), Decimal(0))
    return Comparison(len(sums), tuple(differing), sum(f.co2e_t for f in facilities), sums[TOP], held - sums[TOP])
