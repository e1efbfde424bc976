"""Periodic jobs, the pruning of finished ones, reminders of deadlines, exceptions from market rules."""

from __future__ import annotations

from migrations.support import TENANT, append_only, protect, run

revision = "0025"
down_revision = "0024"

UNBOUND = "(SELECT nullif(current_setting('app.tenant_id', true), '') IS NULL)"
REFER_TO_JOBS = ("consolidation_run", "activity_import", "activity_export")


def upgrade() -> None:
    _runs()
    _pruning()
    _anchors()
    _reminders()
    _exceptions()


def _runs() -> None:
    run(
        # A schedule's run is started once for each tenant and due moment, with its job or not at all.
        """
        CREATE TABLE scheduled_run (
          tenant_id uuid NOT NULL,
          schedule text NOT NULL CHECK (schedule <> ''),
          due_at timestamptz NOT NULL,
          job_id uuid NOT NULL,
          PRIMARY KEY (tenant_id, schedule, due_at),
          CONSTRAINT scheduled_run_of_job UNIQUE (tenant_id, job_id),
          FOREIGN KEY (tenant_id, job_id) REFERENCES job ON DELETE CASCADE
        )
        """,
    )
    protect("scheduled_run", worker="INSERT")
    run(
        # As with jobs: bound to no tenant the worker starts those of all.
        f"CREATE POLICY whole_queue ON scheduled_run TO tanheng_worker USING ({UNBOUND}) WITH CHECK ({UNBOUND})",
    )


def _pruning() -> None:
    for table in REFER_TO_JOBS:
        # The job is written in the same transaction, before or after what refers to it. Rows of before are not checked:
        # nothing kept an operator from deleting their jobs.
        run(
            f"ALTER TABLE {table} ADD FOREIGN KEY (tenant_id, job_id) REFERENCES job "
            "DEFERRABLE INITIALLY DEFERRED NOT VALID",
        )
    run(
        "CREATE INDEX activity_import_of_job ON activity_import (tenant_id, job_id)",
        "CREATE INDEX activity_export_of_job ON activity_export (tenant_id, job_id)",
        "CREATE INDEX job_finished ON job (tenant_id, finished_at) WHERE finished_at IS NOT NULL",
        # What refers to jobs is read from the catalogue, so a table that comes later counts by its foreign key. Nobody
        # can have the last week forgotten.
        f"""
        CREATE FUNCTION prune_jobs(finished_before timestamptz, most integer) RETURNS integer
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
        DECLARE
          kept text; pruned integer;
        BEGIN
          SELECT coalesce(string_agg(format(
                   'AND NOT EXISTS (SELECT FROM %s r WHERE r.tenant_id = j.tenant_id AND r.%I = j.id)',
                   c.conrelid::regclass, a.attname), ' '), '') INTO kept
          FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[2]
          WHERE c.contype = 'f' AND c.confrelid = 'job'::regclass AND c.confdeltype <> 'c';
          EXECUTE format(
            'DELETE FROM job WHERE tenant_id = $1 AND id IN (SELECT j.id FROM job j '
            'WHERE j.tenant_id = $1 AND j.finished_at < least($2, now() - interval ''7 days'') %s '
            'ORDER BY j.finished_at LIMIT $3)', kept) USING {TENANT}, finished_before, most;
          GET DIAGNOSTICS pruned = ROW_COUNT;
          RETURN pruned;
        END $$
        """,  # noqa: S608 - constants
        "REVOKE ALL ON FUNCTION prune_jobs FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION prune_jobs TO tanheng_worker",
    )


def _anchors() -> None:
    # The worker anchors past days. What it writes is checked against the seals by whoever verifies the chain.
    run("GRANT INSERT (tenant_id, day, first_seal, last_seal, root) ON asset_anchor TO tanheng_worker")


def _reminders() -> None:
    run(
        """
        CREATE TABLE compliance_reminder (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          obligation_id uuid NOT NULL,
          market text NOT NULL CHECK (market <> ''),
          year integer NOT NULL CHECK (year BETWEEN 1990 AND 2100),
          day date NOT NULL,
          rule text NOT NULL CHECK (rule <> ''),
          days_before integer NOT NULL CHECK (days_before BETWEEN 0 AND 366),
          open_t numeric(27, 9) NOT NULL CHECK (open_t > 0),
          made_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          CONSTRAINT reminded_once UNIQUE (tenant_id, organisation_id, market, year, day, days_before),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, obligation_id) REFERENCES obligation
        )
        """,
        """
        CREATE TABLE reminder_acknowledgement (
          tenant_id uuid NOT NULL,
          reminder_id uuid NOT NULL,
          acknowledged_by uuid NOT NULL,
          note text NOT NULL DEFAULT '' CHECK (length(note) <= 2000),
          acknowledged_at timestamptz NOT NULL DEFAULT now(),
          CONSTRAINT acknowledged_once PRIMARY KEY (tenant_id, reminder_id),
          FOREIGN KEY (tenant_id, reminder_id) REFERENCES compliance_reminder,
          FOREIGN KEY (tenant_id, acknowledged_by) REFERENCES member
        )
        """,
    )
    protect("compliance_reminder", worker="INSERT")
    protect("reminder_acknowledgement", writes="INSERT", worker="")
    append_only("compliance_reminder")
    append_only("reminder_acknowledgement")


def _exceptions() -> None:
    run(
        # That a rule only warns for one organisation and year. It can be withdrawn, not edited.
        """
        CREATE TABLE rule_exception (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          year integer NOT NULL CHECK (year BETWEEN 1990 AND 2100),
          rule text NOT NULL CHECK (rule <> ''),
          reason text NOT NULL CHECK (reason <> ''),
          evidence text NOT NULL CHECK (evidence <> ''),
          recorded_by uuid NOT NULL,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          withdrawn_at timestamptz,
          withdrawn_by uuid,
          withdrawn_because text CHECK (withdrawn_because <> ''),
          PRIMARY KEY (tenant_id, id),
          CONSTRAINT rule_exception_is_withdrawn_wholly
            CHECK (num_nonnulls(withdrawn_at, withdrawn_by, withdrawn_because) IN (0, 3)),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, recorded_by) REFERENCES member,
          FOREIGN KEY (tenant_id, withdrawn_by) REFERENCES member
        )
        """,
        "CREATE UNIQUE INDEX rule_exception_stands_once ON rule_exception (tenant_id, organisation_id, year, rule) "
        "WHERE withdrawn_at IS NULL",
        """
        CREATE FUNCTION rule_exception_is_withdrawn_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF OLD.withdrawn_at IS NOT NULL
             OR (to_jsonb(OLD) - '{withdrawn_at,withdrawn_by,withdrawn_because}'::text[])
                <> (to_jsonb(NEW) - '{withdrawn_at,withdrawn_by,withdrawn_because}'::text[]) THEN
            RAISE EXCEPTION 'an exception is withdrawn once and never edited' USING ERRCODE = 'TH003';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER rule_exception_is_withdrawn_once BEFORE UPDATE ON rule_exception "
        "FOR EACH ROW EXECUTE FUNCTION rule_exception_is_withdrawn_once()",
        "CREATE TRIGGER rule_exception_stays BEFORE DELETE ON rule_exception "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        "CREATE TRIGGER rule_exception_no_truncate BEFORE TRUNCATE ON rule_exception "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
    protect(
        "rule_exception",
        writes="INSERT (tenant_id, id, organisation_id, year, rule, reason, evidence, recorded_by), "
        "UPDATE (withdrawn_at, withdrawn_by, withdrawn_because)",
        worker="",
    )
