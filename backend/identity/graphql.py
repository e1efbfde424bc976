"""GraphQL of the identity slice: trusted issuers and partner clients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import strawberry

from backend.identity import domain
from backend.identity.domain import ALGORITHMS, ClientStatus, NewPartnerClient, NewTrustedIssuer, checked_overlap
from backend.identity.service import PartnerClientService, Revealed, TrustedIssuerService
from backend.kit.graphql.fields import mutation, query
from backend.kit.graphql.nodes import Node, key_of, to_id
from backend.kit.graphql.pages import Connection
from backend.kit.graphql.payloads import MutationInput, Payload
from backend.kit.graphql.types import build, enum_type, input_type, object_type
from backend.kit.pages import PageRequest
from backend.kit.text import tidy
from tenants.access import Permission
from tenants.context import Info, requires

P = TypeVar("P", bound=Payload)

enum_type(ClientStatus)


@object_type
class TrustedIssuer(Node):
    """An OpenID Connect provider whose access tokens this tenant accepts, besides the service's own (令牌签发方)."""

    issuer: str
    """Its issuer identifier, exactly as `iss` in its tokens."""
    audience: str
    """What `aud` of its tokens must name."""
    jwks_uri: str | None
    """Where its keys are; null: its discovery document says."""
    algorithms: list[str]
    """Signature algorithms accepted from it."""
    subject_claim: str
    """The claim that names the member."""
    added_at: datetime
    """When it was added."""

    @classmethod
    def of(cls, record: domain.TrustedIssuer) -> TrustedIssuer:
        return build(cls, record, id=to_id("TrustedIssuer", record.id), algorithms=list(record.algorithms))


@object_type
class PartnerClient(Node):
    """A partner system that gets tokens by its client id and secret (合作系统客户端)."""

    client_id: str
    """Its OAuth client id, to be sent to the token endpoint with the secret."""
    name: str
    """What it is called."""
    scopes: list[str]
    """What its tokens may allow: names of permissions, such as `asset.sync`."""
    status: ClientStatus
    """Whether it may get tokens."""
    created_at: datetime
    """When it was made."""
    member_id: strawberry.ID
    """The member it acts as; its role assignments say where."""

    @classmethod
    def of(cls, record: domain.PartnerClient) -> PartnerClient:
        return build(
            cls,
            record,
            id=to_id("PartnerClient", record.id),
            scopes=list(record.scopes),
            member_id=to_id("Member", record.member_id),
        )


@input_type
class AddTrustedIssuerInput(MutationInput):
    """An issuer to accept access tokens of."""

    issuer: str
    """Its issuer identifier, an https address, exactly as `iss` in its tokens."""
    audience: str
    """What `aud` of its tokens must name."""
    jwks_uri: str | None = None
    """Where its keys are; when not given, its discovery document says."""
    algorithms: list[str] = strawberry.field(default_factory=lambda: list(ALGORITHMS))
    """Signature algorithms to accept: RS256, ES256."""
    subject_claim: str = "sub"
    """The claim that names the member; it must never change or be given to another person."""

    def command(self) -> NewTrustedIssuer:
        return build(NewTrustedIssuer, self, algorithms=tuple(self.algorithms))


@input_type
class RemoveTrustedIssuerInput(MutationInput):
    """An issuer to accept no longer."""

    id: strawberry.ID
    """The trusted issuer."""


@input_type
class CreatePartnerClientInput(MutationInput):
    """A partner system to let in."""

    name: str
    """What it is called."""
    organisation_id: strawberry.ID | None = None
    """Where it is let in, with all that lies below; null: in the whole tenant."""
    scopes: list[str] = strawberry.field(default_factory=list)
    """What its tokens may allow, such as `asset.sync`; all a partner client can do when empty."""

    def command(self) -> NewPartnerClient:
        node = key_of(self.organisation_id, "Organisation", "organisationId") if self.organisation_id else None
        return NewPartnerClient(tidy(self.name), node, tuple(self.scopes))


@input_type
class RotatePartnerClientSecretInput(MutationInput):
    """A partner client to give a new secret."""

    id: strawberry.ID
    """The partner client."""
    overlap_hours: int = 24
    """How many hours the present secret still works, 0 to 168; 0 ends it at once."""


@input_type
class RevokePartnerClientInput(MutationInput):
    """A partner client to shut out for good."""

    id: strawberry.ID
    """The partner client."""


@object_type
class AddTrustedIssuerPayload(Payload):
    """The issuer as it was added."""

    trusted_issuer: TrustedIssuer | None = None
    """The issuer."""


@object_type
class RemoveTrustedIssuerPayload(Payload):
    """The issuer as it was."""

    trusted_issuer: TrustedIssuer | None = None
    """The issuer that was removed."""


@object_type
class CreatePartnerClientPayload(Payload):
    """The client, and its secret this once."""

    partner_client: PartnerClient | None = None
    """The new client."""
    secret: str | None = None
    """Its secret, shown now and never again; null in a rehearsal and when `replayed`: rotate it if it was lost."""


