"""Activity in its stored form: batches, their lines, and the packs that keep lines of a stream and month together.

What lines share (unit, evidence, note, author) lives on their batch. A line has no row of its own: its id is the
batch's, with the line number in the low 32 bits, so a million lines cost a few ten thousand rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Final
from uuid import UUID

from backend.accounting.domain.records import BatchOrigin
from backend.accounting.domain.sources import Cadence
from backend.kit.errors import CodedError, conflict, rule
from backend.kit.ids import uuid7

_LINES: Final = (1 << 32) - 1

MONTH_ALREADY_RECORDED = conflict(
    "MONTH_ALREADY_RECORDED",
    en="The stream '{stream}' is recorded {cadence}, and {when} has a record: {earlier}. Supersede that one "
    "(supersedeActivity takes its id), or add both up in one row.",
    zh="流 '{stream}' 的记录频次为{cadence_zh}，{when} 已有记录：{earlier_zh}。"
    "请用 supersedeActivity（以其标识）替换该记录，或合并为一行填报。",
)
MONTH_IS_DERIVED = conflict(
    "MONTH_IS_DERIVED",
    en="What '{stream}' used in {month} follows from its {cause}; correct or withdraw that instead.",
    zh="流 '{stream}' 在 {month_zh} 的活动数据由{cause_zh}得出；请更正或撤回该依据。",
)
RECORD_IS_DERIVED = rule(
    "RECORD_IS_DERIVED",
    en="This record follows from a stock ledger, meters or a stack monitor; supersede that, and the record goes too.",
    zh="该记录由购产销存台账、计量表或烟气监测得出；请替换其依据，记录随之更新。",
)


_CAUSES: Final = {
    BatchOrigin.STOCK: ("stock ledger (supersedeStock)", "购产销存台账（supersedeStock）"),
    BatchOrigin.METER: ("meters (supersedeMeterMonth)", "计量表（supersedeMeterMonth）"),
    BatchOrigin.MONITOR: ("stack monitor (supersedeStackMonth)", "烟气监测（supersedeStackMonth）"),
}


def month_is_derived(cause: BatchOrigin, stream: str, month: date) -> CodedError:
    """That a month of a stream follows from something else, with the mutation that corrects that."""
    name, name_zh = _CAUSES[cause]
    return MONTH_IS_DERIVED(path=("month",), stream=stream, month=f"{month:%Y-%m}", cause=name, cause_zh=name_zh)


@dataclass(frozen=True, slots=True)
class Batch:
    """What lines recorded together share. `line_id`: the first version of the line that this batch is a version of."""

    id: UUID
    entered_unit: str
    evidence: str = ""
    note: str = ""
    origin: BatchOrigin = BatchOrigin.ENTRY
    line_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A quantity of a stream on a day, in the stream's canonical unit; of one of the batches of a call, by position."""

    batch: int
    stream_id: UUID
    day: date
    quantity: Decimal

    @property
    def month(self) -> date:
        return self.day.replace(day=1)


@dataclass(slots=True)
class Packs:
    """Packs column by column, arrays as PostgreSQL reads them; their lines are numbered through each batch."""

    stream_ids: list[UUID] = field(default_factory=list)
    months: list[date] = field(default_factory=list)
    batch_ids: list[UUID] = field(default_factory=list)
    first_lines: list[int] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    quantities: list[str] = field(default_factory=list)
    source_rows: list[str | None] = field(default_factory=list)
    sums: list[str] = field(default_factory=list)
    """The exact sum of each pack; the database compares."""
    lines: dict[UUID, int] = field(default_factory=dict)
    """How many lines each batch has."""

    def add(self, stream_id: UUID, month: date, batch_id: UUID, lines: Sequence[Line]) -> int:
        """One pack more; the number of its first line."""
        first = self.lines.get(batch_id, 0) + 1
        self.lines[batch_id] = first + len(lines) - 1
        self.stream_ids.append(stream_id)
        self.months.append(month)
        self.batch_ids.append(batch_id)
        self.first_lines.append(first)
        self.days.append("{" + ",".join(str(line.day.day) for line in lines) + "}")
        self.quantities.append("{" + ",".join(str(line.quantity) for line in lines) + "}")
        self.source_rows.append(None)
        self.sums.append(str(sum((line.quantity for line in lines), Decimal(0))))
        return first


def new_batch_id() -> UUID:
    """A new id with room for line numbers."""
    return UUID(int=uuid7().int & ~_LINES)


def record_id(batch_id: UUID, line: int) -> UUID:
    """The id of a line of a batch."""
    return UUID(int=batch_id.int | line)


def batch_and_line(record: UUID) -> tuple[UUID, int]:
    """The batch of a record id, and which line of it."""
    return UUID(int=record.int & ~_LINES), record.int & _LINES


def pack(lines: Sequence[Line], batches: Sequence[Batch]) -> tuple[Packs, list[UUID]]:
    """The lines in packs, and the record id each of them gets. Lines of one batch, stream and month that follow one
    another lie in one pack, so records keep the order they were given in.
    """
    packs, ids = Packs(), []
    for (batch, stream_id, month), run in groupby(lines, lambda x: (x.batch, x.stream_id, x.month)):
        together = list(run)
        first = packs.add(stream_id, month, batches[batch].id, together)
        ids += [record_id(batches[batch].id, first + n) for n in range(len(together))]
    return packs, ids


def slot(cadence: Cadence, day: date) -> tuple[int, ...]:
    """What a record takes up in its stream: a month, a day, or nothing."""
    if cadence is Cadence.EVENT:
        return ()
    return (day.year, day.month) if cadence is Cadence.MONTHLY else (day.year, day.month, day.day)


def as_recorded(cadence: Cadence, day: date) -> str:
    """What a record takes up, as people write it: 2025-01, or 2025-01-31 where days are recorded."""
    return f"{day:%Y-%m}" if cadence is Cadence.MONTHLY else f"{day:%Y-%m-%d}"
