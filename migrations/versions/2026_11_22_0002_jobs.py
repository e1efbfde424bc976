"""Jobs: the queue that lives in PostgreSQL and that a broker only carries."""

from __future__ import annotations

from migrations.support import protect, run

revision = "0002"
down_revision = "0001"

UNBOUND = "(SELECT nullif(current_setting('app.tenant_id', true), '') IS NULL)"
ASKED = (
    "tenant_id, id, name, arguments, organisation_id, created_by, deduplication_key, run_at, max_attempts"
)
STEERED = "state, attempts, run_at, cancel_requested_at, error_code, error_en, error_zh, finished_at, lease_token, lease_until"
WORKED = STEERED + ", started_at, progress_done, progress_total, progress_note, result"


def upgrade() -> None:
    run(
        # A QUEUED row with a lease has been sent to a worker; RUNNING and a lease: a worker has it. When the lease
        # runs out nobody has it.
        """
        CREATE TABLE job (
          tenant_id uuid NOT NULL REFERENCES tenant,
          id uuid NOT NULL,
          name text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)+$'),
          arguments jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(arguments) = 'object'),
          organisation_id uuid,
          created_by uuid,
          deduplication_key text CHECK (length(deduplication_key) BETWEEN 1 AND 400),
          state text NOT NULL DEFAULT 'QUEUED'
            CHECK (state IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
          attempts integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
          max_attempts integer NOT NULL DEFAULT 5 CHECK (max_attempts BETWEEN 1 AND 100),
          run_at timestamptz NOT NULL DEFAULT now(),
          lease_token uuid,
          lease_until timestamptz,
          cancel_requested_at timestamptz,
          progress_done bigint NOT NULL DEFAULT 0 CHECK (progress_done >= 0),
          progress_total bigint CHECK (progress_total >= 0),
          progress_note text NOT NULL DEFAULT '',
          result jsonb,
          error_code text,
          error_en text NOT NULL DEFAULT '',
          error_zh text NOT NULL DEFAULT '',
          created_at timestamptz NOT NULL DEFAULT now(),
          started_at timestamptz,
          finished_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, created_by) REFERENCES member,
          CONSTRAINT job_lease_is_whole CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
          CONSTRAINT job_running_is_leased CHECK (state <> 'RUNNING' OR lease_token IS NOT NULL),
          CONSTRAINT job_finished_is_free CHECK (
            (state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')) = (finished_at IS NOT NULL)
            AND (finished_at IS NULL OR lease_token IS NULL)),
          CONSTRAINT job_failure_has_reason CHECK (state <> 'FAILED' OR error_code IS NOT NULL)
        )
        """,
        """
        CREATE UNIQUE INDEX job_deduplication ON job (tenant_id, name, deduplication_key)
        WHERE deduplication_key IS NOT NULL AND state IN ('QUEUED', 'RUNNING')
        """,
        "CREATE INDEX job_queued ON job (tenant_id, run_at, id) WHERE state = 'QUEUED'",
        "CREATE INDEX job_leased ON job (lease_until) WHERE lease_until IS NOT NULL",
        "CREATE INDEX job_of_creator ON job (tenant_id, created_by, id)",
    )
    protect(
        "job",
        writes=f"INSERT ({ASKED}), UPDATE ({STEERED})",
        worker=f"INSERT ({ASKED}), UPDATE ({WORKED})",
    )
    run(
        # A worker that is bound to no tenant sees the queue of all; bound to one, it is as narrow as anybody.
        f"CREATE POLICY whole_queue ON job TO tanheng_worker USING ({UNBOUND}) WITH CHECK ({UNBOUND})",
        f"CREATE POLICY whole_queue ON tenant FOR SELECT TO tanheng_worker USING ({UNBOUND})",
        """
        CREATE FUNCTION job_moves_on() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF (OLD.state, NEW.state) IN (('QUEUED', 'CANCELLED'), ('FAILED', 'QUEUED'), ('CANCELLED', 'QUEUED')) THEN
            RETURN NEW;
          END IF;
          IF current_user <> 'tanheng_app' AND OLD.state = 'RUNNING'
             OR current_user <> 'tanheng_app' AND (OLD.state, NEW.state) = ('QUEUED', 'RUNNING') THEN
            RETURN NEW;
          END IF;
          RAISE EXCEPTION 'a job does not go from % to % for %', OLD.state, NEW.state, current_user
            USING ERRCODE = 'TH005', CONSTRAINT = 'job_moves_on';
        END $$
        """,
        """
        CREATE TRIGGER job_moves_on BEFORE UPDATE OF state ON job
        FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION job_moves_on()
        """,
    )
