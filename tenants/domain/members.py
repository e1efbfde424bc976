"""Members and their roles (5.3): who is known to a tenant, and what may be given to whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from backend.kit.errors import conflict, rule


class MemberKind(StrEnum):
    """What a member is."""

    PERSON = "PERSON"
    """A person who signs in at an identity provider."""
    CLIENT = "CLIENT"
    """A program that signs in with credentials of its own."""


class MemberStatus(StrEnum):
    """Whether a member is let in."""

    ACTIVE = "ACTIVE"
    """May sign in."""
    REVOKED = "REVOKED"
    """May no longer sign in; holds no role."""


MEMBER_EXISTS = conflict(
    "MEMBER_EXISTS",
    en="'{subject}' of '{issuer}' is a member already.",
    zh="'{issuer}' 的 '{subject}' 已是成员。",
)
ROLE_NEEDED = rule(
    "MEMBER_NEEDS_ROLE",
    en="You manage members of a part of the tree: give the new member a role there. Only who manages the whole tenant "
    "adds members without one.",
    zh="您只管理部分组织的成员：请同时在该处授予角色。只有管理整个租户者可添加无角色成员。",
)
MEMBER_REVOKED = conflict(
    "MEMBER_IS_REVOKED",
    en="The membership of '{name}' was revoked; a revoked member is given no role.",
    zh="'{name}' 的成员资格已撤销，不能再授予角色。",
)
LEAD_EXISTS = conflict(
    "OVERALL_LEAD_EXISTS",
    en="An organisation has one overall lead at a time (5.3.4); here it is '{name}' {period}. Revoke that first.",
    zh="每个组织同一时间只能有一名总体负责人（5.3.4）；现为 '{name}'（{period}）。请先撤销。",
)
ROLE_HELD = conflict(
    "ROLE_ALREADY_HELD",
    en="'{name}' holds {role} here already {period}.",
    zh="'{name}' 在此处已拥有角色 {role}（{period}）。",
)
ROLE_NEEDS = rule(
    "ROLE_ASSIGNMENT_INCOMPLETE",
    en="{role} needs {need}.",
    zh="{role} 须{need_zh}。",
)
ROLE_BEYOND_OWN = rule(
    "ROLE_BEYOND_OWN",
    en="{role} gives what you do not hold here yourself: {permissions}. Nobody grants more than he has.",
    zh="{role} 包含您在此处没有的权限：{permissions}。任何人不得授予超出自身的权限。",
)
SELF_GRANT = rule(
    "SELF_GRANT",
    en="An administrator does not give himself a role that goes beyond his own; another administrator has to.",
    zh="管理员不得为自己授予超出自身权限的角色，须由另一名管理员授予。",
)
LAST_ADMINISTRATOR = rule(
    "LAST_ADMINISTRATOR",
    en="This is the last administrator of the tenant; appoint another one first.",
    zh="这是本租户最后一名管理员，请先任命另一名。",
)
ALREADY_REVOKED = conflict(
    "ALREADY_REVOKED",
    en="It was revoked already.",
    zh="已撤销。",
)


@dataclass(frozen=True, slots=True)
class Member:
    """A person or a program, known by the subject its issuer names it with."""

    id: UUID
    issuer: str
    subject: str
    kind: MemberKind
    display_name: str
    status: MemberStatus
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewRole:
    """A role to give, on an organisation and all below it (None: the whole tenant), for [valid_from, valid_until)."""

    role: str
    organisation_id: UUID | None
    valid_from: date | None = None
    valid_until: date | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NewMember:
    """A member to add, with the roles it begins with."""

    issuer: str
    subject: str
    kind: MemberKind
    display_name: str
    roles: tuple[NewRole, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleAssignment:
    """A role that was given: to whom, where, for how long, by whom, and whether it was taken back."""

    id: UUID
    member_id: UUID
    role: str
    organisation_id: UUID | None
    valid_from: date
    valid_until: date | None
    reason: str
    granted_by: UUID | None
    granted_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AssignmentFilter:
    """Which assignments: of whom, where, which role, and whether they hold today."""

    member_id: UUID | None = None
    organisation_id: UUID | None = None
    role: str | None = None
    in_force: bool = False


def period(since: date, until: date | None) -> str:
    return f"[{since}, {until or '…'})"
