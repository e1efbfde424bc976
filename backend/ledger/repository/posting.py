"""The calls by which units come into the books and move in them; all else about them is in the database."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from asyncpg.exceptions import PostgresError

from backend.kit.database import UnitOfWork, sqlstate
from backend.ledger.domain.accounts import Account
from backend.ledger.domain.balances import Balance
from backend.ledger.domain.lots import Lot
from backend.ledger.domain.transfers import Transfer
from backend.ledger.effects import Touched, effects_of
from backend.ledger.repository import holdings
from tenants.commands import Change

_ROWS: Final = "posting, refusal, leg, account_id, lot_id, quantity_t, day, recorded_at"
_POST: Final = f"""
SELECT {_ROWS} FROM ledger_post($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::int[],
  $7::date[], $8::uuid[], $9::int[], $10::text[], $11::text[], $12::uuid[], $13::uuid[], $14::int[], $15::int[],
  $16::uuid[], $17::uuid[], $18::uuid[], $19::bigint[])
"""  # noqa: S608 - a constant
_COMMIT: Final = """
SELECT again, recorded_at, quantities FROM ledger_commit($1::uuid, $2::boolean, $3::ledger_posting_reach[],
  $4::ledger_posting[], $5::ledger_posting_leg[], $6::ledger_posting_balance[])
"""
_COMMIT_LIST: Final = """
SELECT recorded_at, balances FROM ledger_commit_list($1::uuid, $2::boolean, $3::uuid[], $4::uuid[], $5::uuid, $6::text,
  $7::text, $8::text, $9::bytea, $10::text, $11::uuid[], $12::text[], $13::int[], $14::date[], $15::uuid[],
  $16::int[], $17::text[], $18::text[], $19::uuid[], $20::int[], $21::int[], $22::uuid[], $23::uuid[], $24::uuid[],
  $25::bigint[])
"""
_SHORT_DAY: Final = """
SELECT day, quantity_t FROM ledger_short_day($1::uuid, $2::date, ARRAY[$3::uuid], ARRAY[$4::uuid], ARRAY[-$5::bigint])
"""
_NOT_THERE: Final = "TH006"
"""A balance that a leg meets does not exist yet."""
_CLOSELY: Final = frozenset({_NOT_THERE, "TH007", "23505", "23514", "40001", "40P01"})
"""Or one does not cover what is taken, a key is or was in use, an account was shut, others got in the way."""
_ISSUE: Final = """
SELECT lot, refusal, other
FROM ledger_issue($1, $2, $3, $4::uuid[], $5::text[], $6::text[], $7::text[], $8::int[], $9::text[], $10::bigint[],
                  $11::text[], $12::uuid[], $13::date[], $14::text[], $15::bigint[], $16::bigint[], $17::uuid[],
                  $18::uuid[], $19::text[], $20::date[])
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the books refused the posting at `index`; which leg lacked cover, and how much there was, or on a past
    `day` would be left (below zero). `reserved_t`: what is set aside beside it.
    """

    index: int
    code: str
    leg: int | None
    available_t: int | None
    day: date | None = None
    reserved_t: int = 0


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of some postings: those refused, and the balances touched, as they stand now."""

    refused: Sequence[Refused]
    balances: Sequence[Balance]
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """A planned transfer on its way to the books: who asks for it and under which key, the organisation it concerns,
    the balances it touches, in order, and each organisation it takes from with a node on which the caller has the right
    to (none: the right everywhere).
    """

    plan: Transfer
    member_id: UUID
    operation: str
    correlation_id: str
    key: str | None
    digest: bytes
    organisation_id: UUID
    touched: Touched
    reach: tuple[tuple[UUID, UUID], ...] = ()


@dataclass(frozen=True, slots=True)
class AskedList:
    """As `Asked`, for transfers that one caller asks for together under one key; `kept` names them in the answer that
    is kept with it.
    """

    plans: Sequence[Transfer]
    member_id: UUID
    operation: str
    correlation_id: str
    key: str | None
    digest: bytes
    kept: str
    organisations: Sequence[UUID]
    reach: Sequence[tuple[UUID, UUID]] = ()


