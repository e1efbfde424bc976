"""A table of the hours of a stack, as the monitoring system exports it: CSV text with a line of headings."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from backend.accounting.domain.stacks import BAD_STACK_CSV, MOST_ROWS, RowStatus, StackRow, position_of
from backend.kit.errors import CodedError
from backend.kit.quantity import read_number
from backend.kit.text import clean

HEADINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "day": ("日", "day"),
    "hour": ("时", "小时", "hour"),
    "concentration": ("浓度", "CO2浓度", "concentration"),
    "flow": ("流量", "烟气流量", "flow"),
    "temperature": ("温度", "烟温", "temperature"),
    "pressure": ("压力", "烟气压力", "pressure"),
    "moisture": ("湿度", "含湿量", "moisture"),
    "oxygen": ("氧含量", "含氧量", "oxygen"),
    "hours": ("运行小时", "hours"),
    "status": ("状态", "status"),
}
_FIELD: Final = {name.casefold(): field for field, names in HEADINGS.items() for name in names}
_STATUS: Final = {
    "": RowStatus.NORMAL, "正常": RowStatus.NORMAL, "停运": RowStatus.STOPPED, "故障": RowStatus.FAULT,
    "校准": RowStatus.CALIBRATING, **{s.value.casefold(): s for s in RowStatus},
}  # fmt: skip


def read_hours(text: str, month: date) -> list[StackRow]:
    """The rows of a table. Errors (with the row): BAD_STACK_CSV, NO_SUCH_HOUR, BAD_NUMBER, NUMBER_HAS_SEPARATORS."""
    lines = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    try:
        table = [row for row in lines if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise _unread(str(error), "格式有误") from error
    fields = [_FIELD.get(clean(h).casefold().split("(")[0].strip(), "") for h in table[0]] if table else []
    needed = [f for f in ("day", "hour") if f not in fields]
    if needed:
        raise _unread(f"no column for {', '.join(needed)}", f"缺少列 {'、'.join(needed)}")
    if len(table) - 1 > MOST_ROWS:
        raise _unread(f"more than {MOST_ROWS} rows", f"超过 {MOST_ROWS} 行")
    rows = []
    for number, cells in enumerate(table[1:]):
        try:
            rows.append(_row(dict(zip(fields, cells, strict=False)), month))
        except CodedError as error:
            raise error.at("csv", str(number + 2)) from None
    return rows


def _row(cells: Mapping[str, str], month: date) -> StackRow:
    day, hour = (_whole(cells.get(name, ""), name) for name in ("day", "hour"))
    numbers = {
        name: read_number(cells[name])
        for name in ("concentration", "flow", "temperature", "pressure", "moisture", "oxygen")
        if cells.get(name, "").strip()
    }
    status = _STATUS.get(clean(cells.get("status", "")).casefold())
    if status is None:
        known = ", ".join(s for s in _STATUS if s)
        raise _unread(f"the status '{cells['status'][:20]}' is none of {known}", f"状态须为 {known} 之一")
    stands_for = read_number(cells["hours"]) if cells.get("hours", "").strip() else Decimal(1)
    return StackRow(position_of(month, day, hour), **numbers, hours=stands_for, status=status)


def _whole(text: str, name: str) -> int:
    number = read_number(text)
    if number != int(number) or not 0 <= number <= 31:
        raise _unread(f"'{text[:20]}' is no {name}", f"'{text[:20]}' 不是有效的{HEADINGS[name][0]}")
    return int(number)


def _unread(reason: str, reason_zh: str) -> CodedError:
    known = "; ".join(f"{names[0]} = {field}" for field, names in HEADINGS.items())
    return BAD_STACK_CSV(path=("csv",), reason=reason, reason_zh=reason_zh, known=known)
