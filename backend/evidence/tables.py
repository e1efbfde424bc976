"""Tables of the evidence slice."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Text, Uuid

from backend.kit.tables import belongs_to, moment, tenant_table

document = tenant_table(
    "document",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("title", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("replaces_id", Uuid),
    Column("state", Text, nullable=False, server_default="ANNOUNCED"),
    Column("keep_until", Date),
    Column("legal_hold", Boolean, nullable=False, server_default="false"),
    Column("withdrawn_because", Text),
    Column("uploaded_by", Uuid, nullable=False),
    moment("created_at"),
    Column("stored_at", DateTime(timezone=True)),
    Column("content_removed_at", DateTime(timezone=True)),
    belongs_to("organisation", "organisation_id"),
    belongs_to("document", "replaces_id"),
)

document_link = tenant_table(
    "document_link",
    Column("document_id", Uuid),
    Column("subject_type", Text),
    Column("subject_id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("linked_by", Uuid, nullable=False),
    moment("linked_at"),
    belongs_to("document", "document_id"),
    belongs_to("organisation", "organisation_id"),
    keys=("document_id", "subject_type", "subject_id"),
)
