"""Reading accounts, lots and what rests where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select, true, tuple_

from backend.kit.database import ReadSession
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.domain.accounts import Account
from backend.ledger.domain.balances import Balance, HeldAsset, UsedAsset
from backend.ledger.domain.lots import AssetClass, Lot, LotRef
from backend.ledger.domain.transfers import Use
from backend.ledger.effects import Pair
from backend.ledger.repository.names import account_of, lot_of
from backend.ledger.tables import asset_account, asset_balance, asset_lot
from tenants.access import Permission, Principal, within


async def accounts(
    session: ReadSession, keys: Collection[UUID], principal: Principal | None = None
) -> dict[UUID, Account]:
    """By id; with a principal, only those of organisations whose assets it may read."""
    statement = select(asset_account).where(asset_account.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(_readable(principal))
    return {row.id: account_of(row._mapping) for row in await session.rows(statement)}  # noqa: SLF001 - by name


async def page_of_accounts(
    session: ReadSession, principal: Principal, request: PageRequest, organisation_id: UUID | None
) -> Page[Account]:
    """Accounts of organisations, by code."""
    statement = select(asset_account).where(_readable(principal))
    if organisation_id is not None:
        statement = statement.where(asset_account.c.organisation_id == organisation_id)
    statement = keyset(statement, request, asset_account.c.code, asset_account.c.id)
    rows = [account_of(row._mapping) for row in await session.rows(statement)]  # noqa: SLF001 - by name
    return Page.cut(rows, request, lambda a: (a.code, a.id))


_BALANCES: Final = """
SELECT b.account_id, b.lot_id, b.quantity_t, b.version
FROM unnest(CAST(:accounts AS uuid[])) AS asked (account_id)
CROSS JOIN LATERAL (
  SELECT * FROM asset_balance b
  WHERE b.account_id = asked.account_id AND b.quantity_t <> 0 AND b.lot_id > :after
  ORDER BY b.lot_id LIMIT :size
) b
ORDER BY b.account_id, b.lot_id
"""


_RESERVED: Final = """
SELECT b.account_id, b.lot_id, b.reserved_t
FROM unnest(CAST(:accounts AS uuid[]), CAST(:lots AS uuid[])) AS asked (account_id, lot_id)
CROSS JOIN LATERAL (
  SELECT * FROM asset_balance b
  WHERE b.account_id = asked.account_id AND b.lot_id = asked.lot_id AND b.reserved_t > 0 OFFSET 0
) b
"""


async def reserved(session: ReadSession, pairs: Collection[Pair]) -> dict[Pair, int]:
    """What is set aside of balances, where it is anything."""
    arguments = {"accounts": [account for account, _ in pairs], "lots": [lot for _, lot in pairs]}
    return {(r.account_id, r.lot_id): int(r.reserved_t) for r in await session.rows(_RESERVED, arguments)}


async def pages_of_balances(
    session: ReadSession, account_ids: Sequence[UUID], request: PageRequest
) -> dict[UUID, Page[Balance]]:
    """What rests in each of some accounts, by lot; lots of which nothing rests there are left out."""
    after = UUID(int=0) if request.after is None else request.key(UUID)[0]
    arguments = {"accounts": list(account_ids), "after": after, "size": request.first + 1}
    found: dict[UUID, list[Balance]] = defaultdict(list)
    for row in await session.rows(_BALANCES, arguments):
        found[row.account_id].append(Balance(row.account_id, row.lot_id, row.quantity_t, row.version))
    return {key: Page.cut(found[key], request, lambda b: (b.lot_id,)) for key in account_ids}


async def lots(session: ReadSession, keys: Collection[UUID], principal: Principal | None = None) -> dict[UUID, Lot]:
    """By id; with a principal, only those issued to or held by an organisation whose assets it may read."""
    statement = select(asset_lot).where(asset_lot.c.id.in_(keys))
    if principal is not None:
        statement = statement.where(_known(principal))
    return {row.id: lot_of(row._mapping) for row in await session.rows(statement)}  # noqa: SLF001 - by name


async def withdrawn_lots(session: ReadSession, refs: Collection[LotRef], principal: Principal) -> list[Lot]:
    """Those of some names that stand no more, as far as the caller may know of them."""
    names = [(ref.scheme, ref.issue_reference) for ref in refs if ref.id is None]
    named = or_(
        tuple_(asset_lot.c.scheme, asset_lot.c.issue_reference).in_(names),
        asset_lot.c.id.in_([ref.id for ref in refs if ref.id is not None]),
    )
    statement = select(asset_lot).where(named, asset_lot.c.withdrawn_by.is_not(None), _known(principal))
    return [lot_of(row._mapping) for row in await session.rows(statement)]  # noqa: SLF001 - by name


async def page_of_lots(
    session: ReadSession,
    principal: Principal,
    request: PageRequest,
    organisation_id: UUID | None,
    asset_class: AssetClass | None,
    scheme: str | None,
) -> Page[Lot]:
    """Lots by scheme and issue reference; of one organisation: those issued to it or that passed its accounts."""
    statement = select(asset_lot).where(_known(principal))
    if organisation_id is not None:
        passed = _passed(asset_account.c.organisation_id == organisation_id)
        statement = statement.where(or_(asset_lot.c.issued_to == organisation_id, passed))
    if asset_class is not None:
        statement = statement.where(asset_lot.c.asset_class == asset_class.value)
    if scheme is not None:
        statement = statement.where(asset_lot.c.scheme == scheme)
    statement = keyset(statement, request, asset_lot.c.scheme, asset_lot.c.issue_reference, asset_lot.c.id)
    rows = [lot_of(row._mapping) for row in await session.rows(statement)]  # noqa: SLF001 - by name
    return Page.cut(rows, request, lambda lot: (lot.scheme, lot.issue_reference, lot.id))


# Units used and not given back. A reversal is one transfer for the whole of another, so what has one counts nothing.
_USED: Final = """
SELECT t.beneficiary_id, g.kind AS use, t.for_year, l.lot_id, o.asset_class, o.vintage, t.id AS transfer_id,
       sum(l.quantity_t) AS quantity_t,
       bool_and(o.origin IN ('AUCTIONED', 'PURCHASED') OR o.issued_to NOT IN (t.beneficiary_id, f.organisation_id))
         AS bought,
       CASE o.origin WHEN 'ALLOCATED' THEN o.issued_to END AS allocated_to