@dataclass(frozen=True, slots=True)
class Landed:
    """How one of many postings came down: when, and its balances as it left them; or `refused`, to be judged alone."""

    recorded_at: datetime
    quantities: Sequence[int] = ()
    refused: bool = False


@dataclass(frozen=True, slots=True)
class LotRefused:
    """Why a lot was not issued, and the issue reference of the lot in its way."""

    index: int
    code: str
    other: str


async def post(change: Change, transfers: Sequence[Transfer], organisations: Sequence[UUID]) -> Posted:
    """Post transfers in order, each judged by itself, in one statement; one organisation each for the audit trail."""
    driver = await change.unit.driver()
    member, operation, correlation = _who(change)
    rows = await driver.fetch(
        _POST,
        [member] * len(transfers),
        [operation] * len(transfers),
        [correlation] * len(transfers),
        *_plans(transfers),
        [t.reverses_id for t in transfers],
        list(organisations),
        *_legs(transfers),
    )
    refused = [
        Refused(row["posting"] - 1, row["refusal"], row["leg"] and row["leg"] - 1, row["quantity_t"], row["day"])
        for row in rows
        if row["posting"] is not None
    ]
    balances = [Balance(row["account_id"], row["lot_id"], row["quantity_t"]) for row in rows if row["posting"] is None]
    return Posted(await _with_reserved(change.unit, refused, transfers), balances, rows[-1]["recorded_at"])


async def _with_reserved(unit: UnitOfWork, refused: Sequence[Refused], plans: Sequence[Transfer]) -> list[Refused]:
    """What is set aside may be what is missing; the balances are locked and can be asked."""
    short = {
        r.index: (plans[r.index].legs[r.leg].source.id, plans[r.index].legs[r.leg].lot_id)
        for r in refused
        if r.leg is not None and r.day is None
    }
    if not short:
        return list(refused)
    aside = await holdings.reserved(unit, set(short.values()))
    return [replace(r, reserved_t=aside.get(short[r.index], 0)) if r.index in short else r for r in refused]


def is_unsure(error: PostgresError) -> bool:
    """The server undid the statement and says why; unless it was going down, when nobody knows."""
    return sqlstate(error).startswith(("08", "57"))


async def commit(driver: Any, tenant_id: UUID, asked: Sequence[Asked]) -> list[Landed | None]:
    """Post transfers of many callers in one transaction of their own, each judged by itself in order.

    None for all that were not posted because some are `refused` before anything was: ask again for those without them.
    """
    effects = effects_of([a.plan for a in asked], [a.touched for a in asked])
    what = [
        [(number, *pair) for number, a in enumerate(asked, 1) for pair in a.reach],
        [_posting(a, later) for a, later in zip(asked, effects.later, strict=True)],
        [row for number, a in enumerate(asked, 1) for row in _posting_legs(number, a.plan)],
    ]
    balances = [(*pair, debit) for pair, debit in zip(effects.pairs, effects.debits, strict=True)]
    again, recorded_at, left = await _asked(
        driver, _COMMIT, (tenant_id, False, *what, []), _CLOSELY, (tenant_id, True, *what, balances)
    )
    if again:
        landed: list[Landed | None] = [None] * len(asked)
        for number in again:
            landed[number - 1] = Landed(recorded_at, refused=True)
        return landed
    return [Landed(recorded_at, [left[place - 1] - later for place, later in own]) for own in effects.later]


def _posting(asked: Asked, later: Sequence[tuple[int, int]]) -> tuple[Any, ...]:
    """A `ledger_posting`."""
    plan = asked.plan
    return (
        asked.member_id,
        asked.operation,
        asked.correlation_id,
        asked.key,
        asked.digest,
        plan.id,
        plan.kind,
        len(plan.legs),
        plan.effective_on,
        plan.beneficiary_id,
        plan.for_year,
        plan.purpose,
        plan.evidence,
        asked.organisation_id,
        [place for place, _ in later],
        [change for _, change in later],
    )


