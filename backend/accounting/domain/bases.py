"""A basis: by which method of a class, and with which parameters, a stream is accounted in a span of months.

A stream may have one basis of each class at the same time; where it has none of the class FACTOR, the library's
defaults for its material (or its own factor) are its basis of that class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.months import Span
from backend.accounting.domain.parameters import BasisParameter
from backend.accounting.domain.records import Method
from backend.kit.errors import conflict, invalid

BASIS_OVERLAPS = conflict(
    "BASIS_OVERLAPS",
    en="The stream has a basis of the class {method} in {months} already; replacing it needs a reason.",
    zh="该流在 {months} 已有 {method} 类方法的依据；替换须说明原因。",
)
PARAMETER_TWICE = invalid(
    "PARAMETER_TWICE",
    en="The parameter '{name}' is given twice; give it once.",
    zh="参数 '{name}' 重复给出，请只给一次。",
)


@dataclass(frozen=True, slots=True)
class StreamBasis:
    """A basis as it was recorded."""

    id: UUID
    stream_id: UUID
    method: Method
    kind: MethodKind
    parameters: tuple[BasisParameter, ...]
    gas: str
    formula: str
    span: Span
    reason: str
    evidence: str
    recorded_at: datetime
    superseded_at: datetime | None = None
    superseded_because: str | None = None
    went_back_by: UUID | None = None
    """Who let a measured parameter go back to a default by this basis, or by superseding it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Months of a year in which a stream has one basis of a class; None: the library's defaults."""

    method: Method
    first_month: date
    last_month: date
    basis: StreamBasis | None


def parts(bases: Sequence[StreamBasis], year: int, *, by_default: bool) -> list[Part]:
    """How a stream is accounted through a year, class by class. `by_default`: it has a material or an own factor."""
    january, december = date(year, 1, 1), date(year, 12, 1)
    if not bases:
        return [Part(Method.FACTOR, january, december, None)] if by_default else []
    found: list[Part] = []
    rest = [Span(january, december)] if by_default else []
    for basis in bases:
        inside = basis.span.within_year(year)
        if inside:
            found.append(Part(basis.method, inside[0], inside[-1], basis))
            if basis.method is Method.FACTOR:
                rest = [left for span in rest for left in span.without(basis.span)]
    return found + [Part(Method.FACTOR, span.first, span.end, None) for span in rest]
