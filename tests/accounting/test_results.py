"""Results follow from the records: exact, whatever the order of writers, and rebuilt to the same bits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from backend.accounting.domain.sources import Category, DirectKind
from backend.accounting.service.results import EmissionReader, ResultService
from backend.kit.database import Database
from backend.kit.toolbox import Services
from tests.fixtures.accounting import Works, uuid_of
from tests.fixtures.world import World

STREAM_MONTHS = "SELECT * FROM stream_month ORDER BY stream_id, month"
NCV_CC = {"烟煤": Fraction("23.736") * Fraction("0.02618"), "天然气": Fraction("389.31") * Fraction("0.01532")}


async def bits(database: Database, world: World) -> list[Sequence[Any]]:
    async with database.read(world.tenant_id) as session:
        # As text, so that 1.0 and 1.00 would differ.
        rows = await session.rows(f"SELECT m::text FROM ({STREAM_MONTHS}) m")
    return [tuple(r) for r in rows]


async def a_busy_year(works: Works) -> list[str]:
    """Sources with activity, corrections, withdrawals and declarations, drawn by a fixed seed."""
    draw = random.Random(61)
    boiler = await works.source("B", *({"code": m, "material": m, "cadence": "EVENT"} for m in ("烟煤", "天然气")))
    kiln = await works.source("K", directKind="PROCESS")
    for month in range(1, 13):
        for code, unit in (("烟煤", "t"), ("天然气", "Nm3")):
            for _ in range(draw.randint(0, 3)):
                quantity = str(draw.randint(-(10**9), 10**9) / 1000)
                record = await works.burn(boiler, f"2024-{month:02}", quantity, unit, stream=code)
                fate = draw.random()
                if fate < 0.3:
                    change = {"quantity": str(draw.randint(1, 10**6))} if fate < 0.2 else None
                    call = {"id": record["id"], "reason": "复核", "change": change}
                    await works.monitor.do("supersedeActivity", call, "record { id }")
        await works.declare(sourceId=kiln, firstMonth=f"2024-{month:02}", months=1, gas="CH4", massT=f"{month}.5")
    return [boiler, kiln]


async def test_rebuild_gives_the_same_bits(works: Works, database: Database, services: Services) -> None:
    await a_busy_year(works)
    before = await bits(database, works.world)
    assert len(before) > 12
    rebuilt = await services.get(ResultService).rebuild(works.world.tenant_id)
    assert await bits(database, works.world) == before
    assert rebuilt == len(before)


async def test_every_stream_month_agrees_with_fractions(works: Works, database: Database) -> None:
    await a_busy_year(works)
    async with database.read(works.world.tenant_id) as session:
        rows = await session.rows(
            """
            SELECT t.code, m.co2e_t, array_agg(a.quantity) AS quantities
            FROM stream_month m JOIN emission_stream t ON t.id = m.stream_id
            JOIN (SELECT p.stream_id, p.month, u.quantity FROM activity_pack p
                  CROSS JOIN unnest(p.quantities) WITH ORDINALITY AS u (quantity, n)
                  WHERE NOT EXISTS (SELECT FROM activity_withdrawal w
                    WHERE w.batch_id = p.batch_id AND w.line = p.first_line + u.n - 1)) a
              ON a.stream_id = m.stream_id AND a.month = m.month
            GROUP BY t.code, m.co2e_t, m.month
            """
        )
    assert len(rows) > 12
    for row in rows:
        exact = sum(map(Fraction, row.quantities)) * NCV_CC[row.code] * Fraction("0.99") * Fraction(44, 12)
        assert abs(Fraction(row.co2e_t) - exact) < Fraction(1, 10**9)


async def test_many_writers_of_one_month(works: Works, database: Database, services: Services) -> None:
    coal, coke = ({"code": c, "material": m, "cadence": "EVENT"} for c, m in (("a", "烟煤"), ("b", "焦炭")))
    source = await works.source("B", coal, coke)

    async def write(i: int) -> None:
        row = {"sourceId": source, "stream": "ab"[i % 2], "month": "2024-01", "quantity": str(i), "unit": "t"}
        other = {**row, "stream": "ba"[i % 2], "month": "2024-02"}
        rows = [row, other] if i % 3 else [other, row]
        await works.monitor.do("recordActivity", {"rows": rows}, "outcomes { error { code } }")

    await asyncio.gather(*(write(i) for i in range(32)))
    results = await works.results(source, 2024)
    assert [r["records"] for r in results] == [32, 32]
    before = await bits(database, works.world)
    await services.get(ResultService).rebuild(works.world.tenant_id)
    assert await bits(database, works.world) == before


async def test_of_many_who_declare_the_same_one_wins(works: Works) -> None:
    kiln = await works.source("K")
    row = {"sourceId": kiln, "firstMonth": "2023-01", "months": 12, "gas": "CO2", "massT": "1", "method": "MEASURED"}
    calls = [{"rows": [{**row, "months": 12 - i % 3}]} for i in range(12)]
    answers = await asyncio.gather(
        *(works.monitor.attempt("recordDeclaredResults", c, "outcomes { result { id } error { code } }") for c in calls)
    )
    won = [o["result"] for a in answers for o in a["outcomes"] if o["result"]]
    refused = [e["code"] for a in answers for e in a["errors"]]
    refused += [o["error"]["code"] for a in answers for o in a["outcomes"] if o["error"]]
    assert (len(won), set(refused)) == (1, {"RESULT_OVERLAPS"})
    assert len(await works.results(kiln, 2023)) == 1


async def test_declaring_while_recording_never_counts_twice(works: Works, database: Database) -> None:
    source = await works.fuel("烟煤")
    row = {"sourceId": source, "month": "2024-01", "quantity": "1", "unit": "t"}
    whole = {
        "sourceId": source,
        "firstMonth": "2024-01",
        "months": 12,
        "gas": "CO2",
        "massT": "1",
        "method": "MEASURED",
    }
    await asyncio.gather(
        *(works.monitor.attempt("recordActivity", {"rows": [row]}) for _ in range(6)),
        *(works.monitor.attempt("recordDeclaredResults", {"rows": [whole]}) for _ in range(6)),
    )
    origins = {r["origin"] for r in await works.results(source, 2024)}
    assert len(origins) == 1


async def test_category_totals(works: Works, database: Database) -> None:
    boiler = await works.fuel("烟煤")
    truck = await works.source("V", {"code": "d", "material": "柴油"}, directKind="MOBILE")
    power = await works.source("E", {"code": "e", "material": "外购电力"}, category="IMPORTED_ENERGY", directKind=None)
    await works.burn(boiler, "2024-01", "10", "t")
    await works.burn(boiler, "2025-01", "10", "t")
    await works.burn(truck, "2024-02", "1", "t")
    await works.burn(power, "2024-02", "1000", "kWh")
    await works.declare(sourceId=truck, firstMonth="2024-01", gas="CO2_BIOGENIC", massT="99")
    site, group = uuid_of(works.site_id), uuid_of(works.group_id)
    async with database.read(works.world.tenant_id) as session:
        totals = await EmissionReader.category_totals(session, [site, group], 2024, 2024)
        totals = sorted(totals, key=lambda t: (t.category, t.direct_kind or ""))
        both = await EmissionReader.category_totals(session, [site], 2024, 2025)
        none = await EmissionReader.category_totals(session, [group], 2024, 2025)
    assert [(t.organisation_id, t.category, t.direct_kind, t.co2e_t, t.records) for t in totals] == [
        (site, Category.DIRECT, DirectKind.MOBILE, Decimal("3.095909637"), 1),
        (site, Category.DIRECT, DirectKind.STATIONARY, Decimal("22.557127824"), 1),
        (site, Category.IMPORTED_ENERGY, None, Decimal("0.530600000"), 1),
    ]
    assert sum(t.co2e_t for t in both) == sum(t.co2e_t for t in totals) + Decimal("22.557127824")
    assert list(none) == []