@object_type
class RotatePartnerClientSecretPayload(Payload):
    """The client, and its new secret this once."""

    partner_client: PartnerClient | None = None
    """The client."""
    secret: str | None = None
    """Its new secret, shown now and never again; null in a rehearsal and when `replayed`: rotate it if it was lost."""


@object_type
class RevokePartnerClientPayload(Payload):
    """The client, revoked."""

    partner_client: PartnerClient | None = None
    """The client."""


@object_type
class Queries:
    """Root queries of the slice."""

    @query(requires(Permission.TENANT_MANAGE))
    async def trusted_issuers(
        self, info: Info, first: int | None = None, after: str | None = None
    ) -> Connection[TrustedIssuer]:
        """Issuers whose tokens the tenant accepts besides the service's own, by address."""
        service = info.context.use(TrustedIssuerService)
        page = await service.page(info.context.principal, PageRequest.read(first, after))
        return Connection.of(page.map(TrustedIssuer.of))

    @query(requires(Permission.TENANT_MANAGE))
    async def partner_clients(
        self, info: Info, first: int | None = None, after: str | None = None
    ) -> Connection[PartnerClient]:
        """Partner systems of the tenant, revoked ones included, by name."""
        service = info.context.use(PartnerClientService)
        page = await service.page(info.context.principal, PageRequest.read(first, after))
        return Connection.of(page.map(PartnerClient.of))


@object_type
class Mutations:
    """Root mutations of the slice."""

    @mutation(requires(Permission.TENANT_MANAGE))
    async def add_trusted_issuer(self, info: Info, input: AddTrustedIssuerInput) -> AddTrustedIssuerPayload:
        """Accept access tokens of an OpenID Connect provider; its users still have to be members."""
        done = await info.context.use(TrustedIssuerService).add(info.context.actor(input), input.command())
        issuer = TrustedIssuer.of(done.value)
        return AddTrustedIssuerPayload(errors=[], trusted_issuer=issuer, replayed=done.replayed)

    @mutation(requires(Permission.TENANT_MANAGE))
    async def remove_trusted_issuer(self, info: Info, input: RemoveTrustedIssuerInput) -> RemoveTrustedIssuerPayload:
        """Accept an issuer's tokens no longer. Its members stay and could come back with it."""
        key = key_of(input.id, "TrustedIssuer", "id")
        done = await info.context.use(TrustedIssuerService).remove(info.context.actor(input), key)
        issuer = TrustedIssuer.of(done.value)
        return RemoveTrustedIssuerPayload(errors=[], trusted_issuer=issuer, replayed=done.replayed)

    @mutation(requires(Permission.TENANT_MANAGE))
    async def create_partner_client(self, info: Info, input: CreatePartnerClientInput) -> CreatePartnerClientPayload:
        """Let a partner system in with a client id and a secret, which is shown once and stored nowhere."""
        made = await info.context.use(PartnerClientService).create(info.context.actor(input), input.command())
        return _shown(CreatePartnerClientPayload, made)

    @mutation(requires(Permission.TENANT_MANAGE))
    async def rotate_partner_client_secret(
        self, info: Info, input: RotatePartnerClientSecretInput
    ) -> RotatePartnerClientSecretPayload:
        """Give a partner client a new secret; the present one works a while longer, older ones end now."""
        key, overlap = key_of(input.id, "PartnerClient", "id"), checked_overlap(input.overlap_hours)
        made = await info.context.use(PartnerClientService).rotate_secret(info.context.actor(input), key, overlap)
        return _shown(RotatePartnerClientSecretPayload, made)

    @mutation(requires(Permission.TENANT_MANAGE))
    async def revoke_partner_client(self, info: Info, input: RevokePartnerClientInput) -> RevokePartnerClientPayload:
        """Shut a partner client out for good: no more tokens, and those it has are refused within seconds."""
        key = key_of(input.id, "PartnerClient", "id")
        done = await info.context.use(PartnerClientService).revoke(info.context.actor(input), key)
        client = PartnerClient.of(done.value)
        return RevokePartnerClientPayload(errors=[], partner_client=client, replayed=done.replayed)


def _shown(payload: Callable[..., P], made: Revealed) -> P:
    client = PartnerClient.of(made.done.value)
    return payload(errors=[], partner_client=client, secret=made.secret, replayed=made.done.replayed)


async def fetch_trusted_issuers(keys: Sequence[UUID], info: Info) -> dict[UUID, TrustedIssuer]:
    found = await info.context.use(TrustedIssuerService).by_ids(info.context.principal, keys)
    return {key: TrustedIssuer.of(record) for key, record in found.items()}


async def fetch_partner_clients(keys: Sequence[UUID], info: Info) -> dict[UUID, PartnerClient]:
    found = await info.context.use(PartnerClientService).by_ids(info.context.principal, keys)
    return {key: PartnerClient.of(record) for key, record in found.items()}


NODES = {
    "TrustedIssuer": (TrustedIssuer, fetch_trusted_issuers),
    "PartnerClient": (PartnerClient, fetch_partner_clients),
}
