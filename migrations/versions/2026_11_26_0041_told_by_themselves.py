"""A transfer is its own record of who moved the units, by which operation: nothing of it is written twice.

The audit trail shows it beside the events of everything else (the view `audit_trail`). Transfers of before keep the event
they have, and so do issues, splits and merges, whose events tell more than the transfer does.

What must hold of a transfer is judged where its legs are, and by the same names as before. As CHECKs and foreign keys
these rules were read anew by every statement and asked of every row: with the second row, a quarter of what a call costs
the server.
"""

from __future__ import annotations

from migrations.support import TENANT, amend, run, span

revision = "0041"
down_revision = "0040"

_TOLD = "member_id, operation, organisation_id, correlation_id"


def upgrade() -> None:
    run(
        "ALTER TABLE asset_transfer ADD member_id uuid, ADD operation text, ADD organisation_id uuid, "
        "ADD correlation_id text",
        # What is asked of both stands outside: a part with a WHERE of its own is never read in order, only sorted whole.
        # So is one whose tenant is not said here.
        f"""
        CREATE VIEW audit_trail WITH (security_invoker = true) AS
        SELECT * FROM (
          SELECT tenant_id, id, at, member_id, operation, organisation_id, subject_type, subject_id, before, after,
                 correlation_id
          FROM audit_event
          UNION ALL
          SELECT tenant_id, id, recorded_at, member_id, operation, organisation_id, 'AssetTransfer'::text, id,
                 NULL::jsonb,
                 jsonb_build_object('kind', kind, 'effective_on', effective_on, 'beneficiary_id', beneficiary_id,
                                    'for_year', for_year, 'reverses_id', reverses_id),
                 correlation_id
          FROM asset_transfer) AS told
        WHERE tenant_id = {TENANT} AND operation IS NOT NULL
        """,
        "GRANT SELECT ON audit_trail TO tanheng_app, tanheng_worker, tanheng_auditor",
    )
    _written_once()
    _none_without_legs()
    _seals()
    _judged_with_its_legs()


def _written_once() -> None:
    amend(
        "ledger_post",
        ("evidence, reverses_id)\n              SELECT tenant, id,", f"evidence, reverses_id, {_TOLD})\n              SELECT tenant, id,"),
        ("purpose, evidence, reverses FROM t", "purpose, evidence, reverses,\n                     member, operation, organisation, correlation\n              FROM t"),
        (span("ledger_post", ", audited AS (", "\n            INSERT INTO asset_leg"), ""),
    )
    amend(
        "ledger_commit",
        ("evidence)\n            SELECT for_tenant, id,", f"evidence, {_TOLD})\n            SELECT for_tenant, id,"),
        ("purpose, evidence FROM t", "purpose, evidence,\n                   member, operation, organisation, correlation\n            FROM t"),
        (span("ledger_commit", ", audited AS (", ", remembered AS ("), ""),
    )
    amend(
        "ledger_commit_list",
        (
            span("ledger_commit_list", "WITH posted AS (", "-- Transfers and events meet nobody."),
            f"""INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, beneficiary_id, for_year, purpose,
                                      evidence, {_TOLD})
          SELECT for_tenant, t_id[n], t_kind[n], t_legs[n], t_effective_on[n], t_beneficiary[n], t_year[n],
                 t_purpose[n], t_evidence[n], by_member, in_operation, t_organisation[n], with_correlation
          FROM generate_series(1, size) AS n;

          """,
        ),
        ("-- Transfers and events meet nobody.", "-- Transfers meet nobody."),
    )


