"""A method for a stream, as somebody asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.months import ALWAYS, Span


@dataclass(frozen=True, slots=True)
class BasisParameter:
    """A parameter as it was given: its name in the method, value, unit, and where it comes from."""

    name: str
    value: Decimal
    unit: str
    source: str = ""
    factor_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class NewBasis:
    """A method with its parameters for a stream and a span of months; `gas` for methods that account one gas,
    `formula` for the tenant's own.
    """

    kind: MethodKind
    parameters: tuple[BasisParameter, ...] = ()
    span: Span = ALWAYS
    gas: str = ""
    formula: str = ""
    reason: str = ""
    evidence: str = ""
