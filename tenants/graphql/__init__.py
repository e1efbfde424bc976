"""The GraphQL of the tenants slice, put together from its nouns."""

from backend.kit.graphql.types import object_type
from tenants.graphql.boundaries import BoundaryMutations, BoundaryQueries, BoundarySetting, fetch_settings
from tenants.graphql.editing import EditingMutations
from tenants.graphql.members import (
    Member,
    MemberMutations,
    MemberQueries,
    RoleAssignment,
    fetch_assignments,
    fetch_members,
)
from tenants.graphql.organisations import Organisation, OrganisationQueries, fetch_organisations
from tenants.graphql.tenant import AuditEvent, TenantMutations, TenantQueries, fetch_events
from tenants.graphql.tree import TreeMutations

__all__ = ["NODES", "Mutations", "Organisation", "Queries", "fetch_organisations"]


@object_type
class Queries(TenantQueries, OrganisationQueries, BoundaryQueries, MemberQueries):
    """Root queries of the slice."""


@object_type
class Mutations(EditingMutations, TreeMutations, BoundaryMutations, MemberMutations, TenantMutations):
    """Root mutations of the slice."""


NODES = {
    "Organisation": (Organisation, fetch_organisations),
    "BoundarySetting": (BoundarySetting, fetch_settings),
    "Member": (Member, fetch_members),
    "RoleAssignment": (RoleAssignment, fetch_assignments),
    "AuditEvent": (AuditEvent, fetch_events),
}
