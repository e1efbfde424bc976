"""The judgements of 8.4.1, 8.4.2 and of compliance, at their edges."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from backend.accounting.domain.sources import Category
from backend.consolidation.domain.verdicts import (
    ComplianceVerdict,
    Duty,
    Eligibility,
    NeutralityVerdict,
    RejectionReason,
    Remark,
    RemarkKind,
    compliance,
    neutrality,
    order_remarks,
    waterfall,
)
from backend.kit.ids import uuid7
from backend.ledger.domain.balances import UsedAsset
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.transfers import Use
from tenants.domain import AllowancePolicy, ConsolidationApproach
from tests.fixtures.consolidation import YEAR, below, emitted, exact, frozen, group, owes, results, used

ALLOWANCE, CCER, SAVING, SINK = AssetClass
BOUGHT_ONLY, ALL = AllowancePolicy
MEMBER = uuid7()


@pytest.mark.parametrize(
    ("total", "verdict", "gap", "surplus"),
    [
        ("1000", NeutralityVerdict.NEUTRAL, "0", "0"),
        ("999.999999", NeutralityVerdict.NEUTRAL, "0", "0.000001"),
        ("1000.000001", NeutralityVerdict.NOT_NEUTRAL, "0.000001", "0"),
        ("1000.000000001", NeutralityVerdict.NOT_NEUTRAL, "0.000000001", "0"),
        ("0", NeutralityVerdict.NEUTRAL, "0", "1000"),
        ("-5.5", NeutralityVerdict.NEUTRAL, "0", "1005.5"),
    ],
)
def test_neutral_up_to_the_last_tonne(total: str, verdict: NeutralityVerdict, gap: str, surplus: str) -> None:
    found = neutrality(Decimal(total), {CCER: Decimal(1000)}, reported=True)
    assert (found.verdict, found.gap_t, found.surplus_t) == (verdict, Decimal(gap), Decimal(surplus))
    assert (found.total_t, found.counted_t) == exact(total, 1000)


def test_nothing_reported_is_no_zero() -> None:
    assert neutrality(Decimal(0), {}, reported=True).verdict is NeutralityVerdict.NEUTRAL
    assert neutrality(Decimal(0), {}, reported=False).verdict is NeutralityVerdict.NO_DATA
    assert neutrality(Decimal(0), {CCER: Decimal(5)}, reported=False).verdict is NeutralityVerdict.NO_DATA


@pytest.mark.parametrize(
    ("owed", "surrendered", "verdict", "shortfall"),
    [
        (None, "0", ComplianceVerdict.NO_OBLIGATION, "0"),
        (None, "9", ComplianceVerdict.NO_OBLIGATION, "0"),
        ("0", "0", ComplianceVerdict.FULFILLED, "0"),
        ("100", "100", ComplianceVerdict.FULFILLED, "0"),
        ("100", "101", ComplianceVerdict.FULFILLED, "0"),
        ("100.000001", "100", ComplianceVerdict.SHORT, "0.000001"),
        ("100", "0", ComplianceVerdict.SHORT, "100"),
    ],
)
def test_compliance(owed: str | None, surrendered: str, verdict: ComplianceVerdict, shortfall: str) -> None:
    duties = {Duty.SURRENDERED: Decimal(surrendered)} | ({} if owed is None else {Duty.OWED: Decimal(owed)})
    found = compliance(duties)
    assert (found.verdict, found.shortfall_t) == (verdict, Decimal(shortfall))


@pytest.mark.parametrize(
    ("policy", "parts", "reason"),
    [
        (BOUGHT_ONLY, {}, None),
        (BOUGHT_ONLY, {"use": Use.SURRENDERED}, RejectionReason.SURRENDERED),
        (BOUGHT_ONLY, {"use": Use.CANCELLED}, RejectionReason.CANCELLED),
        (ALL, {"use": Use.SURRENDERED}, RejectionReason.SURRENDERED),
        (BOUGHT_ONLY, {"for_year": YEAR - 1}, RejectionReason.OTHER_YEAR),
        (BOUGHT_ONLY, {"for_year": YEAR + 1}, RejectionReason.OTHER_YEAR),
        (BOUGHT_ONLY, {"bought": False}, RejectionReason.NOT_BOUGHT),
        (BOUGHT_ONLY, {"allocated_to": MEMBER}, RejectionReason.ALLOCATED_WITHIN),
        (BOUGHT_ONLY, {"allocated_to": uuid7()}, None),
        (ALL, {"bought": False}, None),
        (ALL, {"allocated_to": MEMBER}, None),
        (BOUGHT_ONLY, {"bought": False, "asset_class": CCER}, None),
        (BOUGHT_ONLY, {"bought": False, "asset_class": SINK}, None),
    ],
)
def test_which_units_count(policy: AllowancePolicy, parts: dict[str, Any], reason: RejectionReason | None) -> None:
    unit: UsedAsset = used(group(), 10, **({"asset_class": ALLOWANCE} | parts))
    assert Eligibility(YEAR, YEAR, policy, frozenset({MEMBER})).rejection(unit) is reason


@pytest.mark.parametrize(
    ("total", "counted", "covers", "remaining"),
    [
        ("100", {}, [0, 0, 0, 0], [100, 100, 100, 100]),
        ("100", {ALLOWANCE: 40, CCER: 30, SAVING: 20, SINK: 20}, [40, 30, 20, 10], [60, 30, 10, 0]),
        ("100", {SINK: 150}, [0, 0, 0, 100], [100, 100, 100, 0]),
        ("10", {ALLOWANCE: 40, CCER: 5}, [10, 0, 0, 0], [0, 0, 0, 0]),
        ("-3", {CCER: 5}, [0, 0, 0, 0], [0, 0, 0, 0]),
        ("2.5", {CCER: 2}, [0, 2, 0, 0], ["2.5", "0.5", "0.5", "0.5"]),
    ],
)
def test_waterfall(total: str, counted: dict[AssetClass, int], covers: list[Any], remaining: list[Any]) -> None:
    steps = waterfall(Decimal(total), {c: Decimal(n) for c, n in counted.items()})
    assert [s.asset_class for s in steps] == [ALLOWANCE, CCER, SAVING, SINK]
    assert [s.covers_t for s in steps] == [Decimal(c) for c in covers]
    assert [s.remaining_t for s in steps] == [Decimal(r) for r in remaining]


@pytest.mark.parametrize(
    ("counted", "remarks"),
    [
        ([], []),
        ([ALLOWANCE], []),
        ([ALLOWANCE, CCER, SAVING, SINK], []),
        ([CCER], [(CCER, ALLOWANCE)]),
        ([ALLOWANCE, SAVING], [(SAVING, CCER)]),
        ([CCER, SAVING], [(CCER, ALLOWANCE), (SAVING, ALLOWANCE)]),
        ([SINK], []),
    ],
)
def test_departing_from_the_order_is_remarked(counted: list[AssetClass], remarks: list[Any]) -> None:
    found = order_remarks({c: Decimal(1) for c in counted})
    assert list(found) == [Remark(RemarkKind.ORDER_NOT_FOLLOWED, a, b) for a, b in remarks]


def test_a_company_brings_its_share_of_everything() -> None:
    """60 % of its emissions and 60 % of its units, of its obligation and of what it surrendered."""
    head = group()
    owned = below(head, "0.6")
    given = frozen(
        [head, owned],
        approach=ConsolidationApproach.EQUITY_SHARE,
        emissions=[emitted(owned, "1000")],
        used=[used(owned, 900), used(head, 59), used(owned, 50, ALLOWANCE, use=Use.SURRENDERED)],
        obligations=[owes(owned, "100")],
    )
    found = results(given)[head.organisation_id]
    assert (found.neutrality.total_t, found.neutrality.counted_t, found.neutrality.gap_t) == exact(600, 599, 1)
    assert (found.compliance.obligation_t, found.compliance.surrendered_t) == exact(60, 30)
    assert found.own_compliance.verdict is ComplianceVerdict.NO_OBLIGATION


def test_a_surplus_does_not_hide_who_is_short() -> None:
    head = group()
    rich, poor = below(head), below(head)
    given = frozen(
        [head, rich, poor],
        used=[used(rich, 200, ALLOWANCE, use=Use.SURRENDERED)],
        obligations=[owes(rich, "100"), owes(poor, "50")],
    )
    found = results(given)
    assert found[head.organisation_id].compliance.verdict is ComplianceVerdict.FULFILLED
    assert found[head.organisation_id].remarks == (Remark(RemarkKind.MEMBERS_SHORT, count=1),)
    assert found[poor.organisation_id].compliance.shortfall_t == 50
    assert found[poor.organisation_id].remarks == ()


def test_an_obligation_of_several_years_falls_due_in_its_last() -> None:
    head = group()
    parts: dict[str, Any] = {
        "used": [used(head, 80, ALLOWANCE, use=Use.SURRENDERED, for_year=2024)],
        "obligations": [owes(head, "80", 2023, 2024)],
    }
    due = results(frozen([head], **parts))[head.organisation_id].compliance
    earlier = results(frozen([head], from_year=2023, to_year=2023, **parts))[head.organisation_id].compliance
    assert (due.verdict, due.obligation_t, due.surrendered_t) == (ComplianceVerdict.FULFILLED, *exact(80, 80))
    assert (earlier.verdict, earlier.surrendered_t) == (ComplianceVerdict.NO_OBLIGATION, *exact(0))


def test_remarks_on_silent_sites_and_on_a_wide_policy() -> None:
    head = group()
    sites = [below(head, site=True) for _ in range(3)]
    given = frozen(
        [head, *sites],
        allowance_policy=ALL,
        emissions=[emitted(sites[0], "5", Category.OTHER)],
        used=[used(head, 5, ALLOWANCE, bought=False)],
    )
    found = results(given)[head.organisation_id]
    assert found.neutrality.verdict is NeutralityVerdict.NEUTRAL
    assert (found.members, found.reporting, found.records) == (4, 1, 12)
    assert found.remarks == (
        Remark(RemarkKind.SITES_WITHOUT_DATA, count=2),
        Remark(RemarkKind.ALLOCATED_ALLOWANCES_COUNT),
    )


def test_free_allowances_passed_on_inside_the_group_are_not_bought() -> None:
    head = group()
    giver, taker = below(head), below(head)
    unit = used(taker, 10, ALLOWANCE, allocated_to=giver.organisation_id)
    emissions = [emitted(taker, "10")]
    within_group = results(frozen([head, giver, taker], emissions=emissions, used=[unit]))
    assert within_group[head.organisation_id].neutrality.verdict is NeutralityVerdict.NOT_NEUTRAL
    alone = results(frozen([taker], emissions=emissions, used=[unit]))
    assert alone[taker.organisation_id].neutrality.verdict is NeutralityVerdict.NEUTRAL
