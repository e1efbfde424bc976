"""A determination is a function of its frozen input: same facts, same bytes, wherever and whenever."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from backend.consolidation.domain.determination import Judgement, NodeResult, determine, replay
from backend.consolidation.domain.inputs import FrozenInput, decode, digest, encode, held_by_class, plain_decimal
from backend.consolidation.domain.verdicts import RejectionReason
from backend.kit.ids import uuid7
from backend.ledger.domain.lots import AssetClass
from backend.ledger.domain.transfers import Use
from tests.fixtures.consolidation import QUICK, YEAR, below, emitted, frozen, group, inputs, used


@QUICK
@given(inputs(), st.randoms())
def test_the_order_of_rows_does_not_matter(drawn: FrozenInput, chance: random.Random) -> None:
    rows = ("members", "emissions", "used", "held", "obligations", "categories")
    shuffled: dict[str, Any] = {r: tuple(chance.sample(getattr(drawn, r), len(getattr(drawn, r)))) for r in rows}
    mixed = replace(drawn, **shuffled)
    assert encode(mixed) == encode(drawn)
    assert determine(mixed).digest == determine(drawn).digest


@QUICK
@given(inputs())
def test_replay_from_the_bytes_alone(drawn: FrozenInput) -> None:
    content = encode(drawn)
    assert encode(decode(content)) == content
    again = replay(content)
    assert again.input_sha256 == digest(content)
    assert again.result_sha256 == determine(drawn).digest


@QUICK
@given(inputs())
def test_a_line_holds_its_whole_result(drawn: FrozenInput) -> None:
    reader = TypeAdapter(NodeResult)
    for node in determine(drawn).nodes:
        assert reader.validate_json(node.line) == node.result
        # What the database makes of it (other order of keys, other spaces) reads the same.
        assert reader.validate_json(orjson.dumps(dict(reversed(orjson.loads(node.line).items())))) == node.result


@QUICK
@given(inputs(), st.integers(1, 5))
def test_nodes_taken_in_pieces_are_the_same(drawn: FrozenInput, size: int) -> None:
    judgement = Judgement(drawn)
    pieces = [n for start in range(0, len(judgement), size) for n in judgement.nodes(start, start + size)]
    assert judgement.determination(pieces).digest == determine(drawn).digest


@QUICK
@given(inputs())
def test_no_unit_is_both_counted_and_rejected(drawn: FrozenInput) -> None:
    head = determine(
        replace(
            drawn,
            members=drawn.members[:1],
            emissions=(),
            held=(),
            obligations=(),
            used=tuple(u for u in drawn.used if u.organisation_id == drawn.organisation_id),
        )
    )
    everything = sum(u.quantity_t for u in drawn.used if u.organisation_id == drawn.organisation_id)
    rejected = sum(r.quantity_t for r in head.rejected)
    assert head.nodes[0].result.neutrality.counted_t + rejected == everything


def test_any_change_of_fact_changes_the_digest() -> None:
    head = group()
    given_input = frozen([head], emissions=[emitted(head, "1")], used=[used(head, 1)])
    content = encode(given_input)
    more = replace(given_input, emissions=(emitted(head, "1.000000001"),))
    other_unit = replace(given_input, used=(replace(given_input.used[0], lot_id=uuid7()),))
    later = replace(given_input, to_year=YEAR + 1)
    assert len({digest(c) for c in (content, encode(more), encode(other_unit), encode(later))}) == 4


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("1.500", "1.5"),
        ("15E-1", "1.5"),
        ("0E-9", "0"),
        ("-0.0", "0"),
        ("1E+3", "1000"),
        ("-2.50", "-2.5"),
        ("100", "100"),
    ],
)
def test_one_number_has_one_writing(value: str, written: str) -> None:
    assert plain_decimal(Decimal(value)) == written


def test_a_form_of_another_release_is_refused() -> None:
    content = orjson.dumps(orjson.loads(encode(frozen([group()]))) | {"form": "other/9"})
    with pytest.raises(ValueError, match="other/9"):
        decode(content)


def test_rejected_units_are_listed_with_the_reach_they_have() -> None:
    head = group()
    loose = below(head, control=False)
    under = below(loose)
    units = [used(head, 1, use=Use.CANCELLED), used(loose, 2, use=Use.SURRENDERED), used(under, 3, for_year=YEAR - 1)]
    found = determine(frozen([head, loose, under], used=units)).rejected
    assert [(r.quantity_t, r.reason, r.position, r.outermost) for r in found] == [
        (1, RejectionReason.CANCELLED, 0, 0),
        (2, RejectionReason.SURRENDERED, 1, 1),
        (3, RejectionReason.OTHER_YEAR, 2, 1),
    ]


def test_holdings_are_frozen_by_class() -> None:
    a, b = uuid7(), uuid7()
    held = held_by_class([(a, AssetClass.CCER, 2), (a, AssetClass.CCER, 3), (b, AssetClass.SINK, 0)])
    assert [(h.organisation_id, h.asset_class, h.quantity_t) for h in held] == [(a, AssetClass.CCER, 5)]
