"""How anything of consequence is written: one unit of work that is checked, idempotent, audited, or rehearsed.

    async def create(self, actor: Actor, new: NewOrganisation) -> Done[Organisation]:
        async def work(change: Change) -> Organisation:
            await change.require(Permission.ORGANISATION_MANAGE, new.parent_id)
            …
            await change.audit("Organisation", made.id, made.id, after=made)
            return made
        return await perform(self.toolbox, actor, "createOrganisation", new, Organisation, work)

The answer is kept with the idempotency key in the same transaction, so a repeat gets the first answer again. A unit
of work that asked nobody for permission is not committed: that is a fault of the program, not of the caller.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast
from uuid import UUID

import orjson
from pydantic import TypeAdapter

from backend.kit.database import RollBack, UnitOfWork
from backend.kit.errors import CodedError, code_named, conflict, invalid
from backend.kit.ids import uuid7
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, refusals, require

T = TypeVar("T")
_ADAPTERS: Final[dict[Any, TypeAdapter[Any]]] = {}

IDEMPOTENCY_KEY_REUSED = conflict(
    "IDEMPOTENCY_KEY_REUSED",
    en="The idempotency key '{key}' was used for {operation} with another input; use a new key.",
    zh="幂等键 '{key}' 已用于 {operation} 且输入不同，请使用新的键。",
)
BAD_IDEMPOTENCY_KEY = invalid(
    "BAD_IDEMPOTENCY_KEY",
    en="An idempotency key has 1 to 200 characters; this one has {length}.",
    zh="幂等键须为 1 至 200 个字符，收到 {length} 个。",
)
STALE_VERSION = conflict(
    "STALE_VERSION",
    en="The record has moved on: it is at version {actual}, you expected {expected}. Read it again.",
    zh="记录已被更新：当前版本 {actual}，您预期 {expected}。请重新读取。",
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, under which idempotency key, and whether it is only a rehearsal."""

    principal: Principal
    idempotency_key: str | None = None
    dry_run: bool = False
    correlation_id: str = "-"


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What was done, or what had been done when this key was first used."""

    value: T
    replayed: bool = False


class UncheckedChangeError(RuntimeError):
    """A use case wrote without asking for a permission."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A subject of a change, where it belongs, and what it was and became."""

    subject_id: UUID
    organisation_id: UUID | None
    before: object = None
    after: object = None


@dataclass(slots=True)
class Change:
    """The unit of work as a use case sees it."""

    unit: UnitOfWork
    actor: Actor
    operation: str
    checked: bool = False

    @property
    def tenant_id(self) -> UUID:
        return self.actor.principal.tenant_id

    async def require(self, permission: Permission, organisation_id: UUID | None) -> None:
        """Refuse (FORBIDDEN, NOT_FOUND) what the caller may not do at this organisation."""
        await require(self.unit, self.actor.principal, permission, organisation_id)
        self.checked = True

    async def refusals(
        self, permission: Permission, organisation_ids: Collection[UUID | None]
    ) -> dict[UUID | None, CodedError]:
        """For a bulk change: what `require` would raise, for those organisations where it would."""
        self.checked = True
        return await refusals(self.unit, self.actor.principal, permission, organisation_ids)

    async def require_unless_own(self, owner_id: UUID | None, permission: Permission, node: UUID | None) -> None:
        """As `require`, but what the caller began may be steered by the caller without it."""
        if owner_id != self.actor.principal.member_id:
            await self.require(permission, node)
        self.checked = True

    async def audit(
        self,
        subject_type: str,
        subject_id: UUID,
        organisation_id: UUID | None,
        *,
        before: object = None,
        after: object = None,
    ) -> None:
        """Write down who changed what, in the transaction that changed it."""
        await self.audit_all(subject_type, [Changed(subject_id, organisation_id, before, after)])

    async def audit_all(self, subject_type: str, changes: Sequence[Changed]) -> None:
        """The same for many subjects of one kind, in one statement."""
        rows = [
            {
                "id": str(uuid7()),
                "organisation_id": change.organisation_id and str(change.organisation_id),
                "subject_id": str(change.subject_id),
                "before": plain(change.before),
                "after": plain(change.after),
            }
            for change in changes
        ]
        same = {
            "tenant_id": self.tenant_id,
            "member_id": self.actor.principal.member_id,
            "operation": self.operation,
            "subject_type": subject_type,
            "correlation_id": self.actor.correlation_id,
        }
        await self.unit.execute(_AUDIT, same | {"rows": orjson.dumps(rows).decode()})


