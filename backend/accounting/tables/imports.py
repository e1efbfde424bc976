"""Imports of files."""

from __future__ import annotations

from sqlalchemy import Column, Date, DateTime, Integer, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from backend.kit.tables import belongs_to, moment, tenant_table

activity_import = tenant_table(
    "activity_import",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("document_id", Uuid, nullable=False),
    Column("sheet", Text),
    Column("mode", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="QUEUED"),
    Column("job_id", Uuid, nullable=False),
    Column("rows", Integer),
    Column("stored", Integer),
    Column("present", Integer),
    Column("refused", Integer),
    Column("problem", JSONB(none_as_null=True)),
    Column("error_document_id", Uuid),
    Column("sha256", Text, nullable=False),
    Column("asked_by", Uuid, nullable=False),
    moment("created_at"),
    Column("finished_at", DateTime(timezone=True)),
    belongs_to("organisation", "organisation_id"),
    belongs_to("document", "document_id"),
    belongs_to("document", "error_document_id"),
    belongs_to("job", "job_id"),
)

import_refusal = tenant_table(
    "import_refusal",
    Column("import_id", Uuid),
    Column("row", Integer),
    Column("column_name", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("params", JSONB, nullable=False),
    Column("written", Text, nullable=False),
    belongs_to("activity_import", "import_id"),
    keys=("import_id", "row"),
)

activity_export = tenant_table(
    "activity_export",
    Column("id", Uuid),
    Column("organisation_id", Uuid, nullable=False),
    Column("first_month", Date, nullable=False),
    Column("last_month", Date, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("rows", Integer),
    Column("document_id", Uuid),
    Column("asked_by", Uuid, nullable=False),
    moment("created_at"),
    Column("finished_at", DateTime(timezone=True)),
    belongs_to("organisation", "organisation_id"),
    belongs_to("document", "document_id"),
    belongs_to("job", "job_id"),
)
