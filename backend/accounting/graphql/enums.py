"""Enums that several modules of the schema name; whoever comes first must find them registered."""

from __future__ import annotations

from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.records import Method
from backend.kit.graphql.types import enum_type

__all__ = ["Method", "MethodKind"]

enum_type(Method, name="AccountingMethod")
enum_type(MethodKind, name="MethodKind")
