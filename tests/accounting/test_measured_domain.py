"""Ledgers, registers and stacks held against plain fractions: exact, additive, never understated."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.accounting.domain.metering import (
    Meter,
    MeterDirection,
    Metered,
    MeterReading,
    ReadingKind,
    ReadingRule,
    check_order,
    part_of,
)
from backend.accounting.domain.monitored import Covered
from backend.accounting.domain.stack_months import month_of
from backend.accounting.domain.stacks import ConcentrationUnit, RowStatus, StackKind, StackMonitor, StackRow
from backend.accounting.domain.stock_ledger import MINUS, PLUS, Parts, checked_parts
from backend.kit.errors import CodedError
from backend.kit.ids import uuid7

LOADED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
START = date(2023, 12, 31)
MONTHS = [date(2024, n, 1) for n in range(1, 13)]


def decimals(lowest: int, highest: int, places: int = 2) -> st.SearchStrategy[Decimal]:
    """Cheaper to draw than st.decimals."""
    scale = 10**places
    return st.integers(lowest * scale, highest * scale).map(lambda n: Decimal(n) / scale)


@LOADED
@given(st.lists(decimals(0, 10**6, 3), min_size=7, max_size=7))
def test_consumption_is_what_is_left(amounts: list[Decimal]) -> None:
    parts = Parts(**dict(zip((*PLUS, *MINUS), amounts, strict=True)))
    expected = sum(map(Fraction, amounts[:3]), Fraction(0)) - sum(map(Fraction, amounts[3:]), Fraction(0))
    assert Fraction(parts.consumption) == expected
    if expected >= 0:
        assert checked_parts(parts, "t", "") is parts
    else:
        with pytest.raises(CodedError, match="STOCK_BELOW_ZERO"):
            checked_parts(parts, "t", "")
        assert checked_parts(parts, "t", "外售") is parts


def metered(advances: list[tuple[int, int]], digits: int, **fields: Any) -> Metered:
    """A meter read after so many days each, its register going so much further each time, over and over."""
    meter = Meter(
        id=uuid7(), stream_id=uuid7(), organisation_id=uuid7(), instrument_id=uuid7(), unit="t",
        multiplier=Decimal("1.5"), direction=MeterDirection.IMPORT, digits=digits,
        reading_rule=ReadingRule.PRO_RATA,
    )  # fmt: skip
    day, value, readings = START, 0, []
    for days, more in [(0, 0), *advances]:
        day, before, value = day + timedelta(days=days), value, (value + more) % 10**digits
        kind = ReadingKind.READ if days else ReadingKind.INSTALLED
        readings.append(
            MeterReading(
                id=uuid7(),
                stream_id=meter.stream_id,
                meter_id=meter.id,
                day=day,
                kind=kind,
                value=Decimal(value),
                rolled_over=value < before,
            )
        )
    given_ = {"required_error": Decimal("0.005"), "calibrations": (), **fields}
    return Metered(meter, "M", readings=tuple(readings), **given_)


@LOADED
@given(st.lists(st.tuples(st.integers(1, 90), st.integers(0, 999)), min_size=1, max_size=20))
def test_months_add_up_to_what_the_register_says(advances: list[tuple[int, int]]) -> None:
    found = metered([*advances, (400, 7)], digits=3)
    check_order(found.readings)
    parts = [part for month in MONTHS if (part := part_of(found, month, upwards=True)) is not None]
    assert all(part.measured >= 0 and part.corrected >= part.measured for part in parts)
    # the year, cut by hand: whole spans and the share of the one that the year ends in
    total, day = Fraction(0), START
    for days, more in [*advances, (400, 7)]:
        within = min(days, max(0, (date(2024, 12, 31) - day).days))
        total += Fraction(more) * within / days * Fraction(3, 2)
        day += timedelta(days=days)
    assert abs(sum((Fraction(p.measured) for p in parts), Fraction(0)) - total) <= Fraction(1, 10**12)


@LOADED
@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 200).map(lambda n: Decimal(n) / 10**4))
def test_a_correction_never_understates(begins: int, lasts: int, error: Decimal) -> None:
    done = START + timedelta(days=begins)
    covered = Covered(done, done + timedelta(days=lasts), error)
    found = metered([(366, 366_000)], digits=6, calibrations=(covered,))
    for month in MONTHS:
        up, down = part_of(found, month, upwards=True), part_of(found, month, upwards=False)
        assert up is not None
        assert down is not None
        assert down.corrected <= up.measured <= up.corrected
        assert up.corrected - up.measured == up.measured - down.corrected
        assert (up.uncovered_days == 0) == (up.corrected == up.measured)


def stack(kind: StackKind = StackKind.CONTINUOUS, **fields: Any) -> StackMonitor:
    given_: dict[str, Any] = {
        "concentration_unit": ConcentrationUnit.G_PER_M3, "concentration_wet": True, "flow_wet": True,
        "flow_actual": True, "gap_hours": 3, "default_concentration": None, "default_flow": None, **fields,
    }  # fmt: skip
    return StackMonitor(
        id=uuid7(), stream_id=uuid7(), organisation_id=uuid7(), instrument_id=uuid7(), code="C", kind=kind, **given_
    )


def hour(draw: st.DrawFn, position: int) -> StackRow:
    return StackRow(
        position,
        concentration=draw(decimals(0, 300)),
        flow=draw(decimals(0, 10**6, 1)),
        temperature=draw(decimals(20, 200, 1)),
        pressure=draw(decimals(90, 110)),
        moisture=draw(decimals(0, 20, 1)),
        status=draw(st.sampled_from([RowStatus.NORMAL] * 6 + [RowStatus.STOPPED, RowStatus.FAULT])),
    )


@st.composite
def days(draw: st.DrawFn) -> list[StackRow]:
    positions = draw(st.sets(st.integers(0, 23), min_size=1, max_size=24))
    return [hour(draw, p) for p in sorted(positions)]


@LOADED
@given(days())
def test_a_day_of_a_stack_is_the_sum_of_its_hours(rows: list[StackRow]) -> None:
    valid = [r for r in rows if r.status is RowStatus.NORMAL]
    if not valid:
        return
    flow = grams = Fraction(0)
    for r in valid:
        dry = 1 - Fraction(r.moisture or 0) / 100
        normal = Fraction("273.15") / (Fraction("273.15") + Fraction(r.temperature or 0)) * Fraction(r.pressure or 0)
        gas = Fraction(r.flow or 0) * dry * normal / Fraction("101.325")
        flow, grams = flow + gas, grams + gas * Fraction(r.concentration or 0) / dry
    sampled = month_of(stack(StackKind.SAMPLED), date(2024, 1, 1), rows, 0)
    assert abs(Fraction(sampled.quantity) - flow / 10**4) <= Fraction(1, 10**12)
    assert abs(Fraction(sampled.mass_t) - grams / 10**6) <= Fraction(1, 10**9)
    assert abs(Fraction(sampled.quantity) * Fraction(sampled.concentration) / 100 - grams / 10**6) < Fraction(1, 10**9)
    filled = month_of(stack(), date(2024, 1, 1), rows, 24)
    stopped = sum(r.status is RowStatus.STOPPED for r in rows)
    assert filled.valid + len(filled.filled) == 24
    assert filled.valid == len(valid) + stopped
    assert filled.mass_t >= sampled.mass_t
    assert filled.quantity >= sampled.quantity