def _none_without_legs() -> None:
    """What has no legs meets no trigger on legs. Each transfer says how many it has (more than none), and the trigger
    compares: so all are as many as all say, or one has none.
    """
    said = "RAISE EXCEPTION 'each posting has the legs it says' USING ERRCODE = 'TH005';"
    amend(
        "ledger_post",
        ("covered boolean; wanted bigint;", "covered boolean; said bigint; wanted bigint;"),
        (
            "count(*), min(keys) INTO covered, met, wanted",
            "count(*), min(keys), (SELECT sum(n) FROM unnest(t_legs) AS n)\n          INTO covered, met, wanted, said",
        ),
        (
            "covered := covered AND NOT",
            f"IF said IS DISTINCT FROM cardinality(l_lot) THEN\n            {said}\n          END IF;\n          covered := covered AND NOT",
        ),
    )
    amend(
        "ledger_commit",
        ("covered boolean; met bigint;", "covered boolean; met bigint; said bigint;"),
        ("SELECT look.covered, look.met, ARRAY(", "SELECT look.covered, look.met, (SELECT sum(p.legs) FROM unnest(postings) AS p), ARRAY("),
        ("INTO covered, met, quantities", "INTO covered, met, said, quantities"),
        (
            "IF NOT covered THEN",
            f"IF said IS DISTINCT FROM cardinality(legs) THEN\n            {said}\n          END IF;\n          IF NOT covered THEN",
        ),
    )
    amend(
        "ledger_commit_list",
        ("covered boolean; wanted bigint;", "covered boolean; said bigint; wanted bigint;"),
        ("array_agg(quantity_t + credit - debit ORDER BY account, lot)\n", "array_agg(quantity_t + credit - debit ORDER BY account, lot), (SELECT sum(n) FROM unnest(t_legs) AS n)\n"),
        ("INTO covered, met, wanted, after", "INTO covered, met, wanted, after, said"),
        (
            "IF NOT covered OR t_kind",
            f"IF said IS DISTINCT FROM cardinality(l_lot) THEN\n            {said}\n          END IF;\n          IF NOT covered OR t_kind",
        ),
    )


def _judged_with_its_legs() -> None:
    run(
        *(
            f"ALTER TABLE asset_transfer DROP CONSTRAINT asset_transfer_{name}"
            for name in (
                *("kind_check", "for_year_check", "reversal", "served", "retired_for_something", "texts"),
                # What is reversed is compared leg by leg (`asset_legs_look_back`), so it is there.
                *("tenant_id_beneficiary_id_fkey", "tenant_id_reverses_id_fkey"),
            )
        ),
        # The first rule that a transfer breaks; none is null. That it has its legs is judged by counting them.
        """
        CREATE FUNCTION asset_transfer_breaks(kind text, beneficiary uuid, year integer, purpose text, evidence text,
                                              reverses uuid, operation text, correlation text) RETURNS text
        LANGUAGE sql IMMUTABLE AS $$
          SELECT CASE
            WHEN kind NOT IN ('ISSUE', 'TRANSFER', 'SURRENDER', 'RETIRE', 'CANCEL', 'REVERSE', 'SPLIT', 'MERGE')
              THEN 'asset_transfer_kind_check'
            WHEN year NOT BETWEEN 1990 AND 2100 THEN 'asset_transfer_for_year_check'
            WHEN (kind = 'REVERSE') <> (reverses IS NOT NULL) THEN 'asset_transfer_reversal'
            WHEN CASE WHEN kind IN ('SURRENDER', 'RETIRE') THEN num_nulls(beneficiary, year) <> 0
                      WHEN kind = 'CANCEL' THEN num_nulls(beneficiary, year) = 1
                      ELSE num_nulls(beneficiary, year) <> 2 END THEN 'asset_transfer_served'
            WHEN kind = 'RETIRE' AND purpose = '' THEN 'asset_transfer_retired_for_something'
            WHEN length(purpose) > 2000 OR length(evidence) > 2000 THEN 'asset_transfer_texts'
            WHEN num_nulls(operation, correlation) <> CASE WHEN kind IN ('ISSUE', 'SPLIT', 'MERGE') THEN 2 ELSE 0 END
              THEN 'asset_transfer_audited'
          END
        $$
        """,
    )
    run(
        # As the foreign key had it; organisations are hardly ever deleted, so it is asked then.
        """
        CREATE FUNCTION organisation_served_stays() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          IF EXISTS (SELECT FROM asset_transfer t WHERE t.tenant_id = OLD.tenant_id AND t.beneficiary_id = OLD.id) THEN
            RAISE EXCEPTION 'transfers serve this organisation'
              USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'asset_transfer_serves';
          END IF;
          RETURN OLD;
        END $$
        """,
        "CREATE TRIGGER organisation_served_stays BEFORE DELETE ON organisation FOR EACH ROW "
        "EXECUTE FUNCTION organisation_served_stays()",
    )
    amend(
        "asset_legs_post",
        ("looks_back boolean;", "looks_back boolean; serves boolean; broken text; in_time boolean;"),
        (
            "bool_or(x.looks_back), min(x.effective_on)",
            "bool_or(x.looks_back), bool_or(x.serves), min(x.breaks), min(x.effective_on)",
        ),
        ("INTO lawful, looks_back, first_day", "INTO lawful, looks_back, serves, broken, first_day"),
        (
            "AS looks_back,\n",
            """AS looks_back,
                   t.beneficiary_id IS NOT NULL AS serves,
                   asset_transfer_breaks(t.kind, t.beneficiary_id, t.for_year, t.purpose, t.evidence, t.reverses_id,
                                         t.operation, t.correlation_id) AS breaks,
""",
        ),
        (
            "IF lawful IS DISTINCT FROM posted THEN",
            """IF broken IS NOT NULL THEN
            RAISE EXCEPTION 'a transfer breaks the rule %', broken USING ERRCODE = 'check_violation', CONSTRAINT = broken;
          END IF;
          IF serves THEN
            PERFORM FROM asset_transfer t
            WHERE t.tenant_id = tenant AND t.id = ANY (ids) AND t.beneficiary_id IS NOT NULL AND NOT EXISTS (
              SELECT FROM organisation o WHERE o.tenant_id = tenant AND o.id = t.beneficiary_id);
            IF FOUND THEN
              RAISE EXCEPTION 'a transfer serves an organisation that is not there'
                USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'asset_transfer_serves';
            END IF;
          END IF;
          IF lawful IS DISTINCT FROM posted THEN""",
        ),
        # After the turn was waited for, as the trigger on seals judges those of others.
        (
            """a.state <> 'OPEN')
          INTO closed_through, some_shut;
""",
            """a.state <> 'OPEN'),
                    asset_seal_timely(at, ids)
          INTO closed_through, some_shut, in_time;
          IF NOT in_time THEN
            PERFORM asset_seal_untimely(at, ids);
          END IF;
""",
        ),
    )


