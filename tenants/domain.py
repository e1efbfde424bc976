"""Tenants and organisations as pure data: kinds, identifying codes, validity, ownership."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.kit.errors import conflict, invalid, rule
from backend.kit.text import clean


class OrganisationKind(StrEnum):
    """What a node of the tree is."""

    GROUP = "GROUP"
    """The head of a group (集团): the root of a tree."""
    SUBSIDIARY = "SUBSIDIARY"
    """A company below a group or another subsidiary (子公司)."""
    SITE = "SITE"
    """A place of production with one physical boundary (厂区)."""


class LeavingReason(StrEnum):
    """Why an organisation is no longer in the tree."""

    CLOSED = "CLOSED"
    """It ceased to operate."""
    DISPOSED = "DISPOSED"
    """It was sold or otherwise left the group."""


BAD_CREDIT_CODE = invalid(
    "BAD_CREDIT_CODE",
    en="'{code}' is not a unified social credit code (GB 32100): {problem}.",
    zh="'{code}' 不是有效的统一社会信用代码（GB 32100）：{problem_zh}。",
)
BAD_DIVISION_CODE = invalid(
    "BAD_DIVISION_CODE",
    en="'{code}' is not an administrative division code (GB/T 2260): six digits, first two a province.",
    zh="'{code}' 不是有效的行政区划代码（GB/T 2260）：应为六位数字，前两位为省级代码。",
)
BAD_INDUSTRY_CODE = invalid(
    "BAD_INDUSTRY_CODE",
    en="'{code}' is not an industry code (GB/T 4754): two to four digits, a section letter may precede.",
    zh="'{code}' 不是有效的国民经济行业代码（GB/T 4754）：应为两至四位数字，可加门类字母。",
)
CODE_TAKEN = conflict(
    "ORGANISATION_CODE_TAKEN",
    en="The code '{code}' is already used by another organisation of this tenant.",
    zh="代码 '{code}' 已被本租户的其他组织使用。",
)
WRONG_PARENT = rule(
    "WRONG_PARENT",
    en="A {kind} {need}.",
    zh="{kind} {need_zh}。",
)
WOULD_CYCLE = rule(
    "ORGANISATION_CYCLE",
    en="The new parent lies below the organisation itself in that time; an organisation cannot contain itself.",
    zh="新的上级在该时段位于该组织之下，组织不能包含自身。",
)
PARENT_ABSENT = rule(
    "PARENT_ABSENT",
    en="The parent is not in the tree during the whole time from {since}; it must be, as long as its child is.",
    zh="上级组织自 {since} 起并非全程存在，下级存续期间上级必须存在。",
)

_PROVINCES: Final = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
        "71",
        "81",
        "82",
    ]
)
_CREDIT_ALPHABET: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_WEIGHTS: Final = tuple(pow(3, i, 31) for i in range(17))


def credit_code(written: str) -> str:
    """A unified social credit code in its canonical form. Errors: BAD_CREDIT_CODE. Source: GB 32100-2015, 5.6."""
    code = clean(written).upper().replace(" ", "")
    if len(code) != 18:
        raise BAD_CREDIT_CODE(code=code, problem="it must have 18 characters", problem_zh="应为 18 位")
    if any(c not in _CREDIT_ALPHABET for c in code):
        raise BAD_CREDIT_CODE(
            code=code, problem="I, O, S, V, Z do not occur in it", problem_zh="不含字母 I、O、S、V、Z"
        )
    weighed = sum(_CREDIT_ALPHABET.index(c) * w for c, w in zip(code, _CREDIT_WEIGHTS, strict=False))
    check = _CREDIT_ALPHABET[-weighed % 31]
    if code[17] != check:
        raise BAD_CREDIT_CODE(
            code=code, problem=f"its last character should be {check}", problem_zh=f"校验位应为 {check}"
        )
    return code


def division_code(written: str) -> str:
    """An administrative division code of six digits. Errors: BAD_DIVISION_CODE. Source: GB/T 2260."""
    code = clean(written)
    if not re.fullmatch(r"[0-9]{6}", code) or code[:2] not in _PROVINCES:
        raise BAD_DIVISION_CODE(code=code)
    return code


def industry_code(written: str) -> str:
    """An industry code such as C3120 or 3120. Errors: BAD_INDUSTRY_CODE. Source: GB/T 4754-2017."""
    code = clean(written).upper()
    if not re.fullmatch(r"[A-T]?[0-9]{2,4}", code):
        raise BAD_INDUSTRY_CODE(code=code)
    return code


@dataclass(frozen=True, slots=True)
class Ownership:
    """How a parent holds a child: equity share as a fraction of 1, and the two kinds of control."""

    equity_share: Decimal = Decimal(1)
    operational_control: bool = True
    financial_control: bool = True


@dataclass(frozen=True, slots=True)
class Profile:
    """What identifies and describes an organisation (4.3, 6.2.3 a 1, 8.2.1)."""

    code: str
    name_zh: str
    name_en: str = ""
    credit_code: str | None = None
    address: str = ""
    division_code: str | None = None
    industry_code: str | None = None
    founded_on: date | None = None
    business: str = ""
    capacity: str = ""


@dataclass(frozen=True, slots=True)
class Organisation:
    """A node of the tree. Present from `entered_on` up to but not including `left_on`."""

    id: UUID
    kind: OrganisationKind
    code: str
    name_zh: str
    name_en: str
    credit_code: str | None
    address: str
    division_code: str | None
    industry_code: str | None
    founded_on: date | None
    business: str
    capacity: str
    entered_on: date
    left_on: date | None
    left_because: LeavingReason | None
    version: int


@dataclass(frozen=True, slots=True)
class NewOrganisation:
    """A node to add, below `parent_id` from `entered_on` on; a GROUP has no parent."""

    kind: OrganisationKind
    profile: Profile
    parent_id: UUID | None
    entered_on: date
    ownership: Ownership = Ownership()
    reason: str = ""


def checked_profile(profile: Profile) -> Profile:
    """The profile in canonical form. Errors: BAD_CREDIT_CODE, BAD_DIVISION_CODE, BAD_INDUSTRY_CODE, INVALID_INPUT."""
    return replace(
        profile,
        code=clean(profile.code),
        credit_code=profile.credit_code and credit_code(profile.credit_code),
        division_code=profile.division_code and division_code(profile.division_code),
        industry_code=profile.industry_code and industry_code(profile.industry_code),
    )
