"""The request as the GraphQL layer sees it: who calls, and the guards that stand before root fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import strawberry

from backend.kit.errors import FORBIDDEN, UNAUTHENTICATED
from backend.kit.graphql.context import RequestContext
from backend.kit.graphql.payloads import MutationInput
from tenants.access import Permission, Principal
from tenants.commands import Actor


@dataclass(slots=True)
class TenantContext(RequestContext):
    """A request of somebody (`principal`), or of nobody when it carried no token."""

    caller: Principal | None = None

    @property
    def principal(self) -> Principal:
        if self.caller is None:
            raise UNAUTHENTICATED()
        return self.caller

    def actor(self, given: MutationInput) -> Actor:
        """The caller, about to change something under the idempotency key of `given`."""
        return Actor(self.principal, given.idempotency_key, given.dry_run, self.correlation_id)


Info = strawberry.Info[TenantContext, Any]


@dataclass(frozen=True, slots=True)
class Requires:
    """Passes callers who hold the permission somewhere; services then ask where (`access.require`)."""

    permission: Permission

    def check(self, context: TenantContext) -> None:
        if not context.principal.may_somewhere(self.permission):
            raise FORBIDDEN(permission=(self.permission,))

    def describe(self) -> str:
        return self.permission.value


@dataclass(frozen=True, slots=True)
class RequiresOneOf:
    """Passes callers who hold any of several permissions somewhere."""

    permissions: tuple[Permission, ...]

    def check(self, context: TenantContext) -> None:
        if not any(context.principal.may_somewhere(p) for p in self.permissions):
            raise FORBIDDEN(permission=self.permissions)

    def describe(self) -> str:
        return " / ".join(self.permissions)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Passes every member of the tenant: the field shows only what is the caller's own, or filters row by row."""

    because: str

    def check(self, context: TenantContext) -> None:
        _ = context.principal

    def describe(self) -> str:
        return f"signed in ({self.because})"


@dataclass(frozen=True, slots=True)
class Public:
    """Passes everyone; a short reasoned allow-list is asserted in the tests."""

    because: str

    def check(self, context: TenantContext) -> None:
        """Nothing to ask."""

    def describe(self) -> str:
        return f"public ({self.because})"


def requires(permission: Permission, *others: Permission) -> Requires | RequiresOneOf:
    return RequiresOneOf((permission, *others)) if others else Requires(permission)
