"""Coefficients derived anew: shown before, superseded with the reason, never in a submitted period."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from backend.accounting.service.coefficients import rederive
from backend.accounting.service.results import ResultService
from backend.kit.database import Database, UnitOfWork
from tenants.access import Role
from tests.fixtures.accounting import Works
from tests.fixtures.methods import method, set_method, streams

RESULT = """result { superseded made changedMonths changes { oldT newT months { month oldT newT stream { code } } }
  withoutValue { year stream { code } } frozen }"""
SF6 = {"code": "a", "unit": "t", "method": method("REFRIGERANT_BALANCE", gas="SF6")}


async def breaker(works: Works) -> str:
    """A tonne of SF6 in each of the first four months of 2024, weighed by AR5."""
    source = await works.source("SF6", SF6, directKind="FUGITIVE")
    for month in ("2024-01", "2024-02", "2024-03", "2024-04"):
        await works.burn(source, month, "1", "t")
    return source


async def weigh_by(works: Works, gwp_set: str) -> None:
    admin = await works.world.caller(Role.TENANT_ADMINISTRATOR)
    value = {"value": {"gwpSet": gwp_set}, "validFrom": "2015-01-01", "reason": "更换 GWP"}
    await admin.do("setBoundary", {"organisationId": works.group_id, **value}, "setting { id }")


async def derive(works: Works, **more: Any) -> dict[str, Any]:
    given = {"organisationId": works.group_id, "firstMonth": "2024-01", "reason": "GWP 更换为 AR6", **more}
    done = await works.engineer.do("deriveCoefficientsAnew", given, RESULT)
    return dict(done["result"])


async def by_month(works: Works, source: str) -> dict[str, Decimal]:
    return {r["firstMonth"]: Decimal(r["co2eT"]) for r in await works.results(source, 2024)}


async def test_another_gwp_set_is_shown_then_applied(works: Works, database: Database) -> None:
    source = await breaker(works)
    await weigh_by(works, "AR6")
    # Nothing changes silently.
    assert set((await by_month(works, source)).values()) == {Decimal(23500)}
    shown = await derive(works, dryRun=True)
    assert set((await by_month(works, source)).values()) == {Decimal(23500)}
    done = await derive(works)
    assert done == shown
    assert (done["superseded"], done["made"], done["changedMonths"]) == (1, 1, 4)
    assert [Decimal(done["changes"][t]) for t in ("oldT", "newT")] == [Decimal(94000), Decimal(100800)]
    assert await by_month(works, source) == {f"2024-0{n}": Decimal(25200) for n in (1, 2, 3, 4)}
    again = await derive(works)
    assert (again["superseded"], again["changedMonths"]) == (0, 0)
    async with database.read(works.world.tenant_id) as session:
        because = await session.rows(
            "SELECT superseded_because FROM stream_coefficient WHERE superseded_at IS NOT NULL"
        )
    assert [r.superseded_because for r in because] == ["GWP 更换为 AR6"]


async def test_months_of_a_submitted_inventory_stay(works: Works) -> None:
    """The coefficient of the year is cut at the frozen months; a rebuild gives the same bits."""
    source = await breaker(works)
    given = {"organisationId": works.site_id, "firstMonth": "2024-02", "months": 2}
    made = await works.engineer.do("createInventory", given, "inventory { id }")
    await works.engineer.do("submitInventory", {"id": made["inventory"]["id"], "note": "x"}, "inventory { id }")
    await weigh_by(works, "AR6")
    done = await derive(works)
    assert done["frozen"] == ["2024-02/2024-03"]
    assert [c["month"] for c in done["changes"]["months"]] == ["2024-01", "2024-04"]
    expected = {f"2024-0{n}": Decimal(23500 if n in {2, 3} else 25200) for n in (1, 2, 3, 4)}
    assert await by_month(works, source) == expected


async def test_only_the_months_that_are_asked_for(works: Works) -> None:
    source = await breaker(works)
    await weigh_by(works, "AR6")
    done = await derive(works, firstMonth="2024-02", lastMonth="2024-03")
    assert [c["month"] for c in done["changes"]["months"]] == ["2024-02", "2024-03"]
    expected = {f"2024-0{n}": Decimal(25200 if n in {2, 3} else 23500) for n in (1, 2, 3, 4)}
    assert await by_month(works, source) == expected
    await ResultService(works.world.services.toolbox).rebuild(works.world.tenant_id)
    assert await by_month(works, source) == expected


async def test_it_needs_a_reason_and_the_right(works: Works) -> None:
    await breaker(works)
    given = {"organisationId": works.site_id, "firstMonth": "2024-01", "reason": " "}
    refused = await works.engineer.attempt("deriveCoefficientsAnew", given)
    assert [e["code"] for e in refused["errors"]] == ["REASON_MISSING"]
    refused = await works.monitor.attempt("deriveCoefficientsAnew", {**given, "reason": "x"})
    assert [e["code"] for e in refused["errors"]] == ["FORBIDDEN"]


async def test_a_rehearsal_inside_a_unit_of_work_leaves_nothing(works: Works, database: Database) -> None:
    """As other use cases call it: the report of a rehearsal is the report of the deed."""
    source = await works.fuel("烟煤")
    await works.burn(source, "2024-03", "100", "t")
    (stream,) = (await streams(works, source)).values()
    measured = method("MEASURED_CARBON", ("2024-03", "2024-04"), carbonAsReceived="0.6 tC/t", reason="实测")
    await set_method(works, stream, measured)
    await weigh_by(works, "AR6")
    everything = "SELECT * FROM stream_coefficient ORDER BY id"

    async def both(unit: UnitOfWork) -> None:
        year = (date(2024, 1, 1), date(2024, 12, 1))
        before = await unit.rows(everything)
        rehearsed = await rederive(unit, None, *year, "x", dry_run=True)
        assert await unit.rows(everything) == before
        done = await rederive(unit, None, *year, "x")
        assert (done.superseded, done.made) == (rehearsed.superseded, rehearsed.made)
        assert [(c.month, c.old_t, c.new_t) for c in done.changes.first] == [
            (c.month, c.old_t, c.new_t) for c in rehearsed.changes.first
        ]

    await database.write(works.world.tenant_id, both)
