"""What the database itself refuses of measurements, whoever asks."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from backend.kit.database import UnitOfWork
from tests.fixtures.accounting import Works
from tests.fixtures.measurements import activity, fuel_stream, record_stocks, stock

VECTOR = {"opening": "12000", "purchased": "100000", "closing": "15000", "sold": "2000"}
COPY = """INSERT INTO stock_row (tenant_id, id, stream_id, month, unit, {changed}, quantity, batch_id, recorded_by)
  SELECT tenant_id, gen_random_uuid(), stream_id, month, unit, {values}, batch_id, recorded_by FROM stock_row"""
WITHDRAW = """INSERT INTO activity_withdrawal (tenant_id, batch_id, line, stream_id, month, quantity, because,
  withdrawn_by) SELECT tenant_id, batch_id, 1, stream_id, month, quantity, 'x', recorded_by FROM stock_row"""
SUPERSEDE = "UPDATE stock_row SET superseded_at = now(), superseded_because = 'x'"


async def run(works: Works, *statements: str) -> None:
    async def work(unit: UnitOfWork) -> None:
        for statement in statements:
            await unit.execute(statement)

    await works.world.owner.write(works.world.tenant_id, work)


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        (["UPDATE stock_row SET opening = 1"], "never edited"),
        (["DELETE FROM stock_row"], "never edited"),
        (["TRUNCATE stock_row"], "append-only"),
        ([SUPERSEDE], "goes when its cause goes"),
        ([COPY.format(changed="opening, consumption", values="1, 2, 95000")], "consumption_is_what_is_left"),
        ([COPY.format(changed="sold, consumption", values="1, -1, 95000")], "more_went_than_came"),
        ([COPY.format(changed="losses, consumption", values="-1, 1, 95000")], "stock_row_losses_check"),
        ([COPY.format(changed="opening, consumption", values="1, 1, 1")], "same quantity"),
        ([COPY.format(changed="opening, consumption", values="1, 1, 95000")], "stock_row_current"),
        (
            [WITHDRAW],
            "stays while its cause stands",
        ),
    ],
)
async def test_a_row_and_its_record_hold_together(works: Works, statements: list[str], why: str) -> None:
    stream = await fuel_stream(works)
    (made,) = await record_stocks(works, stock(stream, "2024-03", **VECTOR))
    assert made["error"] is None
    with pytest.raises(DBAPIError, match=why):
        await run(works, *statements)
    assert [r["quantity"] for r in await activity(works, stream)] == ["95000"]
