"""Where units rest: accounts of organisations, and those of the outside (8.3.1.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.kit.ids import global_id

HOLDING: Final = "HOLDING"


class AccountKind(StrEnum):
    """What an account is for. The last five belong to nobody: with them every transfer balances."""

    HOLDING = "HOLDING"
    """Where an organisation keeps its units (持有账户)."""
    REGISTRY = "REGISTRY"
    """Account at a registry (注册登记账户, 8.3.1.2)."""
    TRADING = "TRADING"
    """Account at an exchange (交易账户, 8.3.1.2)."""
    ISSUER = "ISSUER"
    """Where lots come from; minus what is in the world (签发方)."""
    MARKET = "MARKET"
    """Everybody outside the tenant: what is sold goes there (外部市场)."""
    SURRENDERED = "SURRENDERED"
    """Surrendered for compliance; leaves only by reversal (已清缴)."""
    RETIRED = "RETIRED"
    """Retired for neutrality; leaves only by reversal (已注销用于中和)."""
    CANCELLED = "CANCELLED"
    """Cancelled voluntarily; leaves only by reversal (已自愿注销)."""


OUTSIDE: Final = frozenset(
    {
        AccountKind.ISSUER,
        AccountKind.MARKET,
        AccountKind.SURRENDERED,
        AccountKind.RETIRED,
        AccountKind.CANCELLED,
    }
)


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to open."""

    organisation_id: UUID
    code: str
    name: str
    kind: AccountKind = AccountKind.HOLDING


@dataclass(frozen=True, slots=True)
class Account:
    """Where units rest. `organisation_id` is None for the accounts of the outside; `owner`: code and name of the
    organisation, where they were looked up.
    """

    id: UUID
    organisation_id: UUID | None
    code: str
    name: str
    kind: AccountKind
    owner: str = field(default="", compare=False)

    @property
    def named(self) -> str:
        """As texts name it to who may know of it: by owner and code; where it is not known, as `coded`."""
        return f"{self.owner} / {self.code}" if self.owner else self.coded

    @property
    def coded(self) -> str:
        """As texts name it to anybody: by its code and by the id the API knows."""
        return f"{self.code} ({global_id('AssetAccount', self.id)})"


@dataclass(frozen=True)  # without slots, as an order
class AccountRef:
    """An account by id, or by organisation and code; or the market outside."""

    id: UUID | None = None
    organisation_id: UUID | None = None
    code: str = HOLDING
    market: bool = False

    def __str__(self) -> str:
        if self.market:
            return AccountKind.MARKET
        if self.id is not None:
            return global_id("AssetAccount", self.id)
        assert self.organisation_id is not None, "a code is one of an organisation"
        return f"{global_id('Organisation', self.organisation_id)}/{self.code}"
