"""Which class of method a term admits, and which counts first."""

from __future__ import annotations

import pytest

from backend.accounting.domain.methods.allowed import allowed, check_allowed, precedence
from backend.accounting.domain.records import Method
from backend.accounting.domain.sources import Category, DirectKind, Programme
from backend.kit.errors import CodedError

ALL = {Method.MEASURED, Method.MASS_BALANCE, Method.FACTOR}


@pytest.mark.parametrize(
    ("kind", "methods"),
    [
        (DirectKind.STATIONARY, ALL),
        (DirectKind.MOBILE, ALL),
        (DirectKind.PROCESS, ALL),
        (DirectKind.FUGITIVE, {Method.MEASURED, Method.FACTOR}),
    ],
)
def test_direct_terms_of_formula_3(kind: DirectKind, methods: set[Method]) -> None:
    assert allowed(Category.DIRECT, kind) == methods


@pytest.mark.parametrize("category", [c for c in Category if c is not Category.DIRECT])
def test_indirect_terms_of_formula_4(category: Category) -> None:
    assert allowed(category, None) == {Method.FACTOR}
    with pytest.raises(CodedError, match=r"METHOD_NOT_ALLOWED.*FACTOR"):
        check_allowed(Method.MASS_BALANCE, category, None)


def test_measured_first_but_not_under_the_steel_guide() -> None:
    assert precedence(Programme.GENERAL)[0] is Method.MEASURED
    assert precedence(Programme.MEE_STEEL)[-1] is Method.MEASURED
    for programme in Programme:
        assert set(precedence(programme)) == ALL
    check_allowed(Method.MASS_BALANCE, Category.DIRECT, DirectKind.PROCESS)
