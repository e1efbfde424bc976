"""Exports of activity to files: what was asked for, and the file that came of it; packs that are checked faster."""

from __future__ import annotations

from migrations.support import protect, run

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run(
        """
        CREATE TABLE activity_export (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          first_month date NOT NULL CHECK (first_month >= '1990-01-01' AND extract(day FROM first_month) = 1),
          last_month date NOT NULL CHECK (last_month >= first_month AND extract(day FROM last_month) = 1),
          job_id uuid NOT NULL,
          rows integer CHECK (rows >= 0),
          document_id uuid,
          asked_by uuid NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          finished_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, document_id) REFERENCES document,
          CONSTRAINT a_finished_export_has_its_file CHECK ((finished_at IS NULL) = (document_id IS NULL)
            AND (finished_at IS NULL) = (rows IS NULL))
        )
        """
    )
    # The type says what a check did: fifteen digits before the point. Not a number is refused by the sum of its pack.
    run(
        """
        ALTER TABLE activity_pack
          DROP CONSTRAINT quantities_are_numbers,
          ALTER quantities TYPE numeric(27, 12)[],
          DROP CONSTRAINT days_of_the_month,
          ADD CONSTRAINT days_of_the_month CHECK (1 <= ALL (days)
            AND extract(day FROM month + interval '1 month - 1 day')::smallint >= ALL (days))
        """
    )
    protect("activity_export", writes="INSERT, UPDATE (rows, document_id, finished_at)")
