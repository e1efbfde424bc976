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

from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.transfers import TransferKind
from backend.ledger.rulebook.domain import FOLDER, Level, Market, Rule, RuleKind, RuleState, rulebook
from backend.ledger.rulebook.judging import Headroom, LotFacts, Standing, Use, judged, unproved

TODAY = date(2025, 11, 1)
REGIONAL = {"BJ", "TJ", "SH", "CQ", "HB", "SC", "FJ", "GD", "SZ"}


def allowance(vintage: int | None, scheme: str = "CEA") -> LotFacts:
    return LotFacts("a", scheme, AssetClass.ALLOWANCE, vintage, date(2024, 1, 1))


def credit(vintage: int | None = 2023, issued_on: date = date(2024, 6, 1)) -> LotFacts:
    return LotFacts("c", "CCER", AssetClass.CCER, vintage, issued_on)


def every(
    lot: LotFacts, quantity_t: int = 1, year: int = 2024, on: date = TODAY, *, evidenced: bool = True, **standing: Any
) -> list[tuple[str, bool]]:
    use = Use(TransferKind.SURRENDER, year, on, [(lot, quantity_t)], evidenced=evidenced)
    return [(f.error.code.name, f.must) for f in judged(use, Standing(**standing), rulebook())]


def found(lot: LotFacts, *of: Any, **more: Any) -> list[tuple[str, bool]]:
    """What there is to say of the units themselves, whatever is due and when."""
    return [(code, must) for code, must in every(lot, *of, **more) if not code.startswith("SURRENDER_")]


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
    assert found(allowance(None, "SOMETHING")) == [("UNKNOWN_SCHEME", False)], (
        "a scheme that no market knows has no rules"
    )


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


@pytest.mark.parametrize(
    ("quantity_t", "on", "standing", "said"),
    [
        (11, "2025-12-31", {"due_t": Decimal("10.2")}, []),
        (12, "2025-12-31", {"due_t": Decimal("10.2")}, ["SURRENDER_BEYOND_DUE"]),
        (1, "2025-12-31", {"due_t": Decimal("10.2"), "surrendered_t": 10}, []),
        (2, "2025-12-31", {"due_t": Decimal("10.2"), "surrendered_t": 10}, ["SURRENDER_BEYOND_DUE"]),
        (1, "2025-12-31", {}, ["SURRENDER_OWES_NOTHING"]),
        (1, "2025-12-31", {"period_of": 2025}, ["SURRENDER_NAMES_PERIOD"]),
        (1, "2026-01-01", {"due_t": Decimal(1)}, ["SURRENDER_LATE"]),
        (2, "2026-01-01", {"due_t": Decimal(1)}, ["SURRENDER_BEYOND_DUE", "SURRENDER_LATE"]),
    ],
)
def test_what_a_surrender_is_for(quantity_t: int, on: str, standing: dict[str, Any], said: list[str]) -> None:
    """None of it refuses: who is late still has to surrender."""
    seen = every(allowance(2024), quantity_t, on=date.fromisoformat(on), **standing)
    assert seen == [(code, False) for code in said]


def test_an_obligation_is_asked_for_in_every_scheme() -> None:
    assert sorted(every(allowance(None, "SOMETHING"))) == [("SURRENDER_OWES_NOTHING", False), ("UNKNOWN_SCHEME", False)]
    assert every(allowance(2024, "GDEA"), on=date(2099, 1, 1), due_t=Decimal(1)) == [], "no deadline is held"


def test_what_refuses_comes_first_and_a_paper_is_asked_for() -> None:
    said = every(allowance(2018), on=date(2026, 1, 1), evidenced=False)
    assert said[0] == ("VINTAGE_NOT_USABLE", True)
    assert [code for code, _ in said[1:]] == ["SURRENDER_OWES_NOTHING", "SURRENDER_LATE", "NO_EVIDENCE"]
    for kind in TransferKind:
        asked = kind in {TransferKind.ISSUE, TransferKind.SURRENDER, TransferKind.RETIRE, TransferKind.CANCEL}
        assert bool(unproved(kind, TODAY, rulebook())) == asked


@pytest.mark.parametrize(
    ("code", "day", "state"),
    [
        ("CN-CARRY-OVER-2025", "2024-10-14", RuleState.UPCOMING),
        ("CN-CARRY-OVER-2025", "2024-10-15", RuleState.IN_FORCE),
        ("CN-CARRY-OVER-2025", "2026-06-10", RuleState.IN_FORCE),
        ("CN-CARRY-OVER-2025", "2026-06-11", RuleState.EXPIRED),
        ("CN-SURRENDER-2023", "2024-12-31", RuleState.IN_FORCE),
        ("CN-SURRENDER-2023", "2025-01-01", RuleState.EXPIRED),
        ("CN-OFFSET-REDUCTION-2020", "2099-01-01", RuleState.IN_FORCE),
    ],
)
def test_the_state_of_a_rule(code: str, day: str, state: RuleState) -> None:
    (rule,) = (r for r in rulebook().rules() if r.code == code)
    assert rule.state(date.fromisoformat(day)) is state


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
