"""Propagation of uncertainty, and shares of co-products."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.accounting.domain.allocation import AllocationBasis, CoProduct, allocate
from backend.accounting.domain.uncertainty import Contribution, Uncertainty, of_product, of_sum
from backend.kit.errors import CodedError

D = Decimal


def u(share: str, cause: str = "") -> Uncertainty:
    return Uncertainty(D(share), cause)


def test_a_product_of_the_vector() -> None:
    assert abs(of_product([u("0.05"), u("0.1")]) - D("0.111803")) <= D("0.00001")
    assert of_product([]) == 0


def test_what_shares_a_cause_adds_linearly() -> None:
    assert of_product([u("0.05", "scale 3"), u("0.1", "scale 3")]) == D("0.15")
    apart = of_sum([Contribution(D(100), (u("0.1"),)), Contribution(D(100), (u("0.1"),))])
    together = of_sum([Contribution(D(100), (u("0.1", "EF coal"),)), Contribution(D(100), (u("0.1", "EF coal"),))])
    assert (apart.half_width_t, together.half_width_t) == (D("14.142135624"), D(20))
    assert together.share == D("0.1")


def test_a_source_of_streams_on_one_meter_with_two_factors() -> None:
    streams = [
        Contribution(D(300), (u("0.02", "meter"), u("0.05", "coal"))),
        Contribution(D(-100), (u("0.02", "meter"), u("0.03", "coke"))),
    ]
    found = of_sum(streams)
    # (300 − 100) × 2 % = 4; 300 × 5 % = 15; 100 × 3 % = 3
    assert found.half_width_t == D("15.811388301")
    assert found.tonnes == 200


def test_a_sum_of_nothing_has_no_relative_uncertainty() -> None:
    found = of_sum([Contribution(D(5), (u("0.1"),)), Contribution(D(-5), (u("0.1"),))])
    assert found.share is None
    assert found.half_width_t > 0


@pytest.mark.parametrize("bad", ["-0.1", "11", "NaN"])
def test_what_is_no_uncertainty(bad: str) -> None:
    with pytest.raises(CodedError, match="BAD_UNCERTAINTY"):
        of_product([u(bad)])


products = st.lists(
    st.builds(
        CoProduct,
        st.sampled_from("abc"),
        st.decimals("0.001", 10**6, places=3),
        st.decimals("0.1", 60, places=2),
        st.decimals("0.1", 9999, places=2),
    ),
    min_size=2,
    max_size=8,
)


@given(products, st.sampled_from(AllocationBasis), st.decimals(-(10**7), 10**7, places=9))
def test_shares_add_up_to_one_and_amounts_to_the_whole(
    items: list[CoProduct], basis: AllocationBasis, emissions: Decimal
) -> None:
    statement = allocate(basis, items, "主产品与副产品共用一套装置")
    assert sum(statement.shares) == 1
    assert sum(statement.amounts_t(emissions)) == emissions
    assert all(0 <= s <= 1 for s in statement.shares)


def test_by_mass_energy_and_value() -> None:
    coke, gas = CoProduct("焦炭", D(750), D("28.435"), D(2000)), CoProduct("焦炉煤气", D(250), D("40"), D(500))
    assert allocate(AllocationBasis.MASS, [coke, gas], "按质量").shares == (D("0.75"), D("0.25"))
    assert allocate(AllocationBasis.ENERGY, [coke, gas], "按热值").shares == (D("0.680779"), D("0.319221"))
    assert allocate(AllocationBasis.ECONOMIC, [coke, gas], "按产值").shares == (D("0.923077"), D("0.076923"))
    thirds = allocate(AllocationBasis.MASS, [CoProduct(n, D(1)) for n in "abc"], "等量")
    assert thirds.shares == (D("0.333334"), D("0.333333"), D("0.333333"))


@pytest.mark.parametrize(
    ("basis", "items", "reason", "code"),
    [
        (AllocationBasis.MASS, [CoProduct("a", D(1)), CoProduct("b", D(2))], " ", "ALLOCATION_REASON"),
        (AllocationBasis.ENERGY, [CoProduct("a", D(1), D(1)), CoProduct("b", D(2))], "x", "ALLOCATION_MISSING"),
        (AllocationBasis.MASS, [CoProduct("a", D(-1)), CoProduct("b", D(2))], "x", "ALLOCATION_WEIGHT"),
        (AllocationBasis.MASS, [CoProduct("a", D(1))], "x", "ALLOCATION_EMPTY"),
        (AllocationBasis.MASS, [CoProduct("a", D(0)), CoProduct("b", D(0))], "x", "ALLOCATION_EMPTY"),
    ],
)
def test_what_cannot_be_allocated(basis: AllocationBasis, items: list[CoProduct], reason: str, code: str) -> None:
    with pytest.raises(CodedError) as caught:
        allocate(basis, items, reason)
    assert caught.value.code.name == code
