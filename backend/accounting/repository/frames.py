"""Large batches: a narrow frame of lines into packs, in columns, without an object per line."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import polars as pl

from backend.accounting.domain.activity import Packs

LINES: dict[str, pl.DataType] = {
    "batch": pl.UInt32(),  # position of the batch
    "stream": pl.UInt32(),  # position of the stream
    "day": pl.Date(),
    "quantity": pl.Decimal(38, 12),  # in the stream's canonical unit
    "row": pl.Int32(),  # where it stood in the file
}


def packs_of(lines: pl.DataFrame, stream_ids: Sequence[UUID], batch_ids: Sequence[UUID]) -> Packs:
    """The lines (columns as LINES) in packs: one for each batch, stream and month, in the order of days and rows."""
    month = pl.col("day").dt.month_start().alias("month")
    packed = (
        lines.sort("batch", "stream", "day", "row")
        .group_by("batch", "stream", month, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("lines"),
            pl.col("day").dt.day().cast(pl.String),
            pl.col("quantity").cast(pl.String).str.strip_chars_end("0").str.strip_chars_end("."),
            pl.col("row").cast(pl.String),
            pl.col("quantity").sum().cast(pl.String).alias("sum"),
        )
        .with_columns(
            (pl.col("lines").cum_sum().over("batch") - pl.col("lines") + 1).alias("first"),
            *(_array(name) for name in ("day", "quantity", "row")),
        )
    )
    counts = packed.group_by("batch", maintain_order=True).agg(pl.col("lines").sum())
    return Packs(
        stream_ids=[stream_ids[n] for n in packed["stream"]],
        months=packed["month"].to_list(),
        batch_ids=[batch_ids[n] for n in packed["batch"]],
        first_lines=packed["first"].to_list(),
        days=packed["day"].to_list(),
        quantities=packed["quantity"].to_list(),
        source_rows=packed["row"].to_list(),
        sums=packed["sum"].to_list(),
        lines={batch_ids[n]: lines for n, lines in counts.iter_rows()},
    )


def _array(name: str) -> pl.Expr:
    """A list column as PostgreSQL reads an array."""
    return (pl.lit("{") + pl.col(name).list.join(",") + pl.lit("}")).alias(name)
