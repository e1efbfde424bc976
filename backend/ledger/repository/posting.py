"""The two calls by which units come into the books and move in them; all else about them is in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from backend.ledger.domain import Account, Balance, Lot, Transfer
from tenants.commands import Change

_POST: Final = """
SELECT posting, refusal, leg, account_id, lot_id, quantity_t, recorded_at
FROM ledger_post($1, $2, $3, $4::uuid[], $5::text[], $6::int[], $7::date[], $8::uuid[], $9::int[], $10::text[],
                 $11::text[], $12::uuid[], $13::uuid[], $14::int[], $15::int[], $16::uuid[], $17::uuid[], $18::uuid[],
                 $19::bigint[])
"""
_ISSUE: Final = """
SELECT lot, refusal, other
FROM ledger_issue($1, $2, $3, $4::uuid[], $5::text[], $6::text[], $7::text[], $8::int[], $9::text[], $10::bigint[],
                  $11::text[], $12::uuid[], $13::date[], $14::text[], $15::bigint[], $16::bigint[], $17::uuid[],
                  $18::uuid[], $19::text[])
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the books refused the posting at `index`; which leg lacked cover, and how much there was."""

    index: int
    code: str
    leg: int | None
    available_t: int | None


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of some postings: those refused, and the balances touched, as they stand now."""

    refused: Sequence[Refused]
    balances: Sequence[Balance]
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class LotRefused:
    """Why a lot was not issued, and the issue reference of the lot in its way."""

    index: int
    code: str
    other: str


async def post(change: Change, transfers: Sequence[Transfer], organisations: Sequence[UUID]) -> Posted:
    """Post transfers in order, each judged by itself, in one statement; one organisation each for the audit trail."""
    legs = [(number, place, leg) for number, t in enumerate(transfers, 1) for place, leg in enumerate(t.legs, 1)]
    driver = await change.unit.driver()
    rows = await driver.fetch(
        _POST,
        *_who(change),
        [t.id for t in transfers],
        [t.kind for t in transfers],
        [len(t.legs) for t in transfers],
        [t.effective_on for t in transfers],
        [t.beneficiary_id for t in transfers],
        [t.for_year for t in transfers],
        [t.purpose for t in transfers],
        [t.evidence for t in transfers],
        [t.reverses_id for t in transfers],
        list(organisations),
        [number for number, _, _ in legs],
        [place for _, place, _ in legs],
        [leg.lot_id for _, _, leg in legs],
        [leg.source.id for _, _, leg in legs],
        [leg.destination.id for _, _, leg in legs],
        [leg.quantity_t for _, _, leg in legs],
    )
    refused = [
        Refused(row["posting"] - 1, row["refusal"], row["leg"] and row["leg"] - 1, row["quantity_t"])
        for row in rows
        if row["posting"] is not None
    ]
    balances = [Balance(row["account_id"], row["lot_id"], row["quantity_t"]) for row in rows if row["posting"] is None]
    return Posted(refused, balances, rows[-1]["recorded_at"])


async def issue(
    change: Change, lots: Sequence[Lot], accounts: Sequence[Account], evidence: Sequence[str]
) -> Sequence[LotRefused]:
    """Issue lots into one account each, in one statement; those refused."""
    serials = [lot.serial for lot in lots]
    driver = await change.unit.driver()
    rows = await driver.fetch(
        _ISSUE,
        *_who(change),
        [lot.id for lot in lots],
        [lot.asset_class for lot in lots],
        [lot.scheme for lot in lots],
        [lot.issue_reference for lot in lots],
        [lot.vintage for lot in lots],
        [lot.project for lot in lots],
        [lot.quantity_t for lot in lots],
        [lot.origin for lot in lots],
        [lot.issued_to for lot in lots],
        [lot.issued_on for lot in lots],
        [serial and serial.prefix for serial in serials],
        [serial and serial.first for serial in serials],
        [serial and serial.last for serial in serials],
        [lot.issued_by for lot in lots],
        [a.id for a in accounts],
        list(evidence),
    )
    return [LotRefused(row["lot"] - 1, row["refusal"], row["other"] or "") for row in rows]


def _who(change: Change) -> tuple[Any, ...]:
    return change.actor.principal.member_id, change.operation, change.actor.correlation_id
