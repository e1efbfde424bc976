"""Monitoring plans as data (8.2.4, Table 3): what is measured, how often, with what; who made and who approved it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain.sources import checked_code
from backend.accounting.domain.units import checked_name
from backend.kit.errors import conflict, invalid, rule
from backend.kit.text import tidy
from backend.kit.words import in_chinese

MOST_PARAMETERS: Final = 500
MOST: Final = Decimal(10) ** 15


class Frequency(StrEnum):
    """The least often that a parameter is measured (最低监测频次)."""

    CONTINUOUS = "CONTINUOUS"
    """All the time (实时): at least one reading a day is expected."""
    HOURLY = "HOURLY"
    """Every hour (每小时): at least one reading a day is expected."""
    DAILY = "DAILY"
    """Every day (每日)."""
    WEEKLY = "WEEKLY"
    """Every week from Monday to Sunday (每周)."""
    PER_BATCH = "PER_BATCH"
    """Every batch (每批次): at least one reading a month is expected."""
    PER_CYCLE = "PER_CYCLE"
    """Every production cycle (每生产周期): at least one reading a month is expected."""
    MONTHLY = "MONTHLY"
    """Every month (每月)."""
    YEARLY = "YEARLY"
    """Every year (每年)."""


class ParameterKind(StrEnum):
    """How readings of a parameter make a month."""

    QUANTITY = "QUANTITY"
    """They are added up: fuel, output, electricity."""
    QUALITY = "QUALITY"
    """They are averaged by their weights: NCV, moisture, carbon, CaO."""


class Direction(StrEnum):
    """Which way an uncertain quantity is corrected so that emissions are not understated (rules of verification)."""

    INPUT = "INPUT"
    """Fuel, energy, materials: corrected upwards."""
    OUTPUT = "OUTPUT"
    """Production: corrected downwards."""


class PlanState(StrEnum):
    """Where a monitoring plan stands."""

    DRAFT = "DRAFT"
    """It is being written; only now its parameters change."""
    SUBMITTED = "SUBMITTED"
    """It is complete and waits for approval by somebody else."""
    APPROVED = "APPROVED"
    """It is in force from its first day on."""
    SUPERSEDED = "SUPERSEDED"
    """A later version is in force; what it asked for until then still counts."""


class PlanItem(StrEnum):
    """What a monitoring plan must hold (8.2.4 a to f)."""

    ORGANISATION = "ORGANISATION"
    """a) Name, address, organisation code, contact."""
    BOUNDARY = "BOUNDARY"
    """b) Boundary of the organisation and of the accounting."""
    DATA_SOURCES = "DATA_SOURCES"
    """c) Where the data of each unit and device come from."""
    MEASUREMENT = "MEASUREMENT"
    """d) Method, standard and frequency of what is measured."""
    INSTRUMENTS = "INSTRUMENTS"
    """e) Type, model and point of the instruments."""
    OTHER = "OTHER"
    """f) Other matters; say so when there are none."""


PLAN_ALREADY_OPEN = conflict(
    "PLAN_ALREADY_OPEN",
    en="The organisation has a monitoring plan in the making (version {version}); finish that one.",
    zh="该组织已有编制中的监测计划（版本 {version}），请先完成。",
)
PLAN_STATE = conflict(
    "PLAN_STATE",
    en="The monitoring plan is {state}; this needs {needed}.",
    zh="监测计划状态为 {state}，此操作要求 {needed}。",
)
in_chinese({
    "address": "地址", "organisation_code": "组织代码", "contact": "联系方式", "organisation_boundary": "组织边界",
    "accounting_boundary": "核算边界", "other_matters": "其他内容", "parameters": "参数",
})  # fmt: skip
PLAN_INCOMPLETE = rule(
    "PLAN_INCOMPLETE",
    en="The monitoring plan is not complete (8.2.4): {gaps}.",
    zh="监测计划不完整（8.2.4）：{gaps}。",
)
MAKER_IS_CHECKER = rule(
    "MAKER_IS_CHECKER",
    en="Who wrote or submitted a plan does not approve it; ask somebody else.",
    zh="编制或提交人不得批准同一监测计划，请由他人批准。",
)
PLAN_STARTS_TOO_EARLY = rule(
    "PLAN_STARTS_TOO_EARLY",
    en="The plan in force starts on {earlier}; a new version starts after that.",
    zh="现行监测计划自 {earlier} 起生效，新版本须晚于该日。",
)
UNKNOWN_TEMPLATE = invalid(
    "UNKNOWN_PLAN_TEMPLATE",
    en="There is no template '{code}'; there are: {known}.",
    zh="没有监测计划模板 '{code}'；现有：{known}。",
)
BAD_PARAMETER = invalid("BAD_PARAMETER", en="{reason}", zh="{reason_zh}")


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """What a plan says besides its parameters."""

    organisation_id: UUID
    starts_on: date
    address: str = ""
    organisation_code: str = ""
    contact: str = ""
    organisation_boundary: str = ""
    accounting_boundary: str = ""
    other_matters: str = ""


@dataclass(frozen=True, slots=True)
class MonitoringPlan:
    """A version of the plan of an organisation; in force from `starts_on` until the day before `ends_on`."""

    id: UUID
    organisation_id: UUID
    version: int
    state: PlanState
    address: str
    organisation_code: str
    contact: str
    organisation_boundary: str
    accounting_boundary: str
    other_matters: str
    starts_on: date
    ends_on: date | None
    created_by: UUID
    submitted_by: UUID | None = None
    submitted_at: datetime | None = None
    approved_by: UUID | None = None
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewParameter:
    """A parameter of a plan. `due_days`: how long after the end of a period its reading may come."""

    code: str
    name_zh: str
    unit: str
    frequency: Frequency
    name_en: str = ""
    table_row: int | None = None
    kind: ParameterKind = ParameterKind.QUANTITY
    direction: Direction = Direction.INPUT
    stream_id: UUID | None = None
    instrument_id: UUID | None = None
    data_source: str = ""
    method: str = ""
    standard: str = ""
    requirement: str = ""
    proof: str = ""
    due_days: int = 10
    lowest: Decimal | None = None
    highest: Decimal | None = None
    partner_code: str | None = None
    tolerance: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PlanParameter(NewParameter):
    """A parameter as it was kept."""

    id: UUID = field(kw_only=True)
    plan_id: UUID = field(kw_only=True)
    organisation_id: UUID = field(kw_only=True)


def checked_header(given: PlanHeader) -> PlanHeader:
    texts = {n: tidy(getattr(given, n)) for n in PlanHeader.__dataclass_fields__ if isinstance(getattr(given, n), str)}
    return replace(given, **texts)  # type: ignore[arg-type]


def checked_parameters(given: Sequence[NewParameter]) -> list[NewParameter]:
    """In canonical form. Errors: BAD_PARAMETER, BAD_EMISSION_CODE, NAME_MISSING, with the row."""
    if not 1 <= len(given) <= MOST_PARAMETERS:
        raise _bad(
            f"1 to {MOST_PARAMETERS} parameters are set at once.",
            f"一次可设置 1 至 {MOST_PARAMETERS} 个参数。",
            "parameters",
        )
    made = [_checked(p, "parameters", str(i)) for i, p in enumerate(given)]
    codes = [p.code for p in made]
    for i, code in enumerate(codes):
        if codes.index(code) != i:
            raise _bad(f"The code '{code}' is there twice.", f"代码 '{code}' 重复。", "parameters", str(i), "code")
    return made


def _checked(new: NewParameter, *path: str) -> NewParameter:
    wide = [v for v in (new.lowest, new.highest) if v is not None and abs(v) >= MOST]
    if wide or (new.lowest is not None and new.highest is not None and new.lowest > new.highest):
        raise _bad(
            "`lowest` is at most `highest`, both below 1e15.", "下限不得大于上限，且均小于 1e15。", *path, "lowest"
        )
    if not 0 <= new.due_days <= 366:
        raise _bad("`dueDays` lies between 0 and 366.", "dueDays 须在 0 至 366 之间。", *path, "dueDays")
    if (new.partner_code is None) != (new.tolerance is None) or not 0 <= (new.tolerance or 0) < 1:
        raise _bad(
            "A cross-check names a partner and a tolerance from 0 to below 1 (0.02 is 2 %).",
            "交叉校验须同时给出对照参数与容差（0 至 1，0.02 即 2%）。", *path, "tolerance",
        )  # fmt: skip
    if not tidy(new.unit):
        raise _bad("A unit is needed.", "须填写单位。", *path, "unit")
    if new.stream_id is not None and new.kind is not ParameterKind.QUANTITY:
        raise _bad("What is read from a stream is a QUANTITY.", "取自排放流的参数须为 QUANTITY。", *path, "kind")
    code = checked_code(new.code, *path, "code")
    partner = checked_code(new.partner_code, *path, "partnerCode") if new.partner_code is not None else None
    if partner == code:
        raise _bad("A parameter is not its own partner.", "参数不得与自身交叉校验。", *path, "partnerCode")
    texts = {n: tidy(getattr(new, n)) for n in ("name_en", "data_source", "method", "standard", "requirement", "proof")}
    kept: dict[str, Any] = {"code": code, "name_zh": checked_name(new.name_zh), "unit": tidy(new.unit), **texts}
    return replace(new, partner_code=partner, **kept)


def _bad(en: str, zh: str, *path: str) -> Exception:
    return BAD_PARAMETER(path=path, reason=en, reason_zh=zh)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What measures. `required_error`: the accuracy asked of it, as a share (0.005 for class 0.5)."""

    id: UUID
    organisation_id: UUID
    code: str
    name_zh: str
    name_en: str
    instrument_type: str
    model: str
    serial: str
    point: str
    required_error: Decimal


