"""Identifying codes: check characters made by the standard's own sum, and every single slip caught."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.kit.errors import CodedError
from tenants.domain.codes import CREDIT_ALPHABET, check_character, credit_code, division_code, industry_code

FIRST_17 = st.text(st.sampled_from(CREDIT_ALPHABET), min_size=17, max_size=17)


def test_a_published_code() -> None:
    # The code of a large internet company, as its web pages carry it.
    assert credit_code("91110000802100433B") == "91110000802100433B"


@given(FIRST_17)
def test_the_sum_over_all_eighteen_is_divisible(first: str) -> None:
    """GB 32100, 5.6: Σ Cᵢ·3^(i-1) + C₁₈ ≡ 0 (mod 31), said independently of how the check character is made."""
    code = credit_code(first + check_character(first))
    total = sum(CREDIT_ALPHABET.index(c) * 3**i for i, c in enumerate(code[:17])) + CREDIT_ALPHABET.index(code[17])
    assert total % 31 == 0


@given(FIRST_17, st.integers(0, 17), st.sampled_from(CREDIT_ALPHABET))
def test_one_wrong_character_is_noticed(first: str, place: int, other: str) -> None:
    code = first + check_character(first)
    wrong = code[:place] + other + code[place + 1 :]
    if wrong != code:
        with pytest.raises(CodedError, match="BAD_CREDIT_CODE"):
            credit_code(wrong)


@given(FIRST_17)
def test_full_width_and_small_letters_are_read(first: str) -> None:
    code = first + check_character(first)
    wide = "".join(chr(ord(c) + 0xFEE0) for c in code)
    assert credit_code(f" {wide.lower()} ") == code


@pytest.mark.parametrize("written", ["310115", " ３１０１１５ ", "650000", "820000"])
def test_divisions(written: str) -> None:
    assert len(division_code(written)) == 6


@pytest.mark.parametrize("written", ["160000", "31011", "3101150", "99 0000", "abcdef", "830000"])
def test_no_divisions(written: str) -> None:
    with pytest.raises(CodedError, match="BAD_DIVISION_CODE"):
        division_code(written)


@pytest.mark.parametrize(("written", "read"), [("c3120", "C3120"), ("3011", "3011"), ("D44", "D44")])
def test_industries(written: str, read: str) -> None:
    assert industry_code(written) == read


@pytest.mark.parametrize("written", ["U31", "3", "C31201", "C"])
def test_no_industries(written: str) -> None:
    with pytest.raises(CodedError, match="BAD_INDUSTRY_CODE"):
        industry_code(written)
