"""EU ETS 2005-2012, as the European Union Transaction Log published it: accounts, and a row per account and year.

A cell that is no whole number of tonnes is a trap where it says something (Excluded, Not Reported, a composite), and
an absent figure where it is empty. European Commission data, attributed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tenants.examples.rows import Row, Trap, UnreadableRow, read_rows

YEARS: Final = range(2005, 2013)
_WORDS: Final = {"not reported": "NOT_REPORTED", "excluded": "EXCLUDED"}


@dataclass(frozen=True, slots=True)
class Account:
    """An operator's holding account."""

    account_id: str
    holder: str
    parent: str
    country: str


@dataclass(frozen=True, slots=True)
class AccountYear:
    """What an account was allocated, what was verified and surrendered (t; None: no figure), and the published code."""

    account_id: str
    year: int
    allocated_t: int | None
    verified_t: int | None
    surrendered_t: int | None
    code: str


@dataclass(frozen=True, slots=True)
class Records:
    """Everything that could be read, and every cell or row that could not."""

    accounts: Mapping[str, Account]
    years: tuple[AccountYear, ...]
    traps: tuple[Trap, ...]


def read_records(folder: Path, most_accounts: int | None = None) -> Records:
    """Read both files; with `most_accounts`, that many accounts spread evenly over the file."""
    traps: list[Trap] = []
    columns = "account_id account_holder_name parent_undertaking_name country"
    accounts = read_rows(folder / "accounts.csv", columns, _account, traps, lambda a: a.account_id)
    if most_accounts is not None and most_accounts < len(accounts):
        step = len(accounts) // max(most_accounts, 1)
        accounts = accounts[::step][:most_accounts]
    known = {a.account_id: a for a in accounts}

    def parse(row: Row) -> AccountYear:
        return _account_year(row, traps)

    columns = "account_id year allocated verified surrendered compliance_code"
    rows = read_rows(folder / "account_years_2005_2012.csv", columns, parse, traps, lambda y: (y.account_id, y.year))
    kept = [y for y in rows if y.account_id in known]
    if most_accounts is None:
        strangers = {y.account_id for y in rows} - set(known)
        traps += [Trap("account_years_2005_2012.csv", 0, "UNKNOWN_ACCOUNT", a) for a in sorted(strangers)]
    return Records(known, tuple(sorted(kept, key=lambda y: (y.account_id, y.year))), tuple(traps))


def _account(row: Row) -> Account:
    holder = row.optional("account_holder_name")
    return Account(row.text("account_id"), holder, row.optional("parent_undertaking_name"), row.optional("country"))


def _account_year(row: Row, traps: list[Trap]) -> AccountYear:
    def cell(column: str) -> int | None:
        written = row.optional(column)
        if not written:
            return None
        try:
            return row.whole_t(column)
        except UnreadableRow as why:
            code = _WORDS.get(written.lower(), "COMPOSITE_CELL" if any(c.isdigit() for c in written) else why.code)
            traps.append(Trap("account_years_2005_2012.csv", row.line, code, f"{column}: {written}"))
            return None

    year = row.year("year")
    if year not in YEARS:
        raise UnreadableRow("NOT_A_YEAR", f"year is {year}; it must lie from 2005 to 2012")
    allocated_t, verified_t, surrendered_t = (cell(column) for column in ("allocated", "verified", "surrendered"))
    code = row.optional("compliance_code")
    return AccountYear(row.text("account_id"), year, allocated_t, verified_t, surrendered_t, code)
