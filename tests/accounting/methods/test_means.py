"""Weights, display, punitive values, quality scores."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.accounting.domain.corrections import PUNITIVE, Coal
from backend.accounting.domain.means import (
    Displayed,
    MonthMean,
    Sample,
    State,
    display,
    means_per_mix,
    month_mean,
    weighted_mean,
    year_mean,
)
from backend.accounting.domain.quality import QualityScores, total
from backend.kit.errors import CodedError

D = Decimal
JAN, FEB, MAR = date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)


def test_a_year_is_weighted_by_consumption_and_an_idle_month_drops_out() -> None:
    months = [MonthMean(JAN, D("23.1"), D(10000)), MonthMean(FEB, D(0), D(0)), MonthMean(MAR, D("20.4"), D(5000))]
    mean = year_mean(months)
    assert mean == Fraction("22.2")
    assert display(mean, Displayed.NCV) == D("22.200")
    assert year_mean([MonthMean(FEB, None, D(0))]) is None
    with pytest.raises(CodedError, match=r"MEAN_MISSING.*2024-02"):
        year_mean([MonthMean(FEB, None, D(7))])


def test_a_month_by_the_batches_received_or_test_by_test() -> None:
    samples = [Sample(D(20), D(900)), Sample(D(30), D(100))]
    assert month_mean(State.SOLID, samples) == 21
    assert month_mean(State.FLUID, samples) == 25
    assert month_mean(State.SOLID, []) is None
    with pytest.raises(CodedError, match="NEGATIVE_WEIGHT"):
        month_mean(State.SOLID, [Sample(D(20), D(-1))])


def test_clinker_per_mix() -> None:
    samples = [Sample(D(65), D(1), "A"), Sample(D(66), D(3), "A"), Sample(D(60), D(5), "B"), Sample(D(1), D(0), "C")]
    assert means_per_mix(samples) == {"A": Fraction("65.75"), "B": Fraction(60)}


pairs = st.tuples(st.decimals(-100, 100, places=3), st.decimals(0, 1000, places=3))


@given(st.lists(pairs, min_size=1, max_size=30))
def test_a_mean_lies_between_and_splitting_a_batch_changes_nothing(items: list[tuple[Decimal, Decimal]]) -> None:
    mean = weighted_mean(items)
    weighing = [v for v, w in items if w]
    if mean is None:
        assert not weighing
        return
    assert min(weighing) <= mean <= max(weighing)
    halves = [(v, Fraction(w) / 2) for v, w in items for _ in range(2)]
    assert weighted_mean(halves) == mean


@pytest.mark.parametrize(
    ("value", "what", "shown"),
    [
        ("1828658.45", Displayed.ENTERPRISE_TOTAL, "1828658"),
        ("0.5", Displayed.ENTERPRISE_TOTAL, "1"),
        ("-0.5", Displayed.ENTERPRISE_TOTAL, "-1"),
        ("1789.7", Displayed.ALLOWANCE, "1789"),
        ("2.345", Displayed.QUANTITY, "2.35"),
        ("0.026185", Displayed.CARBON, "0.02619"),
        ("1.83317", Displayed.INTENSITY, "1.8332"),
        ("1.0613635", Displayed.LOAD_FACTOR, "1.061364"),
    ],
)
def test_display_rounds_half_up_and_allowances_down(value: str, what: Displayed, shown: str) -> None:
    assert display(D(value), what) == D(shown)


def test_punitive_values_of_coal() -> None:
    assert PUNITIVE[Coal.CONVENTIONAL].carbon_per_heat.value == Fraction("0.03085")
    assert PUNITIVE[Coal.UNCONVENTIONAL].ncv.value == Fraction("26.7")


def test_quality_follows_the_large_emissions() -> None:
    good, poor = QualityScores(5, 5, 5, 5, 5), QualityScores(1, 1, 2, 1, 1)
    found = total([(D(-900), good), (D(100), poor), (D(1000), None)])
    assert found is not None
    assert (found.overall, found.lowest, found.scored_share) == (D("4.62"), D("1.20"), D("0.5"))
    assert total([(D(5), None)]) is None
    with pytest.raises(CodedError, match=r"BAD_QUALITY_SCORE.*accurate"):
        QualityScores(1, 1, 1, 6, 1)