@dataclass(frozen=True, slots=True)
class Gap:
    """Something a plan lacks (8.2.4), and what it is about."""

    item: PlanItem
    about: str


def gaps(
    plan: MonitoringPlan,
    parameters: Sequence[PlanParameter],
    instruments: Sequence[Instrument],
    streams_without: Sequence[str] = (),
) -> list[Gap]:
    """What the plan lacks; empty when it is complete (8.2.4 a to f). `streams_without`: unmonitored streams."""
    found = [
        Gap(item, name)
        for item, names in (
            (PlanItem.ORGANISATION, ("address", "organisation_code", "contact")),
            (PlanItem.BOUNDARY, ("organisation_boundary", "accounting_boundary")),
            (PlanItem.OTHER, ("other_matters",)),
        )
        for name in names
        if not getattr(plan, name)
    ]
    if not parameters:
        found.append(Gap(PlanItem.DATA_SOURCES, "parameters"))
    found += [Gap(PlanItem.DATA_SOURCES, p.code) for p in parameters if not p.data_source]
    found += [Gap(PlanItem.DATA_SOURCES, name) for name in streams_without]
    found += [
        Gap(PlanItem.MEASUREMENT, p.code)
        for p in parameters
        if p.kind is ParameterKind.QUALITY and not (p.method and p.standard)
    ]
    used = {p.instrument_id for p in parameters}
    found += [
        Gap(PlanItem.INSTRUMENTS, i.code)
        for i in instruments
        if i.id in used and not (i.instrument_type and i.model and i.point)
    ]
    if parameters and used == {None}:
        found.append(Gap(PlanItem.INSTRUMENTS, "instruments"))
    return found
