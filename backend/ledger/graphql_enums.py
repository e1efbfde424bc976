"""The enums of the ledger's domain as GraphQL knows them; types and inputs take them from here, so described."""

from __future__ import annotations

from backend.kit.graphql.types import enum_type
from backend.ledger.domain import AccountKind, AssetClass, Origin, TransferKind, Use

enum_type(AssetClass)
enum_type(Origin, name="AssetOrigin")
enum_type(AccountKind, name="AssetAccountKind")
enum_type(TransferKind, name="AssetTransferKind")
enum_type(Use, name="AssetUse")

__all__ = ["AccountKind", "AssetClass", "Origin", "TransferKind", "Use"]
