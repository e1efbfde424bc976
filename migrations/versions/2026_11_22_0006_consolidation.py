"""Consolidation runs: what they were made from, and what they found."""

from __future__ import annotations

from migrations.support import append_only, protect, run

revision = "0006"
down_revision = "0005"

FOUND = "allowance_policy, input_sha256, result_sha256, nodes, finished_at"


def upgrade() -> None:
    _inputs()
    _runs()
    _results()


def _inputs() -> None:
    # Kept by what it says: runs made from the same facts share one row, and a row cannot belie its own digest.
    run(
        """
        CREATE TABLE consolidation_input (
          tenant_id uuid NOT NULL REFERENCES tenant,
          sha256 bytea NOT NULL CHECK (length(sha256) = 32),
          content bytea NOT NULL,
          frozen_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, sha256),
          CONSTRAINT consolidation_input_is_what_it_says CHECK (sha256(content) = sha256)
        )
        """,
    )
    protect("consolidation_input", worker="INSERT")
    append_only("consolidation_input")


def _runs() -> None:
    run(
        # No foreign key to its job: the queue may be cleared of what is over, a run stays.
        """
        CREATE TABLE consolidation_run (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          from_year integer NOT NULL CHECK (from_year BETWEEN 1990 AND 2100),
          to_year integer NOT NULL CHECK (to_year BETWEEN from_year AND 2100),
          approach text NOT NULL
            CHECK (approach IN ('OPERATIONAL_CONTROL', 'FINANCIAL_CONTROL', 'EQUITY_SHARE')),
          job_id uuid NOT NULL,
          requested_by uuid NOT NULL,
          requested_at timestamptz NOT NULL DEFAULT now(),
          allowance_policy text CHECK (allowance_policy IN ('BOUGHT_ONLY', 'ALL')),
          input_sha256 bytea,
          result_sha256 bytea CHECK (length(result_sha256) = 32),
          nodes integer CHECK (nodes > 0),
          finished_at timestamptz,
          PRIMARY KEY (tenant_id, id),
          CONSTRAINT consolidation_run_job_key UNIQUE (tenant_id, job_id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, requested_by) REFERENCES member,
          FOREIGN KEY (tenant_id, input_sha256) REFERENCES consolidation_input,
          CONSTRAINT consolidation_run_found_all_or_nothing
            CHECK (num_nonnulls(allowance_policy, input_sha256, result_sha256, nodes, finished_at) IN (0, 5))
        )
        """,
        "CREATE INDEX consolidation_run_of_organisation ON consolidation_run (tenant_id, organisation_id, id)",
    )
    protect(
        "consolidation_run",
        writes="INSERT (tenant_id, id, organisation_id, from_year, to_year, approach, job_id, requested_by, requested_at)",
        worker=f"UPDATE ({FOUND})",
    )
    run(
        """
        CREATE FUNCTION consolidation_run_is_found_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF OLD.finished_at IS NOT NULL OR NEW.finished_at IS NULL THEN
            RAISE EXCEPTION 'a consolidation run is determined once' USING ERRCODE = 'TH003';
          END IF;
          RETURN NEW;
        END $$
        """,
        """
        CREATE TRIGGER consolidation_run_is_found_once BEFORE UPDATE ON consolidation_run
        FOR EACH ROW EXECUTE FUNCTION consolidation_run_is_found_once()
        """,
        """
        CREATE TRIGGER consolidation_run_is_kept BEFORE DELETE ON consolidation_run
        FOR EACH ROW EXECUTE FUNCTION refuse_change()
        """,
        """
        CREATE TRIGGER consolidation_run_no_truncate BEFORE TRUNCATE ON consolidation_run
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """,
    )


def _results() -> None:
    run(
        # Positions are those of a walk through the tree, so a subtree is a range of them.
        """
        CREATE TABLE consolidation_node (
          tenant_id uuid NOT NULL,
          run_id uuid NOT NULL,
          position integer NOT NULL CHECK (position >= 0),
          organisation_id uuid NOT NULL,
          neutrality text NOT NULL CHECK (neutrality IN ('NEUTRAL', 'NOT_NEUTRAL', 'NO_DATA')),
          compliance text NOT NULL CHECK (compliance IN ('FULFILLED', 'SHORT', 'NO_OBLIGATION')),
          result jsonb NOT NULL,
          PRIMARY KEY (tenant_id, run_id, position),
          CONSTRAINT consolidation_node_organisation_key UNIQUE (tenant_id, run_id, organisation_id),
          FOREIGN KEY (tenant_id, run_id) REFERENCES consolidation_run,
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation
        )
        """,
        """
        CREATE TABLE consolidation_rejected_asset (
          tenant_id uuid NOT NULL,
          run_id uuid NOT NULL,
          sequence integer NOT NULL CHECK (sequence >= 0),
          position integer NOT NULL,
          outermost integer NOT NULL CHECK (outermost >= 0),
          use text NOT NULL,
          for_year integer NOT NULL,
          lot_id uuid NOT NULL,
          transfer_id uuid NOT NULL,
          asset_class text NOT NULL,
          quantity_t bigint NOT NULL CHECK (quantity_t > 0),
          reason text NOT NULL CHECK (reason IN ('SURRENDERED', 'CANCELLED', 'OTHER_YEAR', 'NOT_BOUGHT', 'ALLOCATED_WITHIN')),
          PRIMARY KEY (tenant_id, run_id, sequence),
          FOREIGN KEY (tenant_id, run_id, position) REFERENCES consolidation_node,
          FOREIGN KEY (tenant_id, lot_id) REFERENCES asset_lot,
          FOREIGN KEY (tenant_id, transfer_id) REFERENCES asset_transfer
        )
        """,
        """
        CREATE INDEX consolidation_rejected_asset_of_node
        ON consolidation_rejected_asset (tenant_id, run_id, position)
        """,
    )
    for table in ("consolidation_node", "consolidation_rejected_asset"):
        protect(table, worker="INSERT")
        append_only(table)
