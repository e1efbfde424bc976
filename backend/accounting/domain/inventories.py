"""Inventories: the emissions of an organisation in a period, and the steps by which they become final.

open → submitted → reviewed → approved → (verified by a third party) → locked. What is submitted is frozen and has a
digest; maker is not checker. To change it, it is reopened with a reason: that is a restatement, a version of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.accounting.domain.sources import Category, DirectKind
from backend.kit.errors import conflict, invalid, rule
from backend.kit.quantity import trimmed
from backend.kit.words import in_chinese

in_chinese({
    "OPEN": "编制中", "SUBMITTED": "已提交", "REVIEWED": "已复核", "APPROVED": "已批准", "VERIFIED": "已核查",
    "LOCKED": "已锁定", "REOPENED": "已重新打开",
})  # fmt: skip
PERIOD_LOCKED = conflict(
    "PERIOD_LOCKED",
    en="The inventory of this organisation for {period} is {state}; reopen it with a reason before changing records.",
    zh="该组织 {period_zh} 的清单状态为“{state_zh}”；修改记录前须说明原因并重新打开清单。",
)
INVENTORY_OVERLAPS = conflict(
    "INVENTORY_OVERLAPS",
    en="The organisation has an inventory that covers part of this period; use that one.",
    zh="该组织已有清单覆盖此期间的一部分；请使用该清单。",
)
INVENTORY_STATE = conflict(
    "INVENTORY_STATE",
    en="The inventory is {state}; this step needs one that is {needed}.",
    zh="清单状态为“{state_zh}”；此步骤需要状态：{needed_zh}。",
)
INVENTORY_MONTHS = invalid(
    "INVENTORY_MONTHS",
    en="An inventory covers 1 to 12 months in a row; {months} are not possible. Make one inventory for each year.",
    zh="一份清单覆盖连续 1 至 12 个月，不能为 {months} 个月。请按年度分别建立清单。",
)
REOPENING_REASON = invalid(
    "REOPENING_REASON",
    en="Say why the inventory is reopened; the reason stands in its next version as that of the restatement.",
    zh="须说明重新打开清单的原因；该原因将作为重述原因记入下一版本。",
)
CHECKER_TOOK_PART = rule(
    "CHECKER_TOOK_PART",
    en="You took an earlier step on this inventory ({steps}); somebody else must take this one.",
    zh="您已办理过该清单的前序步骤（{steps_zh}）；此步骤须由他人办理。",
)
INVENTORY_EMPTY = rule(
    "INVENTORY_EMPTY",
    en="There is nothing to submit: the organisation has no results in {period}.",
    zh="没有可提交的内容：该组织在 {period} 没有结果。",
)


RESULT_CUT = rule(
    "RESULT_CUT",
    en="{count} declared results reach beyond the months of the inventory, the first: {first}. "
    "Make the inventory as long as they are, or declare them by its months.",
    zh="{count} 项申报结果超出清单月份，首项：{first}。请延长清单，或按清单月份申报。",
)


class RestatementCause(StrEnum):
    """Why an inventory is restated (9.2.2.7)."""

    ERROR = "ERROR"
    """A record was wrong or missing (差错更正)."""
    METHOD = "METHOD"
    """A method or a factor changed (方法或因子变化)."""
    STRUCTURE = "STRUCTURE"
    """The organisation or its boundary changed (组织或边界变化)."""
    OTHER = "OTHER"
    """Something else, as the reason says (其他)."""


class InventoryState(StrEnum):
    """How final an inventory is."""

    OPEN = "OPEN"
    """Records may change. 编制中"""
    SUBMITTED = "SUBMITTED"
    """Frozen by who made it. 已提交"""
    REVIEWED = "REVIEWED"
    """Confirmed by somebody else. 已复核"""
    APPROVED = "APPROVED"
    """Approved: its totals count as the organisation's. 已批准"""
    VERIFIED = "VERIFIED"
    """Confirmed by a third party. 已核查"""
    LOCKED = "LOCKED"
    """Final for the programme it was made for. 已锁定"""
    REOPENED = "REOPENED"
    """Replaced by a restatement. 已重新打开"""


FROZEN: Final = (
    InventoryState.SUBMITTED,
    InventoryState.REVIEWED,
    InventoryState.APPROVED,
    InventoryState.VERIFIED,
    InventoryState.LOCKED,
)
FINAL: Final = (InventoryState.APPROVED, InventoryState.VERIFIED, InventoryState.LOCKED)


class Step(StrEnum):
    """What somebody does with an inventory."""

    REVIEW = "REVIEW"
    """Confirm it."""
    APPROVE = "APPROVE"
    """Approve it."""
    VERIFY = "VERIFY"
    """Confirm it as the third party."""
    LOCK = "LOCK"
    """Close it."""
    REJECT = "REJECT"
    """Give it back to who made it."""


# From which states a step leads where.
STEPS: Final[dict[Step, tuple[tuple[InventoryState, ...], InventoryState]]] = {
    Step.REVIEW: ((InventoryState.SUBMITTED,), InventoryState.REVIEWED),
    Step.APPROVE: ((InventoryState.REVIEWED,), InventoryState.APPROVED),
    Step.VERIFY: ((InventoryState.APPROVED,), InventoryState.VERIFIED),
    Step.LOCK: ((InventoryState.APPROVED, InventoryState.VERIFIED), InventoryState.LOCKED),
    Step.REJECT: ((InventoryState.SUBMITTED, InventoryState.REVIEWED), InventoryState.OPEN),
}
SIGNED_AS: Final = {
    Step.REVIEW: "reviewed_by",
    Step.APPROVE: "approved_by",
    Step.VERIFY: "verified_by",
}


