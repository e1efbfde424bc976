"""The EUTL record as a group: an organisation per account, a lot per allocation, a surrender per account and year.

Holdings between allocation and surrender are not published. A surrender takes the account's own allocations of the
phase, the oldest first; what they do not cover came from the market, as a lot of its own. Allowances of the first
phase do not reach the second.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any, Final

from tenants.examples.eutl.records import AccountYear, Records
from tenants.examples.model import Group

REGISTRY: Final = "EUTL"
NOTICE: Final = "European Union Transaction Log 2005-2012, European Commission, attributed; figures as published."
SECOND_PHASE: Final = 2008


def as_group(records: Records, slug: str) -> Group:
    """Everything in the order it must be loaded."""
    lots: list[dict[str, Any]] = []
    transfers: list[dict[str, Any]] = []
    for rows in by_account(records).values():
        lots += [_allocation(y) for y in rows if y.allocated_t]
        for bought, surrender in _surrenders(rows):
            lots += bought
            transfers.append(surrender)
    return Group(
        slug=slug,
        name="EU ETS 2005-2012",
        notice=NOTICE,
        organisations=list(_organisations(records)),
        lots=lots,
        transfers=transfers,
        obligations=[_obligation(y) for y in records.years if y.verified_t is not None],
    )


def by_account(records: Records) -> dict[str, list[AccountYear]]:
    """The rows of each account, by year."""
    found: dict[str, list[AccountYear]] = defaultdict(list)
    for row in records.years:
        found[row.account_id].append(row)
    return found


def code(account_id: str) -> str:
    return f"EU-{account_id}"


def _organisations(records: Records) -> Iterator[dict[str, Any]]:
    usual = {"enteredOn": "2005-01-01"}
    yield {"kind": "GROUP", "code": REGISTRY, "nameZh": "EUTL", "nameEn": "EUTL", **usual}
    for account in records.accounts.values():
        name = (account.holder or account.account_id)[:200]
        yield {"kind": "SUBSIDIARY", "code": code(account.account_id), "nameZh": name, "nameEn": name,
               "parentCode": REGISTRY, **usual}  # fmt: skip


def _lot(y: AccountYear, reference: str, quantity_t: int, origin: str, day: str) -> dict[str, Any]:
    fixed = {"assetClass": "ALLOWANCE", "scheme": "EUA", "vintage": y.year, "issuedTo": code(y.account_id)}
    return {**fixed, "issueReference": reference, "quantity": str(quantity_t), "origin": origin, "issuedOn": day}


def _allocation(y: AccountYear) -> dict[str, Any]:
    return _lot(y, f"{y.account_id}-{y.year}", y.allocated_t or 0, "ALLOCATED", f"{y.year}-02-28")


def _surrenders(rows: list[AccountYear]) -> Iterator[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Each surrender of an account with the lots that had to be bought for it."""
    stock: deque[tuple[int, str, int]] = deque()
    for y in rows:
        if y.year == SECOND_PHASE:
            stock.clear()
        if y.allocated_t:
            stock.append((y.year, f"{y.account_id}-{y.year}", y.allocated_t))
        lacking, legs = y.surrendered_t or 0, []
        while lacking and stock:
            vintage, reference, held = stock.popleft()
            taken = min(held, lacking)
            lacking -= taken
            legs.append((reference, taken))
            if held > taken:
                stock.appendleft((vintage, reference, held - taken))
        bought = []
        if lacking:
            reference = f"{y.account_id}-{y.year}-M"
            bought.append(_lot(y, reference, lacking, "PURCHASED", f"{y.year}-12-31"))
            legs.append((reference, lacking))
        if legs:
            yield bought, _surrender(y, legs)


def _surrender(y: AccountYear, legs: list[tuple[str, int]]) -> dict[str, Any]:
    at = code(y.account_id)
    return {
        "kind": "SURRENDER",
        "legs": [
            {"lot": {"scheme": "EUA", "issueReference": r}, "quantity": quantity_t, "source": at}
            for r, quantity_t in legs
        ],
        "beneficiary": at,
        "forYear": y.year,
        "effectiveOn": f"{y.year + 1}-04-30",
        "name": f"{y.account_id} {y.year}",
    }


def _obligation(y: AccountYear) -> dict[str, Any]:
    years = {"fromYear": y.year, "toYear": y.year}
    figures = {"tonnes": str(y.verified_t), "source": "EUTL verified emissions", "market": "EU"}
    return {"organisation": code(y.account_id), **years, **figures}
