"""Tables of the identity slice. The migration holds constraints, policies and grants."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from backend.kit.tables import METADATA, belongs_to, tenant_table


def _moment(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


trusted_issuer = tenant_table(
    "trusted_issuer",
    Column("id", Uuid),
    Column("issuer", Text, nullable=False),
    Column("audience", Text, nullable=False),
    Column("jwks_uri", Text),
    Column("algorithms", ARRAY(Text), nullable=False),
    Column("subject_claim", Text, nullable=False),
    _moment("added_at"),
)

oauth_client = tenant_table(
    "oauth_client",
    Column("id", Uuid),
    Column("client_id", Text, nullable=False),
    Column("member_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("status", Text, nullable=False, server_default="ACTIVE"),
    _moment("created_at"),
    belongs_to("member", "member_id"),
)

oauth_client_secret = tenant_table(
    "oauth_client_secret",
    Column("id", Uuid),
    Column("oauth_client_id", Uuid, nullable=False),
    Column("digest", Text, nullable=False),
    _moment("created_at"),
    Column("expires_at", DateTime(timezone=True)),
    belongs_to("oauth_client", "oauth_client_id"),
)

signing_key = Table(
    "signing_key",
    METADATA,
    Column("kid", Text, primary_key=True),
    Column("public_jwk", JSONB, nullable=False),
    Column("private_jwk", JSONB(none_as_null=True)),
    _moment("created_at"),
    Column("retired_at", DateTime(timezone=True)),
    Column("published_until", DateTime(timezone=True)),
)
