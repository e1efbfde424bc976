"""Accounts at registries, exchanges and banks (8.3.1.2, 8.3.2.3), and whether an account is open."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from backend.kit.text import clean, tidy
from backend.kit.words import members_in_chinese
from backend.ledger.accounts.codes import FUND_ACCOUNT_HOLDS_MONEY, OWNER_DIFFERS
from backend.ledger.codes import EFFECTIVE_IN_FUTURE, MISSING_TEXT
from backend.ledger.rulebook.domain import known_market
from tenants.domain.codes import credit_code


class RegisteredKind(StrEnum):
    """What is kept in an account outside."""

    REGISTRY = "REGISTRY"
    """Units, at the registry (登记账户)."""
    TRADING = "TRADING"
    """Units for sale, at the exchange, under a trading code (交易账户)."""
    FUND = "FUND"
    """Money, at the settlement bank (资金账户)."""


class AccountState(StrEnum):
    """Whether units may move in and out."""

    OPEN = "OPEN"
    """They may (正常)."""
    FROZEN = "FROZEN"
    """They may not, for now (冻结)."""
    CLOSED = "CLOSED"
    """They never will again (注销)."""


members_in_chinese(RegisteredKind, {"REGISTRY": "登记账户", "TRADING": "交易账户", "FUND": "资金账户"})
members_in_chinese(AccountState, {"OPEN": "正常", "FROZEN": "已冻结", "CLOSED": "已注销"})


@dataclass(frozen=True, slots=True)
class NewRegisteredAccount:
    """An account as it was opened by real name. `account_id`: the ledger's account that mirrors it."""

    organisation_id: UUID
    kind: RegisteredKind
    market: str
    institution: str
    code: str
    owner_name: str
    credit_code: str
    opened_on: date
    account_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class RegisteredAccount(NewRegisteredAccount):
    """The same as recorded; superseded with a reason, never edited."""

    id: UUID = field(kw_only=True)
    recorded_at: datetime | None = None
    superseded_at: datetime | None = None
    superseded_because: str | None = None


@dataclass(frozen=True, slots=True)
class StateSet:
    """The state an account came into, and why."""

    account_id: UUID
    organisation_id: UUID
    state: AccountState
    reason: str
    number: int
    set_at: datetime | None = None


def checked(new: NewRegisteredAccount, own_credit_code: str | None, today: date) -> NewRegisteredAccount:
    """In canonical form. `own_credit_code`: the organisation's, where it is recorded.

    Errors: UNKNOWN_MARKET, MISSING_TEXT, BAD_CREDIT_CODE, OWNER_DIFFERS, FUND_ACCOUNT_HOLDS_MONEY, EFFECTIVE_IN_FUTURE.
    """
    market = known_market(clean(new.market), "market").code
    made = replace(
        new,
        market=market,
        institution=tidy(new.institution),
        code=clean(new.code),
        owner_name=tidy(new.owner_name),
        credit_code=credit_code(new.credit_code),
    )
    for name, text in (("institution", made.institution), ("code", made.code), ("ownerName", made.owner_name)):
        if not text:
            raise MISSING_TEXT(path=(name,), what=name)
    if own_credit_code is not None and made.credit_code != own_credit_code:
        raise OWNER_DIFFERS(path=("creditCode",), own=own_credit_code, given=made.credit_code)
    if (made.kind is RegisteredKind.FUND) != (made.account_id is None):
        raise FUND_ACCOUNT_HOLDS_MONEY(path=("accountId",))
    if made.opened_on > today:
        raise EFFECTIVE_IN_FUTURE(path=("openedOn",), effective_on=str(made.opened_on), today=str(today))
    return made
