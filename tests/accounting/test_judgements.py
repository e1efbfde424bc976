"""Quality scores, uncertainty by propagation, and allocation to co-products, through the public door."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tenants.access import Role
from tests.fixtures.accounting import Works
from tests.fixtures.measurements import stream_of

SPREAD = "spread { tonnes halfWidthT share }"
ALLOCATION = "allocation { id basis statement products { name share co2eT } supersededBecause }"
SCORES = {"representative": 5, "fair": 4, "complete": 3, "accurate": 4, "applicable": 4}


async def emitter(works: Works, code: str, tonnes: str) -> tuple[str, str]:
    """A source that emitted so much in 2024, and its stream."""
    factor = {"value": "1", "unit": "t", "source": "测试"}
    source = await works.source(code, {"code": "a", "ownFactor": factor})
    await works.burn(source, "2024-03", tonnes, "t")
    return source, await stream_of(works, source)


async def state(works: Works, stream: str, subject: str, width: str, cause: str = "") -> None:
    given = {"streamId": stream, "year": 2024, "subject": subject, "halfWidth": width, "correlation": cause}
    await works.engineer.do("setStreamUncertainty", {**given, "reason": "仪表准确度"}, "uncertainty { id }")


async def uncertainty(works: Works) -> dict[str, Any]:
    query = f"""query U($at: ID!) {{ uncertainty(organisationId: $at, year: 2024) {{ {SPREAD} statedShare
      sources {{ source {{ code }} {SPREAD} }} }} }}"""
    return dict((await works.engineer.ask(query, at=works.site_id))["uncertainty"])


async def test_a_product_of_two_uncertain_things(works: Works) -> None:
    """vectors.json, uncert-product: 5 % and 10 % make 11.1803 %."""
    _, stream = await emitter(works, "A", "1000")
    await state(works, stream, "ACTIVITY", "0.05")
    await state(works, stream, "COEFFICIENT", "0.1")
    found = await uncertainty(works)
    assert abs(Decimal(found["spread"]["share"]) - Decimal("0.111803")) < Decimal("0.00001")
    assert (found["spread"]["tonnes"], found["statedShare"]) == ("1000.000000000", "1.0000")
    assert found["sources"][0]["source"] == {"code": "A"}


async def test_one_meter_adds_linearly_and_two_by_squares(works: Works) -> None:
    for cause, expected in (("", "50.000000000"), ("M-1", "70.000000000")):
        streams = [(await emitter(works, f"{cause}{n}", t))[1] for n, t in ((1, "300"), (2, "400"))]
        for stream in streams:
            await state(works, stream, "ACTIVITY", "0.1", cause)
        if cause:
            found = await uncertainty(works)
            # both pairs together: 30, 40 apart and 70 as one
            assert Decimal(found["spread"]["halfWidthT"]) ** 2 - Decimal(7400) < Decimal("0.001")
            continue
        assert (await uncertainty(works))["spread"]["halfWidthT"] == expected


async def test_what_is_not_stated_is_said(works: Works) -> None:
    _, stream = await emitter(works, "A", "300")
    await emitter(works, "B", "700")
    await state(works, stream, "ACTIVITY", "0.1")
    found = await uncertainty(works)
    assert (found["spread"]["tonnes"], found["spread"]["halfWidthT"], found["statedShare"]) == (
        "1000.000000000", "30.000000000", "0.0000",
    )  # fmt: skip
    await state(works, stream, "COEFFICIENT", "0")
    assert (await uncertainty(works))["statedShare"] == "0.3000"


async def test_a_later_statement_takes_the_place_of_an_earlier_one(works: Works) -> None:
    _, stream = await emitter(works, "A", "100")
    await state(works, stream, "ACTIVITY", "0.1")
    await state(works, stream, "ACTIVITY", "0.2")
    query = "{ streamUncertainties(superseded: true) { nodes { halfWidth supersededAt note } } }"
    nodes = (await works.engineer.ask(query))["streamUncertainties"]["nodes"]
    assert [(n["halfWidth"], n["supersededAt"] is None, n["note"]) for n in nodes] == [
        ("0.1", False, "仪表准确度"), ("0.2", True, "仪表准确度"),
    ]  # fmt: skip
    assert (await uncertainty(works))["spread"]["halfWidthT"] == "20.000000000"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"halfWidth": "-0.1"}, "BAD_UNCERTAINTY"),
        ({"halfWidth": "11"}, "BAD_UNCERTAINTY"),
        ({"year": 1989}, "YEAR_OUT_OF_RANGE"),
        ({"reason": " "}, "REASON_MISSING"),
    ],
)
async def test_what_is_no_uncertainty(works: Works, fields: dict[str, Any], code: str) -> None:
    _, stream = await emitter(works, "A", "100")
    given = {"streamId": stream, "year": 2024, "subject": "ACTIVITY", "halfWidth": "0.1", "reason": "x"}
    refused = await works.engineer.attempt("setStreamUncertainty", {**given, **fields}, "uncertainty { id }")
    assert refused["errors"][0]["code"] == code


async def test_scores_weigh_by_emissions(works: Works) -> None:
    query = "query Q($at: ID!) { dataQuality(organisationId: $at, year: 2024) { overall lowest scoredShare } }"
    _, large = await emitter(works, "A", "900")
    _, small = await emitter(works, "B", "100")
    assert (await works.engineer.ask(query, at=works.site_id))["dataQuality"] is None
    for stream, scores in ((large, SCORES), (small, {**SCORES, "representative": 1, "fair": 1, "complete": 2})):
        given = {"streamId": stream, "year": 2024, **scores, "reason": "抽查结果"}
        await works.engineer.do("setQualityScore", given, "score { id }")
    found = (await works.engineer.ask(query, at=works.site_id))["dataQuality"]
    # 4.0 of 900 t and 2.4 of 100 t
    assert found == {"overall": "3.84", "lowest": "2.40", "scoredShare": "1.0000"}
    given = {"streamId": large, "year": 2024, **SCORES, "accurate": 6, "reason": "x"}
    refused = await works.engineer.attempt("setQualityScore", given, "score { id }")
    assert refused["errors"][0]["code"] == "BAD_QUALITY_SCORE"


PRODUCTS = [
    {"name": "粗钢", "quantityT": "2", "heatGjPerT": "3", "pricePerT": "1"},
    {"name": "高炉渣", "quantityT": "1", "heatGjPerT": "1", "pricePerT": "5"},
    {"name": "煤气", "quantityT": "4", "heatGjPerT": "7", "pricePerT": "0"},
]


@pytest.mark.parametrize("basis", ["MASS", "ENERGY", "ECONOMIC"])
async def test_products_share_the_whole_exactly(works: Works, basis: str) -> None:
    source, _ = await emitter(works, "A", "1000.000000001")
    given = {"sourceId": source, "year": 2024, "basis": basis, "products": PRODUCTS, "statement": "按产品说明"}
    made = (await works.engineer.do("setAllocation", given, ALLOCATION))["allocation"]
    assert sum(Decimal(p["share"]) for p in made["products"]) == 1
    assert sum(Decimal(p["co2eT"]) for p in made["products"]) == Decimal("1000.000000001")
    weights = {"MASS": (2, 1, 4), "ENERGY": (6, 1, 28), "ECONOMIC": (2, 5, 0)}[basis]
    for product, weight in zip(made["products"], weights, strict=True):
        assert abs(Decimal(product["share"]) - Decimal(weight) / sum(weights)) <= Decimal("0.000001")


async def test_shares_are_rounded_for_display_only(works: Works) -> None:
    """A third of 1.8 Mt is 600 000 t each, not 0.6 t more for the product that got the odd millionth."""
    source, _ = await emitter(works, "A", "1800000")
    thirds = [{"name": name, "quantityT": "1"} for name in "abc"]
    given = {"sourceId": source, "year": 2024, "basis": "MASS", "products": thirds, "statement": "等量"}
    made = (await works.engineer.do("setAllocation", given, ALLOCATION))["allocation"]["products"]
    assert [p["co2eT"] for p in made] == ["600000.000000000"] * 3
    assert [p["share"] for p in made] == ["0.333334", "0.333333", "0.333333"]


async def test_an_allocation_follows_the_results_and_is_changed_with_a_reason(works: Works) -> None:
    source, _ = await emitter(works, "A", "700")
    given = {"sourceId": source, "year": 2024, "basis": "MASS", "products": PRODUCTS, "statement": "按质量"}
    await works.engineer.do("setAllocation", given, ALLOCATION)
    await works.burn(source, "2024-04", "700", "t")
    query = "{ allocations { nodes { basis products { co2eT } source { code } } } }"
    (node,) = (await works.engineer.ask(query))["allocations"]["nodes"]
    assert sum(Decimal(p["co2eT"]) for p in node["products"]) == 1400
    silent = await works.engineer.attempt("setAllocation", {**given, "basis": "ENERGY"}, ALLOCATION)
    assert silent["errors"][0]["code"] == "ALREADY_ALLOCATED"
    await works.engineer.do("setAllocation", {**given, "basis": "ENERGY", "reason": "核查意见"}, ALLOCATION)
    (node,) = (await works.engineer.ask(query))["allocations"]["nodes"]
    assert node["basis"] == "ENERGY"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"statement": " "}, "ALLOCATION_REASON"),
        ({"products": PRODUCTS[:1]}, "ALLOCATION_EMPTY"),
        ({"products": [PRODUCTS[0], PRODUCTS[0]]}, "PRODUCT_TWICE"),
        ({"products": [PRODUCTS[0], {"name": "x", "quantityT": "-1"}]}, "ALLOCATION_WEIGHT"),
        ({"basis": "ENERGY", "products": [PRODUCTS[0], {"name": "x", "quantityT": "1"}]}, "ALLOCATION_MISSING"),
        ({"year": 2201}, "YEAR_OUT_OF_RANGE"),
    ],
)
async def test_what_is_no_allocation(works: Works, fields: dict[str, Any], code: str) -> None:
    source, _ = await emitter(works, "A", "1")
    given = {"sourceId": source, "year": 2024, "basis": "MASS", "products": PRODUCTS, "statement": "说明", **fields}
    refused = await works.engineer.attempt("setAllocation", given, ALLOCATION)
    assert refused["errors"][0]["code"] == code


async def test_two_allocators_at_once(works: Works) -> None:
    source, _ = await emitter(works, "A", "1")
    given = {"sourceId": source, "year": 2024, "basis": "MASS", "products": PRODUCTS, "statement": "说明"}
    both = await asyncio.gather(*(works.engineer.attempt("setAllocation", given, "allocation { id }") for _ in "ab"))
    codes = [e["code"] for b in both for e in b["errors"]]
    assert len(codes) == 1
    assert codes[0] in {"JUST_STATED", "ALREADY_ALLOCATED"}


async def test_a_frozen_year_and_who_may_not(works: Works) -> None:
    source, stream = await emitter(works, "A", "1")
    given = {"sourceId": source, "year": 2024, "basis": "MASS", "products": PRODUCTS, "statement": "说明"}
    reader = await works.world.caller(Role.TOP_MANAGEMENT)
    refused = await reader.attempt("setAllocation", given, "allocation { id }")
    assert refused["errors"][0]["code"] == "FORBIDDEN"
    inventory = {"organisationId": works.site_id, "firstMonth": "2024-01", "months": 12}
    key = (await works.engineer.do("createInventory", inventory, "inventory { id }"))["inventory"]["id"]
    await works.engineer.do("submitInventory", {"id": key}, "inventory { id }")
    scores = {"streamId": stream, "year": 2024, **SCORES, "reason": "x"}
    for call in (("setAllocation", given, "allocation { id }"), ("setQualityScore", scores, "score { id }")):
        assert (await works.engineer.attempt(*call))["errors"][0]["code"] == "PERIOD_LOCKED"
