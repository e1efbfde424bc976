"""Explanations below a record and beside a coefficient: what a quantity or a mean was put together from.

A ledger row from its parts, a settled month from its meters, a month of a stack from its hours, a mean from its
batches. The children add up to their parent exactly, in its own unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final
from uuid import UUID

from backend.accounting.domain.chinese import in_chinese
from backend.accounting.domain.explain import NO_WORDS, Explained, ExplainKind, Words, ground, named
from backend.accounting.domain.metering import CORRECTED, Meter, MeterMonth, MeterReading, ReadingKind
from backend.accounting.domain.monitored import Covered
from backend.accounting.domain.monitoring import Instrument
from backend.accounting.domain.quality_batches import MaterialBatch, QualityBasis, QualityMean, QualityParameter, shares
from backend.accounting.domain.stack_months import Reduced, brought
from backend.accounting.domain.stacks import RowStatus, StackKind, StackMonitor, StackMonth
from backend.accounting.domain.stock_ledger import MINUS, PLUS, StockRow
from backend.kit.quantity import GAS, QUANTITY_DECIMALS, round_half_up, trimmed

_PARTS: Final = {
    "opening": Words("期初库存", "opening stock"),
    "purchased": Words("购入", "purchased"),
    "produced": Words("自产", "produced"),
    "closing": Words("期末库存", "closing stock"),
    "sold": Words("外销", "sold"),
    "other_use": Words("其他用途", "other use"),
    "losses": Words("损耗", "losses"),
}


def stock_row(anchor: Explained, row: StockRow) -> Explained:
    """A row of the ledger with what it leaves for use, in the unit it was written in."""
    label = Words(f"购产销存台账 {row.month:%Y-%m}", f"stock ledger {row.month:%Y-%m}")
    told = Words(row.explanation, row.explanation)
    return _valued(anchor, ExplainKind.STOCK_ROW, row, label, told, row.consumption, row.unit)


def stock_parts(parent: Explained, row: StockRow) -> list[Explained]:
    """What came and what went, the latter negative."""
    signed = [(p, getattr(row, p)) for p in PLUS] + [(p, -getattr(row, p)) for p in MINUS]
    return [
        _summand(parent, ExplainKind.STOCK_PART, n, _PARTS[part], value)
        for n, (part, value) in enumerate(signed)
        if value
    ]


def meter_month(anchor: Explained, month: MeterMonth, unit: str) -> Explained:
    """A settled month: what was recorded, and what was measured before it was corrected."""
    label = Words(f"计量月结 {month.month:%Y-%m}", f"meters settled {month.month:%Y-%m}")
    corrected = month.explanation.removeprefix(CORRECTED)
    zh = f"计量值 {trimmed(month.measured)} {unit}；" + (
        f"校准修正：{corrected.replace(' d)', ' 天)')}" if corrected else ""
    )
    en = f"measured {trimmed(month.measured)} {unit}; " + (f"calibration correction: {corrected}" if corrected else "")
    return _valued(
        anchor, ExplainKind.METER_MONTH, month, label, Words(zh.rstrip("；"), en.rstrip("; ")), month.quantity, unit
    )


def meter_parts(parent: Explained, month: MeterMonth, meters: dict[UUID, tuple[Meter, Instrument]]) -> list[Explained]:
    """What each meter gave, with its correction."""
    found = []
    for n, part in enumerate(month.parts):
        meter, instrument = meters[part.meter_id]
        more = trimmed(part.corrected - part.measured)
        span = f"{part.from_day} … {part.to_day}"
        zh = f"{span}，计量值 {trimmed(part.measured)}，校准修正 {more:+f}（{part.uncovered_days} 天）"
        en = f"{span}, measured {trimmed(part.measured)}, correction {more:+f} ({part.uncovered_days} days)"
        label = named(instrument.code, instrument.name_zh, instrument.name_en)
        made = _summand(parent, ExplainKind.METER_PART, n, label, part.corrected, Words(zh, en))
        found.append(replace(made, subject_id=meter.id, days=(part.from_day, part.to_day)))
    return found


def instrument_of(node: Explained, instrument: Instrument, covered: Sequence[Covered], said: Words) -> Explained:
    """What measured, the error allowed to it, and how its calibrations found it."""
    label = named(instrument.code, instrument.name_zh, instrument.name_en)
    known = "; ".join(f"{c.done_on} … {c.valid_until} {_percent(c.actual_error)}" for c in covered)
    kind, kind_zh = (f"{instrument.instrument_type} {text}".strip() for text in (said.en, said.zh))
    allowed = _percent(instrument.required_error)
    detail = Words(
        f"{kind_zh}，允许误差 {allowed}，校准：{known or '无'}",
        f"{kind}, error allowed {allowed}, calibrated: {known or 'never'}",
    )
    return ground(node, ExplainKind.INSTRUMENT, instrument.id, label, detail)


def readings_of(node: Explained, meter: Meter, readings: Sequence[MeterReading]) -> list[Explained]:
    """The readings a part follows from: those of its days and their nearest neighbours, by day."""
    assert node.days is not None
    first, last = node.days
    before = [r for r in readings if r.day <= first][-1:]
    after = [r for r in readings if r.day >= last][:1]
    between = [r for r in readings if first < r.day < last]
    return [
        ground(
            node,
            ExplainKind.METER_READING,
            r.id,
            Words(str(r.day), str(r.day)),
            Words(in_chinese(ReadingKind, r.kind), r.kind),
            value=trimmed(r.value),
            unit=meter.unit,
            written=r.evidence,
        )
        for r in (*before, *between, *after)
    ]


def stack_month(anchor: Explained, month: StackMonth) -> Explained:
    """A month of a stack: how much of it was measured and filled, and what it makes."""
    share = _percent(Decimal(month.valid) / month.expected) if month.expected else "-"
    label = Words(f"烟气监测 {month.month:%Y-%m}", f"stack measured {month.month:%Y-%m}")
    made = f"{trimmed(month.concentration)} g/m³, {trimmed(month.mass_t)} tCO2"
    detail = Words(
        f"有效 {month.valid}/{month.expected}（{share}），按缺失规则填补 {len(month.filled)}；{made}",
        f"valid {month.valid} of {month.expected} ({share}), filled by the gap rule {len(month.filled)}; {made}",
    )
    return _valued(anchor, ExplainKind.STACK_MONTH, month, label, detail, month.quantity, GAS)


def stack_hours(parent: Explained, month: StackMonth, monitor: StackMonitor) -> list[Explained]:
    """Each hour or sample in dry gas, measured or filled; rounded so that they add up to the month."""
    rows = {r.position: r for r in month.rows}
    all_ = brought(monitor, month.month, month.rows, month.expected)
    found, upto, kept = [], Fraction(0), Decimal(0)
    for position, counted in sorted(all_.hours.items()):
        upto += counted.flow * counted.hours / 10_000
        value = round_half_up(upto, QUANTITY_DECIMALS) - kept
        kept += value
        status = rows[position].status if position in rows else None
        label = _hour(month.month, position, monitor.kind)
        detail = _measured(counted, status, filled=position in all_.filled)
        found.append(_summand(parent, ExplainKind.STACK_HOUR, position, label, value, detail))
    return found


def _measured(counted: Reduced, status: RowStatus | None, *, filled: bool) -> Words:
    values = [round_half_up(v, 6) for v in (counted.concentration, counted.flow, counted.hours)]
    made = f"{trimmed(values[0])} g/m³ × {trimmed(values[1])} m³/h × {trimmed(values[2])} h"
    told = in_chinese(RowStatus, status) if status else "无数据"
    if not filled:
        return Words(f"{told}：{made}", f"{status}: {made}")
    return Words(f"填补（{told}）：{made}", f"filled ({status or 'no data'}): {made}")


def _hour(month: date, position: int, kind: StackKind) -> Words:
    day = month + timedelta(days=position // 24)
    said = f"{day} {position % 24:02}:00" if kind is StackKind.CONTINUOUS else f"{day}"
    return Words(said, said)


def quality_mean(anchor: Explained, basis_id: UUID, mean: QualityMean) -> Explained:
    """The mean a method was given, and how many of its batches count by the default."""
    defaulted, untested = sum(1 for b in mean.batches if b.defaulted), ", ".join(mean.untested)
    month = f"{mean.month:%Y-%m}"
    zh = f"{len(mean.batches)} 批，其中缺省 {defaulted}" + (f"，未检测 {untested}" if untested else "")
    en = f"{len(mean.batches)} batches, {defaulted} by default" + (f", untested {untested}" if untested else "")
    label = Words(
        f"批次加权平均 {month} {in_chinese(QualityParameter, mean.parameter)}",
        f"mean of batches {month} {mean.parameter}",
    )
    told = ground(anchor, ExplainKind.QUALITY_MEAN, basis_id, label, Words(zh, en))
    return replace(told, value=trimmed(mean.value), unit=mean.unit)


def mean_batches(parent: Explained, mean: QualityMean, batches: dict[UUID, MaterialBatch]) -> list[Explained]:
    """What each batch adds to the mean, by its weight."""
    found = []
    for n, (value, added) in enumerate(zip(mean.batches, shares(mean), strict=True)):
        batch = batches[value.batch_id]
        told = f"{trimmed(value.value)} {mean.unit} × {trimmed(value.weight)}"
        lab = " ".join(x for x in (batch.laboratory, batch.report) if x)
        default = ("（缺省值）", " (default)") if value.defaulted else ("", "")
        label = Words(f"{batch.day} {batch.code}", f"{batch.day} {batch.code}")
        detail = Words(f"{told}{default[0]} {lab}".strip(), f"{told}{default[1]} {lab}".strip())
        made = _summand(parent, ExplainKind.MATERIAL_BATCH, n, label, added, detail)
        found.append(replace(made, subject_id=batch.id, written=batch.evidence))
    return found


def lab_values(node: Explained, batch: MaterialBatch) -> list[Explained]:
    """What the laboratory found, as written."""
    return [
        ground(
            node,
            ExplainKind.LAB_VALUE,
            batch.id,
            Words(in_chinese(QualityParameter, r.parameter), r.parameter),
            Words(in_chinese(QualityBasis, r.basis), r.basis),
            value=trimmed(r.value),
            unit=r.unit,
            path=(n,),
        )
        for n, r in enumerate(batch.results)
    ]


def _valued(
    anchor: Explained, kind: ExplainKind, row: StockRow | MeterMonth | StackMonth, label: Words, detail: Words,
    value: Decimal, unit: str,
) -> Explained:  # fmt: skip
    return ground(anchor, kind, row.id, label, detail, value=trimmed(value), unit=unit, written=row.evidence)


def _summand(
    parent: Explained, kind: ExplainKind, n: int, label: Words, value: Decimal, detail: Words = NO_WORDS
) -> Explained:
    made = ground(parent, kind, parent.subject_id, label, detail, value=trimmed(value), unit=parent.unit)
    return replace(made, whole=parent.value, path=(n,))


def _percent(share: Decimal) -> str:
    return f"{trimmed(round_half_up(share * 100, 2))} %"
