"""SQL of registered accounts and of the states of accounts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.exc import DBAPIError

from backend.kit.database import ReadSession, UnitOfWork, translate
from backend.kit.ids import uuid7
from backend.kit.keyset import keyset
from backend.kit.pages import Page, PageRequest
from backend.ledger.accounts.codes import ACCOUNT_HOLDS_UNITS, ACCOUNT_REGISTERED, ACCOUNT_STATE_STANDS
from backend.ledger.accounts.domain import AccountState, RegisteredAccount, RegisteredKind, StateSet
from backend.ledger.accounts.tables import account_state, registered_account
from tenants.access import Permission, Principal, within

_CREDIT_CODE: Final = "SELECT credit_code FROM organisation WHERE id = :id"
_NUMBER: Final = "SELECT coalesce(max(number), 0) + 1 FROM account_state WHERE account_id = :id"
_HELD: Final = "SELECT coalesce(sum(quantity_t), 0) FROM asset_balance WHERE account_id = :id"
_SUPERSEDE: Final = """
UPDATE registered_account SET superseded_at = now(), superseded_because = :reason
WHERE organisation_id = :organisation AND market = :market AND kind = :kind AND superseded_at IS NULL
"""


def _registered(row: Row[Any]) -> RegisteredAccount:
    fields = {n: getattr(row, n) for n in RegisteredAccount.__dataclass_fields__}
    return RegisteredAccount(**fields | {"kind": RegisteredKind(row.kind)})


async def own_credit_code(session: ReadSession, organisation_id: UUID) -> str | None:
    return await session.scalar(_CREDIT_CODE, {"id": organisation_id})  # type: ignore[no-any-return]


async def register(unit: UnitOfWork, made: RegisteredAccount, recorded_by: UUID) -> None:
    """Errors: ACCOUNT_REGISTERED."""
    fields = {n: v for n, v in asdict(made).items() if n in registered_account.c and v is not None}
    taken = lambda: ACCOUNT_REGISTERED(path=("code",), kind=made.kind, market=made.market)  # noqa: E731 - said twice
    try:
        await unit.execute(
            registered_account.insert(), fields | {"tenant_id": unit.tenant_id, "recorded_by": recorded_by}
        )
    except DBAPIError as error:
        raise translate(error, {"registered_account_code": taken, "one_account_per_entity": taken}) from error


async def supersede(unit: UnitOfWork, made: RegisteredAccount, reason: str) -> int:
    """End what is registered of the same kind, market and organisation; how many there were (0 or 1)."""
    keys = {"organisation": made.organisation_id, "market": made.market, "kind": made.kind.value}
    return await unit.execute(_SUPERSEDE, keys | {"reason": reason})


async def page_of_registered(
    session: ReadSession, principal: Principal, request: PageRequest, organisation_id: UUID | None
) -> Page[RegisteredAccount]:
    """By code; of one organisation or of all that may be read, those superseded too."""
    table = registered_account
    statement = select(table).where(within(principal, Permission.ASSET_READ, table.c.organisation_id))
    if organisation_id is not None:
        statement = statement.where(table.c.organisation_id == organisation_id)
    rows = await session.rows(keyset(statement, request, table.c.code, table.c.id))
    return Page.cut([_registered(r) for r in rows], request, lambda a: (a.code, a.id))


async def set_state(unit: UnitOfWork, new: StateSet, named: str, set_by: UUID) -> StateSet:
    """Errors: ACCOUNT_STATE_STANDS, ACCOUNT_HOLDS_UNITS."""
    held = int(await unit.scalar(_HELD, {"id": new.account_id}))
    if new.state is AccountState.CLOSED and held:
        raise ACCOUNT_HOLDS_UNITS(path=("state",), account=named, quantity=held)
    before = (await states(unit, [new.account_id])).get(new.account_id)
    stands = before.state if before else AccountState.OPEN
    number = int(await unit.scalar(_NUMBER, {"id": new.account_id}))
    row: dict[str, Any] = {
        "tenant_id": unit.tenant_id,
        "id": uuid7(),
        "organisation_id": new.organisation_id,
        "set_by": set_by,
    }
    row |= {"account_id": new.account_id, "state": new.state.value, "reason": new.reason, "number": number}
    again = lambda: ACCOUNT_STATE_STANDS(path=("state",), account=named, state=stands, wanted=new.state)  # noqa: E731
    refused = {
        "account_state_follows": again,
        "account_state_number": again,
        "closed_accounts_are_empty": lambda: ACCOUNT_HOLDS_UNITS(path=("state",), account=named, quantity="> 0"),
    }
    try:
        await unit.execute(account_state.insert(), row)
    except DBAPIError as error:
        raise translate(error, refused) from error
    return (await states(unit, [new.account_id]))[new.account_id]


async def states(session: ReadSession, account_ids: Collection[UUID]) -> dict[UUID, StateSet]:
    """The last state of accounts that ever had one set."""
    of = account_state
    statement = select(of).where(of.c.account_id.in_(account_ids)).order_by(of.c.account_id, of.c.number)
    return {
        r.account_id: StateSet(r.account_id, r.organisation_id, AccountState(r.state), r.reason, r.number, r.set_at)
        for r in await session.rows(statement)
    }