def _posting_legs(number: int, plan: Transfer) -> list[tuple[Any, ...]]:
    """Each leg as a `ledger_posting_leg` of the posting with a number."""
    return [
        (number, plan.id, place, leg.lot_id, leg.source.id, leg.destination.id, leg.quantity_t)
        for place, leg in enumerate(plan.legs, 1)
    ]


async def _asked(driver: Any, call: str, first: Sequence[Any], doubtful: AbstractSet[str], then: Sequence[Any]) -> Any:
    """The row a call answers; one that is undone for a doubtful reason is made once more with other arguments: to look
    so closely at first would cost all what few need.
    """
    try:
        return await driver.fetchrow(call, *first)
    except PostgresError as error:
        if sqlstate(error) not in doubtful:
            raise
    return await driver.fetchrow(call, *then)


async def commit_list(driver: Any, tenant_id: UUID, asked: AskedList) -> tuple[datetime, list[int]] | None:
    """Post a list in one transaction of its own, whole: when, and each balance it touched as it left it, in the order
    of account and lot. None when something stands in its way that has to be looked at more closely.
    """
    ids, *details = _plans(asked.plans)
    posting, place, *moves = _legs(asked.plans)
    if len(posting) == len(ids):
        posting, place = [], []
    what = [
        [organisation for organisation, _ in asked.reach],
        [node for _, node in asked.reach],
        asked.member_id,
        asked.operation,
        asked.correlation_id,
        asked.key,
        asked.digest,
        asked.kept,
        ids,
        *(_alike(column) for column in details),
        _alike(asked.organisations),
        posting,
        place,
        *moves,
    ]
    row = await _asked(driver, _COMMIT_LIST, (tenant_id, False, *what), {_NOT_THERE}, (tenant_id, True, *what))
    return row and (row["recorded_at"], row["balances"])


async def short_day(change: Change, on: date, account_id: UUID, lot_id: UUID, taken_t: int) -> tuple[date, int] | None:
    """The first day on which a balance would be short, and by how much, were so much taken from it on a day."""
    driver = await change.unit.driver()
    row = await driver.fetchrow(_SHORT_DAY, change.unit.tenant_id, on, account_id, lot_id, taken_t)
    return row and (row["day"], -row["quantity_t"])


def _alike(column: Sequence[Any]) -> Sequence[Any]:
    """One for all, when all are alike."""
    first = column[0]
    return [first] if all(x is first or x == first for x in column) else column


def _plans(transfers: Sequence[Transfer]) -> tuple[list[Any], ...]:
    return (
        [t.id for t in transfers],
        [t.kind for t in transfers],
        [len(t.legs) for t in transfers],
        [t.effective_on for t in transfers],
        [t.beneficiary_id for t in transfers],
        [t.for_year for t in transfers],
        [t.purpose for t in transfers],
        [t.evidence for t in transfers],
    )


def _legs(transfers: Sequence[Transfer]) -> tuple[list[Any], ...]:
    legs = [leg for t in transfers for leg in t.legs]
    return (
        [number for number, t in enumerate(transfers, 1) for _ in t.legs],
        [place for t in transfers for place in range(1, len(t.legs) + 1)],
        [leg.lot_id for leg in legs],
        [leg.source.id for leg in legs],
        [leg.destination.id for leg in legs],
        [leg.quantity_t for leg in legs],
    )


async def issue(
    change: Change, lots: Sequence[Lot], accounts: Sequence[Account], evidence: Sequence[str], days: Sequence[date]
) -> Sequence[LotRefused]:
    """Issue lots into one account each, in one statement, each by its paper and from its day on; those refused."""
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
        list(days),
    )
    return [LotRefused(row["lot"] - 1, row["refusal"], row["other"] or "") for row in rows]


def _who(change: Change) -> tuple[Any, ...]:
    return change.actor.principal.member_id, change.operation, change.actor.correlation_id