FROM asset_transfer t
JOIN asset_leg l ON l.tenant_id = t.tenant_id AND l.transfer_id = t.id
JOIN asset_lot o ON o.tenant_id = t.tenant_id AND o.id = l.lot_id
JOIN asset_account f ON f.tenant_id = t.tenant_id AND f.id = l.from_account_id
JOIN asset_account g ON g.tenant_id = t.tenant_id AND g.id = l.to_account_id
WHERE t.kind IN ('SURRENDER', 'RETIRE', 'CANCEL') AND t.beneficiary_id = ANY (CAST(:organisations AS uuid[]))
  AND t.for_year BETWEEN :first AND :last
  AND NOT EXISTS (SELECT FROM asset_transfer r WHERE r.tenant_id = t.tenant_id AND r.reverses_id = t.id)
GROUP BY t.tenant_id, t.id, g.kind, l.lot_id, o.asset_class, o.vintage, o.origin, o.issued_to
ORDER BY t.id, l.lot_id
"""
# The balance of today, less what later days brought.
_HELD: Final = """
SELECT a.organisation_id, x.lot_id, o.asset_class, sum(x.amount_t) AS quantity_t
FROM asset_account a
JOIN LATERAL (
  SELECT b.lot_id, b.quantity_t AS amount_t
  FROM asset_balance b WHERE b.tenant_id = a.tenant_id AND b.account_id = a.id
  UNION ALL
  SELECT e.lot_id, -e.amount_t
  FROM asset_entry e JOIN asset_transfer t ON t.tenant_id = e.tenant_id AND t.id = e.transfer_id
  WHERE e.tenant_id = a.tenant_id AND e.account_id = a.id AND t.effective_on > :as_of
) x ON true
JOIN asset_lot o ON o.tenant_id = a.tenant_id AND o.id = x.lot_id
WHERE a.organisation_id = ANY (CAST(:organisations AS uuid[]))
GROUP BY a.organisation_id, x.lot_id, o.asset_class
HAVING sum(x.amount_t) <> 0
ORDER BY a.organisation_id, x.lot_id
"""


async def used(
    session: ReadSession, organisation_ids: Sequence[UUID], from_year: int, to_year: int
) -> Sequence[UsedAsset]:
    asked = {"organisations": list(organisation_ids), "first": from_year, "last": to_year}
    return [
        UsedAsset(
            organisation_id=row.beneficiary_id,
            use=Use(row.use),
            for_year=row.for_year,
            lot_id=row.lot_id,
            asset_class=AssetClass(row.asset_class),
            bought=row.bought,
            quantity_t=int(row.quantity_t),
            transfer_id=row.transfer_id,
            vintage=row.vintage,
            allocated_to=row.allocated_to,
        )
        for row in await session.rows(_USED, asked)
    ]


async def held(session: ReadSession, organisation_ids: Sequence[UUID], as_of: date) -> Sequence[HeldAsset]:
    rows = await session.rows(_HELD, {"organisations": list(organisation_ids), "as_of": as_of})
    return [HeldAsset(r.organisation_id, r.lot_id, AssetClass(r.asset_class), int(r.quantity_t)) for r in rows]


def _readable(principal: Principal) -> ColumnElement[bool]:
    own = within(principal, Permission.ASSET_READ, asset_account.c.organisation_id)
    return asset_account.c.organisation_id.is_not(None) & own


def _known(principal: Principal) -> ColumnElement[bool]:
    issued = within(principal, Permission.ASSET_READ, asset_lot.c.issued_to)
    if issued.compare(true()):
        return issued
    return or_(issued, _passed(within(principal, Permission.ASSET_READ, asset_account.c.organisation_id)))


def _passed(of_account: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists(
        select(1)
        .select_from(asset_balance)
        .join(
            asset_account,
            (asset_account.c.tenant_id == asset_balance.c.tenant_id)
            & (asset_account.c.id == asset_balance.c.account_id),
        )
        .where(asset_balance.c.tenant_id == asset_lot.c.tenant_id, asset_balance.c.lot_id == asset_lot.c.id)
        .where(of_account)
    )
