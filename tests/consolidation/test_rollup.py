"""Sums carried up the tree equal an independent computation, exactly."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given

from backend.accounting.domain.sources import Category
from backend.consolidation.domain.inputs import FrozenInput, Member
from backend.consolidation.domain.rollup import EXACT, places
from backend.kit.ids import uuid7
from backend.ledger.domain.lots import AssetClass
from tenants.domain import ConsolidationApproach, OrganisationKind
from tests.fixtures.consolidation import (
    QUICK,
    below,
    emitted,
    exact,
    frozen,
    group,
    inputs,
    naive_share,
    naive_weight,
    results,
)

EQUITY = ConsolidationApproach.EQUITY_SHARE
CONTROL = ConsolidationApproach.OPERATIONAL_CONTROL


@QUICK
@given(inputs())
def test_every_sum_equals_the_naive_one(drawn: FrozenInput) -> None:
    for key, node in results(drawn).items():
        share = {m.organisation_id: naive_share(drawn, key, m) for m in drawn.members}
        counted = [e for e in drawn.emissions if e.category in drawn.categories]
        total = sum((Fraction(e.co2e_t) * share[e.organisation_id] for e in counted), Fraction(0))
        assert Fraction(node.consolidated_total_t) == total
        assert Fraction(node.own_total_t) == sum(Fraction(e.co2e_t) for e in counted if e.organisation_id == key)
        for part in node.categories:
            mine = [e for e in drawn.emissions if (e.category, e.direct_kind) == (part.category, part.direct_kind)]
            assert Fraction(part.consolidated_t) == sum(Fraction(e.co2e_t) * share[e.organisation_id] for e in mine)
        for asset_class in AssetClass:
            held = sum(
                (h.quantity_t * share[h.organisation_id] for h in drawn.held if h.asset_class is asset_class),
                Fraction(0),
            )
            assert held == sum((Fraction(h.consolidated_t) for h in node.held if h.asset_class is asset_class), 0)
        owed = [o for o in drawn.obligations if drawn.from_year <= o.to_year <= drawn.to_year]
        assert Fraction(node.compliance.obligation_t) == sum(
            (Fraction(o.tonnes) * share[o.organisation_id] for o in owed), Fraction(0)
        )


@QUICK
@given(inputs())
def test_every_member_is_judged_once_and_knows_its_subtree(drawn: FrozenInput) -> None:
    tree = places(drawn.members, drawn.organisation_id, drawn.approach)
    assert [p.position for p in tree] == list(range(len(drawn.members)))
    by_id = {m.organisation_id: m for m in drawn.members}
    for place in tree:
        subtree = {p.member.organisation_id for p in tree[place.position : place.last + 1]}
        for member in drawn.members:
            above, steps = member, 0
            while above.parent_id is not None and above.organisation_id != place.member.organisation_id:
                above, steps = by_id[above.parent_id], steps + 1
            lies_below = above.organisation_id == place.member.organisation_id
            assert (member.organisation_id in subtree) == lies_below
            if lies_below:
                inside = next(p for p in tree if p.member is member)
                assert inside.depth - place.depth == steps
                path_is_whole = naive_share(drawn, place.member.organisation_id, member) != 0
                assert (inside.outermost <= place.depth) == path_is_whole
    assert all(Fraction(p.share) == naive_share(drawn, drawn.organisation_id, p.member) for p in tree)
    assert all(Fraction(p.weight) == naive_weight(drawn.approach, p.member) for p in tree[1:])


def test_the_group_is_the_sum_of_its_leaves_to_the_last_decimal() -> None:
    head = group()
    companies = [below(head, f"0.{10_000_019 * (i + 3) % 10**8:08d}") for i in range(9)]
    sites = [below(companies[i % 9], "0.33333333", site=True) for i in range(100)]
    amounts = [f"{7_919 * (i + 1)}.{123_456_789 * (i + 1) % 10**9:09d}" for i in range(100)]
    emissions = [emitted(site, amount) for site, amount in zip(sites, amounts, strict=True)]
    drawn = frozen([head, *companies, *sites], approach=EQUITY, emissions=emissions)
    found = results(drawn)
    with localcontext(EXACT):
        leaves = sum((found[s.organisation_id].own_total_t * found[s.organisation_id].share for s in sites), Decimal(0))
    assert found[head.organisation_id].consolidated_total_t == leaves
    assert len(str(leaves).partition(".")[2]) == 25  # 9 of the emission and 8 of each share


def test_what_is_not_controlled_takes_its_subtree_with_it() -> None:
    head = group()
    loose = below(head, "0.4", control=False)
    under = below(loose, "1", site=True)
    found = results(frozen([head, loose, under], emissions=[emitted(under, "100")]))
    assert found[head.organisation_id].consolidated_total_t == 0
    assert found[head.organisation_id].members == 1
    # Its own result looks from where it stands.
    assert found[loose.organisation_id].consolidated_total_t == 100
    assert (found[loose.organisation_id].share, found[under.organisation_id].share) == exact(0, 0)


def test_the_approach_decides_what_a_share_brings() -> None:
    head = group()
    owned = below(head, "0.6")
    members = [head, owned]
    emissions = [emitted(owned, "1000.5")]
    by_control = results(frozen(members, emissions=emissions))
    by_share = results(frozen(members, emissions=emissions, approach=EQUITY))
    assert by_control[head.organisation_id].consolidated_total_t == Decimal("1000.5")
    assert by_share[head.organisation_id].consolidated_total_t == Decimal("600.30")


def test_a_long_chain_of_companies_stays_exact() -> None:
    chain = [group()]
    for _ in range(60):
        chain.append(below(chain[-1], "0.99999999"))
    found = results(frozen(chain, approach=EQUITY, emissions=[emitted(chain[-1], "0.000000001")]))
    expected = Fraction(99_999_999, 10**8) ** 60 / 10**9
    assert Fraction(found[chain[0].organisation_id].consolidated_total_t) == expected


def test_a_category_outside_the_boundary_is_shown_and_not_counted() -> None:
    head = group()
    drawn = frozen(
        [head],
        categories=(Category.IMPORTED_ENERGY,),
        emissions=[emitted(head, "10"), emitted(head, "7", Category.TRANSPORT)],
    )
    node = results(drawn)[head.organisation_id]
    assert [(c.category, c.own_t, c.counted) for c in node.categories] == [
        (Category.IMPORTED_ENERGY, Decimal(10), True),
        (Category.TRANSPORT, Decimal(7), False),
    ]
    assert (node.own_total_t, node.consolidated_total_t, node.neutrality.total_t) == exact(10, 10, 10)


def test_members_that_form_no_tree_are_refused() -> None:
    head = group()
    stray = Member(uuid7(), uuid7(), OrganisationKind.SITE)
    with pytest.raises(ValueError, match="do not hang below"):
        places([head, stray], head.organisation_id, CONTROL)
    with pytest.raises(ValueError, match="form one tree"):
        places([stray], head.organisation_id, CONTROL)
