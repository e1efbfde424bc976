"""Imports of activity from files: what was asked, what became of it, and each row that was refused."""

from __future__ import annotations

from migrations.support import append_only, protect, run

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run(
        """
        CREATE TABLE activity_import (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          document_id uuid NOT NULL,
          sheet text,
          mode text NOT NULL CHECK (mode IN ('PARTIAL', 'ALL_OR_NOTHING')),
          state text NOT NULL DEFAULT 'QUEUED' CHECK (state IN ('QUEUED', 'DONE', 'REFUSED', 'FAILED')),
          job_id uuid NOT NULL,
          rows integer,
          stored integer,
          refused integer,
          problem jsonb,
          error_document_id uuid,
          sha256 text NOT NULL,
          asked_by uuid NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          finished_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, document_id) REFERENCES document,
          FOREIGN KEY (tenant_id, error_document_id) REFERENCES document,
          CHECK ((state = 'QUEUED') = (finished_at IS NULL)),
          CHECK ((state = 'FAILED') = (problem IS NOT NULL)),
          CHECK (state <> 'REFUSED' OR stored = 0)
        )
        """,
        # A file is imported once into an organisation: again is the same import, unless nothing came of it.
        "CREATE UNIQUE INDEX activity_import_once ON activity_import (tenant_id, organisation_id, sha256, "
        "coalesce(sheet, '')) WHERE state IN ('QUEUED', 'DONE')",
        """
        CREATE TABLE import_refusal (
          tenant_id uuid NOT NULL,
          import_id uuid NOT NULL,
          row integer NOT NULL,
          column_name text NOT NULL,
          code text NOT NULL,
          params jsonb NOT NULL,
          written text NOT NULL,
          PRIMARY KEY (tenant_id, import_id, row),
          FOREIGN KEY (tenant_id, import_id) REFERENCES activity_import
        )
        """,
    )
    protect(
        "activity_import",
        writes="INSERT, UPDATE (state, rows, stored, refused, problem, error_document_id, finished_at)",
    )
    protect("import_refusal", writes="INSERT")
    append_only("import_refusal")
