"""Meters, their readings, and the months settled from them."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from tests.fixtures.accounting import Works
from tests.fixtures.measurements import ERROR, activity, fuel_stream, own_stream

METER = "meter { id digits multiplier direction readings { nodes { id day kind value rolledOver } } }"
MONTHS = (
    "months { id month measured quantity explanation parts { fromDay toDay measured corrected uncoveredDays } "
    "activityRecord { quantity origin followsFromId } }"
)


async def instrument(works: Works, code: str = "M1", error: str = "0.005") -> str:
    given = {
        "organisationId": works.site_id, "code": code, "nameZh": "皮带秤", "instrumentType": "皮带秤",
        "requiredError": error,
    }  # fmt: skip
    return str((await works.engineer.do("createInstrument", given, "instrument { id }"))["instrument"]["id"])


async def calibrate(works: Works, key: str, first: str, last: str, error: str = "0.004") -> None:
    given = {"instrumentId": key, "doneOn": first, "validUntil": last, "certificate": "证书", "actualError": error}
    await works.monitor.do("recordCalibration", given, "calibration { id }")


async def meter(works: Works, stream: str, key: str, unit: str = "t", **fields: Any) -> str:
    new = {"instrumentId": key, "unit": unit, "installedOn": "2023-12-31", "firstReading": "0", **fields}
    made = await works.engineer.do("createMeter", {"streamId": stream, "meter": new}, METER)
    return str(made["meter"]["id"])


async def covered(works: Works, stream: str, code: str = "M1", unit: str = "t", **fields: Any) -> str:
    """A meter that is calibrated for years."""
    key = await instrument(works, code)
    await calibrate(works, key, "2023-01-01", "2026-12-31")
    return await meter(works, stream, key, unit, **fields)


async def read(works: Works, meter_id: str, *rows: tuple[str, str], **fields: Any) -> list[dict[str, Any]]:
    given = [{"meterId": meter_id, "day": day, "value": value, **fields} for day, value in rows]
    done = await works.monitor.do("recordMeterReadings", {"rows": given}, f"outcomes {{ reading {{ id }} {ERROR} }}")
    return list(done["outcomes"])


async def good(works: Works, meter_id: str, *rows: tuple[str, str], **fields: Any) -> list[str]:
    outcomes = await read(works, meter_id, *rows, **fields)
    assert [o["error"] for o in outcomes] == [None] * len(rows)
    return [o["reading"]["id"] for o in outcomes]


async def settle(works: Works, stream: str, first: str, months: int = 1, reason: str = "") -> list[dict[str, Any]]:
    given = {"streamId": stream, "firstMonth": first, "months": months, "reason": reason}
    return list((await works.monitor.do("settleMeters", given, MONTHS))["months"])


async def refusal(works: Works, stream: str, first: str, **fields: Any) -> str:
    given = {"streamId": stream, "firstMonth": first, **fields}
    return str((await works.monitor.attempt("settleMeters", given, MONTHS))["errors"][0]["code"])


async def test_a_month_that_is_not_calibrated_is_corrected(works: Works) -> None:
    """vectors.json, calib-fuel-late: class 0.5, never calibrated."""
    stream = await fuel_stream(works)
    await good(works, await meter(works, stream, await instrument(works)), ("2024-01-31", "100000"))
    (month,) = await settle(works, stream, "2024-01")
    assert (month["measured"], month["quantity"]) == ("100000", "100500")
    assert "M1 +500 (31 d)" in month["explanation"]
    assert month["activityRecord"] == {"quantity": "100500", "origin": "METER", "followsFromId": month["id"]}


async def test_a_meter_worse_than_its_class_is_corrected_by_the_rest(works: Works) -> None:
    """vectors.json, calib-fuel-out: calibrated in time, 0.8 % found, 0.5 % asked."""
    stream, key = await fuel_stream(works), await instrument(works)
    await calibrate(works, key, "2023-12-01", "2024-12-31", error="0.008")
    await good(works, await meter(works, stream, key), ("2024-01-31", "100000"))
    (month,) = await settle(works, stream, "2024-01")
    assert (month["measured"], month["quantity"]) == ("100000", "100300")


async def test_only_uncovered_days_are_corrected(works: Works) -> None:
    stream, key = await fuel_stream(works), await instrument(works)
    await calibrate(works, key, "2023-12-01", "2024-01-21")
    await good(works, await meter(works, stream, key), ("2024-01-31", "3100"))
    (month,) = await settle(works, stream, "2024-01")
    assert (month["quantity"], month["parts"][0]["uncoveredDays"]) == ("3105", 10)


async def test_what_is_sold_counts_against_and_is_corrected_down(works: Works) -> None:
    stream = await own_stream(works, "E", "MWh")
    bought = await covered(works, stream, "IN", "MWh", multiplier="100")
    sold = await meter(works, stream, await instrument(works, "OUT"), "kWh", multiplier="1000", direction="EXPORT")
    await good(works, bought, ("2024-01-31", "50"))
    await good(works, sold, ("2024-01-31", "1000"))
    (month,) = await settle(works, stream, "2024-01")
    assert [p["measured"] for p in month["parts"]] == ["5000", "-1000"]
    assert [p["corrected"] for p in month["parts"]] == ["5000", "-995"]
    assert (month["measured"], month["quantity"]) == ("4000", "4005")


async def test_months_are_cut_by_days_and_add_up(works: Works) -> None:
    stream = await fuel_stream(works)
    await good(works, await covered(works, stream), ("2024-02-10", "100"), ("2024-03-31", "200"))
    months = await settle(works, stream, "2024-01", 3)
    # 31 of 41 days of 100, then 10 of 41 and 19 of 50, then 31 of 50
    assert sum(Decimal(m["quantity"]) for m in months) == 200
    assert months[0]["quantity"] == str(round(Decimal(3100) / 41, 12))
    assert months[2]["quantity"] == "62"


async def test_month_ends_are_read_when_the_rule_says_so(works: Works) -> None:
    stream = await fuel_stream(works)
    key = await covered(works, stream, readingRule="MONTH_END")
    await good(works, key, ("2024-02-01", "100"))
    assert await refusal(works, stream, "2024-01") == "METER_READING_MISSING"
    await good(works, key, ("2024-01-31", "97"))
    (month,) = await settle(works, stream, "2024-01")
    assert month["quantity"] == "97"
    assert await refusal(works, stream, "2024-02") == "METER_READING_MISSING"


async def test_a_register_rolls_over(works: Works) -> None:
    stream = await fuel_stream(works)
    key = await covered(works, stream, digits=4, firstReading="9900")
    (back,) = await read(works, key, ("2024-01-31", "100"))
    assert back["error"]["code"] == "METER_COUNTS_BACK"
    assert "rolled over" in back["error"]["message"]
    await good(works, key, ("2024-01-31", "100"), rolledOver=True)
    (month,) = await settle(works, stream, "2024-01")
    assert month["quantity"] == "200"


async def test_a_meter_is_replaced_within_a_month(works: Works) -> None:
    stream = await own_stream(works, "E", "MWh")
    old = await covered(works, stream, "OLD", "MWh", multiplier="10")
    fresh = await instrument(works, "NEW")
    await calibrate(works, fresh, "2024-01-01", "2026-12-31")
    successor = {"instrumentId": fresh, "unit": "MWh", "multiplier": "20", "installedOn": "2024-01-10"}
    given = {"meterId": old, "day": "2024-01-10", "value": "30", "successor": {**successor, "firstReading": "5"}}
    new = (await works.engineer.do("removeMeter", given, METER))["meter"]
    assert [(r["kind"], r["value"]) for r in new["readings"]["nodes"]] == [("INSTALLED", "5")]
    await good(works, new["id"], ("2024-01-31", "15"))
    (month,) = await settle(works, stream, "2024-01")
    assert [(p["fromDay"], p["toDay"], p["measured"]) for p in month["parts"]] == [
        ("2023-12-31", "2024-01-10", "300"),
        ("2024-01-10", "2024-01-31", "200"),
    ]
    (late,) = await read(works, old, ("2024-01-20", "31"))
    assert late["error"]["code"] == "METER_NOT_IN_SERVICE"
    again = await works.engineer.attempt("removeMeter", given, METER)
    assert again["errors"][0]["code"] == "METER_READING_TAKEN"


async def test_settled_months_follow_their_readings(works: Works) -> None:
    stream = await fuel_stream(works)
    key = await covered(works, stream)
    (reading,) = await good(works, key, ("2024-01-31", "310"))
    (first,) = await settle(works, stream, "2024-01")
    (same,) = await settle(works, stream, "2024-01")
    assert same["id"] == first["id"]
    corrected = {"id": reading, "reason": "抄错", "value": "320"}
    await works.monitor.do("supersedeMeterReading", corrected, "reading { id value }")
    records = await activity(works, stream, superseded=True)
    assert [(r["quantity"], r["supersededBecause"]) for r in records] == [("310", "抄错"), ("320", None)]
    gone = await works.monitor.attempt("supersedeMeterReading", {"id": reading, "reason": "x"}, "reading { id }")
    assert gone["errors"][0]["code"] == "ALREADY_SUPERSEDED"
    # without its reading the settled month has nothing to stand on
    months = "{ meterMonths { nodes { id } } meters { nodes { readings { nodes { id kind } } } } }"
    seen = await works.engineer.ask(months)
    installed, now = seen["meters"]["nodes"][0]["readings"]["nodes"]
    bare = await works.monitor.attempt("supersedeMeterReading", {"id": now["id"], "reason": "x"}, "reading { id }")
    assert bare["errors"][0]["code"] == "METER_READING_MISSING"
    first_stays = {"id": installed["id"], "reason": "x"}
    bare = await works.monitor.attempt("supersedeMeterReading", first_stays, "reading { id }")
    assert bare["errors"][0]["code"] == "FIRST_READING_STAYS"
    (month,) = seen["meterMonths"]["nodes"]
    await works.monitor.do("supersedeMeterMonth", {"id": month["id"], "reason": "撤回"}, "month { supersededAt }")
    assert await activity(works, stream) == []
    await works.monitor.do("supersedeMeterReading", {"id": now["id"], "reason": "x"}, "reading { id }")


async def test_readings_leave_months_alone_that_do_not_follow_from_them(works: Works) -> None:
    stream, key = await fuel_stream(works), await instrument(works)
    counter = await meter(works, stream, key)
    await good(works, counter, ("2024-01-31", "1000"), ("2024-02-29", "2000"))
    first, second = await settle(works, stream, "2024-01", 2)
    await calibrate(works, key, "2023-12-31", "2024-12-31")
    await good(works, counter, ("2024-03-31", "3000"))
    months = (await works.engineer.ask("{ meterMonths { nodes { id quantity } } }"))["meterMonths"]["nodes"]
    assert months == [{"id": m["id"], "quantity": "1005"} for m in (first, second)]


async def test_a_calibration_recorded_later_needs_a_reason(works: Works) -> None:
    stream, key = await fuel_stream(works), await instrument(works)
    await good(works, await meter(works, stream, key), ("2024-01-31", "1000"))
    assert [m["quantity"] for m in await settle(works, stream, "2024-01")] == ["1005"]
    await calibrate(works, key, "2023-12-31", "2024-12-31")
    assert await refusal(works, stream, "2024-01") == "MONTH_IS_SETTLED"
    assert [m["quantity"] for m in await settle(works, stream, "2024-01", reason="补交证书")] == ["1000"]


@pytest.mark.parametrize(
    ("row", "code", "path"),
    [
        (("2024-01-31", "-1"), "BAD_METER", "value"),
        (("2024-01-31", "100000000"), "BAD_METER", "value"),
        (("2024-01-31", "1e-13"), "BAD_METER", "value"),
        (("2023-12-30", "1"), "METER_NOT_IN_SERVICE", "day"),
        (("2023-12-31", "1"), "METER_READING_TAKEN", "day"),
        (("2024-02-10", "100"), "METER_READING_TAKEN", "day"),
        (("2024-02-09", "101"), "METER_COUNTS_BACK", "value"),
        (("2024-02-11", "99"), "METER_COUNTS_BACK", "value"),
        (("2099-01-01", "101"), "MONTH_OUT_OF_RANGE", "day"),
    ],
)
async def test_what_is_no_reading(works: Works, row: tuple[str, str], code: str, path: str) -> None:
    key = await covered(works, await fuel_stream(works))
    await good(works, key, ("2024-02-10", "100"))
    fine, refused = await read(works, key, ("2024-03-10", "110"), row)
    assert fine["error"] is None
    assert (refused["error"]["code"], refused["error"]["path"]) == (code, ["rows", "1", path])


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"multiplier": "0"}, "BAD_METER"),
        ({"digits": 16}, "BAD_METER"),
        ({"firstReading": "-1"}, "BAD_METER"),
        ({"unit": "GJ"}, "UNIT_DOES_NOT_FIT"),
    ],
)
async def test_what_is_no_meter(works: Works, fields: dict[str, Any], code: str) -> None:
    stream = await fuel_stream(works)
    new = {"instrumentId": await instrument(works), "unit": "t", "installedOn": "2023-12-31", **fields}
    refused = await works.engineer.attempt("createMeter", {"streamId": stream, "meter": new}, METER)
    assert refused["errors"][0]["code"] == code


async def test_an_instrument_of_another_site(works: Works) -> None:
    stream = await fuel_stream(works)
    key = await instrument(works)
    works.site_id = await works.site("S2")
    elsewhere = await instrument(works)
    assert elsewhere != key
    new = {"instrumentId": elsewhere, "unit": "t", "installedOn": "2023-12-31"}
    refused = await works.engineer.attempt("createMeter", {"streamId": stream, "meter": new}, METER)
    assert (refused["errors"][0]["code"], refused["errors"][0]["path"]) == ("NOT_FOUND", ["instrumentId"])


async def test_two_readers_at_once(works: Works) -> None:
    """Each alone would be right; together they count back."""
    key = await covered(works, await fuel_stream(works))
    rows = [{"meterId": key, "day": "2024-01-10", "value": "50"}, {"meterId": key, "day": "2024-01-20", "value": "40"}]
    calls = (works.monitor.attempt("recordMeterReadings", {"rows": [row]}, f"outcomes {{ {ERROR} }}") for row in rows)
    both = await asyncio.gather(*calls)
    codes = [e["code"] for b in both for e in [*b["errors"], *(o["error"] for o in b["outcomes"] if o["error"])]]
    assert codes == ["METER_COUNTS_BACK"], both
