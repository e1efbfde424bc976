"""Weights, display, stock books, conservative corrections, quality scores."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.accounting.domain.corrections import PUNITIVE, Coal, corrected
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
from backend.accounting.domain.monitored import Covered
from backend.accounting.domain.monitoring import Direction
from backend.accounting.domain.quality import QualityScores, total
from backend.accounting.domain.stocks import StockMonth, check_continuity, consumption, escaped
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


def test_the_stock_book_of_the_vector() -> None:
    book = StockMonth(JAN, opening=D(12000), purchased=D(100000), closing=D(15000), sold=D(2000))
    assert consumption(book) == 95000
    check_continuity([StockMonth(FEB, opening=D(15000)), book])
    with pytest.raises(CodedError, match=r"STOCK_NOT_CONTINUOUS.*2024-02 opens with 14000"):
        check_continuity([book, StockMonth(FEB, opening=D(14000))])


def test_consumption_below_zero_is_shown_with_its_parts() -> None:
    book = StockMonth(JAN, opening=D(10), closing=D(50), losses=D(1))
    with pytest.raises(CodedError, match=r"NEGATIVE_CONSUMPTION.*-41.*closing 50.*losses 1"):
        consumption(book)
    assert consumption(book, negative_allowed=True) == -41
    with pytest.raises(CodedError, match=r"STOCK_PART_NEGATIVE.*sold"):
        consumption(StockMonth(JAN, sold=D(-1)))
    with pytest.raises(CodedError, match="STOCK_PART_NEGATIVE"):
        consumption(StockMonth(JAN, sold=D("NaN")))


def test_a_refrigerant_balance() -> None:
    lost = escaped(JAN, opening=D(5), purchased=D(20), closing=D(6), returned=D(2), capacity_increase=D(10))
    assert lost == 7


@pytest.mark.parametrize(
    ("calibrations", "direction", "used"),
    [
        ([], Direction.INPUT, "100500"),
        ([Covered(JAN, MAR, D("0.008"))], Direction.INPUT, "100300"),
        ([Covered(JAN, MAR, D("0.004"))], Direction.INPUT, "100000"),
        ([], Direction.OUTPUT, "99500"),
        ([Covered(JAN, FEB, D("0.001"))], Direction.INPUT, "100500"),
    ],
    ids=["calib-fuel-late", "calib-fuel-out", "in time and class", "production", "run out"],
)
def test_readings_without_calibration_are_corrected(
    calibrations: list[Covered], direction: Direction, used: str
) -> None:
    assert corrected(D(100000), date(2024, 2, 20), D("0.005"), calibrations, direction) == Fraction(used)


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
