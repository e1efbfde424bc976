"""Which classes of method a term of the standard admits, and which of them counts first.

Formulas (3) and (4): stationary and mobile by (1) or (2), fugitive by (2), the five indirect terms by (2); process by
(2), and by (1) as Table 2 and the MEE steel guide need it. Direct terms may be measured (8.2.5.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from backend.accounting.domain.records import Method
from backend.accounting.domain.sources import Category, DirectKind, Programme
from backend.kit.errors import invalid, rule

METHOD_NOT_ALLOWED = rule(
    "METHOD_NOT_ALLOWED",
    en="Emissions of {term} are not accounted by {method}; the standard admits: {allowed}.",
    zh="{term} 排放不能采用 {method}；标准允许：{allowed}。",
)
NEGATIVE_BY_FACTOR = invalid(
    "NEGATIVE_BY_FACTOR",
    en="{term} emissions by the factor method are not negative; got {mass}. Give the mass without a sign; carbon that "
    "leaves in a product is declared by MASS_BALANCE.",
    zh="{term} 排放按排放因子法的结果不能为负，收到 {mass}。请填写不带负号的质量；"
    "随产品带出的碳按物料平衡法（MASS_BALANCE）填报。",
)

_CALCULATED: Final = frozenset({Method.MASS_BALANCE, Method.FACTOR})
_OF_DIRECT: Final[Mapping[DirectKind, frozenset[Method]]] = {
    DirectKind.STATIONARY: _CALCULATED | {Method.MEASURED},
    DirectKind.MOBILE: _CALCULATED | {Method.MEASURED},
    DirectKind.PROCESS: _CALCULATED | {Method.MEASURED},
    DirectKind.FUGITIVE: frozenset({Method.FACTOR, Method.MEASURED}),
}
_STANDARD: Final = (Method.MEASURED, Method.MASS_BALANCE, Method.FACTOR)
_PRECEDENCE: Final[Mapping[Programme, tuple[Method, ...]]] = {
    Programme.GENERAL: _STANDARD,
    # The steel guide keeps continuous measurement on trial: its calculated value prevails.
    Programme.MEE_STEEL: (Method.MASS_BALANCE, Method.FACTOR, Method.MEASURED),
}


def allowed(category: Category, direct_kind: DirectKind | None) -> frozenset[Method]:
    """The classes of method for a term. Source: 8.2.5.1, 8.2.5.4, 8.2.5.5."""
    if category is Category.DIRECT and direct_kind is not None:
        return _OF_DIRECT[direct_kind]
    return frozenset({Method.FACTOR})


def check_allowed(method: Method, category: Category, direct_kind: DirectKind | None) -> None:
    """Errors: METHOD_NOT_ALLOWED."""
    fitting = allowed(category, direct_kind)
    if method not in fitting:
        raise METHOD_NOT_ALLOWED(
            path=("method",),
            term=direct_kind or category,
            method=method,
            allowed=tuple(m for m in Method if m in fitting),
        )


def check_sign_of_result(mass_t: Decimal, method: Method, kind: DirectKind | None) -> None:
    """What leaks or reacts is not less than nothing; a mass balance may be. Errors: NEGATIVE_BY_FACTOR."""
    if mass_t < 0 and method is Method.FACTOR and kind in {DirectKind.PROCESS, DirectKind.FUGITIVE}:
        raise NEGATIVE_BY_FACTOR(path=("massT",), term=kind, mass=mass_t)


def precedence(programme: Programme) -> tuple[Method, ...]:
    """The classes of method, the one that counts first before the others. Source: 8.2.5; the guide of the programme."""
    return _PRECEDENCE[programme]
