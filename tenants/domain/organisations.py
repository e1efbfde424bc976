"""Organisations as pure data: kinds, profile, presence, ownership."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from backend.kit.errors import INVALID_INPUT, CodedError, conflict
from backend.kit.text import clean, tidy
from backend.kit.words import members_in_chinese, things_in_chinese
from tenants.domain.codes import credit_code, division_code, industry_code

things_in_chinese({
    "Tenant": "租户", "Organisation": "组织", "BoundarySetting": "边界设置", "Member": "成员",
    "RoleAssignment": "角色授予", "AuditEvent": "审计记录",
})  # fmt: skip


class OrganisationKind(StrEnum):
    """What a node of the tree is."""

    GROUP = "GROUP"
    """The head of a group (集团): the root of a tree."""
    SUBSIDIARY = "SUBSIDIARY"
    """A company below a group or another subsidiary (子公司)."""
    SITE = "SITE"
    """A place of production with one physical boundary (厂区)."""


members_in_chinese(OrganisationKind, {"GROUP": "集团", "SUBSIDIARY": "子公司", "SITE": "厂区"})


class EnteringReason(StrEnum):
    """How an organisation came into the tree."""

    FOUNDED = "FOUNDED"
    """It was founded by the group, or was there when the tree was set up."""
    ACQUIRED = "ACQUIRED"
    """It was bought or otherwise taken over from outside the group."""


class LeavingReason(StrEnum):
    """Why an organisation is no longer in the tree."""

    CLOSED = "CLOSED"
    """It ceased to operate."""
    DISPOSED = "DISPOSED"
    """It was sold or otherwise left the group."""


class OrganisationOrder(StrEnum):
    """By what a list of organisations is ordered."""

    CODE = "CODE"
    """By the tenant's own code."""
    NAME = "NAME"
    """By Chinese name in pinyin order (rare characters behind common ones where the database has no ICU)."""


CODE_TAKEN = conflict(
    "ORGANISATION_CODE_TAKEN",
    en="The code '{code}' is already used by another organisation of this tenant.",
    zh="代码 '{code}' 已被本租户的其他组织使用。",
)


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
    entered_because: EnteringReason
    left_on: date | None
    left_because: LeavingReason | None
    version: int

    def present_throughout(self, since: date, until: date | None) -> bool:
        """Whether it is in the tree on every day of [since, until)."""
        if since < self.entered_on:
            return False
        return self.left_on is None or (until is not None and until <= self.left_on)


@dataclass(frozen=True, slots=True)
class NewOrganisation:
    """A node to add, below `parent_id` (or the organisation with code `parent_code`) from `entered_on` on."""

    kind: OrganisationKind
    profile: Profile
    parent_id: UUID | None
    entered_on: date
    ownership: Ownership = Ownership()
    reason: str = ""
    entered_because: EnteringReason = EnteringReason.FOUNDED
    parent_code: str | None = None


@dataclass(frozen=True, slots=True)
class ProductionLine:
    """A production line (8.2.1): what it makes and how much it can make, in `capacity_unit`."""

    name: str
    product: str = ""
    capacity: Decimal | None = None
    capacity_unit: str = ""
    commissioned_on: date | None = None


@dataclass(frozen=True, slots=True)
class OrganisationFilter:
    """Which organisations: text in code or names, kind, below which node, present on which day."""

    search: str | None = None
    kind: OrganisationKind | None = None
    within: UUID | None = None
    as_of: date | None = None


def checked_profile(profile: Profile) -> Profile:
    """The profile in canonical form. Errors: BAD_CREDIT_CODE, BAD_DIVISION_CODE, BAD_INDUSTRY_CODE, INVALID_INPUT."""
    code, name_zh = clean(profile.code), tidy(profile.name_zh)
    for field, value, most in (("code", code, 64), ("nameZh", name_zh, 200)):
        if not 1 <= len(value) <= most:
            raise wrong(
                f"{field} must have 1 to {most} characters, it has {len(value)}",
                f"{field} 须为 1 至 {most} 个字符，现为 {len(value)} 个",
                field,
            )
    return replace(
        profile,
        code=code,
        name_zh=name_zh,
        name_en=tidy(profile.name_en),
        credit_code=credit_code(profile.credit_code) if profile.credit_code else None,
        division_code=division_code(profile.division_code) if profile.division_code else None,
        industry_code=industry_code(profile.industry_code) if profile.industry_code else None,
        address=tidy(profile.address),
        business=tidy(profile.business),
        capacity=tidy(profile.capacity),
    )


def checked_ownership(ownership: Ownership) -> Ownership:
    """Errors: INVALID_INPUT for a share outside 0 to 1, or finer than eight decimals."""
    share = ownership.equity_share
    if not 0 <= share <= 1 or round(share, 8) != share:
        raise wrong(
            f"the equity share is a fraction from 0 to 1 with at most 8 decimals, such as 0.6; got {share}",
            f"股权比例为 0 至 1 之间的小数（最多 8 位），例如 0.6；收到 {share}",
            "equityShare",
        )
    return ownership


def checked_lines(lines: list[ProductionLine]) -> list[ProductionLine]:
    """Names tidy and unique, capacities with a unit. Errors: INVALID_INPUT."""
    made: dict[str, ProductionLine] = {}
    for i, line in enumerate(lines):
        tidied = replace(
            line, name=tidy(line.name), product=tidy(line.product), capacity_unit=clean(line.capacity_unit)
        )
        if not tidied.name or tidied.name in made:
            raise wrong(
                f"each production line has a name of its own; got '{tidied.name}' twice or empty",
                f"每条生产线须有唯一名称；'{tidied.name}' 重复或为空",
                "lines",
                str(i),
                "name",
            )
        if tidied.capacity is not None and (tidied.capacity < 0 or not tidied.capacity_unit):
            raise wrong(
                "a capacity is not negative and is written with its unit, such as 10⁴ t/a",
                "产能不得为负且须注明单位，例如 万吨/年",
                "lines",
                str(i),
                "capacity",
            )
        made[tidied.name] = tidied
    return list(made.values())


def wrong(reason: str, reason_zh: str, *path: str) -> CodedError:
    """INVALID_INPUT with its reason in both languages."""
    return INVALID_INPUT(path=path, reason=f"{reason[0].upper()}{reason[1:]}.", reason_zh=f"{reason_zh}。")
