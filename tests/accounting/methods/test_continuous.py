"""Hours of a continuous measurement: their state, their gaps, their sum."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.accounting.domain.continuous import (
    Basis,
    Fill,
    GapRule,
    HourlyReading,
    What,
    daily_mass_t,
    mass_concentration,
    month,
    normal_flow,
)
from backend.accounting.domain.methods.kinds import MethodKind
from backend.accounting.domain.methods.registry import derive
from backend.accounting.domain.methods.spec import Context
from backend.kit.errors import CodedError
from backend.kit.quantity import times
from tests.accounting.methods.bench import a_stream
from tests.accounting.test_coefficients import library

FEBRUARY = date(2023, 2, 1)
START = datetime(2023, 2, 1)  # noqa: DTZ001 - hours of the site's own clock
HOURS = 28 * 24
DRY = Basis()
RULE = GapRule(neighbour_hours=3)


def hour(n: int, c: str | None = "240", q: str | None = "1000000", **fields: Decimal | bool) -> HourlyReading:
    moment = START + timedelta(hours=n)
    return HourlyReading(moment, Decimal(c) if c else None, Decimal(q) if q else None, **fields)  # type: ignore[arg-type]


def test_the_daily_form_and_a_share_by_volume() -> None:
    assert daily_mass_t(Decimal(2400), Decimal(240)) == 5760
    assert abs(mass_concentration(Decimal(12)) - Fraction("235.618")) < Fraction(1, 100)


@given(st.integers(0, 10**9))
@settings(max_examples=15, deadline=None)
def test_a_whole_month_is_the_exact_integral_and_the_method_gives_it_back(seed: int) -> None:
    chance = random.Random(seed)
    values = [(chance.randint(0, 400), chance.randint(1, 2 * 10**6)) for _ in range(HOURS)]
    measured = month(FEBRUARY, [hour(n, str(c), str(q)) for n, (c, q) in enumerate(values)], DRY, RULE)
    exact = sum((Fraction(c * q, 10**6) for c, q in values), Fraction(0))
    assert measured.mass_t == exact
    assert measured.validity == 1
    parameters = measured.parameters("CEMS")
    coefficient = derive(MethodKind.CONTINUOUS, parameters, Context(a_stream("1e4Nm3"), FEBRUARY, library()))
    assert abs(Fraction(times(parameters["dryFlow"].value, coefficient.value)) - exact) <= Fraction(1, 10**9)
    assert sum((mass for _, mass in measured.by_day().values()), Fraction(0)) == exact


def test_wet_and_actual_are_brought_to_dry_and_normal() -> None:
    state = {"temperature_c": Decimal(140), "pressure_kpa": Decimal(100), "moisture": Decimal("0.08")}
    wet = Basis(by_volume=True, wet_concentration=True, wet_flow=True, actual_flow=True)
    (first, *_) = month(FEBRUARY, [hour(n, "11", "900000", **state) for n in range(HOURS)], wet, RULE).hours
    flow = Fraction(900000) * Fraction("273.15") / Fraction("413.15") * 100 / Fraction("101.325")
    assert normal_flow(Decimal(900000), Decimal(140), Decimal(100)) == flow
    assert first.flow == flow * Fraction("0.92")
    assert first.concentration == mass_concentration(Decimal(11)) / Fraction("0.92")
    # The mass does not depend on the state both are brought to.
    assert first.mass_t == mass_concentration(Decimal(11)) * flow / 10**6


def test_without_the_moisture_it_needs_an_hour_is_a_gap() -> None:
    hours = [hour(n, moisture=Decimal("0.1")) for n in range(HOURS - 1)] + [hour(HOURS - 1)]
    found = month(FEBRUARY, hours, Basis(wet_flow=True), RULE)
    assert found.hours[-1].flow_from is Fill.HIGHEST
    assert found.hours[-1].concentration_from is Fill.MEASURED


def test_short_gaps_by_their_neighbours_long_ones_by_the_highest() -> None:
    hours = [hour(n, str(100 + n % 100)) for n in range(HOURS) if n not in {10, 11, 12, *range(50, 54)}]
    found = month(FEBRUARY, hours, DRY, RULE)
    assert len(found.hours) == HOURS
    short, long = found.hours[10:13], found.hours[50:54]
    assert {(h.concentration, h.concentration_from) for h in short} == {(Fraction(109 + 113, 2), Fill.NEIGHBOURS)}
    assert {(h.concentration, h.concentration_from) for h in long} == {(Fraction(199), Fill.HIGHEST)}
    assert found.validity == Fraction(HOURS - 7, HOURS)
    assert found.filled()[Fill.NEIGHBOURS] == 3
    assert found.filled()[Fill.HIGHEST] == 4


def test_a_gap_at_the_edge_of_the_month_has_no_neighbours() -> None:
    found = month(FEBRUARY, [hour(n) for n in range(1, HOURS)], DRY, RULE)
    assert found.hours[0].concentration_from is Fill.HIGHEST


def test_defaults_of_the_plan_and_a_month_without_any_reading() -> None:
    rule = GapRule(2, Fill.DEFAULT, {What.CONCENTRATION: Decimal(260), What.FLOW: Decimal(500000)})
    found = month(FEBRUARY, [], DRY, rule)
    assert found.mass_t == HOURS * Fraction(260 * 500000, 10**6)
    assert found.validity == 0
    with pytest.raises(CodedError, match="NOTHING_MEASURED"):
        month(FEBRUARY, [], DRY, RULE)


def test_hours_that_did_not_run_are_left_out() -> None:
    found = month(FEBRUARY, [hour(n, operating=n < 100) for n in range(HOURS)], DRY, RULE)
    assert len(found.hours) == 100
    assert month(FEBRUARY, [hour(n, operating=False) for n in range(HOURS)], DRY, RULE).mass_t == 0


@given(st.sets(st.integers(0, HOURS - 1), max_size=60))
@settings(max_examples=25, deadline=None)
def test_filling_never_understates_a_constant_plant(missing: set[int]) -> None:
    found = month(FEBRUARY, [hour(n) for n in range(HOURS) if n not in missing], DRY, RULE)
    assert found.mass_t == HOURS * 240
    assert found.validity == 1 - Fraction(len(missing), HOURS)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (hour(HOURS), "BAD_HOUR"),
        (hour(0), "BAD_HOUR"),
        (HourlyReading(START.replace(minute=30), None, None), "BAD_HOUR"),
        (hour(1, "-1"), "BAD_MEASUREMENT"),
        (hour(1, "NaN"), "BAD_MEASUREMENT"),
        (hour(1, "1", "-5"), "BAD_MEASUREMENT"),
        (hour(1, moisture=Decimal("1.2")), "BAD_MEASUREMENT"),
        (hour(1, temperature_c=Decimal(-300)), "BAD_MEASUREMENT"),
        (hour(1, pressure_kpa=Decimal(0)), "BAD_MEASUREMENT"),
    ],
)
def test_what_cannot_be_a_measurement_is_named(bad: HourlyReading, code: str) -> None:
    with pytest.raises(CodedError) as caught:
        month(FEBRUARY, [hour(0), bad], DRY, RULE)
    assert caught.value.code.name == code
