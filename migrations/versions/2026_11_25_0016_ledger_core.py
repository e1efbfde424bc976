"""The ledger's core: transfers sealed into a chain as they are posted, reservations, postings of many callers at once.

Everything a leg brings about (balances, the seal) still happens in the trigger on legs, so it holds for whoever
writes one. What comes anew from outside the books (keys, permissions) is judged by the functions.
"""

from __future__ import annotations

from migrations.support import append_only, forced, protect, run, unforced

revision = "0016"
down_revision = "0015"

# As in 0005: planned once per connection, and whatever the tables held at that moment, by their keys.
PLANS = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
        SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
        SET enable_bitmapscan = off SET enable_material = off SET enable_memoize = off"""
TENANT = "nullif(current_setting('app.tenant_id', true), '')::uuid"


def upgrade() -> None:
    _seals()
    _legs()
    _seal_what_there_is()
    _post()
    _commit()


def _seals() -> None:
    run(
        # A seal closes one statement's transfers: their leaves in the order of their ids, and the seal before.
        """
        CREATE TABLE asset_seal (
          tenant_id uuid NOT NULL,
          number bigint NOT NULL CHECK (number > 0),
          sealed_at timestamptz NOT NULL,
          transfer_ids uuid[] NOT NULL CHECK (cardinality(transfer_ids) > 0),
          leaves bytea NOT NULL,
          previous bytea NOT NULL CHECK (octet_length(previous) = 32),
          hash bytea NOT NULL CHECK (octet_length(hash) = 32),
          PRIMARY KEY (tenant_id, number),
          CONSTRAINT asset_seal_leaves CHECK (octet_length(leaves) = 32 * cardinality(transfer_ids))
        )
        """,
        "CREATE INDEX asset_seal_at ON asset_seal (tenant_id, sealed_at)",
        # The words over which a transfer is sealed: one line, fields parted by bars, so that a file of them can be
        # checked without a database. backend/ledger/verify.py says the same in words.
        r"""
        CREATE FUNCTION ledger_words(value text) RETURNS text LANGUAGE sql IMMUTABLE
        RETURN replace(replace(replace(coalesce(value, ''), '\', '\\'), '|', '\p'), chr(10), '\n')
        """,
        "CREATE FUNCTION ledger_micros(at timestamptz) RETURNS bigint LANGUAGE sql STABLE "
        "RETURN (extract(epoch FROM at) * 1000000)::bigint",
        # An issue vouches for its lot too: that is where its units are described.
        """
        CREATE FUNCTION ledger_lot_words(of_tenant uuid, transfer_id uuid) RETURNS text LANGUAGE sql STABLE
        RETURN (
          SELECT concat_ws('|', '', o.asset_class, ledger_words(o.scheme), ledger_words(o.issue_reference),
                           coalesce(o.vintage::text, ''), ledger_words(o.project), o.origin, o.issued_to,
                           ledger_words(o.serial_prefix), coalesce(o.serial_first::text, ''))
          FROM asset_lot o WHERE o.tenant_id = of_tenant AND o.issued_by = transfer_id)
        """,
        # One expression over plain values, so that the planner puts it in place of the call.
        """
        CREATE FUNCTION ledger_line(
          id uuid, kind text, effective_on date, beneficiary uuid, for_year integer, reverses uuid, micros bigint,
          legs integer, legs_words text, purpose text, evidence text, lot_words text
        ) RETURNS text LANGUAGE sql STABLE
        RETURN concat_ws('|', 'transfer', id, kind, to_char(effective_on, 'YYYY-MM-DD'), coalesce(beneficiary::text, ''),
                         coalesce(for_year::text, ''), coalesce(reverses::text, ''), micros, legs, legs_words,
                         ledger_words(purpose), ledger_words(evidence)) || coalesce(lot_words, '')
        """,
        # Seals take turns by a lock of the tenant, held to the end of the transaction and taken after all balances.
        """
        CREATE FUNCTION asset_seal_on(of_tenant uuid, ids uuid[], with_leaves bytea, at timestamptz) RETURNS void
        LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
        DECLARE last_number bigint; last_hash bytea;
        BEGIN
          PERFORM pg_advisory_xact_lock(hashtextextended('asset_seal ' || of_tenant, 0));
          SELECT number, hash INTO last_number, last_hash FROM asset_seal
          WHERE tenant_id = of_tenant ORDER BY number DESC LIMIT 1;
          IF NOT FOUND THEN
            last_number := 0;
            last_hash := sha256(convert_to('tanheng ledger ' || of_tenant, 'UTF8'));
          END IF;
          INSERT INTO asset_seal (tenant_id, number, sealed_at, transfer_ids, leaves, previous, hash)
          VALUES (of_tenant, last_number + 1, at, ids, with_leaves, last_hash, sha256(convert_to(concat_ws('|',
            'seal', last_number + 1, encode(last_hash, 'hex'), ledger_micros(at), cardinality(ids),
            encode(sha256(with_leaves), 'hex')), 'UTF8')));
        END $$
        """,
        "REVOKE ALL ON FUNCTION asset_seal_on FROM PUBLIC",
    )
    protect("asset_seal")
    append_only("asset_seal")
    run(
        # The root over the hashes of a day's seals; the next anchor goes on where this one ends.
        """
        CREATE TABLE asset_anchor (
          tenant_id uuid NOT NULL,
          day date NOT NULL,
          first_seal bigint NOT NULL,
          last_seal bigint NOT NULL CHECK (last_seal >= first_seal),
          root bytea NOT NULL CHECK (octet_length(root) = 32),
          made_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, day),
          CONSTRAINT asset_anchor_goes_on UNIQUE (tenant_id, first_seal),
          FOREIGN KEY (tenant_id, first_seal) REFERENCES asset_seal,
          FOREIGN KEY (tenant_id, last_seal) REFERENCES asset_seal
        )
        """,
        # The words of transfers as the tables hold them now.
        """
        CREATE FUNCTION ledger_lines(transfer_ids uuid[]) RETURNS TABLE (id uuid, line text) LANGUAGE sql STABLE
        BEGIN ATOMIC
          SELECT t.id, ledger_line(
            t.id, t.kind, t.effective_on, t.beneficiary_id, t.for_year, t.reverses_id, ledger_micros(t.recorded_at),
            t.legs, (SELECT string_agg(concat_ws('>', l.lot_id, l.from_account_id, l.to_account_id, l.quantity_t), ','
                                       ORDER BY l.leg)
                     FROM asset_leg l WHERE l.tenant_id = t.tenant_id AND l.transfer_id = t.id),
            t.purpose, t.evidence, CASE WHEN t.kind = 'ISSUE' THEN ledger_lot_words(t.tenant_id, t.id) END)
          FROM unnest(transfer_ids) AS asked (id) JOIN asset_transfer t ON t.id = asked.id;
        END
        """,
    )
    protect("asset_anchor")
    append_only("asset_anchor")


def _legs() -> None:
    run(
        # A leg meets its transfer in the trigger or is refused there, and transfers never go away: the foreign key
        # said the same a second time, at a third of the cost of a posting.
        "ALTER TABLE asset_leg DROP CONSTRAINT asset_leg_tenant_id_transfer_id_fkey",
        # Only reversals stand in the index that lets one transfer be reversed once.
        "ALTER TABLE asset_transfer DROP CONSTRAINT asset_transfer_reversed_once",
        "CREATE UNIQUE INDEX asset_transfer_reversed_once ON asset_transfer (tenant_id, reverses_id) "
        "WHERE reverses_id IS NOT NULL",
        # With the whole key in both indexes no plan can take the worse one.
        "DROP INDEX asset_balance_of_lot",
        "CREATE INDEX asset_balance_of_lot ON asset_balance (tenant_id, lot_id, account_id)",
        "ALTER TABLE asset_balance ADD COLUMN reserved_t bigint NOT NULL DEFAULT 0 CHECK (reserved_t >= 0)",
        # What is reserved cannot be spent, whoever tries.
        "ALTER TABLE asset_balance ADD CONSTRAINT asset_balance_covers_reserved "
        "CHECK (issuing OR quantity_t >= reserved_t)",
        f"""
        CREATE OR REPLACE FUNCTION asset_legs_post() RETURNS trigger LANGUAGE plpgsql {PLANS} AS $$
        DECLARE
          posted bigint; lawful bigint; withdraws boolean; wanted bigint; moved bigint; sealed record;
          unlimited bigint := 1000000000;
        BEGIN
          WITH entry AS (
            SELECT tenant_id, from_account_id AS account_id, lot_id, -quantity_t AS amount_t FROM new_legs
            UNION ALL
            SELECT tenant_id, to_account_id, lot_id, quantity_t FROM new_legs
          ), change AS (
            -- No limit, in truth: but so the planner expects few rows, and looks each up by its key, now and later.
            SELECT tenant_id, account_id, lot_id, sum(amount_t) AS amount_t FROM entry GROUP BY 1, 2, 3 LIMIT unlimited
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
                     SELECT FROM asset_transfer r, asset_leg c
                     WHERE r.tenant_id = t.tenant_id AND r.id = t.reverses_id AND r.kind <> 'REVERSE'
                       AND r.legs = t.legs AND c.tenant_id = t.tenant_id AND c.transfer_id = t.reverses_id
                       AND c.leg = l.leg AND c.lot_id = l.lot_id AND c.quantity_t = l.quantity_t
                       AND c.from_account_id = l.to_account_id AND c.to_account_id = l.from_account_id)
                   END),
                 coalesce(bool_or(g.issuing), false),
                 (SELECT count(*) FROM change), (SELECT count(*) FROM followed)
          INTO posted, lawful, withdraws, wanted, moved
          FROM (SELECT *, count(*) OVER (PARTITION BY transfer_id) AS together FROM new_legs) l
          LEFT JOIN LATERAL (SELECT * FROM asset_transfer t
                             WHERE t.tenant_id = l.tenant_id AND t.id = l.transfer_id OFFSET 0) t ON true
          LEFT JOIN LATERAL (SELECT * FROM asset_lot o
                             WHERE o.tenant_id = l.tenant_id AND o.id = l.lot_id OFFSET 0) o ON true
          LEFT JOIN LATERAL (SELECT * FROM asset_account f
                             WHERE f.tenant_id = l.tenant_id AND f.id = l.from_account_id OFFSET 0) f ON true
          LEFT JOIN LATERAL (SELECT * FROM asset_account g
                             WHERE g.tenant_id = l.tenant_id AND g.id = l.to_account_id OFFSET 0) g ON true;
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
          FOR sealed IN
            SELECT leaf.tenant_id, array_agg(leaf.id ORDER BY leaf.id) AS ids,
                   string_agg(leaf.hash, ''::bytea ORDER BY leaf.id) AS leaves, max(leaf.recorded_at) AS at
            FROM (
              SELECT t.tenant_id, t.id, t.recorded_at, sha256(convert_to(
                     ledger_line(
                       t.id, t.kind, t.effective_on, t.beneficiary_id, t.for_year, t.reverses_id,
                       ledger_micros(t.recorded_at), t.legs, l.words, t.purpose, t.evidence,
                       CASE WHEN t.kind = 'ISSUE' THEN ledger_lot_words(t.tenant_id, t.id) END), 'UTF8')) AS hash
              FROM (SELECT tenant_id, transfer_id,
                           string_agg(concat_ws('>', lot_id, from_account_id, to_account_id, quantity_t), ','
                                      ORDER BY leg) AS words
                    FROM new_legs GROUP BY 1, 2) l
              CROSS JOIN LATERAL (SELECT * FROM asset_transfer t
                                  WHERE t.tenant_id = l.tenant_id AND t.id = l.transfer_id OFFSET 0) t) leaf
            GROUP BY leaf.tenant_id
          LOOP
            PERFORM asset_seal_on(sealed.tenant_id, sealed.ids, sealed.leaves, sealed.at);
          END LOOP;
          RETURN NULL;
        END $$
        """,
    )


def _seal_what_there_is() -> None:
    """Transfers of before, tenant by tenant, as they were recorded: one seal for each moment."""
    unforced("asset_seal", "asset_transfer", "asset_leg", "asset_lot")
    run(
        """
        DO $$
        DECLARE found record;
        BEGIN
          FOR found IN
            SELECT tenant_id, array_agg(id ORDER BY id) AS ids, string_agg(hash, ''::bytea ORDER BY id) AS leaves,
                   recorded_at
            FROM (SELECT t.tenant_id, t.id, t.recorded_at, sha256(convert_to(l.line, 'UTF8')) AS hash
                  FROM asset_transfer t CROSS JOIN LATERAL ledger_lines(ARRAY[t.id]) l) leaf
            GROUP BY tenant_id, recorded_at ORDER BY tenant_id, recorded_at
          LOOP
            PERFORM asset_seal_on(found.tenant_id, found.ids, found.leaves, found.recorded_at);
          END LOOP;
        END $$
        """
    )
    forced("asset_seal", "asset_transfer", "asset_leg", "asset_lot")


def _post() -> None:
    run(
        "DROP FUNCTION ledger_post",
        # Posts many transfers and judges each by itself, in order: a refusal costs its neighbours nothing. First the
        # balances that are missing are made, at zero, then all are locked in one order: so postings wait for each
        # other and never in a circle (locking first and making afterwards does end in circles). When all debits
        # together are covered nobody can be refused, and one stroke writes everything. Writes the audit event of each
        # transfer: no unit moves without one. Given keys (one per posting, NULL for none), keeps each answer under
        # its key. Answers a row per refusal (`posting` is its number), then the balances: as each posting left them
        # when keys are given, else as they are in the end.
        f"""
        CREATE FUNCTION ledger_post(
          t_member uuid[], t_operation text[], t_correlation text[], t_key text[], t_digest bytea[],
          t_id uuid[], t_kind text[], t_legs integer[], t_effective_on date[], t_beneficiary uuid[], t_year integer[],
          t_purpose text[], t_evidence text[], t_reverses uuid[], t_organisation uuid[],
          l_posting integer[], l_leg integer[], l_lot uuid[], l_from uuid[], l_to uuid[], l_quantity bigint[]
        ) RETURNS TABLE (posting integer, refusal text, leg integer, account_id uuid, lot_id uuid,
                         quantity_t bigint, recorded_at timestamptz)
        LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        #variable_conflict use_column
        DECLARE
          tenant uuid := {TENANT};
          size integer := cardinality(t_id);
          refused integer[] := '{{}}';
          covered boolean; wanted bigint; met bigint; step integer; highest integer; short record;
        BEGIN
          INSERT INTO asset_balance (tenant_id, account_id, lot_id, issuing)
          SELECT DISTINCT tenant, k.account, k.lot, a.issuing
          FROM (SELECT k.* FROM unnest(l_from || l_to, l_lot || l_lot) AS k (account, lot)
                WHERE NOT EXISTS (SELECT FROM asset_balance b WHERE b.tenant_id = tenant
                                    AND b.account_id = k.account AND b.lot_id = k.lot OFFSET 0)) k
          CROSS JOIN LATERAL (SELECT issuing FROM asset_account a
                              WHERE a.tenant_id = tenant AND a.id = k.account OFFSET 0) a
          ORDER BY 2, 3
          ON CONFLICT DO NOTHING;

          SELECT bool_and(issuing OR quantity_t - reserved_t >= asked), count(*), min(keys) INTO covered, met, wanted
          FROM (
            SELECT b.issuing, b.quantity_t, b.reserved_t, k.asked, k.keys
            FROM (SELECT account, lot, sum(asked) AS asked, count(*) OVER () AS keys
                  FROM (SELECT unnest(l_from), unnest(l_lot), unnest(l_quantity)
                        UNION ALL SELECT unnest(l_to), unnest(l_lot), 0) AS side (account, lot, asked)
                  GROUP BY 1, 2 ORDER BY 1, 2) k
            CROSS JOIN LATERAL (
              SELECT * FROM asset_balance b
              WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b) AS locked;
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
                refused := refused || lowest;
                RETURN QUERY SELECT lowest, 'ALREADY_REVERSED', NULL::integer, NULL::uuid, NULL::uuid, NULL::bigint,
                                    now();
                CONTINUE;
              END IF;
              SELECT k.leg, k.account, k.lot, b.quantity_t - b.reserved_t AS available_t INTO short
              FROM (SELECT min(leg) AS leg, account, lot, sum(asked) AS asked
                    FROM unnest(l_posting, l_leg, l_from, l_lot, l_quantity) AS x (n, leg, account, lot, asked)
                    WHERE n = lowest GROUP BY account, lot) k
              CROSS JOIN LATERAL (
                SELECT * FROM asset_balance b
                WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot OFFSET 0) b
              WHERE NOT b.issuing AND b.quantity_t - b.reserved_t < k.asked
              ORDER BY k.leg LIMIT 1;
              IF FOUND THEN
                refused := refused || lowest;
                RETURN QUERY SELECT lowest, 'INSUFFICIENT_BALANCE', short.leg, short.account, short.lot,
                                    short.available_t, now();
                CONTINUE;
              END IF;
            END IF;

            WITH t AS (
              SELECT * FROM unnest(t_member, t_operation, t_correlation, t_id, t_kind, t_legs, t_effective_on,
                                   t_beneficiary, t_year, t_purpose, t_evidence, t_reverses, t_organisation)
                WITH ORDINALITY AS x (member, operation, correlation, id, kind, legs, effective_on, beneficiary, year,
                                      purpose, evidence, reverses, organisation, n)
              WHERE n BETWEEN lowest AND highest
            ), posted AS (
              INSERT INTO asset_transfer (tenant_id, id, kind, legs, effective_on, beneficiary_id, for_year, purpose,
                                          evidence, reverses_id)
              SELECT tenant, id, kind, legs, effective_on, beneficiary, year, purpose, evidence, reverses FROM t
            ), audited AS (
              INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                       after, correlation_id)
              SELECT tenant, id, member, operation, organisation, 'AssetTransfer', id,
                     jsonb_build_object('kind', kind, 'effective_on', effective_on, 'beneficiary_id', beneficiary,
                                        'for_year', year, 'reverses_id', reverses),
                     correlation
              FROM t
            )
            INSERT INTO asset_leg (tenant_id, transfer_id, leg, lot_id, from_account_id, to_account_id, quantity_t)
            SELECT tenant, t_id[x.n], x.leg, x.lot, x.source, x.destination, x.quantity
            FROM unnest(l_posting, l_leg, l_lot, l_from, l_to, l_quantity)
              AS x (n, leg, lot, source, destination, quantity)
            WHERE x.n BETWEEN lowest AND highest;
          END LOOP;

          IF cardinality(t_key) = 0 THEN
            RETURN QUERY
            SELECT NULL::integer, NULL::text, NULL::integer, b.account_id, b.lot_id, b.quantity_t, now()
            FROM (SELECT DISTINCT account, lot FROM unnest(l_from || l_to, l_lot || l_lot) AS x (account, lot)) k
            CROSS JOIN LATERAL (
              SELECT * FROM asset_balance b
              WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot OFFSET 0) b;
            RETURN;
          END IF;
          RETURN QUERY
          WITH after AS (
            -- Back from the end: what the postings after it moved is taken off again.
            SELECT e.n, e.account, e.lot, (b.quantity_t - coalesce(sum(e.amount) OVER (
                     PARTITION BY e.account, e.lot ORDER BY e.n DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
                   0))::bigint AS quantity
            FROM (SELECT n, account, lot, sum(amount) AS amount
                  FROM unnest(l_posting || l_posting, l_from || l_to, l_lot || l_lot,
                              ARRAY(SELECT -q FROM unnest(l_quantity) WITH ORDINALITY AS x (q, i) ORDER BY i)
                                || l_quantity) AS x (n, account, lot, amount)
                  WHERE n <> ALL (refused) GROUP BY 1, 2, 3) e
            CROSS JOIN LATERAL (
              SELECT * FROM asset_balance b
              WHERE b.tenant_id = tenant AND b.account_id = e.account AND b.lot_id = e.lot OFFSET 0) b
          ), remembered AS (
            -- A key that somebody else used meanwhile breaks the statement: then nothing of it has happened.
            INSERT INTO idempotency_key (tenant_id, member_id, key, operation, body_sha256, answer)
            SELECT tenant, t_member[a.n], t_key[a.n], t_operation[a.n], t_digest[a.n],
                   jsonb_build_object('transfer', t_id[a.n],
                                      'balances', jsonb_agg(jsonb_build_array(a.account, a.lot, a.quantity)))
            FROM after a WHERE t_key[a.n] IS NOT NULL GROUP BY a.n
          )
          SELECT a.n, NULL::text, NULL::integer, a.account, a.lot, a.quantity, now() FROM after a;
        END $$
        """,
        "REVOKE ALL ON FUNCTION ledger_post FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_post TO tanheng_app, tanheng_worker",
    )


def _commit() -> None:
    run(
        # The postings of many callers of one tenant in one round trip and one transaction, which the call is. Nothing
        # is written and the numbers of those answered AGAIN when some cannot be told without looking closer: their key
        # has been used, or their caller does not reach the organisation they are taken from (`c_*`: one row for each
        # posting, organisation and node on which the caller has the right).
        f"""
        CREATE FUNCTION ledger_commit(
          for_tenant uuid, c_posting integer[], c_organisation uuid[], c_node uuid[],
          t_member uuid[], t_operation text[], t_correlation text[], t_key text[], t_digest bytea[],
          t_id uuid[], t_kind text[], t_legs integer[], t_effective_on date[], t_beneficiary uuid[], t_year integer[],
          t_purpose text[], t_evidence text[], t_organisation uuid[],
          l_posting integer[], l_leg integer[], l_lot uuid[], l_from uuid[], l_to uuid[], l_quantity bigint[]
        ) RETURNS TABLE (posting integer, refusal text, leg integer, account_id uuid, lot_id uuid,
                         quantity_t bigint, recorded_at timestamptz)
        LANGUAGE plpgsql {PLANS} AS $$
        #variable_conflict use_column
        DECLARE used bigint; unreached bigint := 0;
        BEGIN
          PERFORM set_config('app.tenant_id', for_tenant::text, true);
          PERFORM tenant_must_be_writable();
          RETURN QUERY
          SELECT x.n::integer, 'AGAIN', NULL::integer, NULL::uuid, NULL::uuid, NULL::bigint, now()
          FROM unnest(t_member, t_key) WITH ORDINALITY AS x (member, key, n)
          CROSS JOIN LATERAL (
            SELECT FROM idempotency_key k
            WHERE k.tenant_id = for_tenant AND k.member_id = x.member AND k.key = x.key OFFSET 0) k;
          GET DIAGNOSTICS used = ROW_COUNT;
          IF cardinality(c_posting) > 0 THEN
            RETURN QUERY
            SELECT DISTINCT c.posting, 'AGAIN', NULL::integer, NULL::uuid, NULL::uuid, NULL::bigint, now()
            FROM unnest(c_posting, c_organisation, c_node) AS c (posting, organisation, node)
            LEFT JOIN organisation_reach r ON r.tenant_id = for_tenant AND r.descendant_id = c.organisation
              AND r.ancestor_id = c.node
            GROUP BY c.posting, c.organisation HAVING count(r.descendant_id) = 0;
            GET DIAGNOSTICS unreached = ROW_COUNT;
          END IF;
          IF used + unreached > 0 THEN
            RETURN;
          END IF;
          RETURN QUERY SELECT * FROM ledger_post(
            t_member, t_operation, t_correlation, t_key, t_digest, t_id, t_kind, t_legs, t_effective_on, t_beneficiary,
            t_year, t_purpose, t_evidence, array_fill(NULL::uuid, ARRAY[cardinality(t_id)]), t_organisation,
            l_posting, l_leg, l_lot, l_from, l_to, l_quantity);
        END $$
        """,
        "REVOKE ALL ON FUNCTION ledger_commit FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_commit TO tanheng_app, tanheng_worker",
    )
