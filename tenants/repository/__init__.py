"""All SQL of the tenants slice, by noun. Identity reads the grants of a member here; nobody else comes in."""

from tenants.repository.members import grants_of

__all__ = ["grants_of"]
