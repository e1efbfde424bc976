"""Runs of a consolidation: what is asked for, where it stands, and what may not be asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from backend.consolidation.domain.inputs import Basis
from backend.kit.errors import invalid, rule
from backend.kit.jobs.domain import JobState
from backend.kit.words import things_in_chinese
from tenants.domain import AllowancePolicy, ConsolidationApproach

FIRST_YEAR: Final = 1990
LONGEST_PERIOD: Final = 10

things_in_chinese({"ConsolidationRun": "合并运行"})
BAD_PERIOD = invalid(
    "BAD_CONSOLIDATION_PERIOD",
    en="{from_year} to {to_year} is no period: years run from {first} to {last}, forwards, at most {longest} of them.",
    zh="{from_year} 至 {to_year} 不是有效期间：年份须在 {first} 至 {last} 之间，先后有序，最多 {longest} 年。",
)
NOT_IN_TREE = rule(
    "ORGANISATION_NOT_IN_TREE",
    en="The organisation is not in the tree on {as_of}, the day for which its group would be put together.",
    zh="该组织在 {as_of}（合并所依据的日期）不在组织树中。",
)


@dataclass(frozen=True, slots=True)
class ConsolidationOrder:
    """What to consolidate: one organisation with all below it, for whole calendar years, both included.

    `approach` None takes that of the organisation's boundary.
    """

    organisation_id: UUID
    from_year: int
    to_year: int
    approach: ConsolidationApproach | None = None
    basis: Basis = Basis.ALL


@dataclass(frozen=True, slots=True)
class ConsolidationRun:
    """A run as stored. What it found is None until it has succeeded; its state is its job's."""

    id: UUID
    organisation_id: UUID
    from_year: int
    to_year: int
    approach: ConsolidationApproach
    job_id: UUID
    state: JobState
    requested_by: UUID
    requested_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    allowance_policy: AllowancePolicy | None = None
    input_sha256: bytes | None = None
    result_sha256: bytes | None = None
    nodes: int | None = None
    basis: Basis = Basis.ALL


def as_of(to_year: int) -> date:
    """The day whose tree, ownership, boundary and holdings a period is consolidated by: its last."""
    return date(to_year, 12, 31)


def check_period(order: ConsolidationOrder, today: date) -> None:
    """Years that have begun, in order, and not too many. Errors: BAD_CONSOLIDATION_PERIOD."""
    years = order.to_year - order.from_year + 1
    if not (order.from_year >= FIRST_YEAR and 1 <= years <= LONGEST_PERIOD and order.to_year <= today.year):
        raise BAD_PERIOD(
            path=("toYear",),
            from_year=order.from_year,
            to_year=order.to_year,
            first=FIRST_YEAR,
            last=today.year,
            longest=LONGEST_PERIOD,
        )
