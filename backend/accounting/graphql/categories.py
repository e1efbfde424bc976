"""The categories of 8.2.2 and the terms of formula (3), as GraphQL names them."""

from __future__ import annotations

from backend.accounting.domain.sources import Category, DirectKind
from backend.kit.graphql.types import enum_type

__all__ = ["Category", "DirectKind"]

enum_type(Category, name="EmissionCategory")
enum_type(DirectKind, name="DirectEmissionKind")
