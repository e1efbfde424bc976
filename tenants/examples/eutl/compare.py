"""The compliance codes that follow from the ledger, beside the published ones.

A: everything surrendered so far reaches everything verified so far. It is derived from what the ledger answers, and
compared where a year has a verified figure and one of the codes A and B; the star (an allowance was set aside, or the
account is closed) is counted apart, and the other codes say something else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from tenants.examples.api import Api
from tenants.examples.eutl.group import by_account, code
from tenants.examples.eutl.records import AccountYear, Records

Sums = Mapping[tuple[str, int], Decimal]
COMPARED: Final = {"A": True, "B": False}


@dataclass(frozen=True, slots=True)
class Difference:
    """A year whose derived code is not the published one."""

    row: AccountYear
    surrendered_t: Decimal
    verified_t: Decimal

    def line(self) -> str:
        who = f"{self.row.account_id} {self.row.year}"
        return f"{who}: published {self.row.code}, surrendered {self.surrendered_t} of {self.verified_t} t so far"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Years compared and agreeing, by phase and code; the differences; the years left out, by published code."""

    compared: Mapping[tuple[int, str], int]
    differences: tuple[Difference, ...]
    left_out: Mapping[str, int]


def ledger_sums(api: Api, codes: Mapping[str, str]) -> tuple[Sums, Sums]:
    """Surrendered and due, by organisation code and year, as the ledger tells them. `codes`: by id."""
    surrendered: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    due: dict[tuple[str, int], Decimal] = {}
    for node in _pages(api, "ListSurrenders"):
        total = sum(Decimal(leg["quantity"]) for leg in node["legs"])
        surrendered[codes[node["beneficiaryId"]], node["forYear"]] += total
    for node in _pages(api, "ListObligations"):
        due[codes[node["organisationId"]], node["toYear"]] = Decimal(node["tonnes"])
    return surrendered, due


def compare(records: Records, surrendered: Sums, due: Sums) -> Comparison:
    compared: Counter[tuple[int, str]] = Counter()
    left_out: Counter[str] = Counter()
    differences = []
    for account_id, rows in by_account(records).items():
        met, owed = Decimal(0), Decimal(0)
        for row in rows:
            key = code(account_id), row.year
            met += surrendered.get(key, Decimal(0))
            owed += due.get(key, Decimal(0))
            published = COMPARED.get(row.code.rstrip("*"))
            if published is None or key not in due:
                left_out[row.code or "(none)"] += 1
                continue
            compared[1 if row.year <= 2007 else 2, row.code] += 1
            if (met >= owed) != published:
                differences.append(Difference(row, met, owed))
    return Comparison(compared, tuple(differences), left_out)


def _pages(api: Api, operation: str) -> Iterator[Mapping[str, Any]]:
    after: str | None = None
    while True:
        page = api.run(operation, {"first": 1000, "after": after})
        yield from page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]
