"""Carbon assets: accounts, lots, transfers of legs, balances that follow them, and the two functions that post.

The books keep themselves: nobody but the owner may write to them, and what the owner's functions write is judged by
triggers and constraints that hold for the owner too. A leg debits one account and credits another with one number,
so an unbalanced entry cannot be written down; `asset_entry` shows both sides.
"""

from __future__ import annotations

from migrations.support import append_only, protect, run

revision = "0005"
down_revision = "0004"

# Planning the statements of a posting takes ten times as long as running them, so each is planned once per
# connection; and whatever the tables held at that moment, by their keys.
PLANS = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""


def upgrade() -> None:
    _accounts_and_lots()
    _transfers()
    _balances()
    _posting()
    _post()
    _issue()
    _look_up()
    _obligations()


def _accounts_and_lots() -> None:
    run(
        # The accounts of the outside (organisation_id NULL) belong to nobody; there is one of each per tenant.
        """
        CREATE TABLE asset_account (
          tenant_id uuid NOT NULL REFERENCES tenant,
          id uuid NOT NULL,
          organisation_id uuid,
          code text NOT NULL CHECK (code <> ''),
          name text NOT NULL DEFAULT '',
          kind text NOT NULL,
          issuing boolean NOT NULL GENERATED ALWAYS AS (kind = 'ISSUER') STORED,
          opened_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          CONSTRAINT asset_account_code_key UNIQUE (tenant_id, organisation_id, code),
          CONSTRAINT asset_account_issuing_key UNIQUE (tenant_id, id, issuing),
          CONSTRAINT asset_account_kind CHECK (CASE WHEN organisation_id IS NULL
            THEN kind IN ('ISSUER', 'MARKET', 'SURRENDERED', 'RETIRED', 'CANCELLED')
            ELSE kind IN ('HOLDING', 'REGISTRY', 'TRADING') END)
        )
        """,
        "CREATE UNIQUE INDEX asset_account_outside_key ON asset_account (tenant_id, kind) WHERE organisation_id IS NULL",
        """
        CREATE TABLE asset_lot (
          tenant_id uuid NOT NULL REFERENCES tenant,
          id uuid NOT NULL,
          asset_class text NOT NULL CHECK (asset_class IN ('ALLOWANCE', 'CCER', 'VERIFIED_SAVING', 'SINK')),
          scheme text NOT NULL CHECK (scheme <> ''),
          issue_reference text NOT NULL CHECK (issue_reference <> ''),
          vintage integer CHECK (vintage BETWEEN 1990 AND 2100),
          project text NOT NULL DEFAULT '',
          quantity_t bigint NOT NULL CHECK (quantity_t BETWEEN 1 AND 9000000000000000000),
          origin text NOT NULL,
          issued_to uuid NOT NULL,
          issued_on date NOT NULL,
          serial_prefix text,
          serial_first bigint CHECK (serial_first >= 0),
          serial_last bigint CHECK (serial_last <= 9000000000000000000),
          issued_by uuid NOT NULL,
          withdrawn_by uuid,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, issued_to) REFERENCES organisation,
          CONSTRAINT asset_lot_issue_key UNIQUE (tenant_id, issued_by),
          CONSTRAINT asset_lot_origin CHECK (CASE asset_class
            WHEN 'ALLOWANCE' THEN origin IN ('ALLOCATED', 'AUCTIONED', 'PURCHASED')
            WHEN 'SINK' THEN origin IN ('CERTIFIED_SINK', 'ISSUED_CREDIT')
            ELSE origin IN ('ISSUED_CREDIT', 'PURCHASED') END),
          CONSTRAINT asset_lot_serial_length CHECK (
            num_nulls(serial_prefix, serial_first, serial_last) = 3
            OR num_nulls(serial_prefix, serial_first, serial_last) = 0 AND serial_last - serial_first + 1 = quantity_t),
          CONSTRAINT asset_lot_serial_overlap EXCLUDE USING gist (
            tenant_id WITH =, scheme WITH =, serial_prefix WITH =, int8range(serial_first, serial_last, '[]') WITH &&
          ) WHERE (serial_first IS NOT NULL AND withdrawn_by IS NULL)
        )
        """,
        # A lot whose issue was reversed frees its reference and its serial numbers for the right one.
        """
        CREATE UNIQUE INDEX asset_lot_reference_key ON asset_lot (tenant_id, scheme, issue_reference)
        WHERE withdrawn_by IS NULL
        """,
        "CREATE INDEX asset_lot_of_organisation ON asset_lot (tenant_id, issued_to)",
    )
    protect("asset_account", writes="INSERT")
    protect("asset_lot")
    append_only("asset_account")
    run(
        # Nothing of a lot ever changes but that the reversal of its issue withdraws it (by `asset_legs_post`).
        "CREATE TRIGGER asset_lot_stands BEFORE UPDATE ON asset_lot FOR EACH ROW WHEN (pg_trigger_depth() = 0) "
        "EXECUTE FUNCTION refuse_change()",
        "CREATE TRIGGER asset_lot_stays BEFORE DELETE ON asset_lot FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        "CREATE TRIGGER asset_lot_no_truncate BEFORE TRUNCATE ON asset_lot "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )


def _transfers() -> None:
    run(
        """
        CREATE TABLE asset_transfer (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          kind text NOT NULL CHECK (kind IN ('ISSUE', 'TRANSFER', 'SURRENDER', 'RETIRE', 'CANCEL', 'REVERSE')),
          legs integer NOT NULL CHECK (legs > 0),
          effective_on date NOT NULL,
          beneficiary_id uuid,
          for_year integer CHECK (for_year BETWEEN 1990 AND 2100),
          purpose text NOT NULL DEFAULT '',
          evidence text NOT NULL DEFAULT '',
          reverses_id uuid,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, beneficiary_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, reverses_id) REFERENCES asset_transfer,
          CONSTRAINT asset_transfer_reversed_once UNIQUE (tenant_id, reverses_id),
          CONSTRAINT asset_transfer_reversal CHECK ((kind = 'REVERSE') = (reverses_id IS NOT NULL)),
          CONSTRAINT asset_transfer_served CHECK (CASE
            WHEN kind IN ('SURRENDER', 'RETIRE') THEN num_nulls(beneficiary_id, for_year) = 0
            WHEN kind = 'CANCEL' THEN num_nulls(beneficiary_id, for_year) <> 1
            ELSE num_nulls(beneficiary_id, for_year) = 2 END)
        )
        """,
        "CREATE INDEX asset_transfer_served_by ON asset_transfer (tenant_id, beneficiary_id, for_year) "
        "WHERE beneficiary_id IS NOT NULL",
        "CREATE INDEX asset_transfer_by_day ON asset_transfer (tenant_id, effective_on)",
        # No foreign keys to account and lot: every leg meets two balance rows, which have them and never go away
        # (asset_legs_post). Row locks of foreign keys on the few outside accounts would make all postings wait.
        """
        CREATE TABLE asset_leg (
          tenant_id uuid NOT NULL,
          transfer_id uuid NOT NULL,
          leg integer NOT NULL CHECK (leg > 0),
          lot_id uuid NOT NULL,
          from_account_id uuid NOT NULL,
          to_account_id uuid NOT NULL,
          quantity_t bigint NOT NULL CHECK (quantity_t > 0),
          PRIMARY KEY (tenant_id, transfer_id, leg),
          FOREIGN KEY (tenant_id, transfer_id) REFERENCES asset_transfer,
          CONSTRAINT asset_leg_two_accounts CHECK (from_account_id <> to_account_id)
        )
        """,
        "CREATE INDEX asset_leg_out ON asset_leg (tenant_id, from_account_id, transfer_id)",
        "CREATE INDEX asset_leg_in ON asset_leg (tenant_id, to_account_id, transfer_id)",
    )
    protect("asset_transfer")
    protect("asset_leg")
    append_only("asset_transfer")
    append_only("asset_leg")
    run(
        """
        CREATE VIEW asset_entry WITH (security_invoker = true) AS
        SELECT tenant_id, transfer_id, leg, lot_id, from_account_id AS account_id, -quantity_t AS amount_t FROM asset_leg
        UNION ALL
        SELECT tenant_id, transfer_id, leg, lot_id, to_account_id, quantity_t FROM asset_leg
        """,
        "GRANT SELECT ON asset_entry TO tanheng_app, tanheng_worker, tanheng_auditor",
    )


def _balances() -> None:
    run(
        # `issuing` is the account's own, held by the foreign key: only where lots come from may stand below zero.
        """
        CREATE TABLE asset_balance (
          tenant_id uuid NOT NULL,
          account_id uuid NOT NULL,
          lot_id uuid NOT NULL,
          issuing boolean NOT NULL,
          quantity_t bigint NOT NULL DEFAULT 0,
          PRIMARY KEY (tenant_id, account_id, lot_id),
          FOREIGN KEY (tenant_id, account_id, issuing) REFERENCES asset_account (tenant_id, id, issuing),
          FOREIGN KEY (tenant_id, lot_id) REFERENCES asset_lot,
          CONSTRAINT asset_balance_not_negative CHECK (CASE WHEN issuing THEN quantity_t <= 0 ELSE quantity_t >= 0 END)
        ) WITH (fillfactor = 60)
        """,
        "CREATE INDEX asset_balance_of_lot ON asset_balance (tenant_id, lot_id)",
    )
    protect("asset_balance")
    run(
        # Only the legs move a balance: from outside a trigger nobody, the owner included, changes a number.
        "CREATE TRIGGER asset_balance_starts_at_zero BEFORE INSERT ON asset_balance FOR EACH ROW "
        "WHEN (NEW.quantity_t <> 0) EXECUTE FUNCTION refuse_change()",
        "CREATE TRIGGER asset_balance_follows BEFORE UPDATE ON asset_balance FOR EACH ROW "
        "WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_change()",
        "CREATE TRIGGER asset_balance_stays BEFORE DELETE ON asset_balance FOR EACH ROW "
        "EXECUTE FUNCTION refuse_change()",
        "CREATE TRIGGER asset_balance_no_truncate BEFORE TRUNCATE ON asset_balance "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )


def _posting() -> None:
    run(
        # What every leg must be, whoever inserts it: lawful for the kind of its transfer, together with all the
        # other legs of it (so none can be added later), a contra of the whole original in a reversal, not before
        # its lot existed. Then the balances follow; going below zero breaks the constraint on them.
        """
        CREATE FUNCTION asset_legs_post() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
        DECLARE posted bigint; lawful bigint; withdraws boolean; wanted bigint; moved bigint;
        BEGIN
          WITH entry AS (
            SELECT tenant_id, from_account_id AS account_id, lot_id, -quantity_t AS amount_t FROM new_legs
            UNION ALL
            SELECT tenant_id, to_account_id, lot_id, quantity_t FROM new_legs
          ), change AS (
            SELECT tenant_id, account_id, lot_id, sum(amount_t) AS amount_t FROM entry GROUP BY 1, 2, 3
          ), followed AS (
            UPDATE asset_balance b SET quantity_t = b.quantity_t + c.amount_t
            FROM change c WHERE b.tenant_id = c.tenant_id AND b.account_id = c.account_id AND b.lot_id = c.lot_id
            RETURNING 1
          )
          SELECT count(*),
                 count(*) FILTER (WHERE t.legs = l.together AND l.leg <= t.legs AND t.effective_on >= o.issued_on AND CASE t.kind
                   WHEN 'ISSUE' THEN f.issuing AND g.organisation_id = o.issued_to AND l.quantity_t = o.quantity_t
                                     AND o.issued_by = t.id
                   WHEN 'TRANSFER' THEN (f.organisation_id IS NOT NULL OR f.kind = 'MARKET')
                                    AND (g.organisation_id IS NOT NULL OR g.kind = 'MARKET')
                   WHEN 'SURRENDER' THEN f.organisation_id IS NOT NULL AND g.kind = 'SURRENDERED'
                   WHEN 'RETIRE' THEN f.organisation_id IS NOT NULL AND g.kind = 'RETIRED'
                   WHEN 'CANCEL' THEN f.organisation_id IS NOT NULL AND g.kind = 'CANCELLED'
                   ELSE EXISTS (
                     SELECT FROM asset_transfer r JOIN asset_leg c ON c.tenant_id = r.tenant_id AND c.transfer_id = r.id
                     WHERE r.tenant_id = t.tenant_id AND r.id = t.reverses_id AND r.kind <> 'REVERSE'
                       AND r.legs = t.legs AND c.leg = l.leg AND c.lot_id = l.lot_id AND c.quantity_t = l.quantity_t
                       AND c.from_account_id = l.to_account_id AND c.to_account_id = l.from_account_id)
                   END),
                 coalesce(bool_or(g.issuing), false),
                 (SELECT count(*) FROM change), (SELECT count(*) FROM followed)
          INTO posted, lawful, withdraws, wanted, moved
          FROM (SELECT *, count(*) OVER (PARTITION BY transfer_id) AS together FROM new_legs) l
          LEFT JOIN asset_transfer t ON t.tenant_id = l.tenant_id AND t.id = l.transfer_id
          LEFT JOIN asset_lot o ON o.tenant_id = l.tenant_id AND o.id = l.lot_id
          LEFT JOIN asset_account f ON f.tenant_id = l.tenant_id AND f.id = l.from_account_id
          LEFT JOIN asset_account g ON g.tenant_id = l.tenant_id AND g.id = l.to_account_id;
          IF lawful <> posted THEN
            RAISE EXCEPTION 'a leg does not fit its transfer, its lot or its accounts'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_leg_lawful';
          END IF;
          IF wanted <> moved THEN
            RAISE EXCEPTION 'a leg meets no balance: each account and lot needs its row, at zero, first'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_leg_meets_balance';
          END IF;
          IF withdraws THEN
            UPDATE asset_lot o SET withdrawn_by = l.transfer_id
            FROM new_legs l JOIN asset_account g ON g.tenant_id = l.tenant_id AND g.id = l.to_account_id
            WHERE g.issuing AND o.tenant_id = l.tenant_id AND o.id = l.lot_id;
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER asset_legs_post AFTER INSERT ON asset_leg REFERENCING NEW TABLE AS new_legs "
        "FOR EACH STATEMENT EXECUTE FUNCTION asset_legs_post()",
    )


def _post() -> None:
    run(
        # Posts many transfers and judges each by itself, in order: a refusal costs its neighbours nothing. First the
        # balances that are missing are made, at zero, then all are locked in one order: so postings wait for each
        # other and never in a circle (locking first and making afterwards does end in circles). When all debits
        # together are covered nobody can be refused, and one stroke writes everything. Answers a row per refusal
        # (`posting` is its number), then the balances as they came to be. Writes the audit event of each transfer:
        # no unit moves without one.
        f"""
        CREATE FUNCTION ledger_post(
          by_member uuid, in_operation text, with_correlation text,
          t_id uuid[], t_kind text[], t_legs integer[], t_effective_on date[], t_beneficiary uuid[], t_year integer[],
          t_purpose text[], t_evidence text[], t_reverses uuid[], t_organisation uuid[],
          l_posting integer[], l_leg integer[], l_lot uuid[], l_from uuid[], l_to uuid[], l_quantity bigint[]
        ) RETURNS TABLE (posting integer, refusal text, leg integer, account_id uuid, lot_id uuid,
                         quantity_t bigint, recorded_at timestamptz)
        LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        #variable_conflict use_column
        DECLARE
          tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
          size integer := cardinality(t_id);
          covered boolean; wanted bigint; met bigint; step integer; highest integer; short record;
        BEGIN
          INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing)
          SELECT DISTINCT tenant, a.id, k.lot, a.issuing
          FROM unnest(l_from || l_to, l_lot || l_lot) AS k (account, lot)
          JOIN asset_account a ON a.tenant_id = tenant AND a.id = k.account
          WHERE NOT EXISTS (SELECT FROM asset_balance b
                            WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot)
          ORDER BY 2, 3
          ON CONFLICT DO NOTHING;

          SELECT bool_and(issuing OR quantity_t >= asked), count(*), min(keys) INTO covered, met, wanted FROM (
            SELECT b.issuing, b.quantity_t, k.asked, k.keys
            FROM (SELECT account, lot, sum(asked) AS asked, count(*) OVER () AS keys
                  FROM (SELECT unnest(l_from), unnest(l_lot), unnest(l_quantity)
                        UNION ALL SELECT unnest(l_to), unnest(l_lot), 0) AS side (account, lot, asked)
                  GROUP BY 1, 2) k
            JOIN asset_balance b ON b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot
            ORDER BY b.account_id, b.lot_id
            FOR UPDATE OF b) AS locked;
          IF met IS DISTINCT FROM wanted THEN
            RAISE EXCEPTION 'a leg names an account that is not there' USING ERRCODE = 'TH005';
          END IF;

          covered := covered AND NOT t_kind @> '{{REVERSE}}';
          step := CASE WHEN covered THEN size ELSE 1 END;
          FOR lowest IN 1 .. size BY step LOOP
            highest := lowest + step - 1;
            IF NOT covered THEN
              -- Two reversals of one transfer meet at its balances, so whoever comes second sees the first.
              IF EXISTS (SELECT FROM asset_transfer WHERE tenant_id = tenant AND reverses_id = t_reverses[lowest]) THEN
                RETURN QUERY SELECT lowest, 'ALREADY_REVERSED', NULL::integer, NULL::uuid, NULL::uuid, NULL::bigint,
                                    now();
                CONTINUE;
              END IF;
              SELECT k.leg, k.account, k.lot, b.quantity_t INTO short
              FROM (SELECT min(leg) AS leg, account, lot, sum(asked) AS asked
                    FROM unnest(l_posting, l_leg, l_from, l_lot, l_quantity) AS x (n, leg, account, lot, asked)
                    WHERE n = lowest GROUP BY account, lot) k
              JOIN asset_balance b ON b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot
              WHERE NOT b.issuing AND b.quantity_t < k.asked
              ORDER BY k.leg LIMIT 1;
              IF FOUND THEN
                RETURN QUERY SELECT lowest, 'INSUFFICIENT_BALANCE', short.leg, short.account, short.lot,
                                    short.quantity_t, now();
                CONTINUE;
              END IF;
            END IF;

            WITH t AS (
              SELECT * FROM unnest(t_id, t_kind, t_legs, t_effective_on, t_beneficiary, t_year, t_purpose, t_evidence,
                                   t_reverses, t_organisation)
                WITH ORDINALITY AS x (id, kind, legs, effective_on, beneficiary, year, purpose, evidence, reverses,
                                      organisation, n)
              WHERE n BETWEEN lowest AND highest
            ), posted AS (
              INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, beneficiary_id, for_year, purpose,
                                          evidence, reverses_id)
              SELECT tenant, id, kind, legs, effective_on, beneficiary, year, purpose, evidence, reverses FROM t
            ), audited AS (
              INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                       after, correlation_id)
              SELECT tenant, id, by_member, in_operation, organisation, 'AssetTransfer', id,
                     jsonb_build_object('kind', kind, 'effective_on', effective_on, 'beneficiary_id', beneficiary,
                                        'for_year', year, 'reverses_id', reverses),
                     with_correlation
              FROM t
            )
            INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
            SELECT tenant, t_id[x.n], x.leg, x.lot, x.source, x.destination, x.quantity
            FROM unnest(l_posting, l_leg, l_lot, l_from, l_to, l_quantity)
              AS x (n, leg, lot, source, destination, quantity)
            WHERE x.n BETWEEN lowest AND highest;
          END LOOP;

          RETURN QUERY
          SELECT NULL::integer, NULL::text, NULL::integer, b.account_id, b.lot_id, b.quantity_t, now()
          FROM (SELECT DISTINCT account, lot FROM unnest(l_from || l_to, l_lot || l_lot) AS x (account, lot)) k
          JOIN asset_balance b ON b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot;
        END $$
        """,
        "REVOKE ALL ON FUNCTION ledger_post FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_post TO tanheng_app, tanheng_worker",
    )


def _issue() -> None:
    run(
        # Issues many lots, each judged by itself: a reference or a serial block that is taken refuses its own lot.
        f"""
        CREATE FUNCTION ledger_issue(
          by_member uuid, in_operation text, with_correlation text,
          o_id uuid[], o_class text[], o_scheme text[], o_reference text[], o_vintage integer[], o_project text[],
          o_quantity bigint[], o_origin text[], o_issued_to uuid[], o_issued_on date[],
          o_prefix text[], o_first bigint[], o_last bigint[],
          o_transfer uuid[], o_account uuid[], o_evidence text[]
        ) RETURNS TABLE (lot integer, refusal text, other text)
        LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        #variable_conflict use_column
        DECLARE
          tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
          issuer uuid; issued uuid[];
        BEGIN
          SELECT id INTO STRICT issuer FROM asset_account
          WHERE tenant_id = tenant AND kind = 'ISSUER' AND organisation_id IS NULL;

          WITH made AS (
            INSERT INTO asset_lot (tenant_id, id, asset_class, scheme, issue_reference, vintage, project, quantity_t,
                                   origin, issued_to, issued_on, serial_prefix, serial_first, serial_last, issued_by)
            SELECT tenant, x.id, x.class, x.scheme, x.reference, x.vintage, x.project, x.quantity, x.origin,
                   x.issued_to, x.issued_on, x.prefix, x.first, x.last, x.transfer
            FROM unnest(o_id, o_class, o_scheme, o_reference, o_vintage, o_project, o_quantity, o_origin, o_issued_to,
                        o_issued_on, o_prefix, o_first, o_last, o_transfer)
              WITH ORDINALITY AS x (id, class, scheme, reference, vintage, project, quantity, origin, issued_to,
                                    issued_on, prefix, first, last, transfer, n)
            ORDER BY x.scheme, x.reference, x.n
            ON CONFLICT DO NOTHING
            RETURNING id
          ) SELECT coalesce(array_agg(id), '{{}}') INTO issued FROM made;

          RETURN QUERY
          SELECT x.n::integer,
                 CASE WHEN same.id IS NULL THEN 'SERIAL_OVERLAP' ELSE 'LOT_ALREADY_ISSUED' END,
                 coalesce(same.issue_reference, overlapping.issue_reference)
          FROM unnest(o_id, o_scheme, o_reference, o_prefix, o_first, o_last)
            WITH ORDINALITY AS x (id, scheme, reference, prefix, first, last, n)
          LEFT JOIN asset_lot same ON same.tenant_id = tenant AND same.scheme = x.scheme
            AND same.issue_reference = x.reference AND same.withdrawn_by IS NULL
          LEFT JOIN LATERAL (
            SELECT s.issue_reference FROM asset_lot s
            WHERE s.tenant_id = tenant AND s.scheme = x.scheme AND s.serial_prefix = x.prefix
              AND int8range(s.serial_first, s.serial_last, '[]') && int8range(x.first, x.last, '[]')
              AND s.serial_first IS NOT NULL AND s.withdrawn_by IS NULL
            LIMIT 1) overlapping ON true
          WHERE x.id <> ALL (issued);

          INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, evidence)
          SELECT tenant, x.transfer, 'ISSUE', 1, x.issued_on, x.evidence
          FROM unnest(o_id, o_transfer, o_issued_on, o_evidence) AS x (id, transfer, issued_on, evidence)
          WHERE x.id = ANY (issued);
          INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing)
          SELECT tenant, side.account, x.id, side.issuing
          FROM unnest(o_id, o_account) AS x (id, account)
          CROSS JOIN LATERAL (VALUES (issuer, true), (x.account, false)) AS side (account, issuing)
          WHERE x.id = ANY (issued);
          INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
          SELECT tenant, x.transfer, 1, x.id, issuer, x.account, x.quantity
          FROM unnest(o_id, o_transfer, o_account, o_quantity) AS x (id, transfer, account, quantity)
          WHERE x.id = ANY (issued);
          INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                   after, correlation_id)
          SELECT tenant, x.transfer, by_member, in_operation, x.issued_to, 'AssetLot', x.id,
                 jsonb_build_object('asset_class', x.class, 'scheme', x.scheme, 'issue_reference', x.reference,
                                    'quantity_t', x.quantity, 'transfer_id', x.transfer),
                 with_correlation
          FROM unnest(o_id, o_transfer, o_issued_to, o_class, o_scheme, o_reference, o_quantity)
            AS x (id, transfer, issued_to, class, scheme, reference, quantity)
          WHERE x.id = ANY (issued);
        END $$
        """,
        "REVOKE ALL ON FUNCTION ledger_issue FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_issue TO tanheng_app, tanheng_worker",
    )


def _look_up() -> None:
    run(
        # Whatever some orders name, in one round trip: accounts (A), lots (L) and organisations (O). A function for
        # its plans alone: it sees what its caller sees.
        f"""
        CREATE FUNCTION ledger_look_up(
          account_ids uuid[], of_organisations uuid[], codes text[], lot_ids uuid[], schemes text[], refs text[],
          organisation_ids uuid[]
        ) RETURNS TABLE (what text, id uuid, organisation_id uuid, code text, name text, kind text, issued_on date)
        LANGUAGE plpgsql STABLE {PLANS} AS $$
        #variable_conflict use_column
        DECLARE tenant uuid := nullif(current_setting('app.tenant_id', true), '')::uuid;
        BEGIN
          RETURN QUERY
          SELECT 'A', a.id, a.organisation_id, a.code, a.name, a.kind, NULL::date FROM (
            SELECT asked.id FROM unnest(account_ids) AS asked (id)
            UNION
            SELECT a.id FROM unnest(of_organisations, codes) AS asked (organisation_id, code)
            JOIN asset_account a ON a.tenant_id = tenant AND a.organisation_id = asked.organisation_id
                                AND a.code = asked.code
            UNION
            SELECT a.id FROM asset_account a WHERE a.tenant_id = tenant AND a.organisation_id IS NULL
          ) AS named JOIN asset_account a ON a.tenant_id = tenant AND a.id = named.id;
          RETURN QUERY
          SELECT 'L', l.id, NULL::uuid, l.scheme, l.issue_reference,
                 CASE WHEN l.withdrawn_by IS NULL THEN 'STANDS' END, l.issued_on
          FROM (
            SELECT asked.id FROM unnest(lot_ids) AS asked (id)
            UNION
            SELECT l.id FROM unnest(schemes, refs) AS asked (scheme, issue_reference)
            JOIN asset_lot l ON l.tenant_id = tenant AND l.scheme = asked.scheme
                            AND l.issue_reference = asked.issue_reference AND l.withdrawn_by IS NULL
          ) AS named JOIN asset_lot l ON l.tenant_id = tenant AND l.id = named.id;
          IF cardinality(organisation_ids) > 0 THEN
            RETURN QUERY
            SELECT 'O', o.id, NULL::uuid, NULL, NULL, NULL, NULL::date
            FROM unnest(organisation_ids) AS asked (id)
            JOIN organisation o ON o.tenant_id = tenant AND o.id = asked.id;
          END IF;
        END $$
        """,
        "REVOKE ALL ON FUNCTION ledger_look_up FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_look_up TO tanheng_app, tanheng_worker",
    )


def _obligations() -> None:
    run(
        """
        CREATE TABLE obligation (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          organisation_id uuid NOT NULL,
          from_year integer NOT NULL CHECK (from_year BETWEEN 1990 AND 2100),
          to_year integer NOT NULL CHECK (to_year BETWEEN from_year AND 2100),
          tonnes numeric(27, 9) NOT NULL CHECK (tonnes >= 0),
          source text NOT NULL DEFAULT '',
          recorded_at timestamptz NOT NULL DEFAULT now(),
          superseded_at timestamptz,
          superseded_by_id uuid,
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, superseded_by_id) REFERENCES obligation DEFERRABLE INITIALLY DEFERRED,
          CONSTRAINT obligation_superseded CHECK ((superseded_at IS NULL) = (superseded_by_id IS NULL)),
          CONSTRAINT obligation_no_overlap EXCLUDE USING gist (
            tenant_id WITH =, organisation_id WITH =, int4range(from_year, to_year, '[]') WITH &&
          ) WHERE (superseded_at IS NULL)
        )
        """,
        "CREATE INDEX obligation_of_organisation ON obligation (tenant_id, organisation_id, to_year)",
        """
        CREATE FUNCTION obligation_is_superseded_once() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF OLD.superseded_at IS NOT NULL
             OR (to_jsonb(OLD) - '{superseded_at,superseded_by_id}'::text[])
                <> (to_jsonb(NEW) - '{superseded_at,superseded_by_id}'::text[]) THEN
            RAISE EXCEPTION 'an obligation is superseded once and never edited' USING ERRCODE = 'TH003';
          END IF;
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER obligation_is_superseded_once BEFORE UPDATE ON obligation "
        "FOR EACH ROW EXECUTE FUNCTION obligation_is_superseded_once()",
        "CREATE TRIGGER obligation_stays BEFORE DELETE ON obligation FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        "CREATE TRIGGER obligation_no_truncate BEFORE TRUNCATE ON obligation "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    )
    protect("obligation", writes="INSERT, UPDATE (superseded_at, superseded_by_id)")
