"""The published formulas of allocation, surrender and carry-over, by the figures printed with them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.ledger.compliance.domain import CarryOverBase, most_carried_over, offshore_wind
from backend.ledger.entitlements.domain import (
    PowerUnit,
    PowerUnitKind,
    deducted,
    differentiated,
    intensity_share,
    load_correction,
    power_allowance,
    shortfall_relief,
)
from backend.ledger.rulebook.domain import RuleKind, rulebook
from backend.ledger.rulebook.judging import floor

CARRY_OVER = next(r for r in rulebook().rules("CN") if r.kind is RuleKind.CARRY_OVER)


RULES = {r.code: r.figures for r in rulebook().rules("CN") if r.kind is RuleKind.ALLOCATION}
POWER, INDUSTRY = RULES["CN-POWER-2023-2024"], RULES["CN-INDUSTRY-2025"]
BENCHMARKS = (Decimal("0.791"), Decimal("0.1033"))


def unit(load: str, kind: PowerUnitKind = PowerUnitKind.COAL_ABOVE_300MW) -> PowerUnit:
    """1 TWh and 500,000 GJ."""
    return PowerUnit("1", kind, Decimal(1_000_000), Decimal(500_000), Decimal(load))


def test_a_pre_allocation_is_rounded_down() -> None:
    assert floor(Decimal("1789.7")) == 1789


def test_power_at_peak() -> None:
    found = power_allowance(unit("0.6"), BENCHMARKS, POWER)
    assert found.load_correction == Decimal("1.061364")
    assert abs(found.electricity_t - 839_538) <= 1
    assert found.heat_t == 51_650
    assert abs(found.total_t - 891_188) <= 1


@pytest.mark.parametrize(
    ("load", "kind"),
    [
        ("0.65", PowerUnitKind.COAL_ABOVE_300MW),
        ("0.8", PowerUnitKind.COAL_UP_TO_300MW),
        ("0.3", PowerUnitKind.UNCONVENTIONAL_COAL),
        ("0.3", PowerUnitKind.GAS),
    ],
)
def test_power_without_compensation(load: str, kind: PowerUnitKind) -> None:
    assert load_correction(unit(load, kind), POWER) == 1
    assert power_allowance(unit(load, kind), BENCHMARKS, POWER).total_t == 842_650


@pytest.mark.parametrize(
    ("lead", "alpha", "allowance"),
    [
        ("0.25", "0.03", 1_030_000),
        ("0.2", "0.03", 1_030_000),
        ("0.1", "0.015", 1_015_000),
        ("-0.1", "-0.015", 985_000),
        ("-0.9", "-0.03", 970_000),
    ],
)
def test_intensity(lead: str, alpha: str, allowance: int) -> None:
    share = intensity_share(Decimal(lead), INDUSTRY)
    assert (share, floor(1_000_000 * (1 + share))) == (Decimal(alpha), allowance)


def test_the_shortfall_is_capped() -> None:
    cap = next(r.share for r in rulebook().rules("CN") if r.kind is RuleKind.SHORTFALL_CAP)
    assert cap is not None
    found = shortfall_relief(700_000, Decimal(1_000_000), cap)
    assert (found.top_up_t, found.final_t, found.rate) == (100_000, 800_000, Decimal("0.20"))
    assert shortfall_relief(900_000, Decimal(1_000_000), cap).top_up_t == 0
    assert shortfall_relief(0, Decimal(0), cap).rate == 0


def test_the_deduction_is_given_back() -> None:
    found = deducted(pre=5, final=3, owed=7)
    assert (found.pre_deducted, found.pre_issued, found.returned) == (5, 0, 2)
    assert (found.final_issued, found.remaining) == (0, 4)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000))
def test_nothing_of_a_deduction_is_lost(pre: int, final: int, owed: int) -> None:
    found = deducted(pre, final, owed)
    taken = owed - found.remaining
    clawed_back = max(pre - final - found.returned, 0)
    assert min(found.pre_deducted, found.pre_issued, found.returned, found.final_issued, found.remaining) >= 0
    assert found.pre_issued + found.final_issued + taken - clawed_back == final


def test_an_entity_at_risk_gets_the_rest() -> None:
    assert differentiated(120, 100) == (20, 0)
    assert differentiated(80, 100) == (0, 20)


@pytest.mark.parametrize(
    ("base", "net", "most"),
    [
        (CarryOverBase(30_001, 10_000, 100_000), 20_001, 40_001),
        (CarryOverBase(0, 50_000, 80_000), 0, 10_000),
        (CarryOverBase(30_001, 10_000, 5_000), 20_001, 5_000),
    ],
)
def test_carry_over(base: CarryOverBase, net: int, most: int) -> None:
    assert (base.net_sold_t, most_carried_over(base, CARRY_OVER)) == (net, most)


def test_offshore_wind() -> None:
    exact = [Decimal(x) for x in ("0.8", "0.4", "0.75", "0.25")]
    net, margin, reduction = offshore_wind(
        Decimal(500_000), Decimal(2000), Decimal("0.005"), (exact[0], exact[1]), (exact[2], exact[3])
    )
    assert (net, margin) == (Decimal(495490), Decimal("0.7"))
    assert abs(reduction - Decimal(346_843)) <= Decimal("0.01")
