"""Files and documents that prove a number: what they are, how long they stay, and what they prove."""

from __future__ import annotations

from migrations.support import append_only, protect, run

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run(
        """
        CREATE TABLE document (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          title text NOT NULL CHECK (title <> ''),
          file_name text NOT NULL CHECK (file_name <> ''),
          media_type text NOT NULL CHECK (media_type <> ''),
          size bigint NOT NULL CHECK (size > 0),
          sha256 text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
          replaces_id uuid,
          state text NOT NULL DEFAULT 'ANNOUNCED' CHECK (state IN ('ANNOUNCED', 'STORED', 'WITHDRAWN')),
          keep_until date,
          legal_hold boolean NOT NULL DEFAULT false,
          withdrawn_because text,
          uploaded_by uuid NOT NULL,
          created_at timestamptz NOT NULL DEFAULT now(),
          stored_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, replaces_id) REFERENCES document,
          CHECK ((state = 'ANNOUNCED') = (stored_at IS NULL)),
          CHECK ((state = 'WITHDRAWN') = (withdrawn_because IS NOT NULL))
        )
        """,
        "CREATE INDEX document_of_organisation ON document (tenant_id, organisation_id, id)",
        "CREATE INDEX document_by_content ON document (tenant_id, sha256)",
        "CREATE UNIQUE INDEX document_replaced_once ON document (tenant_id, replaces_id) WHERE replaces_id IS NOT NULL",
        # What a document is never changes; a hold or a term that has not run out keeps it.
        """
        CREATE FUNCTION document_holds() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF TG_OP = 'DELETE' THEN
            RAISE EXCEPTION 'documents are withdrawn, never deleted' USING ERRCODE = 'TH003';
          END IF;
          IF (OLD.organisation_id, OLD.title, OLD.file_name, OLD.media_type, OLD.size, OLD.sha256, OLD.uploaded_by,
              OLD.created_at) IS DISTINCT FROM (NEW.organisation_id, NEW.title, NEW.file_name, NEW.media_type,
              NEW.size, NEW.sha256, NEW.uploaded_by, NEW.created_at)
             OR OLD.replaces_id IS DISTINCT FROM NEW.replaces_id
             OR NEW.keep_until < OLD.keep_until OR (OLD.keep_until IS NOT NULL AND NEW.keep_until IS NULL)
             OR (OLD.state = 'WITHDRAWN' AND NEW.state <> 'WITHDRAWN')
             OR (OLD.state = 'STORED' AND NEW.state = 'ANNOUNCED')
             OR (NEW.state = 'WITHDRAWN' AND OLD.state <> 'WITHDRAWN'
                 AND (OLD.legal_hold OR OLD.keep_until >= current_date)) THEN
            RAISE EXCEPTION 'this document is kept as it is' USING ERRCODE = '23514', CONSTRAINT = 'document_is_kept';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER document_holds BEFORE UPDATE OR DELETE ON document FOR EACH ROW EXECUTE FUNCTION document_holds()",
        "CREATE TRIGGER document_no_truncate BEFORE TRUNCATE ON document "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
        """
        CREATE TABLE document_link (
          tenant_id uuid NOT NULL,
          document_id uuid NOT NULL,
          subject_type text NOT NULL CHECK (subject_type <> ''),
          subject_id uuid NOT NULL,
          linked_by uuid NOT NULL,
          linked_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, document_id, subject_type, subject_id),
          FOREIGN KEY (tenant_id, document_id) REFERENCES document
        )
        """,
        "CREATE INDEX document_link_of_subject ON document_link (tenant_id, subject_type, subject_id)",
    )
    protect("document", writes="INSERT, UPDATE (state, keep_until, legal_hold, withdrawn_because, stored_at)")
    protect("document_link", writes="INSERT")
    append_only("document_link")
