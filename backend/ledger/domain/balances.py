"""What rests where, and what was used up (8.4)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.transfers import Use


@dataclass(frozen=True, slots=True)
class Balance:
    """Units of a lot that rest in an account; `version` names what last touched them, unless they are of the past."""

    account_id: UUID
    lot_id: UUID
    quantity_t: int
    version: UUID | None = None


@dataclass(frozen=True, slots=True)
class UsedAsset:
    """Units used for `organisation_id` and `for_year`, net of reversals.

    `bought`: auctioned or purchased, or issued to an organisation that is neither the user nor the beneficiary.
    `allocated_to`: who was given the lot free of charge, None when nobody was; a group that passes it on inside has
    not bought it.
    """

    organisation_id: UUID
    use: Use
    for_year: int
    lot_id: UUID
    asset_class: AssetClass
    bought: bool
    quantity_t: int
    transfer_id: UUID
    vintage: int | None = None
    allocated_to: UUID | None = None


@dataclass(frozen=True, slots=True)
class HeldAsset:
    """Units of a lot in the accounts of an organisation."""

    organisation_id: UUID
    lot_id: UUID
    asset_class: AssetClass
    quantity_t: int
