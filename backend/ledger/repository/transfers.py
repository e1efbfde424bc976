"""Reading transfers with their legs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, exists, or_, select

from backend.kit.database import ReadSession
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.codes import Bound
from backend.ledger.domain.accounts import Account, AccountKind
from backend.ledger.domain.transfers import Leg, Transfer, TransferFilter, TransferKind
from backend.ledger.tables import asset_account, asset_balance, asset_leg, asset_transfer
from tenants.access import Permission, Principal, below, within

_reversal = asset_transfer.alias("reversal")
_IS_REVERSAL: Final = and_(
    _reversal.c.tenant_id == asset_transfer.c.tenant_id, _reversal.c.reverses_id == asset_transfer.c.id
)
_from, _to = asset_account.alias("f"), asset_account.alias("t")
_LEGS: Final[Select[Any]] = (
    select(
        asset_leg,
        *(column.label(f"{side}_{column.name}") for side, a in (("f", _from), ("t", _to)) for column in a.c),
    )
    .join(_from, (_from.c.tenant_id == asset_leg.c.tenant_id) & (_from.c.id == asset_leg.c.from_account_id))
    .join(_to, (_to.c.tenant_id == asset_leg.c.tenant_id) & (_to.c.id == asset_leg.c.to_account_id))
    .order_by(asset_leg.c.transfer_id, asset_leg.c.leg)
)
# Legs are found by account, not by lot: a leg of a lot debits an account that has a balance of it.
_OF_LOT: Final[Select[Any]] = select(asset_leg.c.transfer_id).join(
    asset_balance,
    (asset_balance.c.tenant_id == asset_leg.c.tenant_id)
    & (asset_balance.c.account_id == asset_leg.c.from_account_id)
    & (asset_balance.c.lot_id == asset_leg.c.lot_id),
)
_BOUND: Final = """
SELECT x.id, x.why FROM (
  SELECT id, asset_reversal_bound(tenant_id, id) AS why FROM asset_transfer WHERE id = ANY (CAST(:keys AS uuid[]))) AS x
WHERE x.why IS NOT NULL
"""


async def transfers(
    session: ReadSession, keys: Collection[UUID], principal: Principal | None = None
) -> dict[UUID, Transfer]:
    """By id; with a principal, only those that touch an organisation whose assets it may read."""
    statement = _transfers().where(asset_transfer.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(_visible(principal))
    return {t.id: t for t in await _with_legs(session, await session.rows(statement))}


async def page_of_transfers(
    session: ReadSession, principal: Principal, request: PageRequest, wanted: TransferFilter
) -> Page[Transfer]:
    """The latest first."""
    statement = _transfers(wanted.known_at).where(_visible(principal), *_conditions(wanted))
    statement = keyset(statement, request, asset_transfer.c.id, latest_first=True)
    rows = await _with_legs(session, await session.rows(statement))
    return Page.cut(rows, request, lambda t: (t.id,))


async def bound(session: ReadSession, keys: Collection[UUID]) -> dict[UUID, Bound]:
    """Those of some transfers that are not reversed by themselves, and why."""
    rows = await session.rows(_BOUND, {"keys": list(keys)})
    return {UUID(int=row.id.int): Bound(row.why) for row in rows}


def _transfers(known_at: datetime | None = None) -> Select[Any]:
    """Transfers, and what took each back; or only what had been recorded by a moment."""
    which = _IS_REVERSAL if known_at is None else _IS_REVERSAL & (_reversal.c.recorded_at <= known_at)
    found = select(asset_transfer, _reversal.c.id.label("reversed_by_id")).outerjoin(_reversal, which)
    return found if known_at is None else found.where(asset_transfer.c.recorded_at <= known_at)


def _conditions(wanted: TransferFilter) -> Iterator[ColumnElement[bool]]:
    if wanted.organisation_id is not None:
        sides, served = (
            below(column, [wanted.organisation_id]) if wanted.below else column == wanted.organisation_id
            for column in (asset_account.c.organisation_id, asset_transfer.c.beneficiary_id)
        )
        yield _leg_of(sides) | served
    if wanted.account_id is not None:
        yield _leg_of(asset_account.c.id == wanted.account_id)
    if wanted.lot_id is not None:
        yield asset_transfer.c.id.in_(_OF_LOT.where(asset_balance.c.lot_id == wanted.lot_id))
    if wanted.kind is not None:
        yield asset_transfer.c.kind == wanted.kind.value
    if wanted.for_year is not None:
        yield asset_transfer.c.for_year == wanted.for_year
    if wanted.effective_from is not None:
        yield asset_transfer.c.effective_on >= wanted.effective_from
    if wanted.effective_through is not None:
        yield asset_transfer.c.effective_on <= wanted.effective_through


def _visible(principal: Principal) -> ColumnElement[bool]:
    reach = within(principal, Permission.ASSET_READ, asset_account.c.organisation_id)
    served = within(principal, Permission.ASSET_READ, asset_transfer.c.beneficiary_id)
    return or_(served, _leg_of(reach))


def _leg_of(of_account: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(
        select(1)
        .select_from(asset_leg)
        .join(
            asset_account,
            (asset_account.c.tenant_id == asset_leg.c.tenant_id)
            & asset_account.c.id.in_([asset_leg.c.from_account_id, asset_leg.c.to_account_id]),
        )
        .where(asset_leg.c.tenant_id == asset_transfer.c.tenant_id, asset_leg.c.transfer_id == asset_transfer.c.id)
        .where(of_account)
    )


async def _with_legs(session: ReadSession, rows: Sequence[Row[Any]]) -> list[Transfer]:
    legs: dict[UUID, list[Leg]] = defaultdict(list)
    if rows:
        for row in await session.rows(_LEGS.where(asset_leg.c.transfer_id.in_([r.id for r in rows]))):
            leg = Leg(row.lot_id, _side(row, "f"), _side(row, "t"), row.quantity_t)
            legs[row.transfer_id].append(leg)
    return [_transfer(row, tuple(legs[row.id])) for row in rows]


def _side(row: Row[Any], side: str) -> Account:
    at = row._mapping  # noqa: SLF001 - SQLAlchemy's public view of a row by name
    kind = AccountKind(at[f"{side}_kind"])
    return Account(at[f"{side}_id"], at[f"{side}_organisation_id"], at[f"{side}_code"], at[f"{side}_name"], kind)


def _transfer(row: Row[Any], legs: tuple[Leg, ...]) -> Transfer:
    return Transfer(
        id=row.id,
        kind=TransferKind(row.kind),
        legs=legs,
        effective_on=row.effective_on,
        beneficiary_id=row.beneficiary_id,
        for_year=row.for_year,
        purpose=row.purpose,
        evidence=row.evidence,
        reverses_id=row.reverses_id,
        reversed_by_id=row.reversed_by_id,
        recorded_at=row.recorded_at,
    )
