"""The error codes of registered accounts and of the states of accounts."""

from __future__ import annotations

from backend.kit.errors import conflict, invalid, rule

ACCOUNT_NOT_OPEN = rule(
    "ACCOUNT_NOT_OPEN",
    en="The account {account} is {state}; units move between open accounts only.",
    zh="账户 {account} 状态为 {state}；只有正常状态的账户之间可以划转。",
)
ACCOUNT_STATE_STANDS = conflict(
    "ACCOUNT_STATE_STANDS",
    en="The account {account} is {state}; it cannot become {wanted}.",
    zh="账户 {account} 状态为 {state}，不能变为 {wanted}。",
)
ACCOUNT_HOLDS_UNITS = rule(
    "ACCOUNT_HOLDS_UNITS",
    en="The account {account} still holds {quantity} t; an account is closed when it holds nothing.",
    zh="账户 {account} 尚持有 {quantity} 吨；余额为零方可注销账户。",
)
ACCOUNT_REGISTERED = conflict(
    "ACCOUNT_REGISTERED",
    en="There is a {kind} account in the market {market} with this code or for this organisation already: one account "
    "per entity.",
    zh="市场 {market} 中已有该代码或该组织的 {kind} 账户：每个主体只能开立一个。",
)
OWNER_DIFFERS = invalid(
    "OWNER_DIFFERS",
    en="Accounts are opened by real name: the organisation's credit code is {own}, not {given}.",
    zh="账户须实名开立：该组织的统一社会信用代码为 {own}，而非 {given}。",
)
FUND_ACCOUNT_HOLDS_MONEY = invalid(
    "FUND_ACCOUNT_HOLDS_MONEY",
    en="A fund account names no ledger account, the others name one of their organisation.",
    zh="资金账户不对应资产账户；登记账户与交易账户须对应本组织的资产账户。",
)
