"""Where a total comes from: a tree whose children add up to their parent, and what each node rests on.

    a frozen inventory → sources → its lines → the records as they were known when it was submitted

    total of an organisation with all below it → its own sources, the organisations directly below → sources →
    stream-months and declared results → records

Children are summands: they add up to their parent exactly. What a node rests on, its *grounds*, is not added: the
coefficient of a stream-month with the steps and factors it was derived from, documents, inventories and who signed.
A record may rest on a ledger row, meters or a stack, a coefficient on a mean of batches: those have children too, in
their own unit, which add up to them exactly.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import orjson

from backend.accounting.domain.derivation import Coefficient, Step
from backend.accounting.domain.sources import Category
from backend.kit.errors import INVALID_ID, Locale, invalid
from backend.kit.quantity import GREENHOUSE_GAS, round_half_up
from tenants.domain import ConsolidationApproach

SHARE_DECIMALS: Final = 6
FIRST_YEAR, LAST_YEAR = 1990, 2100

BAD_YEAR = invalid(
    "BAD_EXPLAINED_YEAR",
    en="A year from {first} to {last} can be explained; {year} cannot.",
    zh="可解释的年份为 {first} 至 {last}；{year} 不在其中。",
)


class ExplainKind(StrEnum):
    """What a node of an explanation is."""

    FROZEN = "FROZEN"
    """An inventory as it was submitted: its lines, and the records that were known then (提交时的清单)."""
    TOTAL = "TOTAL"
    """An organisation with all below it (组织合计)."""
    OWN = "OWN"
    """An organisation's own sources (本组织)."""
    SOURCE = "SOURCE"
    """An emission source (排放源)."""
    STREAM_MONTH = "STREAM_MONTH"
    """What a stream emitted in a month: quantity × coefficient (流的月度排放)."""
    DECLARED_RESULT = "DECLARED_RESULT"
    """A result that was declared (申报结果)."""
    RECORD = "RECORD"
    """An activity record, with its part of the month's emission (活动数据)."""
    COEFFICIENT = "COEFFICIENT"
    """What a quantity was multiplied by (排放系数)."""
    STEP = "STEP"
    """A term the coefficient was derived by (推导步骤)."""
    FACTOR = "FACTOR"
    """A value of a factor library, with its provenance (因子)."""
    PARAMETER = "PARAMETER"
    """A parameter of the monitoring plan by which a stream is watched (监测参数)."""
    EVIDENCE = "EVIDENCE"
    """A reference of evidence, as it was written (凭证号)."""
    DOCUMENT = "DOCUMENT"
    """A document that proves it (证据文件)."""
    INVENTORY = "INVENTORY"
    """The inventory it is part of, with its digest (排放清单)."""
    SIGNATURE = "SIGNATURE"
    """Who took which step, and when (签署)."""
    STOCK_ROW = "STOCK_ROW"
    """The row of the stock ledger a record follows from (台账行)."""
    STOCK_PART = "STOCK_PART"
    """What came or went in that month, with its sign (台账分项)."""
    METER_MONTH = "METER_MONTH"
    """The settled month of meters a record follows from (计量月结)."""
    METER_PART = "METER_PART"
    """What one meter gave the month, corrected for its calibration (计量表分量)."""
    METER_READING = "METER_READING"
    """A reading of the register (表底读数)."""
    INSTRUMENT = "INSTRUMENT"
    """What measured, with its calibrations (计量器具)."""
    STACK_MONTH = "STACK_MONTH"
    """The month of a stack a record follows from (烟气月数据)."""
    STACK_HOUR = "STACK_HOUR"
    """An hour or sample of a stack, measured or filled (烟气小时数据)."""
    QUALITY_MEAN = "QUALITY_MEAN"
    """The mean of batches that a method was given (批次加权平均)."""
    MATERIAL_BATCH = "MATERIAL_BATCH"
    """A batch, with what it adds to the mean (批次)."""
    LAB_VALUE = "LAB_VALUE"
    """What the laboratory found, as written (检测值)."""


SUMMED: Final = (ExplainKind.FROZEN, ExplainKind.TOTAL, ExplainKind.OWN, ExplainKind.SOURCE, ExplainKind.STREAM_MONTH)
"""Kinds of emissions that have children."""
MADE_OF: Final = (ExplainKind.STOCK_ROW, ExplainKind.METER_MONTH, ExplainKind.STACK_MONTH, ExplainKind.QUALITY_MEAN)
"""Kinds of quantities and means that have children, in their own unit."""


@dataclass(frozen=True, slots=True)
class Words:
    """A text in both languages."""

    zh: str
    en: str

    def said(self, locale: Locale) -> str:
        return self.zh if locale == "zh-CN" else self.en


