"""Nodes of an explanation made of rows: a stream-month or declared result, a record, and pages of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import Row

from backend.accounting.domain.activity import record_id
from backend.accounting.domain.chinese import in_chinese
from backend.accounting.domain.explain import Explained, ExplainKind, Words, named
from backend.accounting.domain.records import Method
from backend.accounting.domain.sources import Category, DirectKind
from backend.kit.pages import Page, PageRequest
from backend.kit.quantity import trimmed

Nodes = Sequence[Explained]
Placed = dict[int, list[Row[Any]]]


def source_of(parent: Explained, row: Row[Any]) -> Explained:
    """A source below an organisation, or below a frozen inventory."""
    kind = f" / {row.direct_kind}" if row.direct_kind else ""
    kind_zh = f"／{in_chinese(DirectKind, row.direct_kind)}" if row.direct_kind else ""
    return replace(
        parent,
        kind=ExplainKind.SOURCE,
        subject_id=row.id,
        label=named(row.code, row.name_zh, row.name_en),
        detail=Words(f"{in_chinese(Category, row.category)}{kind_zh}", f"{row.category}{kind}"),
        value=trimmed(parent.part * row.co2e_t),
        whole=parent.value,
        records=row.records,
    )


def month_of(parent: Explained, row: Row[Any]) -> Explained:
    """A stream-month, or a declared result (rank 1)."""
    declared = bool(row.rank)
    when = f"{row.first_month:%Y-%m}" + (f" +{row.months - 1}" if row.months > 1 else "")
    name = named(row.code, row.name_zh, row.name_en)
    times = f"{trimmed(row.quantity)} {row.unit} × {trimmed(row.co2e_per_unit)} {row.coefficient_unit}"
    method = f" ({row.method})" if declared else ""
    method_zh = f"（{in_chinese(Method, row.method)}）" if declared else ""
    return replace(
        parent,
        kind=ExplainKind.DECLARED_RESULT if declared else ExplainKind.STREAM_MONTH,
        subject_id=row.id,
        label=Words(f"{when} {name.zh}", f"{when} {name.en}"),
        detail=Words(times + method_zh, times + method),
        value=trimmed(parent.part * row.co2e_t),
        whole=parent.value,
        records=row.records,
        month=None if declared else row.first_month,
        coefficient_id=row.coefficient_id,
        factor_id=row.factor_id,
        written=row.evidence,
    )


def record_of(parent: Explained, row: Row[Any]) -> Explained:
    """A record with its part of the month."""
    quantity = f"{trimmed(row.quantity)} {row.unit}"
    at = f"{row.recorded_at:%Y-%m-%d}"
    return replace(
        parent,
        kind=ExplainKind.RECORD,
        subject_id=record_id(row.batch_id, row.line),
        label=Words(f"{row.day} {quantity}", f"{row.day} {quantity}"),
        detail=Words(f"以 {row.entered_unit} 填报，记录于 {at}", f"entered in {row.entered_unit}, recorded {at}"),
        value=trimmed(parent.part * row.co2e_t),
        whole=parent.value,
        records=1,
        month=None,
        coefficient_id=None,
        written=row.evidence,
    )


def pages_of(
    parents: Nodes,
    listed: Placed,
    request: PageRequest,
    node: Callable[[Explained, Row[Any]], Explained],
    key: Callable[[Row[Any]], tuple[Any, ...]],
) -> list[Page[Explained]]:
    """For each parent the page of its rows."""
    return [
        Page.cut(listed.get(place, []), request, key).map(partial(node, parent)) for place, parent in enumerate(parents)
    ]
