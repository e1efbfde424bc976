"""Rows of a file that are recorded already: they are counted, not recorded a second time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from backend.accounting.files.understood import LINES, Understood
from backend.accounting.repository import activity as rows
from backend.kit.database import UnitOfWork

_SAME: Final = ("batch", "stream", "day", "quantity")
_PACKS: Final[dict[str, Any]] = {
    "batch": pl.UInt32,
    "stream": pl.UInt32,
    "month": pl.Date,
    "days": pl.String,
    "quantities": pl.String,
    "withdrawn": pl.List(pl.Int64),
}


async def set_aside(unit: UnitOfWork, understood: Understood) -> int:
    """Take away the lines that are current records already; how many they were.

    The same is what has the same stream, day, quantity in the stream's unit, unit as it was entered, evidence and
    note. Deliveries may truly be alike: of rows that are the same as many are set aside as there are records of them,
    the first ones; the others are new.
    """
    months = understood.lines.select("stream", pl.col("day").dt.month_start().alias("month")).unique()
    found = await rows.packed(unit, [(understood.streams[n].id, month) for n, month in months.iter_rows()])
    return await asyncio.to_thread(_set_aside, understood, found) if found else 0


def _set_aside(understood: Understood, found: Sequence[Any]) -> int:
    number = {s.id: n for n, s in enumerate(understood.streams)}
    batch = {words: n for n, words in enumerate(understood.batches)}
    packs = [
        (of, number[p.stream_id], p.month, p.days, p.quantities, p.withdrawn)
        for p in found
        for of in (batch.get((p.entered_unit, p.evidence, p.note)),)
        if of is not None
    ]
    if not packs:
        return 0
    there = _lines_of(packs).group_by(_SAME).agg(pl.len().alias("records"))
    turn = pl.int_range(1, pl.len() + 1).over(_SAME).alias("turn")
    alike = understood.lines.join(there, on=_SAME, how="inner").sort("row").with_columns(turn)
    present = alike.filter(pl.col("turn") <= pl.col("records"))
    understood.lines = understood.lines.join(present.select("row"), on="row", how="anti")
    return present.height


def _lines_of(packs: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """The current lines of packs, as those of a file are understood."""
    numbers = (pl.col(name).str.strip_chars("{}").str.split(",") for name in ("days", "quantities"))
    lines = (
        pl.DataFrame(packs, schema=_PACKS, orient="row")
        .with_columns(*numbers, pl.col("month").dt.to_string("%Y-%m-"))
        .with_columns(pl.int_ranges(1, pl.col("days").list.len() + 1).alias("place"))
        .explode("days", "quantities", "place")
        .filter(~pl.col("place").is_in(pl.col("withdrawn")))
    )
    day = (pl.col("month") + pl.col("days").str.zfill(2)).str.to_date("%Y-%m-%d").alias("day")
    return lines.select("batch", "stream", day, pl.col("quantities").cast(LINES["quantity"]).alias("quantity"))
