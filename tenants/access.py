"""Who may do what, and where: permissions, roles, inheritance down the tree, and the one check.

A role is a set of permissions (`ROLES`); an assignment puts a role on a node, with validity, and holds for all that
lies below. Nothing else in the house decides about access: services call `require`, lists filter by `within`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, column, exists, literal, or_, select, table, text, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from backend.kit.database import ReadSession
from backend.kit.errors import FORBIDDEN, CodedError, not_found
from tenants.domain.roles import GRANTS_ANY_ROLE, ROLES, Grant, Permission, Principal, Role

__all__ = [
    "GRANTS_ANY_ROLE",
    "ROLES",
    "Grant",
    "Permission",
    "Principal",
    "Role",
    "along",
    "held",
    "permitted",
    "reachable",
    "refusals",
    "require",
    "require_organisation",
    "within",
]


_REACH: Final = table("organisation_reach", column("tenant_id"), column("ancestor_id"), column("descendant_id"))


def within(principal: Principal, permission: Permission, organisation_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """SQL: the row's organisation lies where the caller has the permission. The only membership filter there is."""
    return below(organisation_id, [g.organisation_id for g in principal.granting(permission)])


def reachable(principal: Principal, organisation_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """SQL: the row's organisation lies where the caller has any role at all."""
    return below(organisation_id, [g.organisation_id for g in principal.grants])


def below(organisation_id: ColumnElement[Any], nodes: list[UUID | None]) -> ColumnElement[bool]:
    """SQL: the row's organisation is one of the nodes or lies below one today (None: everywhere)."""
    if None in nodes:
        return true()
    given = literal(nodes, ARRAY(Uuid))
    return exists(
        select(literal(1)).where(and_(_REACH.c.descendant_id == organisation_id, _REACH.c.ancestor_id == given.any_()))
    )


def along(principal: Principal, permission: Permission, organisation_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """SQL: the row's organisation lies where the caller has the permission, or above that: for what an organisation
    hands down to all below it.
    """
    nodes = [g.organisation_id for g in principal.granting(permission)]
    if None in nodes:
        return true()
    given = literal(nodes, ARRAY(Uuid))
    above = exists(
        select(literal(1)).where(and_(_REACH.c.ancestor_id == organisation_id, _REACH.c.descendant_id == given.any_()))
    )
    return or_(below(organisation_id, nodes), above)


_WHERE_AM_I: Final = text(
    """
    SELECT r.descendant_id AS node, bool_or(r.ancestor_id = ANY (CAST(:allowed AS uuid[]))) AS allowed
    FROM organisation_reach r
    WHERE r.descendant_id = ANY (CAST(:nodes AS uuid[])) AND r.ancestor_id = ANY (CAST(:anywhere AS uuid[]))
    GROUP BY r.descendant_id
    """
)


async def require(session: ReadSession, principal: Principal, permission: Permission, node: UUID | None) -> None:
    """Refuse what the caller may not do at a node: NOT_FOUND when it is out of reach, FORBIDDEN when only the right
    is missing. `node` None asks about the tenant as a whole. One indexed statement, the same for yes and no.
    """
    for refused in (await refusals(session, principal, permission, [node])).values():
        raise refused


async def refusals(
    session: ReadSession, principal: Principal, permission: Permission, nodes: Collection[UUID | None]
) -> dict[UUID | None, CodedError]:
    """What `require` would raise, for those of many nodes where it would: one statement for all of them."""
    if principal.may_everywhere(permission):
        return {}
    anywhere = [g.organisation_id for g in principal.grants]
    parameters = {
        "nodes": [n for n in nodes if n is not None],
        "allowed": [g.organisation_id for g in principal.granting(permission)],
        "anywhere": [x for x in anywhere if x is not None],
    }
    found = {row.node: row.allowed for row in await session.rows(_WHERE_AM_I, parameters)}
    forbidden = FORBIDDEN(permission=(permission,))
    refused: dict[UUID | None, CodedError] = {}
    for node in nodes:
        if node is None or (None in anywhere and not found.get(node)) or found.get(node) is False:
            refused[node] = forbidden
        elif node not in found:
            refused[node] = not_found("Organisation", node)
    return refused


_ABOVE: Final = text(
    """
    SELECT r.ancestor_id FROM organisation_reach r
    WHERE r.descendant_id = :node AND r.ancestor_id = ANY (CAST(:anywhere AS uuid[]))
    ORDER BY r.depth
    """
)


async def require_organisation(session: ReadSession, organisation_id: UUID, *path: str) -> None:
    """Refuse (NOT_FOUND) an organisation the tenant does not have: a role that holds everywhere makes none exist."""
    if await session.scalar("SELECT 1 FROM organisation WHERE id = :id", {"id": organisation_id}) is None:
        raise not_found("Organisation", organisation_id, *path)


async def held(session: ReadSession, principal: Principal, node: UUID | None) -> list[Grant]:
    """The caller's grants that hold at a node, the nearest first, those in the whole tenant last."""
    everywhere = [g for g in principal.grants if g.organisation_id is None]
    if node is None:
        return everywhere
    given = [g.organisation_id for g in principal.grants if g.organisation_id is not None]
    rows = await session.rows(_ABOVE, {"node": node, "anywhere": given})
    return [g for row in rows for g in principal.grants if g.organisation_id == row.ancestor_id] + everywhere


def permitted(principal: Principal, grants: Iterable[Grant]) -> frozenset[Permission]:
    """What these grants of the caller give together, within the scopes of its token."""
    given = frozenset(p for g in grants for p in ROLES[g.role])
    return given if principal.scopes is None else given & principal.scopes