_AUDIT: Final = """
INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id, before, after,
                         correlation_id)
SELECT :tenant_id, r.id, :member_id, :operation, r.organisation_id, :subject_type, r.subject_id, r.before, r.after,
       :correlation_id
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
  AS r(id uuid, organisation_id uuid, subject_id uuid, before jsonb, after jsonb)
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal inside an answer (of a row of a bulk change), in a form that can be kept and given again."""

    code: str
    path: tuple[str, ...]
    params: dict[str, str]

    @classmethod
    def of(cls, error: CodedError) -> Refused:
        return cls(error.code.name, error.path, {name: str(value) for name, value in error.params.items()})

    def error(self) -> CodedError:
        return code_named(self.code)(path=self.path, **self.params)


async def perform(
    toolbox: Toolbox,
    actor: Actor,
    operation: str,
    body: object,
    answer: type[T],
    work: Callable[[Change], Awaitable[T]],
) -> Done[T]:
    """Run a use case in one unit of work. Errors: those of `work`, IDEMPOTENCY_KEY_REUSED, TENANT_SUSPENDED, BUSY."""
    key = actor.idempotency_key
    if key is not None and not 1 <= len(key) <= 200:
        raise BAD_IDEMPOTENCY_KEY(path=("idempotencyKey",), length=len(key))

    async def transaction(unit: UnitOfWork) -> Done[T]:
        if key is not None:  # of a rehearsal too: it tells what would be told, and gives the key back
            earlier = await _claim(unit, actor, key, operation, body)
            if earlier is not None:
                return Done(cast("T", adapter(answer).validate_python(earlier)), replayed=True)
        change = Change(unit, actor, operation)
        value = await work(change)
        if not change.checked:
            message = f"{operation} asked for no permission"
            raise UncheckedChangeError(message)
        if actor.dry_run:
            raise RollBack(Done(value))
        if key is not None:
            await unit.execute(_REMEMBER, _key(actor, key) | {"answer": orjson.dumps(plain(value)).decode()})
        return Done(value)

    return await toolbox.database.write(actor.principal.tenant_id, transaction)


_CLAIM: Final = """
INSERT INTO idempotency_key (tenant_id, member_id, key, operation, body_sha256)
SELECT CAST(:tenant_id AS uuid), CAST(:member_id AS uuid), CAST(:key AS text), :operation, CAST(:body_sha256 AS bytea)
FROM (SELECT pg_advisory_xact_lock(hashtextextended(
        'key ' || CAST(:member_id AS uuid) || ' ' || CAST(:key AS text), 0)) OFFSET 0) AS turn
ON CONFLICT (tenant_id, member_id, key) DO NOTHING
"""
"""Keys take turns by a lock of their own: so the ledger's quick way sees, without waiting, that one is in use."""
_EARLIER: Final = """
SELECT operation, body_sha256, answer FROM idempotency_key
WHERE tenant_id = :tenant_id AND member_id = :member_id AND key = :key
"""
_REMEMBER: Final = """
UPDATE idempotency_key SET answer = CAST(:answer AS jsonb)
WHERE tenant_id = :tenant_id AND member_id = :member_id AND key = :key
"""


def _key(actor: Actor, key: str) -> dict[str, Any]:
    return {"tenant_id": actor.principal.tenant_id, "member_id": actor.principal.member_id, "key": key}


async def _claim(unit: UnitOfWork, actor: Actor, key: str, operation: str, body: object) -> Any | None:
    """Take the key, or wait for who has it and return the answer it got."""
    digest = hashlib.sha256(orjson.dumps(plain(body), option=orjson.OPT_SORT_KEYS)).digest()
    claimed = await unit.execute(_CLAIM, _key(actor, key) | {"operation": operation, "body_sha256": digest})
    if claimed:
        return None
    earlier = await unit.first(_EARLIER, _key(actor, key))
    assert earlier is not None
    if earlier.operation != operation or bytes(earlier.body_sha256) not in {digest, _brief_digest(body)}:
        raise IDEMPOTENCY_KEY_REUSED(path=("idempotencyKey",), key=key, operation=earlier.operation)
    return earlier.answer


def brief_digest(body: object) -> bytes:
    """What a body that holds nothing but what JSON has a form for is known by, at a fraction of what `plain` costs."""
    return hashlib.sha256(orjson.dumps(body)).digest()


def _brief_digest(body: object) -> bytes | None:
    try:
        return brief_digest(body)
    except TypeError:
        return None


def adapter(answer: Any) -> TypeAdapter[Any]:
    found = _ADAPTERS.get(answer)
    if found is None:
        found = _ADAPTERS[answer] = TypeAdapter(answer)
    return found


def plain(value: object) -> Any:
    """As JSON values: UUIDs, decimals and dates as strings, dataclasses as objects."""
    return None if value is None else adapter(type(value)).dump_python(value, mode="json")
