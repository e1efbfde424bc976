"""Every published figure of accounting, computed from its inputs: as transcribed here, and as the file has them."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import pytest

from backend.accounting.domain.means import MonthMean, Sample, State, month_mean, year_mean
from tests.accounting.methods.calculations import DAY, misses
from tests.accounting.vectors import PURE, ROLL_UPS, WEIGHTED_NCV, PureVector, transcribed
from tests.fixtures.shared_data import shared_file

SECTORS: Final = {"steel", "power", "cement", "aluminium", "chemical", "heat", "measurement", "uncertainty", "other"}
LEFT_OUT: Final[dict[str, str]] = {}
"""Vectors of these sectors that are not accounted, each with its reason; none so far."""


@pytest.mark.parametrize("vector", PURE, ids=lambda v: v.name)
def test_transcribed(vector: PureVector) -> None:
    inputs = {name: Decimal(text) for name, text in vector.inputs.items()}
    expected = {name: Decimal(text) for name, text in vector.expected.items()}
    assert misses(vector.name, inputs, expected, Decimal(vector.tolerance)) == []


def test_weighted_heat_value() -> None:
    months, year, simple = WEIGHTED_NCV
    assert year_mean([MonthMean(DAY, Decimal(v), Decimal(q)) for q, v in months]) == Decimal(year)
    assert month_mean(State.FLUID, [Sample(Decimal(v)) for _, v in months]) == Decimal(simple)


def test_a_published_sum_that_its_own_parts_do_not_give() -> None:
    parts, published, _ = ROLL_UPS["steel-jsl-process-2021 (1e4 t)"]
    assert sum(map(Decimal, parts)) == Decimal("497.62") != Decimal(published)


def test_every_vector_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    text = shared_file("domain/vectors.json").read_text(encoding="utf-8")
    vectors: list[dict[str, Any]] = json.loads(text, parse_float=Decimal)["vectors"]
    ours = [v for v in vectors if v["sector"] in SECTORS and v["id"] not in LEFT_OUT]
    missed = {v["id"]: misses(v["id"], v["inputs"], v["expected"], v["tolerance"]) for v in ours}
    passed = sum(not m for m in missed.values())
    with capsys.disabled():
        print(f"\npublished vectors of accounting: {passed} of {len(ours)} pass, {len(LEFT_OUT)} left out")
    assert {key: m for key, m in missed.items() if m} == {}
    assert {v["id"] for v in ours} - transcribed() == set()
