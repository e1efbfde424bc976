"""Scalars: exact, strict, and clear about what would be right."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from graphql import GraphQLError
from hypothesis import given
from hypothesis import strategies as st

from backend.kit.graphql.scalars import MAX_TONNES, SCALARS, Month, Tonnes


def read(kind: Any, value: object) -> Any:
    parse = SCALARS[kind].parse_value
    assert parse is not None
    return parse(value)


def show(kind: Any, value: object) -> Any:
    serialize = SCALARS[kind].serialize
    assert serialize is not None
    return serialize(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**15), max_value=10**15))
def test_decimals_come_back_the_same(value: Decimal) -> None:
    assert read(Decimal, show(Decimal, value)) == value


@given(st.integers(min_value=-MAX_TONNES, max_value=MAX_TONNES))
def test_tonnes_come_back_the_same(value: int) -> None:
    assert read(Tonnes, show(Tonnes, value)) == value


@given(st.dates())
def test_months_come_back_as_their_first_day(value: date) -> None:
    if value.year >= 1000:
        assert read(Month, show(Month, value)) == value.replace(day=1)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Decimal, 1.5),
        (Decimal, "1,000"),
        (Decimal, "NaN"),
        (Decimal, "1" * 61),
        (Decimal, True),
        (Tonnes, "1.5"),
        (Tonnes, 2.0),
        (Tonnes, str(MAX_TONNES + 1)),
        (Month, "2024-13"),
        (Month, "2024 7"),
        (Month, "20247"),
        (Month, "0000-01"),
        (date, "2024-02-30"),
        (date, "20240229"),
        (date, "9999-12-31"),
        (datetime, "2024-01-01T00:00:00"),
        (datetime, "9999-12-31T23:59:59-08:00"),
    ],
)
def test_what_is_not_exact_is_refused(kind: Any, value: object) -> None:
    with pytest.raises(GraphQLError):
        read(kind, value)


@pytest.mark.parametrize("written", ["2024-07", "2024-7", "2024/7", "2024.7", "2024年7月"])
def test_months_are_read_as_people_write_them(written: str) -> None:
    assert read(Month, written) == date(2024, 7, 1)
