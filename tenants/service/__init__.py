"""Use cases of the tenants slice, by noun: check, load, decide, store, audit."""

from tenants.service.boundaries import BoundaryReader, BoundaryService
from tenants.service.members import MemberService
from tenants.service.organisations import OrganisationService
from tenants.service.tree import TreeService

__all__ = ["BoundaryReader", "BoundaryService", "MemberService", "OrganisationService", "TreeService"]
