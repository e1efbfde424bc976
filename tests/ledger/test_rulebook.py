"""The rulebook as data, and what it makes of uses: pure."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.ledger.domain import AssetClass, TransferKind
from backend.ledger.rulebook.domain import FOLDER, Level, Market, Rule, RuleKind, rulebook
from backend.ledger.rulebook.judging import Headroom, LotFacts, Standing, Use, judged

TODAY = date(2025, 11, 1)
REGIONAL = {"BJ", "TJ", "SH", "CQ", "HB", "SC", "FJ", "GD", "SZ"}


def allowance(vintage: int | None, scheme: str = "CEA") -> LotFacts:
    return LotFacts("a", scheme, AssetClass.ALLOWANCE, vintage, date(2024, 1, 1))


def credit(vintage: int | None = 2023, issued_on: date = date(2024, 6, 1)) -> LotFacts:
    return LotFacts("c", "CCER", AssetClass.CCER, vintage, issued_on)


def found(
    lot: LotFacts, quantity_t: int = 1, year: int = 2024, on: date = TODAY, **standing: Any
) -> list[tuple[str, bool]]:
    use = Use(TransferKind.SURRENDER, year, on, [(lot, quantity_t)])
    return [(f.error.code.name, f.must) for f in judged(use, Standing(**standing), rulebook())]


def test_every_word_of_the_files_is_understood() -> None:
    for file in FOLDER.glob("*.toml"):
        for market in tomllib.loads(file.read_text())["market"]:
            assert set(market) <= set(Market.__dataclass_fields__), market["code"]
            for rule in market.get("rule", ()):
                assert set(rule) <= set(Rule.__dataclass_fields__), rule["code"]


def test_the_markets_of_the_standard_are_there() -> None:
    markets = rulebook().markets
    assert set(markets) == {"CN", "CARB", "EU"} | REGIONAL
    assert AssetClass.ALLOWANCE not in markets["SC"].instruments.values()
    assert "8.3.1.3" in markets["SC"].remark_zh


def test_rules_say_where_they_are_written_and_codes_are_unique() -> None:
    rules = list(rulebook().rules())
    assert len({r.code for r in rules}) == len(rules)
    assert all(r.source and r.text_zh and r.text_en for r in rules)
    assert [r.code for r in rules if r.must and r.level in {Level.MEMORY, Level.DRAFT, Level.PAGE}] == []
    for rule in rules:
        needed = {RuleKind.OFFSET_LIMIT: rule.share, RuleKind.DEADLINE: rule.day and rule.event}
        assert needed.get(rule.kind, "present"), rule.code


@pytest.mark.parametrize(
    ("vintage", "year", "refused"),
    [
        (2024, 2024, False),
        (2019, 2024, False),
        (2018, 2024, True),
        (2025, 2024, True),
        (None, 2024, True),
        (2024, 2025, True),
        (2025, 2025, False),
        (2026, 2025, True),
        (2024, 2022, False),
    ],
)
def test_vintages_of_the_national_market(vintage: int | None, year: int, refused: bool) -> None:
    assert found(allowance(vintage), year=year) == ([("VINTAGE_NOT_USABLE", True)] if refused else [])


@pytest.mark.parametrize(
    ("lot", "year", "expected"),
    [
        (credit(2020), 2024, []),
        (credit(2019), 2024, [("OFFSET_NOT_ELIGIBLE", True)]),
        (credit(None), 2024, [("OFFSET_NOT_ELIGIBLE", True)]),
        (credit(2023, date(2024, 1, 22)), 2025, [("OFFSET_NOT_ELIGIBLE", False)]),
        (credit(2023, date(2024, 1, 23)), 2025, []),
        (credit(2019), 2023, []),
        (replace(credit(2020), reduced_from=date(2020, 9, 22)), 2024, [("OFFSET_NOT_ELIGIBLE", True)]),
        (replace(credit(2020), reduced_from=date(2020, 9, 23)), 2024, []),
        (replace(credit(2021), reduced_from=date(2016, 3, 1)), 2024, [("OFFSET_NOT_ELIGIBLE", True)]),
        (replace(credit(2023), in_scheme=True), 2024, [("OFFSET_INSIDE_SCHEME", True)]),
    ],
)
def test_eligible_offsets(lot: LotFacts, year: int, expected: list[tuple[str, bool]]) -> None:
    assert found(lot, year=year, due_t=Decimal(1000)) == expected


def test_a_rule_binds_from_its_day() -> None:
    early = date(2024, 10, 14)
    assert found(allowance(2025), on=early) == []
    assert found(allowance(2025), on=date(2024, 10, 15)) == [("VINTAGE_NOT_USABLE", True)]


def test_allowances_of_another_market() -> None:
    assert found(allowance(2024, "GDEA"), market="CN") == [("WRONG_MARKET", True)]
    assert found(allowance(2024, "GDEA")) == []
    assert found(allowance(None, "SOMETHING")) == [], "a scheme that no market knows has no rules"


def test_a_regional_limit_warns_and_asks_for_local_offsets() -> None:
    codes = found(credit(), 60, market="BJ", due_t=Decimal(1000))
    assert codes == [("OFFSET_LIMIT_EXCEEDED", False), ("LOCAL_SHARE_NOT_SHOWN", False)]


def test_a_limit_that_knows_exceptions_binds_until_there_is_one() -> None:
    """California accepted surrenders above 8 % of some entities."""
    offset = LotFacts("o", "CARB-OFFSET", AssetClass.CCER, 2014, date(2015, 1, 1))
    due: dict[str, Any] = {"year": 2017, "due_t": Decimal(1000)}
    assert found(offset, 80, **due) == []
    assert found(offset, 81, **due) == [("OFFSET_LIMIT_EXCEEDED", True)]
    assert found(offset, 81, **due, excepted=frozenset({"CARB-VINTAGE"})) == [("OFFSET_LIMIT_EXCEEDED", True)]
    assert found(offset, 81, **due, excepted=frozenset({"CARB-OFFSET-8"})) == [("OFFSET_LIMIT_EXCEEDED", False)]


def test_rules_of_other_schemes_whose_text_was_not_read_warn() -> None:
    assert found(allowance(2018, "CARB-ALLOWANCE"), year=2017) == [("VINTAGE_NOT_USABLE", False)]
    assert found(allowance(2007, "EUA"), year=2008) == [("VINTAGE_NOT_USABLE", False)]
    assert found(allowance(2012, "EUA"), year=2008) == []


def test_only_what_refuses_knows_exceptions_and_none_of_the_national_market() -> None:
    assert {r.code for r in rulebook().rules() if r.exceptions} == {"CARB-OFFSET-8"}
    assert all(r.must for r in rulebook().rules() if r.exceptions)


def test_nothing_due_means_no_offsets() -> None:
    assert found(credit()) == [("OFFSET_LIMIT_UNKNOWN", True)]
    assert found(credit(), due_t=Decimal(0)) == [("OFFSET_LIMIT_EXCEEDED", True)]


@given(st.decimals(0, 10**12, places=9), *[st.integers(0, 10**12)] * 2, st.integers(1, 10**12))
def test_no_use_passes_the_limit(due_t: Decimal, used_t: int, pending_t: int, asked_t: int) -> None:
    (rule,) = rulebook().binding("CN", RuleKind.OFFSET_LIMIT, 2024, TODAY)
    room = Headroom(rule, due_t, used_t, pending_t)
    assert room.limit_t is not None and room.left_t is not None  # noqa: PT018 - for the reader of types
    assert Decimal(room.limit_t) <= due_t / 20 < room.limit_t + 1
    passed = found(credit(), asked_t, due_t=due_t, offsets_t=used_t, pending_t=pending_t) == []
    assert passed == (asked_t + used_t + pending_t <= room.limit_t) == (asked_t <= room.left_t)


def test_the_order_of_8_4_2() -> None:
    def said(kind: AssetClass, held: dict[AssetClass, int], quantity_t: int = 10) -> list[str]:
        lot = LotFacts("x", "X", kind, 2024, TODAY)
        use = Use(TransferKind.RETIRE, 2024, TODAY, [(lot, quantity_t)])
        findings = judged(use, Standing(held=held), rulebook())
        assert not any(f.must for f in findings)
        return [str(f.error.params["preferred"]) for f in findings]

    both = {AssetClass.ALLOWANCE: 5, AssetClass.CCER: 7}
    assert said(AssetClass.VERIFIED_SAVING, both) == ["ALLOWANCE", "CCER"]
    assert said(AssetClass.CCER, both) == ["ALLOWANCE"]
    assert said(AssetClass.ALLOWANCE, both) == []
    assert said(AssetClass.CCER, {AssetClass.CCER: 7}) == []
    assert said(AssetClass.SINK, both) == [], "8.4.3 gives own sinks no place in the order"