def named(code: str, zh: str, en: str) -> Words:
    """A thing by its code and its name; where it has no name in a language, by the other one."""
    return Words(f"{code} {zh or en}".strip(), f"{code} {en or zh}".strip())


@dataclass(frozen=True, slots=True)
class Frozen:
    """A submission of an inventory: the first, the second …"""

    inventory_id: UUID
    round: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What is explained: the total of an organisation in a year, put together as consolidation does.

    Its tree and ownership are those of the year's last day. Of every organisation below counts the part that
    `approach` says: the equity share, or all of what is controlled.
    """

    root_id: UUID
    year: int
    approach: ConsolidationApproach
    categories: tuple[Category, ...]
    frozen: Frozen | None = None
    """Of which submission everything is shown; None: as it stands today."""

    @property
    def day(self) -> date:
        return date(self.year, 12, 31)


@dataclass(frozen=True, slots=True)
class Explained:
    """A node. `value` is in `unit` and, where it is an emission, already multiplied by `part`, the fraction of the
    organisation that counts in its frame; `whole` is the value of the node it is a summand of.
    """

    kind: ExplainKind
    frame: Frame
    subject_id: UUID
    organisation_id: UUID
    label: Words
    value: Decimal | None = None
    unit: str = GREENHOUSE_GAS
    detail: Words = Words("", "")
    part: Decimal = Decimal(1)
    whole: Decimal | None = None
    records: int = 0
    month: date | None = None
    coefficient: Coefficient | None = None
    coefficient_id: UUID | None = None
    step: Step | None = None
    factor_id: UUID | None = None
    basis_id: UUID | None = None
    written: str = ""
    path: tuple[int, ...] = field(default=())
    days: tuple[date, date] | None = None

    @property
    def share(self) -> Decimal | None:
        """Its share of the node it is a summand of, 6 decimals; None where that is 0 or it is no summand."""
        if self.value is None or not self.whole:
            return None
        return round_half_up(self.value / self.whole, SHARE_DECIMALS)

    @property
    def key(self) -> str:
        """An opaque text by which it is found again."""
        frame = self.frame
        parts: list[Any] = [
            self.kind,
            str(self.subject_id),
            str(frame.root_id),
            frame.year,
            frame.approach,
            frame.categories,
        ]
        parts += [self.month, self.path]
        if frame.frozen is not None:
            parts += [str(frame.frozen.inventory_id), frame.frozen.round]
        return base64.urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


NO_WORDS: Final = Words("", "")


def ground(
    node: Explained, kind: ExplainKind, subject: UUID, label: Words, detail: Words = NO_WORDS, **more: Any
) -> Explained:
    """Something a node rests on; no summand, so it has no share."""
    bare = Explained(kind, node.frame, subject, node.organisation_id, label, unit="", detail=detail)
    return replace(bare, **more)


@dataclass(frozen=True, slots=True)
class NodeKey:
    """What the opaque text of a node that has children says."""

    kind: ExplainKind
    subject_id: UUID
    frame: Frame
    month: date | None


def read_key(written: str) -> NodeKey:
    """Errors: INVALID_ID for a text that is not the id of a node with children."""
    refused = INVALID_ID(
        path=("subject", "node"),
        value=written[:80],
        expected="a node of an explanation with children",
        expected_zh="有下级的解释节点",
    )
    try:
        read = orjson.loads(base64.urlsafe_b64decode(written + "=" * (-len(written) % 4)))
        kind, subject, root, year, approach, categories, month, _, *submission = read
        frozen = Frozen(UUID(submission[0]), int(submission[1])) if submission else None
        terms = tuple(Category(c) for c in categories)
        frame = Frame(UUID(root), int(year), ConsolidationApproach(approach), terms, frozen)
        made = NodeKey(ExplainKind(kind), UUID(subject), frame, month and date.fromisoformat(month))
    except (binascii.Error, ValueError, TypeError, AttributeError, OverflowError, IndexError) as error:
        raise refused from error
    if made.kind not in (*SUMMED, *MADE_OF) or not FIRST_YEAR <= frame.year <= LAST_YEAR:
        raise refused
    if (made.kind is ExplainKind.STREAM_MONTH) != (made.month is not None):
        raise refused
    return made


def checked_year(year: int) -> int:
    """Errors: BAD_EXPLAINED_YEAR."""
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise BAD_YEAR(path=("subject", "year"), first=FIRST_YEAR, last=LAST_YEAR, year=year)
    return year


HIDDEN: Final = Words("您无权查看的组织", "an organisation you may not see")
OWN_SOURCES: Final = Words("本组织排放源", "own sources")