def _seals() -> None:
    run(
        *(
            f"ALTER TABLE asset_seal DROP CONSTRAINT asset_seal_{name}"
            for name in ("hash_check", "leaves", "number_check", "previous_check", "transfer_ids_check")
        ),
        # Hashes do not get shorter by compressing.
        "ALTER TABLE asset_seal ALTER leaves SET STORAGE EXTERNAL, ALTER transfer_ids SET STORAGE EXTERNAL",
        # Checkpoints rest on it: nothing that began or was named five minutes ago is sealed any more.
        """
        CREATE FUNCTION asset_seal_timely(at timestamptz, ids uuid[]) RETURNS boolean LANGUAGE sql AS $$
          SELECT at >= clock_timestamp() - interval '5 minutes'
            AND ids[1] >= ledger_id_floor(clock_timestamp() - interval '5 minutes')
            AND ids[cardinality(ids)] <= ledger_id_floor(at + interval '1 hour')
        $$
        """,
        """
        CREATE FUNCTION asset_seal_untimely(at timestamptz, ids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
        DECLARE earliest timestamptz := clock_timestamp() - interval '5 minutes';
        BEGIN
          IF at < earliest OR ids[1] < ledger_id_floor(earliest) THEN
            RAISE EXCEPTION 'the transaction began too long ago to post' USING ERRCODE = '40001';
          END IF;
          RAISE EXCEPTION 'the id of a transfer says when it was made, to the hour'
            USING ERRCODE = 'TH005', CONSTRAINT = 'asset_seal_in_time';
        END $$
        """,
        "DROP TRIGGER asset_seal_in_time ON asset_seal",
        """
        CREATE OR REPLACE FUNCTION asset_seal_in_time() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          IF NEW.number < 1 OR cardinality(NEW.transfer_ids) < 1 OR octet_length(NEW.hash) <> 32
             OR octet_length(NEW.previous) <> 32 OR octet_length(NEW.leaves) <> 32 * cardinality(NEW.transfer_ids) THEN
            RAISE EXCEPTION 'a seal has a number, its hash and the one before it, and a leaf for each transfer'
              USING ERRCODE = 'check_violation', CONSTRAINT = 'asset_seal_whole';
          END IF;
          IF NOT asset_seal_timely(NEW.sealed_at, NEW.transfer_ids) THEN
            PERFORM asset_seal_untimely(NEW.sealed_at, NEW.transfer_ids);
          END IF;
          RETURN NEW;
        END $$
        """,
        # The trigger on legs makes seals whole and judges their time by itself.
        "CREATE TRIGGER asset_seal_in_time BEFORE INSERT ON asset_seal FOR EACH ROW "
        "WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION asset_seal_in_time()",
    )
