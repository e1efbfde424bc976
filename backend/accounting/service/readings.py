"""A reading as it is given, and what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from backend.accounting.domain import monitored
from backend.accounting.domain.monitored import ParameterReading
from backend.accounting.domain.monitoring import MOST, MonitoringPlan, PlanParameter
from backend.kit.errors import CodedError, not_found
from backend.kit.ids import uuid7
from backend.kit.text import tidy


@dataclass(frozen=True, slots=True)
class NewReading:
    """A reading to record, in the unit of its parameter."""

    parameter_id: UUID
    day: date
    value: Decimal
    batch: str = ""
    weight: Decimal | None = None
    evidence: str = ""
    note: str = ""


def judged_reading(
    new: NewReading, parameter: PlanParameter | None, plan: MonitoringPlan | None, refused: Any, taken: set[Any]
) -> ParameterReading:
    if parameter is None or plan is None:
        raise not_found("PlanParameter", new.parameter_id, "parameterId")
    if parameter.organisation_id in refused:
        raise refused[parameter.organisation_id].at("parameterId")
    if parameter.stream_id is not None:
        raise monitored.READ_FROM_STREAM(path=("parameterId",), code=parameter.code)
    in_force = plan.approved_by and plan.starts_on <= new.day and (plan.ends_on is None or new.day < plan.ends_on)
    if not in_force:
        raise monitored.READING_OUTSIDE_PLAN(path=("day",), state=plan.state, day=new.day, source="8.2.4")
    if abs(new.value) >= MOST or (new.weight is not None and not 0 < new.weight < MOST) or new.day.year < 1990:
        raise unread("A reading is below 1e15, its weight above 0, its day after 1989.",
                      "读数须小于 1e15，权重须大于 0，日期须在 1990 年以后。", "value")  # fmt: skip
    key = (parameter.organisation_id, parameter.code, new.day, tidy(new.batch))
    if key in taken:
        raise monitored.READING_TAKEN(path=("day",), code=parameter.code, day=new.day, batch=tidy(new.batch)[:60])
    taken.add(key)
    return ParameterReading(
        uuid7(), parameter.organisation_id, parameter.id, parameter.code, new.day, tidy(new.batch), new.value,
        new.weight, tidy(new.evidence), tidy(new.note),
    )  # fmt: skip


def unread(en: str, zh: str, *path: str) -> CodedError:
    return monitored.BAD_READING(path=path, reason=en, reason_zh=zh)
