"""The enums of the ledger's domain as GraphQL knows them; types and inputs take them from here, so described."""

from __future__ import annotations

from backend.kit.graphql.types import enum_type
from backend.ledger.accounts.domain import AccountState
from backend.ledger.domain.accounts import AccountKind
from backend.ledger.domain.lots import AssetClass, Origin
from backend.ledger.domain.transfers import TransferKind, Use

enum_type(AssetClass)
enum_type(Origin, name="AssetOrigin")
enum_type(AccountKind, name="AssetAccountKind")
enum_type(TransferKind, name="AssetTransferKind")
enum_type(Use, name="AssetUse")
enum_type(AccountState, name="AssetAccountState")

__all__ = ["AccountKind", "AccountState", "AssetClass", "Origin", "TransferKind", "Use"]
