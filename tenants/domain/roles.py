"""Permissions, roles and who holds them, as pure data (clause 5.3, Table 1).

A role is a set of permissions (`ROLES`); an assignment puts a role on a node, with validity, and holds for all that
lies below. `tenants.access` decides with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.kit.words import members_in_chinese


class Permission(StrEnum):
    """A thing one can be allowed to do to the records of an organisation."""

    ORGANISATION_READ = "organisation.read"
    """See organisations, their tree and their boundary settings."""
    ORGANISATION_MANAGE = "organisation.manage"
    """Create, change, move, acquire, dispose and close organisations."""
    BOUNDARY_MANAGE = "boundary.manage"
    """Set boundary settings and override inherited ones (8.2.2)."""
    MEMBER_READ = "member.read"
    """See members and their role assignments."""
    MEMBER_MANAGE = "member.manage"
    """Add and revoke members, assign and revoke roles (5.3)."""
    TENANT_MANAGE = "tenant.manage"
    """Change the settings of the tenant, its issuers and its clients."""
    AUDIT_READ = "audit.read"
    """Read the audit trail."""
    TOTALS_READ = "totals.read"
    """See consolidated totals and verdicts, without the records beneath them."""
    EMISSION_READ = "emission.read"
    """See sources, activity data and emissions in detail."""
    EMISSION_RECORD = "emission.record"
    """Record activity data, readings and declared results."""
    EMISSION_MANAGE = "emission.manage"
    """Define sources, choose methods and factors (8.2.3, 8.2.5)."""
    EMISSION_APPROVE = "emission.approve"
    """Approve an inventory that others prepared."""
    EMISSION_VERIFY = "emission.verify"
    """Confirm an approved inventory as the third party (8.4.4)."""
    ASSET_READ = "asset.read"
    """See carbon-asset accounts, lots and transfers (8.3)."""
    ASSET_MANAGE = "asset.manage"
    """Open accounts; issue, transfer, surrender, retire and cancel carbon assets (8.3)."""
    ASSET_SYNC = "asset.sync"
    """Bring in issues and transfers from a registry or an exchange, as a partner system."""
    CONSOLIDATE = "consolidation.run"
    """Run a consolidation and determine neutrality and compliance (8.4)."""
    JOB_MANAGE = "job.manage"
    """Cancel and retry background jobs that others asked for."""
    MANAGEMENT_READ = "management.read"
    """Read management-system records (clauses 4 to 7, 9, 10)."""
    MANAGEMENT_WRITE = "management.write"
    """Write management-system records."""


class Role(StrEnum):
    """The responsibilities of clause 5.3 and Table 1, and those a service needs besides."""

    TENANT_ADMINISTRATOR = "TENANT_ADMINISTRATOR"
    """Sets up the tenant, its organisations and its members; sees no more of the numbers than totals. 租户管理员"""
    TOP_MANAGEMENT = "TOP_MANAGEMENT"
    """Answers for policy, resources and results (5.1). 最高管理者"""
    OVERALL_LEAD = "OVERALL_LEAD"
    """The one person with overall responsibility in an organisation (5.3.4). 总体负责人"""
    NEUTRALITY_TEAM = "NEUTRALITY_TEAM"
    """The carbon-neutrality management team (5.3.3). 碳中和管理团队"""
    DEPARTMENT_MANAGER = "DEPARTMENT_MANAGER"
    """Answers for objectives and processes of a department (Table 1). 部门经理"""
    HUMAN_RESOURCES = "HUMAN_RESOURCES"
    """Competence, training and awareness (Table 1, 7.2, 7.3). 人力资源"""
    ACCOUNTING_ENGINEER = "ACCOUNTING_ENGINEER"
    """Accounts emissions: sources, methods, factors (7.2.1 b). 碳排放核算工程师"""
    MONITORING_STAFF = "MONITORING_STAFF"
    """Reads meters and records activity data (7.2.1 d). 监测人员"""
    PURCHASER = "PURCHASER"
    """Records purchased fuels, materials and energy (7.2.1 e). 采购人员"""
    ASSET_MANAGER = "ASSET_MANAGER"
    """Manages allowances, CCER and sinks (8.3). 碳资产管理人员"""
    INTERNAL_AUDITOR = "INTERNAL_AUDITOR"
    """Reads everything, changes nothing (9.2). 内部审核员"""
    GROUP_TOTALS_VIEWER = "GROUP_TOTALS_VIEWER"
    """Sees totals and verdicts, no records. 集团汇总查看者"""
    THIRD_PARTY_VERIFIER = "THIRD_PARTY_VERIFIER"
    """The body that checks the result: reads everything, for a limited time (8.4.4). 第三方核查机构"""
    PARTNER_CLIENT = "PARTNER_CLIENT"
    """A partner system that syncs carbon assets and activity data. 合作系统"""


members_in_chinese(Permission, {
    "organisation.read": "查看组织", "organisation.manage": "管理组织", "boundary.manage": "管理边界设置",
    "member.read": "查看成员", "member.manage": "管理成员", "tenant.manage": "管理租户", "audit.read": "查看审计记录",
    "totals.read": "查看汇总", "emission.read": "查看排放数据", "emission.record": "填报排放数据",
    "emission.manage": "管理排放核算", "emission.approve": "批准排放清单", "emission.verify": "核查排放清单",
    "asset.read": "查看碳资产", "asset.manage": "管理碳资产", "asset.sync": "同步碳资产",
    "consolidation.run": "合并与判定", "job.manage": "管理任务", "management.read": "查看管理体系记录",
    "management.write": "填写管理体系记录",
})  # fmt: skip
members_in_chinese(Role, {
    "TENANT_ADMINISTRATOR": "租户管理员", "TOP_MANAGEMENT": "最高管理者", "OVERALL_LEAD": "总体负责人",
    "NEUTRALITY_TEAM": "碳中和管理团队", "DEPARTMENT_MANAGER": "部门经理", "HUMAN_RESOURCES": "人力资源",
    "ACCOUNTING_ENGINEER": "碳排放核算工程师", "MONITORING_STAFF": "监测人员", "PURCHASER": "采购人员",
    "ASSET_MANAGER": "碳资产管理人员", "INTERNAL_AUDITOR": "内部审核员", "GROUP_TOTALS_VIEWER": "集团汇总查看者",
    "THIRD_PARTY_VERIFIER": "第三方核查机构", "PARTNER_CLIENT": "合作系统",
})  # fmt: skip
_P = Permission
_READ_ALL: Final = frozenset(
    {
        _P.ORGANISATION_READ,
        _P.MEMBER_READ,
        _P.TOTALS_READ,
        _P.EMISSION_READ,
        _P.ASSET_READ,
        _P.MANAGEMENT_READ,
    }
)
_WORK: Final = frozenset({_P.ORGANISATION_READ, _P.EMISSION_READ, _P.TOTALS_READ, _P.MANAGEMENT_READ})

ROLES: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.TENANT_ADMINISTRATOR: frozenset(
        {
            _P.ORGANISATION_READ,
            _P.ORGANISATION_MANAGE,
            _P.BOUNDARY_MANAGE,
            _P.MEMBER_READ,
            _P.MEMBER_MANAGE,
            _P.TENANT_MANAGE,
            _P.JOB_MANAGE,
            _P.AUDIT_READ,
            _P.TOTALS_READ,
        }
    ),
    Role.TOP_MANAGEMENT: _READ_ALL | {_P.AUDIT_READ, _P.EMISSION_APPROVE, _P.MANAGEMENT_WRITE},
    Role.OVERALL_LEAD: frozenset(Permission) - {_P.TENANT_MANAGE, _P.ASSET_SYNC, _P.EMISSION_VERIFY},
    Role.NEUTRALITY_TEAM: _READ_ALL
    | {
        _P.BOUNDARY_MANAGE,
        _P.EMISSION_RECORD,
        _P.EMISSION_MANAGE,
        _P.ASSET_MANAGE,
        _P.CONSOLIDATE,
        _P.JOB_MANAGE,
        _P.MANAGEMENT_WRITE,
    },
    Role.DEPARTMENT_MANAGER: _WORK | {_P.EMISSION_RECORD, _P.MANAGEMENT_WRITE},
    Role.HUMAN_RESOURCES: frozenset({_P.ORGANISATION_READ, _P.MEMBER_READ, _P.MANAGEMENT_READ, _P.MANAGEMENT_WRITE}),
    Role.ACCOUNTING_ENGINEER: _WORK | {_P.EMISSION_RECORD, _P.EMISSION_MANAGE, _P.CONSOLIDATE},
    Role.MONITORING_STAFF: frozenset({_P.ORGANISATION_READ, _P.EMISSION_READ, _P.EMISSION_RECORD}),
    Role.PURCHASER: frozenset({_P.ORGANISATION_READ, _P.EMISSION_READ, _P.EMISSION_RECORD}),
    Role.ASSET_MANAGER: frozenset({_P.ORGANISATION_READ, _P.TOTALS_READ, _P.ASSET_READ, _P.ASSET_MANAGE}),
    Role.INTERNAL_AUDITOR: _READ_ALL | {_P.AUDIT_READ},
    Role.GROUP_TOTALS_VIEWER: frozenset({_P.ORGANISATION_READ, _P.TOTALS_READ}),
    Role.THIRD_PARTY_VERIFIER: _READ_ALL | {_P.AUDIT_READ, _P.EMISSION_VERIFY},
    Role.PARTNER_CLIENT: frozenset({_P.ORGANISATION_READ, _P.ASSET_READ, _P.ASSET_SYNC, _P.EMISSION_RECORD}),
}

GRANTS_ANY_ROLE: Final = frozenset({Role.TENANT_ADMINISTRATOR})
"""Who may give, to others, roles that reach beyond his own: somebody has to be the first to give them. All others
give only what they hold at that node themselves."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role in force: on a node and all below it, or (None) in the whole tenant."""

    assignment_id: UUID
    role: Role
    organisation_id: UUID | None
    until: date | None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, in which tenant, with which roles today. `scopes` narrows a client to what its token allows."""

    tenant_id: UUID
    member_id: UUID
    display_name: str
    grants: tuple[Grant, ...]
    scopes: frozenset[Permission] | None = None

    def granting(self, permission: Permission) -> list[Grant]:
        if self.scopes is not None and permission not in self.scopes:
            return []
        return [g for g in self.grants if permission in ROLES[g.role]]

    def may_somewhere(self, permission: Permission) -> bool:
        return bool(self.granting(permission))

    def may_everywhere(self, permission: Permission) -> bool:
        """In the whole tenant."""
        return any(g.organisation_id is None for g in self.granting(permission))
