"""A record of an organisation, for who has the right there."""

from __future__ import annotations

from typing import Protocol, TypeVar
from uuid import UUID

from backend.kit.errors import NOT_FOUND, not_found
from tenants.access import Permission
from tenants.commands import Change


class Owned(Protocol):
    """Something that belongs to an organisation."""

    @property
    def organisation_id(self) -> UUID: ...


R = TypeVar("R", bound=Owned)


async def reach(change: Change, permission: Permission, what: str, key: UUID, found: R | None) -> R:
    """The record, if the caller has the right there. Errors: NOT_FOUND (absent or out of reach alike), FORBIDDEN."""
    refused = await change.refusals(permission, [found.organisation_id] if found else [])
    absent = not_found(what, key, "id")
    if found is None:
        raise absent
    for error in refused.values():
        raise (absent if error.code is NOT_FOUND else error)
    return found
