"""Batches with quality: means with the right weights, defaults that are marked, and bases that follow."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.fixtures.accounting import Works
from tests.fixtures.measurements import ERROR, fuel_stream, own_stream, stream_of

BATCH = "batch { id code quantity phase results { parameter value unit basis } supersededBecause }"
MEANS = """query M($id: ID!) { qualityMeans(streamId: $id, year: 2024) { month parameter mix unit value shown weight
  defaulted batches { code value weight defaulted } untested } }"""


def batch(stream: str, day: str, quantity: str, /, code: str = "A", **results: Any) -> dict[str, Any]:
    """`NCV="23.1 GJ/t"`, `CARBON="60 % AD"`; other keyword arguments are fields of the batch."""
    fields = {k: v for k, v in results.items() if not k.isupper()}
    found = [
        {"parameter": name, "value": text.split()[0], "unit": text.split()[1], "basis": (text + " AR").split()[2]}
        for name, text in results.items()
        if name.isupper()
    ]
    return {"streamId": stream, "day": day, "quantity": quantity, "unit": "t", "code": code, "results": found, **fields}


async def attempt(works: Works, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    given = {"rows": list(rows)}
    return list((await works.monitor.do("recordMaterialBatches", given, f"outcomes {{ {BATCH} {ERROR} }}"))["outcomes"])


async def record(works: Works, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    outcomes = await attempt(works, *rows)
    assert [o["error"] for o in outcomes] == [None] * len(rows)
    return [o["batch"] for o in outcomes]


async def means(works: Works, stream: str) -> dict[tuple[str | None, str, str], dict[str, Any]]:
    found = (await works.engineer.ask(MEANS, id=stream))["qualityMeans"]
    return {(m["month"], m["parameter"], m["mix"]): m for m in found}


async def coal(works: Works, *months: tuple[str, str]) -> tuple[str, str]:
    """A source that burnt so much coal in these months, and its stream."""
    source = await works.fuel("烟煤")
    for month, quantity in months:
        await works.burn(source, month, quantity, "t")
    return source, await stream_of(works, source)


async def test_a_year_is_weighted_by_what_was_consumed(works: Works) -> None:
    """vectors.json, weighted-ncv: 10000 t at 23.1, nothing in the second month, 5000 t at 20.4 are 22.2."""
    _, stream = await coal(works, ("2024-01", "10000"), ("2024-02", "0"), ("2024-03", "5000"))
    await record(
        works,
        batch(stream, "2024-01-10", "30", NCV="23.1 GJ/t"),
        batch(stream, "2024-02-10", "10", NCV="1 GJ/t"),
        batch(stream, "2024-03-10", "20", NCV="20400 kJ/kg"),
    )
    year = (await means(works, stream))[None, "NCV", ""]
    assert (year["value"], year["shown"], year["weight"]) == ("22.200000000000", "22.200", "15000")


async def test_a_month_of_a_solid_is_weighted_by_batches_received(works: Works) -> None:
    _, stream = await coal(works, ("2024-01", "7"))
    await record(
        works,
        batch(stream, "2024-01-10", "1", "A", NCV="20 GJ/t"),
        batch(stream, "2024-01-20", "2", "B", NCV="26 GJ/t"),
    )
    month = (await means(works, stream))["2024-01", "NCV", ""]
    assert (month["value"], month["weight"], [b["weight"] for b in month["batches"]]) == (
        "24.000000000000", "7", ["1", "2"],
    )  # fmt: skip


async def test_tests_of_a_gas_count_alike(works: Works) -> None:
    stream = await fuel_stream(works, "天然气")
    unit = {"unit": "1e4Nm3"}
    await record(
        works,
        batch(stream, "2024-01-10", "1", "A", NCV="380 GJ/1e4Nm3", **unit),
        batch(stream, "2024-01-20", "9", "B", NCV="39 MJ/m3", **unit),
    )
    assert (await means(works, stream))["2024-01", "NCV", ""]["value"] == "385.000000000000"


async def test_an_untested_batch_of_coal_takes_the_punitive_default(works: Works) -> None:
    _, stream = await coal(works, ("2024-01", "100"), ("2024-02", "50"))
    await record(
        works,
        batch(stream, "2024-01-10", "1", "A", NCV="20 GJ/t", CARBON="0.6 tC/t"),
        batch(stream, "2024-01-20", "1", "B"),
    )
    found = await means(works, stream)
    month = found["2024-01", "NCV", ""]
    assert (month["value"], month["defaulted"]) == ("23.350000000000", True)
    assert [(b["code"], b["defaulted"]) for b in month["batches"]] == [("A", False), ("B", True)]
    # a month that burnt coal without any batch: 26.7 GJ/t, and 0.03085 tC/GJ of it
    assert (found["2024-02", "NCV", ""]["value"], found["2024-02", "NCV", ""]["defaulted"]) == ("26.700000000000", True)
    assert Decimal(found["2024-02", "CARBON", ""]["value"]) == Decimal("26.7") * Decimal("0.03085")


async def test_what_is_no_coal_has_no_default(works: Works) -> None:
    stream = await own_stream(works, "W", "t")
    await record(works, batch(stream, "2024-01-10", "1", "A", NCV="20 GJ/t"), batch(stream, "2024-01-20", "1", "B"))
    month = (await means(works, stream))["2024-01", "NCV", ""]
    assert (month["value"], month["defaulted"], month["untested"]) == ("20.000000000000", False, ["B"])


async def test_carbon_is_brought_to_the_state_that_is_weighed(works: Works) -> None:
    _, stream = await coal(works, ("2024-01", "1"))
    moist = {"MOISTURE_AR": "10 %", "MOISTURE_AD": "2 %"}
    await record(
        works,
        batch(stream, "2024-01-10", "1", "A", CARBON="58.8 % AD", **moist),
        batch(stream, "2024-01-11", "1", "B", CARBON="60 % D", **moist),
    )
    found = await means(works, stream)
    values = [b["value"] for b in found["2024-01", "CARBON", ""]["batches"]]
    assert values == ["0.540000000000", "0.540000000000"]
    (refused,) = await attempt(works, batch(stream, "2024-01-12", "1", "C", CARBON="58.8 % AD", MOISTURE_AR="10 %"))
    assert (refused["error"]["code"], refused["error"]["path"]) == (
        "QUALITY_BASIS",
        ["rows", "0", "results", "0", "basis"],
    )


async def test_clinker_is_kept_per_mix(works: Works) -> None:
    stream = await own_stream(works, "CLINKER", "t")
    await record(
        works,
        batch(stream, "2024-01-10", "1", "A", CAO="60 %", mix="甲"),
        batch(stream, "2024-01-11", "3", "B", CAO="64 %", mix="甲"),
        batch(stream, "2024-01-12", "9", "C", CAO="70 %", mix="乙"),
    )
    found = await means(works, stream)
    assert [found["2024-01", "CAO", mix]["shown"] for mix in ("甲", "乙")] == ["63.000", "70.000"]


async def test_a_mean_becomes_the_basis_of_its_month(works: Works) -> None:
    source, stream = await coal(works, ("2024-01", "100"), ("2024-02", "100"))
    await record(works, batch(stream, "2024-01-10", "1", CARBON="60 %"))
    given = {"streamId": stream, "month": "2024-01", "parameter": "CARBON"}
    wanted = "mean { value defaulted } basis { kind } changes { oldT newT }"
    silent = await works.engineer.attempt("applyQualityMeans", given, wanted)
    assert silent["errors"][0]["code"] == "RESTATEMENT_NEEDS_REASON"
    done = await works.engineer.do("applyQualityMeans", {**given, "reason": "采用实测值"}, wanted)
    assert (done["mean"]["value"], done["basis"]["kind"]) == ("0.600000000000", "MEASURED_CARBON")
    january, february = await works.results(source, 2024)
    # 100 t × 0.6 tC/t × oxidation 0.99 × 44/12
    assert Decimal(january["co2eT"]) == Decimal("217.8")
    assert january["co2eT"] != february["co2eT"]
    none = await works.engineer.attempt("applyQualityMeans", {**given, "month": "2023-12"}, wanted)
    assert none["errors"][0]["code"] == "NOT_TESTED"
    ash = await works.engineer.attempt("applyQualityMeans", {**given, "parameter": "ASH"}, wanted)
    assert ash["errors"][0]["code"] == "NO_BASIS_OF_MEAN"
    forbidden = await works.monitor.attempt("applyQualityMeans", given, wanted)
    assert forbidden["errors"][0]["code"] == "FORBIDDEN"


async def test_measured_heat_value_replaces_the_default(works: Works) -> None:
    source, stream = await coal(works, ("2024-01", "100"))
    await record(works, batch(stream, "2024-01-10", "1", NCV="20 GJ/t"))
    given = {"streamId": stream, "month": "2024-01", "parameter": "NCV", "reason": "实测"}
    await works.engineer.do("applyQualityMeans", given, "basis { kind }")
    (january,) = await works.results(source, 2024)
    assert Decimal(january["co2eT"]) == Decimal("190.0668")  # 100 × 20 × 0.02618 × 0.99 × 44/12


async def test_a_batch_is_superseded(works: Works) -> None:
    stream = await fuel_stream(works)
    row = batch(stream, "2024-01-10", "1", NCV="20 GJ/t")
    (made,) = await record(works, row)
    (twice,) = await attempt(works, row)
    assert twice["error"]["code"] == "BATCH_TAKEN"
    change = batch(stream, "2024-01-10", "1", NCV="21 GJ/t")
    given = {"id": made["id"], "reason": "复检", "change": change}
    new = (await works.monitor.do("supersedeMaterialBatch", given, BATCH))["batch"]
    assert new["results"][0]["value"] == "21"
    again = await works.monitor.attempt("supersedeMaterialBatch", given, BATCH)
    assert again["errors"][0]["code"] == "ALREADY_SUPERSEDED"
    gone = await works.monitor.do("supersedeMaterialBatch", {"id": new["id"], "reason": "退货"}, BATCH)
    assert gone["batch"]["supersededBecause"] == "退货"
    assert await means(works, stream) == {}


@pytest.mark.parametrize(
    ("row", "code", "path"),
    [
        ({"NCV": "20 GJ/1e4Nm3"}, "QUALITY_UNIT", ["results", "0", "unit"]),
        ({"NCV": "20 ?"}, "UNREADABLE_UNIT", ["results", "0", "unit"]),
        ({"NCV": "-1 GJ/t"}, "QUALITY_RANGE", ["results", "0", "value"]),
        ({"NCV": "1301 GJ/t"}, "QUALITY_RANGE", ["results", "0", "value"]),
        ({"NCV": "231 kJ/kg"}, "QUALITY_RANGE", ["results", "0", "value"]),
        ({"NCV": "131 GJ/t"}, "QUALITY_RANGE", ["results", "0", "value"]),
        ({"CARBON": "101 %"}, "QUALITY_RANGE", ["results", "0", "value"]),
        ({"MOISTURE_AR": "81 %"}, "QUALITY_RANGE", ["results", "0", "value"]),
        ({"NCV": "20 GJ/t AD"}, "QUALITY_BASIS", ["results", "0", "basis"]),
        ({"unit": "GJ"}, "UNIT_DOES_NOT_FIT", ["unit"]),
        ({"quantity": "0"}, "BAD_BATCH", ["quantity"]),
        ({"code": " "}, "BAD_BATCH", ["code"]),
        ({"day": "2099-01-01"}, "MONTH_OUT_OF_RANGE", ["day"]),
    ],
)
async def test_what_is_no_batch(works: Works, row: dict[str, str], code: str, path: list[str]) -> None:
    stream = await fuel_stream(works)
    results = {k: v for k, v in row.items() if k.isupper()}
    bad = {**batch(stream, "2024-01-10", "1", "X", **results), **{k: v for k, v in row.items() if not k.isupper()}}
    good, refused = await attempt(works, batch(stream, "2024-01-10", "1"), bad)
    assert good["error"] is None
    assert (refused["error"]["code"], refused["error"]["path"]) == (code, ["rows", "1", *path])
