"""Surrendering offsets over two registries, as pure data (8.3.2; measures for voluntary emission trading, 2023).

The units lie at the registry of reductions and count at the registry of allowances. They are frozen at the first and
offered at the second; once accepted there they are used up at both together. Turned back at any point before that, the
offer is withdrawn first and the units are unfrozen after it, so that no offer stands on units that are free again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.kit.errors import CodedError
from backend.kit.words import members_in_chinese
from backend.ledger.domain.refusals import Refusal
from backend.ledger.domain.transfers import LegOrder
from backend.ledger.offsets import codes


class OffsetStep(StrEnum):
    """A step of an offset surrender; the last one taken is its state."""

    FROZEN = "FROZEN"
    """The units are frozen at the registry of reductions, and hold their part of the limit (已冻结)."""
    OFFERED = "OFFERED"
    """They are entered as a pending offset at the registry of allowances (待抵销)."""
    ACCEPTED = "ACCEPTED"
    """The registry of allowances accepted them (已受理)."""
    SURRENDERED = "SURRENDERED"
    """Cancelled at the one registry and counted at the other; the end (已清缴)."""
    TURNED_BACK = "TURNED_BACK"
    """It will not come about; what was done is taken back (已退回)."""
    OFFER_VOIDED = "OFFER_VOIDED"
    """The pending offset is withdrawn (抵销已撤销)."""
    VOIDED = "VOIDED"
    """The units are unfrozen and their part of the limit is free; the end (已解冻)."""


members_in_chinese(OffsetStep, {
    "FROZEN": "已冻结", "OFFERED": "待抵销", "ACCEPTED": "已受理", "SURRENDERED": "已清缴", "TURNED_BACK": "已退回",
    "OFFER_VOIDED": "抵销已撤销", "VOIDED": "已解冻",
})  # fmt: skip


class OffsetCause(StrEnum):
    """Why an offset surrender was turned back."""

    REFUSED = "REFUSED"
    """The registry of allowances refused it (登记机构退回)."""
    DEADLINE = "DEADLINE"
    """Nobody decided in time (逾期未决)."""
    WITHDRAWN = "WITHDRAWN"
    """The holder withdrew it (申请人撤回)."""
    RULE = "RULE"
    """A rule or the books refused a step (规则不符)."""


ENDS: Final = frozenset({OffsetStep.SURRENDERED, OffsetStep.VOIDED})


@dataclass(frozen=True, slots=True)
class NewOffsetSurrender:
    """Offsets to surrender for `beneficiary_id` and a year; given back when nobody decides by `deadline`."""

    legs: tuple[LegOrder, ...]
    beneficiary_id: UUID
    for_year: int
    reference: str = ""
    evidence: str = ""
    purpose: str = ""
    deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What the registry of allowances decided: its `reference`, and why when it refused."""

    surrender_id: UUID
    accepted: bool
    reference: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """An offset surrender its holder gives up, and why."""

    surrender_id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class StepTaken:
    """A step as it was taken. `taken_by` is None for a deadline or a rule; these say why by a `refusal`, people do in
    words.
    """

    step: OffsetStep
    taken_at: datetime | None = None
    cause: OffsetCause | None = None
    reference: str = ""
    reason: str = ""
    transfer_id: UUID | None = None
    taken_by: UUID | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class OffsetSurrender:
    """An offset surrender and its steps, the first one first. `quantity_t`: whole tonnes over all lots."""

    id: UUID
    organisation_id: UUID
    beneficiary_id: UUID
    for_year: int
    quantity_t: int
    reservation_id: UUID
    deadline: datetime | None
    recorded_by: UUID
    steps: tuple[StepTaken, ...] = ()
    recorded_at: datetime | None = None

    @property
    def state(self) -> OffsetStep:
        """The last step; the first one is taken as it is begun."""
        return self.steps[-1].step if self.steps else OffsetStep.FROZEN

    @property
    def offered(self) -> bool:
        return any(s.step is OffsetStep.OFFERED for s in self.steps)

    def late(self, now: datetime) -> bool:
        """Whether it had to be decided before now and was not."""
        open_yet = self.state in {OffsetStep.FROZEN, OffsetStep.OFFERED}
        return open_yet and self.deadline is not None and self.deadline <= now


def next_step(found: OffsetSurrender, now: datetime) -> OffsetStep | None:
    """The step that waits for nobody; None while the registry of allowances has to decide, and after the end."""
    if found.late(now):
        return OffsetStep.TURNED_BACK
    if found.state is OffsetStep.TURNED_BACK:
        return OffsetStep.OFFER_VOIDED if found.offered else OffsetStep.VOIDED
    return {
        OffsetStep.FROZEN: OffsetStep.OFFERED,
        OffsetStep.ACCEPTED: OffsetStep.SURRENDERED,
        OffsetStep.OFFER_VOIDED: OffsetStep.VOIDED,
    }.get(found.state)


def check_decidable(found: OffsetSurrender, now: datetime) -> None:
    """Errors: OFFSET_STEP, OFFSET_LATE."""
    _check_at(found, ("a decision", "作出决定"), OffsetStep.OFFERED)
    if found.late(now):
        raise late(found)


def late(found: OffsetSurrender) -> CodedError:
    """OFFSET_LATE: its deadline has passed."""
    assert found.deadline is not None, "what is late had a deadline"
    return codes.OFFSET_LATE(path=("surrenderId",), deadline=found.deadline.isoformat())


def turned_back(cause: OffsetCause, because: CodedError) -> StepTaken:
    """The step back that a rule or a deadline takes."""
    return StepTaken(OffsetStep.TURNED_BACK, cause=cause, refusal=Refusal.of(because))


def why_turned_back(found: OffsetSurrender) -> str:
    """The reason given in words, or its code."""
    step = next(s for s in found.steps if s.step is OffsetStep.TURNED_BACK)
    return step.refusal.code if step.refusal else step.reason


def check_withdrawable(found: OffsetSurrender) -> None:
    """Errors: OFFSET_STEP."""
    _check_at(found, ("withdrawing", "撤回"), OffsetStep.FROZEN, OffsetStep.OFFERED)


def _check_at(found: OffsetSurrender, asked: tuple[str, str], *steps: OffsetStep) -> None:
    if found.state not in steps:
        possible = tuple(steps)
        en, zh = asked
        raise codes.OFFSET_STEP(path=("surrenderId",), state=found.state, asked=en, asked_zh=zh,
                                possible=possible)  # fmt: skip
