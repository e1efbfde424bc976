"""Tables of the tenants slice, as its repository names them. The migrations hold the constraints and policies."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Date, DateTime, Integer, LargeBinary, MetaData, Numeric, Table, Text, Uuid, func
from sqlalchemy.dialects.postgresql import DATERANGE, JSONB

from backend.kit.tables import METADATA, belongs_to, tenant_table


def _now() -> Column[object]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


tenant = Table(
    "tenant",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="ACTIVE"),
    Column("suspended_because", Text),
    Column("settings", JSONB, nullable=False, server_default="{}"),
    _now(),
)

organisation = tenant_table(
    "organisation",
    Column("id", Uuid),
    Column("kind", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("name_zh", Text, nullable=False),
    _text("name_en"),
    Column("credit_code", Text),
    _text("address"),
    Column("division_code", Text),
    Column("industry_code", Text),
    Column("founded_on", Date),
    _text("business"),
    _text("capacity"),
    Column("present", DATERANGE, nullable=False),
    Column("entered_because", Text, nullable=False, server_default="FOUNDED"),
    Column("left_because", Text),
    Column("version", Integer, nullable=False, server_default="1"),
    _text("search"),
    Column("name_order", Text(collation="pinyin"), nullable=False, server_default=""),
    _now(),
)

production_line = tenant_table(
    "production_line",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    _text("product"),
    Column("capacity", Numeric),
    _text("capacity_unit"),
    Column("commissioned_on", Date),
    belongs_to("organisation", "organisation_id"),
)

organisation_link = tenant_table(
    "organisation_link",
    Column("id", Uuid),
    Column("child_id", Uuid, nullable=False),
    Column("parent_id", Uuid, nullable=False),
    Column("valid", DATERANGE, nullable=False),
    Column("equity_share", Numeric(9, 8), nullable=False),
    Column("operational_control", Boolean, nullable=False),
    Column("financial_control", Boolean, nullable=False),
    _text("reason"),
    belongs_to("organisation", "child_id"),
    belongs_to("organisation", "parent_id"),
)

organisation_closure = tenant_table(
    "organisation_closure",
    Column("ancestor_id", Uuid),
    Column("descendant_id", Uuid),
    Column("depth", Integer, nullable=False),
    Column("valid", DATERANGE),
    Column("equity_share", Numeric, nullable=False),
    Column("operational_control", Boolean, nullable=False),
    Column("financial_control", Boolean, nullable=False),
    keys=("ancestor_id", "descendant_id", "valid"),
)

boundary_setting = tenant_table(
    "boundary_setting",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", JSONB, nullable=False),
    Column("valid", DATERANGE, nullable=False),
    _text("reason"),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("recorded_by", Uuid),
    Column("superseded_at", DateTime(timezone=True)),
    belongs_to("organisation", "organisation_id"),
)

member = tenant_table(
    "member",
    Column("id", Uuid),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="ACTIVE"),
    _now(),
)

role_assignment = tenant_table(
    "role_assignment",
    Column("id", Uuid),
    Column("member_id", Uuid, nullable=False),
    Column("role", Text, nullable=False),
    Column("organisation_id", Uuid),
    Column("valid", DATERANGE, nullable=False),
    _text("reason"),
    Column("granted_by", Uuid),
    Column("granted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("revoked_at", DateTime(timezone=True)),
    belongs_to("member", "member_id"),
    belongs_to("organisation", "organisation_id"),
)

audit_event = tenant_table(
    "audit_event",
    Column("id", Uuid),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("member_id", Uuid),
    Column("operation", Text, nullable=False),
    Column("organisation_id", Uuid),
    Column("subject_type", Text, nullable=False),
    Column("subject_id", Uuid, nullable=False),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("correlation_id", Text, nullable=False, server_default="-"),
)

# With what transfers tell by themselves (migration 0041). To be read only.
audit_trail = audit_event.to_metadata(MetaData(), name="audit_trail")

idempotency_key = tenant_table(
    "idempotency_key",
    Column("member_id", Uuid),
    Column("key", Text),
    Column("operation", Text, nullable=False),
    Column("body_sha256", LargeBinary, nullable=False),
    Column("answer", JSONB),
    Column("used_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    keys=("member_id", "key"),
)
