"""What the rows of a table mean: which stream, which day, how much in the stream's unit; or why a row means nothing.

Names, units, months and odd numbers repeat: each distinct one is understood once, by the same functions that read a
single entry, and the answers are joined to the rows. A million rows cost about as much as their distinct words.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import polars as pl

from backend.accounting.domain.activity import MONTH_ALREADY_RECORDED, as_recorded
from backend.accounting.domain.imports import (
    CELL_EMPTY,
    CELL_IS_A_FORMULA,
    CELLS_BEYOND_HEADER,
    UNKNOWN_MONTH,
)
from backend.accounting.domain.records import checked_month
from backend.accounting.domain.sources import NEGATIVE_QUANTITY, Cadence
from backend.accounting.files.headers import ALIASES, BEYOND, FORMULA, ROW
from backend.accounting.files.writer import as_written
from backend.kit.errors import CodedError
from backend.kit.quantity import NUMBER_OUT_OF_RANGE, fitted_unit, read_number
from backend.kit.text import clean, tidy

LINES: Final[dict[str, Any]] = {
    "batch": pl.UInt32(),  # position of the batch
    "stream": pl.UInt32(),  # position of the stream
    "day": pl.Date(),
    "quantity": pl.Decimal(38, 12),  # in the stream's canonical unit
    ROW: pl.Int32(),  # where it stood in the file
}
PLAIN_NUMBER: Final = r"^-?[0-9]{1,15}(\.[0-9]{1,12})?$"
WHO: Final = ("organisation", "source", "stream", "unit")
_REMEMBERED: Final = 100_000
SHARED: Final = ("unit", "evidence", "note")
_MOST: Final = Decimal(10) ** 15
_GROUPED: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_MONTH: Final = re.compile(r"(\d{4})(?:[-/.年]?)(\d{1,2})(?:月)?(?:[-/.]?(\d{1,2})日?)?(?:[ T]00:00(?::00)?)?")
_EXCEL_EPOCH: Final = date(1899, 12, 30)


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """A stream that rows may mean, and what its rows must keep to."""

    id: UUID
    source_id: UUID
    organisation_id: UUID
    code: str
    unit: str
    gas: str
    cadence: Cadence
    may_be_negative: bool


@dataclass(slots=True)
class Understood:
    """Lines (columns: batch, stream, day, quantity, row), what batches share, the streams, and what was refused.

    `rows`: how many rows the file has; every one of them is a line or was refused.
    """

    lines: pl.DataFrame
    batches: list[tuple[str, str, str]]
    streams: list[StreamEntry]
    rows: int
    refusals: list[pl.DataFrame] = field(default_factory=list)

    @property
    def refused(self) -> pl.DataFrame:
        """Columns: row, column, code, params (JSON); in the order of rows."""
        return pl.concat(self.refusals).sort("row") if self.refusals else pl.DataFrame(schema=_REFUSED)

    def refuse(self, keys: pl.DataFrame, on: Sequence[str], column: str, errors: Sequence[CodedError]) -> None:
        """Take away the lines that match `keys`, whose column `problem` says which of the errors it is."""
        if not keys.height:
            return
        bad = self.lines.join(keys, on=list(on), how="inner")
        self.lines = self.lines.join(keys.select(on), on=list(on), how="anti")
        self.refusals.append(_refused(bad, column, errors))


_REFUSED: Final = pl.Schema({"row": pl.Int32, "column": pl.String, "code": pl.String, "params": pl.String})
Resolve = Callable[[str, str, str], StreamEntry]
UnderstandOne = Callable[[tuple[str, ...]], tuple[Any, ...]]


def understand(parts: Iterable[pl.DataFrame], resolve: Resolve, today: date) -> Understood:
    """Understand every row. `resolve` answers (organisation, source, stream) with a stream or raises a coded error.

    Errors, per row: CELL_EMPTY, CELL_IS_A_FORMULA, CELLS_BEYOND_HEADER, UNKNOWN_SOURCE, SOURCE_IS_ELSEWHERE,
    STREAM_NOT_CHOSEN, UNKNOWN_STREAM, UNKNOWN_UNIT, UNIT_DOES_NOT_FIT, UNKNOWN_MONTH, MONTH_OUT_OF_RANGE, BAD_NUMBER,
    NUMBER_OUT_OF_RANGE, NEGATIVE_QUANTITY, MONTH_ALREADY_RECORDED. Those of reading the parts pass through.
    """
    reading = _Reading(resolve, today)
    lines = [reading.part(part) for part in parts]
    understood = Understood(
        pl.concat(lines) if lines else pl.DataFrame(schema=LINES),
        list(reading.batches),
        reading.streams,
        reading.rows,
        reading.refusals,
    )
    _refuse_negatives(understood)
    _refuse_repeats(understood)
    return understood


class _Reading:
    """What has been met so far: words keep their meaning from one part of a table to the next."""

    def __init__(self, resolve: Resolve, today: date) -> None:
        self._resolve, self._today = resolve, today
        self.streams: list[StreamEntry] = []
        self.batches: dict[tuple[str, str, str], int] = {}
        self.refusals: list[pl.DataFrame] = []
        self.rows = 0
        self._positions: dict[UUID, int] = {}
        stream = {"at": pl.UInt32, "factor": pl.Decimal(38, 12)}
        self._who = _Dictionary(WHO, self._stream, stream, "source")
        self._when = _Dictionary(("month",), self._day, {"day": pl.Date}, "month")
        self._shared = _Dictionary(SHARED, self._batch, {"batch": pl.UInt32}, "unit")
        self._odd = _Dictionary(("quantity",), _odd_number, {"read": pl.Decimal(38, 12)}, "quantity")

    def part(self, table: pl.DataFrame) -> pl.DataFrame:
        """The lines of some rows."""
        self.rows += table.height
        table = _without_strangers(table, self.refusals)
        table = table.with_columns(pl.lit("").alias(c) for c in (*WHO, *SHARED) if c not in table.columns)
        table = self._who.join(table, self.refusals)
        table = table.drop("organisation", "source", "stream").rename({"at": "stream"})
        table = self._when.join(table, self.refusals)
        # Before numbers are told apart, so that batches come in the order of rows.
        table = self._shared.join(table, self.refusals)
        table = _quantities(table, self._odd, self.refusals)
        return table.select(list(LINES))

    def _stream(self, words: tuple[str, ...]) -> tuple[int, Decimal]:
        organisation, source, stream, unit = (clean(as_written(w)) for w in words)
        for name, written in zip(WHO, words, strict=True):
            if written.startswith("="):
                raise CELL_IS_A_FORMULA(path=(name,))
        if not source:
            raise CELL_EMPTY(path=("source",), field="source", field_zh="排放源")
        if not unit:
            raise CELL_EMPTY(path=("unit",), field="unit", field_zh="单位")
        entry = self._resolve(organisation, source, stream)
        factor = fitted_unit(unit, entry.unit).factor
        at = self._positions.setdefault(entry.id, len(self.streams))
        if at == len(self.streams):
            self.streams.append(entry)
        return at, factor

    def _day(self, words: tuple[str, ...]) -> tuple[date]:
        if words[0].startswith("="):
            raise CELL_IS_A_FORMULA(path=("month",))
        day = read_day(words[0])
        checked_month(day.replace(day=1), self._today, "month")
        return (day,)

    def _batch(self, words: tuple[str, ...]) -> tuple[int]:
        unit, evidence, note = (tidy(as_written(w)) for w in words)
        return (self.batches.setdefault((unit, evidence, note), len(self.batches)),)


def _without_strangers(table: pl.DataFrame, refusals: list[pl.DataFrame]) -> pl.DataFrame:
    """Refuse rows whose cells are computed, or spill over the header as an unquoted 1,234 does."""
    for name in (BEYOND, *ALIASES):
        if name not in table.columns:
            continue
        cell = pl.col(name)
        strange = (cell.str.strip_chars() != "") if name == BEYOND else cell.str.starts_with(FORMULA)
        if not table.select(strange.any()).item():
            continue
        error = CELLS_BEYOND_HEADER() if name == BEYOND else CELL_IS_A_FORMULA(path=(name,))
        bad = table.filter(strange).with_columns(pl.lit(0).alias("problem"))
        refusals.append(_refused(bad, name, [error]))
        table = table.filter(~strange)
    return table


def _quantities(table: pl.DataFrame, odd_numbers: _Dictionary, refusals: list[pl.DataFrame]) -> pl.DataFrame:
    """Plain numbers all at once; what is written otherwise (１,２３４.５) one distinct number at a time."""
    plain = pl.col("quantity").str.contains(PLAIN_NUMBER)
    odd = table.filter(~plain)
    table = table.filter(plain).with_columns(pl.col("quantity").cast(pl.Decimal(38, 12)))
    if odd.height:
        odd = odd_numbers.join(odd, refusals)
        table = pl.concat([table, odd.drop("quantity").rename({"read": "quantity"}).select(table.columns)])
    scaled = table.filter(pl.col("factor") != 1)
    if not scaled.height:
        return table.drop("factor")
    table = table.filter(pl.col("factor") == 1)
    scaled = scaled.with_columns((pl.col("quantity") * pl.col("factor")).alias("product"))
    # A product that was rounded does not give the number back: it has more decimals than are kept.
    exact = pl.col("product") / pl.col("factor") == pl.col("quantity")
    fits = (pl.col("product").abs() < _MOST) & exact.fill_null(value=False)
    bad = scaled.filter(~fits)
    if bad.height:
        error = NUMBER_OUT_OF_RANGE(written="", unit="", canonical="the canonical unit", canonical_zh="规范单位")
        refusals.append(_refused(bad.with_columns(pl.lit(0).alias("problem")), "quantity", [error]))
    scaled = scaled.filter(fits).with_columns(pl.col("product").alias("quantity")).drop("product")
    return pl.concat([table, scaled.select(table.columns)]).drop("factor")


def _odd_number(words: tuple[str, ...]) -> tuple[Decimal]:
    written = clean(as_written(words[0]))
    if not written:
        raise CELL_EMPTY(field="quantity", field_zh="数量")
    if written.startswith("="):
        raise CELL_IS_A_FORMULA()
    number = read_number(written.replace(",", "") if _GROUPED.fullmatch(written) else written)
    if abs(number) >= _MOST or number != round(number, 12):
        raise NUMBER_OUT_OF_RANGE(
            written=written[:40], unit="", canonical="the canonical unit", canonical_zh="规范单位"
        )
    return (number,)


class _Dictionary:
    """What combinations of words mean, each understood when it is first met; rows whose words mean nothing are refused.

    `schema`: the columns that the words become. `column`: where refusals are shown, unless the error says.
    """

    def __init__(
        self, on: Sequence[str], understand_one: UnderstandOne, schema: Mapping[str, Any], column: str
    ) -> None:
        self._on, self._understand_one, self._column = list(on), understand_one, column
        self._schema = {**dict.fromkeys(on, pl.String), **schema, "problem": pl.Int32, "met": pl.Boolean}
        self._known = pl.DataFrame(schema=self._schema)
        self._errors: list[CodedError] = []

    def join(self, table: pl.DataFrame, refusals: list[pl.DataFrame]) -> pl.DataFrame:
        """The table with what the words mean."""
        if self._known.height > _REMEMBERED:  # words that do not repeat are not worth the room
            self._known, self._errors = self._known.clear(), []
        joined = table.join(self._known, on=self._on, how="left", maintain_order="left")
        strange = joined.filter(pl.col("met").is_null())
        if strange.height:
            self._learn(strange.select(self._on).unique(maintain_order=True))
            joined = table.join(self._known, on=self._on, how="left", maintain_order="left")
        joined = joined.drop("met")
        if joined["problem"].null_count() < joined.height:
            bad = joined.filter(pl.col("problem").is_not_null())
            refusals.append(_refused(bad, self._column, self._errors))
            joined = joined.filter(pl.col("problem").is_null())
        return joined.drop("problem")

    def _learn(self, combinations: pl.DataFrame) -> None:
        rows: list[tuple[Any, ...]] = []
        nothing = (None,) * (len(self._schema) - len(self._on) - 2)
        for words in combinations.iter_rows():
            try:
                rows.append((*words, *self._understand_one(words), None, True))
            except CodedError as error:
                rows.append((*words, *nothing, len(self._errors), True))
                self._errors.append(error)
        learnt = pl.DataFrame(rows, schema=self._schema, orient="row", strict=False)
        self._known = pl.concat([self._known, learnt])


def _refused(bad: pl.DataFrame, column: str, errors: Sequence[CodedError]) -> pl.DataFrame:
    told = pl.DataFrame(
        {
            "problem": list(range(len(errors))),
            "code": [e.code.name for e in errors],
            "column": [column if not e.path else e.path[-1] for e in errors],
            "params": [json.dumps({k: str(v) for k, v in e.params.items()}, ensure_ascii=False) for e in errors],
        },
        schema={"problem": pl.Int32, "code": pl.String, "column": pl.String, "params": pl.String},
    )
    joined = bad.with_columns(pl.col("problem").cast(pl.Int32)).join(told, on="problem", how="left")
    return joined.select(pl.col(name).cast(kind) for name, kind in _REFUSED.items())


def _refuse_negatives(understood: Understood) -> None:
    never = [i for i, s in enumerate(understood.streams) if not s.may_be_negative]
    bad = understood.lines.filter((pl.col("quantity") < 0) & pl.col("stream").is_in(never))
    keys = bad.select("row").with_row_index("problem")
    errors = [
        NEGATIVE_QUANTITY(quantity=quantity, stream=understood.streams[stream].code)
        for stream, quantity in bad.select("stream", "quantity").iter_rows()
    ]
    understood.refuse(keys, ["row"], "quantity", errors)


def _refuse_repeats(understood: Understood) -> None:
    """Within one file too a stream is recorded as often as its cadence says: the first row stays."""
    for cadence, slot in ((Cadence.MONTHLY, pl.col("day").dt.month_start()), (Cadence.DAILY, pl.col("day"))):
        of = [i for i, s in enumerate(understood.streams) if s.cadence is cadence]
        if not of:
            continue
        mine = understood.lines.filter(pl.col("stream").is_in(of)).with_columns(slot.alias("slot"))
        first = pl.col("row").min().over("stream", "slot").alias("first")
        bad = mine.with_columns(first).filter(pl.col("row") > pl.col("first"))
        errors = [
            MONTH_ALREADY_RECORDED(
                stream=understood.streams[stream].code,
                cadence=cadence,
                when=as_recorded(cadence, when),
                earlier=f"row {earlier} of this file",
                earlier_zh=f"本文件第 {earlier} 行",
            )
            for stream, when, earlier in bad.select("stream", "slot", "first").iter_rows()
        ]
        understood.refuse(bad.select("row").with_row_index("problem"), ["row"], "month", errors)


@functools.lru_cache(maxsize=4096)
def read_day(written: str) -> date:
    """A day, or the first day of a month. Errors: UNKNOWN_MONTH, CELL_EMPTY."""
    tidied = clean(written).replace(" 00:00:00", "")
    if not tidied:
        raise CELL_EMPTY(field="month", field_zh="月份")
    found = _MONTH.fullmatch(tidied.replace(" ", ""))
    try:
        if found:
            return date(int(found[1]), int(found[2]), int(found[3] or 1))
        if re.fullmatch(r"\d{5}(\.0)?", tidied):  # the day number of a spreadsheet
            return _EXCEL_EPOCH + timedelta(days=int(float(tidied)))
    except ValueError as error:
        raise UNKNOWN_MONTH(written=written[:40]) from error
    raise UNKNOWN_MONTH(written=written[:40])
