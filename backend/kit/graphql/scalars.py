"""Scalars of the public contract. Quantities never travel as floating point."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NewType

import strawberry
from strawberry.types.scalar import ScalarDefinition

from backend.kit.graphql.wording import unreadable

Month = NewType("Month", date)
"""The first day of a calendar month; on the wire `YYYY-MM`."""

Tonnes = NewType("Tonnes", int)
"""Whole tonnes of CO2 equivalent; on the wire a string of digits, safe beyond 2^53."""

MAX_TONNES: Final = 9_000_000_000_000_000_000
_DIGITS: Final = re.compile(r"-?\d{1,60}")
# Besides 2024-07 as people and files write it: 2024-7, 2024/7, 2024.7, 2024年7月.
_MONTH: Final = re.compile(r"(\d{4})(?:[-/.](0?[1-9]|1[0-2])|年(0?[1-9]|1[0-2])月)", re.ASCII)
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
# The first and the last day Python knows mean "for ever" to the database driver; nothing of ours is so far away.
FIRST_YEAR: Final = 1000
LAST_YEAR: Final = 9998
_DECIMAL: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")

_DECIMAL_FORM: Final = (
    'a Decimal is plain digits without separators, such as "-12.345".',
    '十进制数（Decimal）须为不带分隔符的数字，例如 "-12.345"。',
)
_DATE_FORM: Final = (
    'a Date is a day of the calendar, written "YYYY-MM-DD".',
    "日期（Date）须为日历中的一天，写作 YYYY-MM-DD。",
)
_MOMENT_FORM: Final = (
    'a DateTime is RFC 3339 with its offset from UTC: "2024-07-01T08:00:00Z" or "…+08:00".',
    "时刻（DateTime）按 RFC 3339 书写并带时区，例如 2024-07-01T08:00:00Z 或 …+08:00。",
)


def _decimal(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise unreadable(
            value,
            'a Decimal is written as a string such as "12.345"; floating point loses digits.',
            '十进制数（Decimal）须写成文本，例如 "12.345"；浮点数会丢失位数。',
        )
    written = str(value).strip()
    if len(written) > 60 or not _DECIMAL.fullmatch(written):
        raise unreadable(written, *_DECIMAL_FORM)
    try:
        return Decimal(written)
    except InvalidOperation as error:
        raise unreadable(written, *_DECIMAL_FORM) from error


def _plain(value: Decimal) -> str:
    return format(value, "f")


def _month_in(value: object) -> Month:
    match = _MONTH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise unreadable(
            value,
            'a Month is written "YYYY-MM", for example "2024-07".',
            "月份（Month）写作 YYYY-MM，例如 2024-07。",
        )
    return Month(date(_year(int(match[1])), int(match[2] or match[3]), 1))


def _year(year: int) -> int:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise unreadable(
            f"{year:04}",
            f"the year must lie between {FIRST_YEAR} and {LAST_YEAR}.",
            f"年份须在 {FIRST_YEAR} 至 {LAST_YEAR} 之间。",
        )
    return year


def _month_out(value: date) -> str:
    return value.strftime("%Y-%m")


def _tonnes_in(value: object) -> Tonnes:
    if isinstance(value, bool) or not isinstance(value, str | int) or not _DIGITS.fullmatch(str(value)):
        raise unreadable(
            value,
            'Tonnes and serial numbers are whole numbers such as "1200".',
            '吨数（Tonnes）与序列号须为整数，例如 "1200"。',
        )
    number = int(value)
    if abs(number) > MAX_TONNES:
        raise unreadable(value, f"Tonnes must lie within ±{MAX_TONNES}.", f"吨数（Tonnes）须在 ±{MAX_TONNES} 以内。")
    return Tonnes(number)


def _date_in(value: object) -> date:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise unreadable(value, *_DATE_FORM)
    try:
        day = date.fromisoformat(value)
    except ValueError as error:
        raise unreadable(value, *_DATE_FORM) from error
    _year(day.year)
    return day


def _datetime_in(value: object) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise unreadable(value, *_MOMENT_FORM) from error
    if moment.tzinfo is None:
        raise unreadable(value, *_MOMENT_FORM)
    _year(moment.year)
    return moment


def _iso(value: date) -> str:
    return value.isoformat()


def _scalar(name: str, description: str, url: str, **functions: Any) -> ScalarDefinition:
    made: ScalarDefinition = strawberry.scalar(name=name, description=description, specified_by_url=url, **functions)
    return made


SCALARS: Final[Mapping[Any, ScalarDefinition]] = {
    Decimal: _scalar(
        "Decimal",
        'An exact decimal number, written as a string: "12.345". Never floating point.',
        "https://speleotrove.com/decimal/daconvs.html",
        serialize=_plain,
        parse_value=_decimal,
    ),
    Month: _scalar(
        "Month",
        'A calendar month, written "YYYY-MM" as in ISO 8601, for example "2024-07"; 2024/7 and 2024年7月 are read.',
        "https://www.rfc-editor.org/rfc/rfc3339#appendix-A",
        serialize=_month_out,
        parse_value=_month_in,
    ),
    Tonnes: _scalar(
        "Tonnes",
        'Whole tonnes of CO2 equivalent as a string of digits, "1200"; a ledger unit is one tonne.',
        "https://www.rfc-editor.org/rfc/rfc8259#section-6",
        serialize=str,
        parse_value=_tonnes_in,
    ),
    date: _scalar(
        "Date",
        'A calendar day, written "YYYY-MM-DD" as in ISO 8601.',
        "https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
        serialize=_iso,
        parse_value=_date_in,
    ),
    datetime: _scalar(
        "DateTime",
        'A moment with its offset from UTC, RFC 3339: "2024-07-01T08:00:00Z".',
        "https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_iso,
        parse_value=_datetime_in,
    ),
}