@dataclass(frozen=True, slots=True)
class NewInventory:
    """The period an organisation makes an inventory of: 1 to 12 months."""

    organisation_id: UUID
    first_month: date
    months: int = 12


@dataclass(frozen=True, slots=True)
class Inventory:
    """An inventory as it stands. `round`: how often it was submitted; `sha256` is of what was submitted last."""

    id: UUID
    organisation_id: UUID
    first_month: date
    months: int
    version: int
    state: InventoryState
    round: int
    sha256: str | None
    reason: str
    submitted_by: UUID | None
    reviewed_by: UUID | None
    approved_by: UUID | None
    verified_by: UUID | None
    created_at: datetime
    cause: RestatementCause | None = None

    @property
    def after(self) -> date:
        """The first month that does not belong to it."""
        month = self.first_month.month - 1 + self.months
        return date(self.first_month.year + month // 12, month % 12 + 1, 1)

    @property
    def each_month(self) -> list[date]:
        """Its months."""
        numbers = range(self.first_month.month - 1, self.first_month.month - 1 + self.months)
        return [date(self.first_month.year + n // 12, n % 12 + 1, 1) for n in numbers]

    @property
    def period(self) -> str:
        return f"{self.first_month:%Y-%m}/{self.each_month[-1]:%Y-%m}"

    def moved(self, step: Step) -> InventoryState:
        """Where a step leads. Errors: INVENTORY_STATE."""
        needed, result = STEPS[step]
        if self.state not in needed:
            raise INVENTORY_STATE(path=("id",), state=self.state, needed=" / ".join(needed))
        return result

    def sign(self, member_id: UUID) -> None:
        """Errors: CHECKER_TOOK_PART when the member took an earlier step."""
        taken = {"submitted": self.submitted_by, "reviewed": self.reviewed_by, "approved": self.approved_by}
        steps = [name.upper() for name, who in taken.items() if who == member_id]
        if steps:
            raise CHECKER_TOOK_PART(path=("id",), steps=", ".join(steps))


@dataclass(frozen=True, slots=True)
class InventoryEvent:
    """A step that was taken: who, when, what it led to, the digest of the content then."""

    n: int
    state: InventoryState
    note: str
    sha256: str | None
    member_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class InventoryLine:
    """A frozen result: of a stream in a month with the coefficient used, or a declared one. Tonnes of CO2e."""

    n: int
    source_id: UUID
    stream_id: UUID | None
    declared_result_id: UUID | None
    coefficient_id: UUID | None
    category: Category
    direct_kind: DirectKind | None
    first_month: date
    months: int
    quantity: Decimal | None
    co2e_t: Decimal
    records: int


FORM: Final = "tanheng.inventory/1"


def heading(of: Inventory, round_: int) -> str:
    """The first text line of what an inventory's digest is made of: whose it is, of which months, which submission."""
    fields = (FORM, of.organisation_id, of.first_month, of.months, of.version, round_)
    return "\t".join(map(str, fields)) + "\n"


def written(line: InventoryLine) -> str:
    """A line as the digest is made of: one text line, fields divided by tabs, decimals without trailing zeros."""
    fields = (
        line.n,
        line.source_id,
        line.stream_id or line.declared_result_id,
        line.coefficient_id or "",
        line.category.value,
        line.direct_kind or "",
        line.first_month,
        line.months,
        "" if line.quantity is None else trimmed(line.quantity),
        trimmed(line.co2e_t),
        line.records,
    )
    return "\t".join(map(str, fields)) + "\n"


def digest(of: Inventory, round_: int, lines: Iterable[InventoryLine]) -> str:
    """The sha256 by which a submission is known: of its heading and its lines in their order, in UTF-8."""
    made = hashlib.sha256(heading(of, round_).encode())
    for line in lines:
        made.update(written(line).encode())
    return made.hexdigest()


@dataclass(frozen=True, slots=True)
class InventoryKnown:
    """An inventory as it was known at a moment: its state, its submission and the digest of it."""

    inventory: Inventory
    state: InventoryState
    round: int
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What a category (direct: one kind) was before a restatement, and is after it (tCO2e)."""

    category: Category
    direct_kind: DirectKind | None
    before_t: Decimal
    after_t: Decimal

    @property
    def difference_t(self) -> Decimal:
        return self.after_t - self.before_t


def differences(before: Sequence[InventoryTotal], after: Sequence[InventoryTotal]) -> list[Difference]:
    """Category by category; those that stayed the same, too."""
    old = {(t.category, t.direct_kind): t.co2e_t for t in before}
    new = {(t.category, t.direct_kind): t.co2e_t for t in after}
    keys = sorted({*old, *new}, key=lambda k: (list(Category).index(k[0]), k[1] or ""))
    zero = Decimal(0)
    return [Difference(c, k, old.get((c, k), zero), new.get((c, k), zero)) for c, k in keys]


@dataclass(frozen=True, slots=True)
class Restatement:
    """A version of an inventory that replaces another; what it changes is told once it was submitted."""

    inventory: Inventory
    previous: Inventory
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class InventoryTotal:
    """tCO2e of a category (direct: of one kind) in an inventory."""

    category: Category
    direct_kind: DirectKind | None
    co2e_t: Decimal
    records: int
