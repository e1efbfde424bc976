"""What an inventory is asked before it is submitted: what stops it, and what ought to be looked at."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from backend.accounting.domain.choices import SourceMethod, preferred
from backend.accounting.domain.months import Span
from backend.accounting.domain.records import Method
from backend.kit.errors import Code, CodedError, rule
from tenants.domain import EvidenceKind

EVIDENCE_MISSING = rule(
    "EVIDENCE_MISSING",
    en="{count} records lack the evidence their stream requires, the first: {first}. Attach a document or a reference; "
    "`recordsWithoutEvidence` of the inventory lists them.",
    zh="{count} 条记录缺少所属流要求的证据，首条：{first}。请附上文件或填写凭证号；"
    "清单的 recordsWithoutEvidence 列出全部记录。",
)
EVIDENCE_NOT_STORED = rule(
    "EVIDENCE_NOT_STORED",
    en="{count} records lack the stored document their boundary demands, the first: {first}. Attach one to each; "
    "`recordsWithoutEvidence` of the inventory lists them.",
    zh="{count} 条记录缺少边界设置要求的已入库文件，首条：{first}。请逐条附上文件；"
    "清单的 recordsWithoutEvidence 列出全部记录。",
)
NOTHING_COUNTS = rule(
    "NOTHING_COUNTS",
    en="In {count} months sources have quantities, but nothing of the class that counts to account them by: {months}. "
    "Set its basis or choose another class for them, or say in `incompleteReason` why they emit nothing here.",
    zh="{count} 个月份有活动数据，但所选方法类别没有依据，排放为零：{months}。"
    "请设置依据或改选类别，或在 incompleteReason 说明原因。",
)
METHOD_PASSED_OVER = rule(
    "METHOD_PASSED_OVER",
    en="{source} has a basis of the class {preferred}, which comes first by precedence, but {counts} counts in "
    "{months}. Let it count by chooseSourceMethod; where it was passed over on purpose, the reason is: {reason}.",
    zh="{source} 具有优先级更高的{preferred}依据，但 {months} 计入的是{counts}。"
    "请用 chooseSourceMethod 选用；如属有意不用，所说明的原因：{reason}。",
)
MOST_NAMED: Final = 12


@dataclass(frozen=True, slots=True)
class Unproven:
    """A record that cannot be submitted for want of evidence; `document`: a stored document is demanded."""

    kind: EvidenceKind
    record_id: UUID
    source_id: UUID
    code: str
    first_month: date
    document: bool

    @property
    def key(self) -> tuple[date, str, UUID]:
        return self.first_month, self.code, self.record_id

    @property
    def named(self) -> str:
        return f"{self.code} {self.first_month:%Y-%m}"

    @property
    def lacks(self) -> Code:
        return EVIDENCE_NOT_STORED if self.document else EVIDENCE_MISSING


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a source that ought to be looked at before the inventory is submitted."""

    source_id: UUID
    months: tuple[date, ...]
    error: CodedError


def named(months: Sequence[date]) -> str:
    """The first months in words."""
    return ", ".join(f"{m:%Y-%m}" for m in months[:MOST_NAMED]) + (" …" if len(months) > MOST_NAMED else "")


def nothing_counts(source_id: UUID, months: Sequence[date]) -> Finding:
    """Quantities of which none counts."""
    error = NOTHING_COUNTS(count=len(months), months=named(months), source="8.2.5")
    return Finding(source_id, tuple(months), error)


def passed_over(
    source_id: UUID,
    code: str,
    months: Sequence[date],
    available: Sequence[tuple[Method, Span]],
    counting: Sequence[SourceMethod],
    precedence: Sequence[Method],
) -> list[Finding]:
    """Months in which a class counts though one before it by precedence has a basis (8.2.5), by choice.

    `available`: the classes the source has a basis of, and when.
    """
    found: list[Finding] = []
    for choice in counting:
        better: dict[Method, list[date]] = {}
        for month in months:
            if month in choice.span:
                first = preferred(_available(available, month), precedence)
                if first is not choice.method and _has(available, first, month):
                    better.setdefault(first, []).append(month)
        for method, of in better.items():
            error = METHOD_PASSED_OVER(
                source=code, preferred=method, counts=choice.method, months=named(of), reason=choice.reason or "-"
            )
            found.append(Finding(source_id, tuple(of), error))
    return found


def _available(available: Sequence[tuple[Method, Span]], month: date) -> set[Method]:
    return {method for method, span in available if month in span}


def _has(available: Sequence[tuple[Method, Span]], method: Method, month: date) -> bool:
    return any(m is method and month in span for m, span in available)


def sorted_findings(found: Collection[Finding], codes: Mapping[UUID, str]) -> list[Finding]:
    """By source, then by month."""
    return sorted(found, key=lambda f: (codes[f.source_id], f.months[0], f.error.code.name))
