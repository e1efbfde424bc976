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
    _closings()
    _legs()
    _seal_what_there_is()
    _post()
    _commit()
    _reservations()
    _reserve()


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


def _closings() -> None:
    run(
        # Days up to `through` are closed: no leg takes effect in them any more. A closing takes its turn with the seals,
        # so no posting that is under way slips past it.
        """
        CREATE TABLE asset_closing (
          tenant_id uuid NOT NULL,
          through date NOT NULL,
          reason text NOT NULL CHECK (reason <> ''),
          closed_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, through)
        )
        """,
        """
        CREATE FUNCTION asset_closing_takes_turn() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          PERFORM pg_advisory_xact_lock(hashtextextended('asset_seal ' || NEW.tenant_id, 0));
          RETURN NEW;
        END $$
        """,
        "CREATE TRIGGER asset_closing_takes_turn BEFORE INSERT ON asset_closing FOR EACH ROW "
        "EXECUTE FUNCTION asset_closing_takes_turn()",
    )
    protect("asset_closing", writes="INSERT")
    append_only("asset_closing")


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
          posted bigint; lawful bigint; first_day date; withdraws boolean; wanted bigint; moved bigint; sealed record;
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
                 min(t.effective_on), coalesce(bool_or(g.issuing), false),
                 (SELECT count(*) FROM change), (SELECT count(*) FROM followed)
          INTO posted, lawful, first_day, withdraws, wanted, moved
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
            IF first_day <= (SELECT max(through) FROM asset_closing WHERE tenant_id = sealed.tenant_id) THEN
              RAISE EXCEPTION 'a transfer takes effect in a period that is closed'
                USING ERRCODE = 'TH005', CONSTRAINT = 'asset_leg_open_period';
            END IF;
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
        # Which of some accounts may not move now: none, until a later migration knows states of accounts and says so.
        """
        CREATE FUNCTION ledger_shut_accounts(accounts uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE
        BEGIN ATOMIC SELECT NULL::uuid WHERE false; END
        """,
        # The postings of many callers of one tenant in one round trip and one transaction, which the call is. Nothing
        # is written and the numbers of those answered AGAIN when some cannot be told without looking closer: their key
        # has been used, an account may not move, or their caller does not reach the organisation they are taken from (`c_*`: one row for each
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
        DECLARE used bigint; shut bigint := 0; unreached bigint := 0;
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
          IF EXISTS (SELECT FROM ledger_shut_accounts(l_from || l_to)) THEN
            RETURN QUERY
            SELECT DISTINCT x.n, 'AGAIN', NULL::integer, NULL::uuid, NULL::uuid, NULL::bigint, now()
            FROM unnest(l_posting || l_posting, l_from || l_to) AS x (n, account)
            WHERE x.account IN (SELECT s.account FROM ledger_shut_accounts(l_from || l_to) AS s (account));
            shut := 1;
          END IF;
          IF cardinality(c_posting) > 0 THEN
            RETURN QUERY
            SELECT DISTINCT c.posting, 'AGAIN', NULL::integer, NULL::uuid, NULL::uuid, NULL::bigint, now()
            FROM unnest(c_posting, c_organisation, c_node) AS c (posting, organisation, node)
            LEFT JOIN organisation_reach r ON r.tenant_id = for_tenant AND r.descendant_id = c.organisation
              AND r.ancestor_id = c.node
            GROUP BY c.posting, c.organisation HAVING count(r.descendant_id) = 0;
            GET DIAGNOSTICS unreached = ROW_COUNT;
          END IF;
          IF used + shut + unreached > 0 THEN
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


def _reservations() -> None:
    run(
        # Units set aside in an account: for a transfer that is decided later (PENDING), or so that they stay (FREEZE,
        # PLEDGE). It ends once, in one of three ways.
        """
        CREATE TABLE asset_reservation (
          tenant_id uuid NOT NULL,
          id uuid NOT NULL,
          aim text NOT NULL CHECK (aim IN ('PENDING', 'FREEZE', 'PLEDGE')),
          kind text CHECK (kind IN ('TRANSFER', 'SURRENDER', 'RETIRE', 'CANCEL')),
          organisation_id uuid NOT NULL,
          legs integer NOT NULL CHECK (legs > 0),
          beneficiary_id uuid,
          for_year integer CHECK (for_year BETWEEN 1990 AND 2100),
          purpose text NOT NULL DEFAULT '',
          evidence text NOT NULL DEFAULT '',
          expires_at timestamptz,
          recorded_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, id),
          FOREIGN KEY (tenant_id, organisation_id) REFERENCES organisation,
          FOREIGN KEY (tenant_id, beneficiary_id) REFERENCES organisation,
          CONSTRAINT asset_reservation_kind CHECK ((aim = 'PENDING') = (kind IS NOT NULL)),
          CONSTRAINT asset_reservation_served CHECK (CASE
            WHEN kind IN ('SURRENDER', 'RETIRE') THEN num_nulls(beneficiary_id, for_year) = 0
            WHEN kind = 'CANCEL' THEN num_nulls(beneficiary_id, for_year) <> 1
            ELSE num_nulls(beneficiary_id, for_year) = 2 END)
        )
        """,
        "CREATE INDEX asset_reservation_of_organisation ON asset_reservation (tenant_id, organisation_id)",
        """
        CREATE TABLE asset_reservation_leg (
          tenant_id uuid NOT NULL,
          reservation_id uuid NOT NULL,
          leg integer NOT NULL CHECK (leg > 0),
          lot_id uuid NOT NULL,
          account_id uuid NOT NULL,
          to_account_id uuid,
          quantity_t bigint NOT NULL CHECK (quantity_t > 0),
          PRIMARY KEY (tenant_id, reservation_id, leg),
          FOREIGN KEY (tenant_id, reservation_id) REFERENCES asset_reservation,
          FOREIGN KEY (tenant_id, account_id, lot_id) REFERENCES asset_balance,
          FOREIGN KEY (tenant_id, to_account_id) REFERENCES asset_account,
          CONSTRAINT asset_reservation_two_accounts CHECK (account_id <> to_account_id)
        )
        """,
        "CREATE INDEX asset_reservation_leg_of_account ON asset_reservation_leg (tenant_id, account_id, lot_id)",
        # The primary key ends a reservation once. What was posted instead is the transfer.
        """
        CREATE TABLE asset_reservation_end (
          tenant_id uuid NOT NULL,
          reservation_id uuid NOT NULL,
          outcome text NOT NULL CHECK (outcome IN ('POSTED', 'VOIDED', 'EXPIRED')),
          transfer_id uuid,
          reason text NOT NULL DEFAULT '',
          ended_at timestamptz NOT NULL DEFAULT now(),
          PRIMARY KEY (tenant_id, reservation_id),
          FOREIGN KEY (tenant_id, reservation_id) REFERENCES asset_reservation,
          FOREIGN KEY (tenant_id, transfer_id) REFERENCES asset_transfer DEFERRABLE INITIALLY DEFERRED,
          CONSTRAINT asset_reservation_end_posted CHECK ((outcome = 'POSTED') = (transfer_id IS NOT NULL)),
          CONSTRAINT asset_reservation_end_transfer UNIQUE (tenant_id, transfer_id)
        )
        """,
    )
    for table in ("asset_reservation", "asset_reservation_leg", "asset_reservation_end"):
        protect(table)
        append_only(table)
    run(
        # Legs come together and set their units aside; the constraint on balances refuses what is not there.
        """
        CREATE FUNCTION asset_reservation_holds() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          IF EXISTS (
            SELECT FROM (SELECT *, count(*) OVER (PARTITION BY tenant_id, reservation_id) AS together FROM new_legs) l
            JOIN asset_reservation r ON r.tenant_id = l.tenant_id AND r.id = l.reservation_id
            JOIN asset_account f ON f.tenant_id = l.tenant_id AND f.id = l.account_id
            LEFT JOIN asset_account g ON g.tenant_id = l.tenant_id AND g.id = l.to_account_id
            WHERE r.legs <> l.together OR l.leg > r.legs OR f.organisation_id IS NULL
               OR (r.aim = 'PENDING') <> (l.to_account_id IS NOT NULL)
               OR g.kind <> CASE r.kind WHEN 'SURRENDER' THEN 'SURRENDERED' WHEN 'RETIRE' THEN 'RETIRED'
                                        WHEN 'CANCEL' THEN 'CANCELLED' ELSE g.kind END
               OR (r.kind = 'TRANSFER' AND g.organisation_id IS NULL AND g.kind <> 'MARKET')
          ) THEN
            RAISE EXCEPTION 'a leg does not fit its reservation or its accounts'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_reservation_leg_lawful';
          END IF;
          UPDATE asset_balance b SET reserved_t = b.reserved_t + l.quantity_t
          FROM (SELECT tenant_id, account_id, lot_id, sum(quantity_t) AS quantity_t FROM new_legs GROUP BY 1, 2, 3) l
          WHERE b.tenant_id = l.tenant_id AND b.account_id = l.account_id AND b.lot_id = l.lot_id;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER asset_reservation_holds AFTER INSERT ON asset_reservation_leg REFERENCING NEW TABLE AS new_legs "
        "FOR EACH STATEMENT EXECUTE FUNCTION asset_reservation_holds()",
        # The end gives back what was set aside. Only a pending one is posted, and in time; none expires early; and a
        # transfer that is posted moves no more of anything than had been set aside for it.
        """
        CREATE FUNCTION asset_reservation_releases() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        DECLARE r asset_reservation;
        BEGIN
          SELECT * INTO r FROM asset_reservation WHERE tenant_id = NEW.tenant_id AND id = NEW.reservation_id;
          IF NEW.outcome = 'POSTED' AND (r.aim <> 'PENDING' OR r.expires_at <= now())
             OR NEW.outcome = 'EXPIRED' AND coalesce(r.expires_at > now(), true) THEN
            RAISE EXCEPTION 'a reservation cannot end as % now', NEW.outcome
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_reservation_end_lawful';
          END IF;
          UPDATE asset_balance b SET reserved_t = b.reserved_t - l.quantity_t
          FROM (SELECT account_id, lot_id, sum(quantity_t) AS quantity_t FROM asset_reservation_leg
                WHERE tenant_id = NEW.tenant_id AND reservation_id = NEW.reservation_id GROUP BY 1, 2) l
          WHERE b.tenant_id = NEW.tenant_id AND b.account_id = l.account_id AND b.lot_id = l.lot_id;
          RETURN NULL;
        END $$
        """,
        "CREATE TRIGGER asset_reservation_releases AFTER INSERT ON asset_reservation_end FOR EACH ROW "
        "EXECUTE FUNCTION asset_reservation_releases()",
        """
        CREATE FUNCTION asset_reservation_is_kept() RETURNS trigger LANGUAGE plpgsql
        SET search_path = public, pg_temp AS $$
        BEGIN
          IF NEW.transfer_id IS NOT NULL AND EXISTS (
            SELECT lot_id, account_id, to_account_id, sum(quantity_t) FROM (
              SELECT lot_id, from_account_id AS account_id, to_account_id, quantity_t FROM asset_leg
              WHERE tenant_id = NEW.tenant_id AND transfer_id = NEW.transfer_id
              UNION ALL
              SELECT lot_id, account_id, to_account_id, -quantity_t FROM asset_reservation_leg
              WHERE tenant_id = NEW.tenant_id AND reservation_id = NEW.reservation_id) x
            GROUP BY 1, 2, 3 HAVING sum(quantity_t) > 0) THEN
            RAISE EXCEPTION 'a transfer moves more than was reserved for it'
              USING ERRCODE = 'TH005', CONSTRAINT = 'asset_reservation_is_kept';
          END IF;
          RETURN NULL;
        END $$
        """,
        "CREATE CONSTRAINT TRIGGER asset_reservation_is_kept AFTER INSERT ON asset_reservation_end "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION asset_reservation_is_kept()",
    )


def _reserve() -> None:
    run(
        # Sets units aside, or says which leg lacks cover and how much there is. Balances are locked as `ledger_post`
        # locks them, in one order.
        f"""
        CREATE FUNCTION ledger_reserve(
          by_member uuid, in_operation text, with_correlation text,
          r_id uuid, r_aim text, r_kind text, r_organisation uuid, r_beneficiary uuid, r_year integer, r_purpose text,
          r_evidence text, r_expires_at timestamptz, l_lot uuid[], l_account uuid[], l_to uuid[], l_quantity bigint[]
        ) RETURNS TABLE (leg integer, available_t bigint, recorded_at timestamptz)
        LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        #variable_conflict use_column
        DECLARE tenant uuid := {TENANT};
        BEGIN
          PERFORM FROM (SELECT DISTINCT account, lot FROM unnest(l_account, l_lot) AS x (account, lot) ORDER BY 1, 2) k
          CROSS JOIN LATERAL (
            SELECT * FROM asset_balance b
            WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b;
          -- Locked here too: a balance may have come into being since.
          RETURN QUERY
          SELECT k.leg, coalesce(b.available_t, 0), now()
          FROM (SELECT min(n)::integer AS leg, account, lot, sum(asked) AS asked
                FROM unnest(l_account, l_lot, l_quantity) WITH ORDINALITY AS x (account, lot, asked, n)
                GROUP BY account, lot) k
          LEFT JOIN LATERAL (
            SELECT b.quantity_t - b.reserved_t AS available_t FROM asset_balance b
            WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot FOR UPDATE) b ON true
          WHERE coalesce(b.available_t, 0) < k.asked
          ORDER BY k.leg LIMIT 1;
          IF FOUND THEN
            RETURN;
          END IF;
          INSERT INTO asset_reservation (tenant_id, id, aim, kind, organisation_id, legs, beneficiary_id, for_year,
                                         purpose, evidence, expires_at)
          VALUES (tenant, r_id, r_aim, r_kind, r_organisation, cardinality(l_lot), r_beneficiary, r_year, r_purpose,
                  r_evidence, r_expires_at);
          INSERT INTO asset_reservation_leg (tenant_id, reservation_id, leg, lot_id, account_id, to_account_id,
                                             quantity_t)
          SELECT tenant, r_id, n, lot, account, destination, quantity
          FROM unnest(l_lot, l_account, l_to, l_quantity) WITH ORDINALITY AS x (lot, account, destination, quantity, n);
          INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                   after, correlation_id)
          VALUES (tenant, gen_random_uuid(), by_member, in_operation, r_organisation, 'AssetReservation', r_id,
                  jsonb_build_object('aim', r_aim, 'kind', r_kind, 'expires_at', r_expires_at), with_correlation);
          RETURN QUERY SELECT NULL::integer, NULL::bigint, now();
        END $$
        """,
        # Ends a reservation and gives its units back; false when it has ended before. A transfer that takes its place
        # is posted right after, in the same transaction: the balances of both are locked here, in order.
        f"""
        CREATE FUNCTION ledger_end_reservation(
          by_member uuid, in_operation text, with_correlation text,
          r_id uuid, r_outcome text, r_transfer uuid, r_reason text
        ) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER {PLANS} AS $$
        DECLARE tenant uuid := {TENANT};
        BEGIN
          PERFORM FROM (
            SELECT DISTINCT k.account, l.lot_id FROM asset_reservation_leg l
            CROSS JOIN LATERAL (VALUES (l.account_id), (l.to_account_id)) AS k (account)
            WHERE l.tenant_id = tenant AND l.reservation_id = r_id AND k.account IS NOT NULL ORDER BY 1, 2) k
          CROSS JOIN LATERAL (
            SELECT * FROM asset_balance b
            WHERE b.tenant_id = tenant AND b.account_id = k.account AND b.lot_id = k.lot_id FOR UPDATE) b;
          INSERT INTO asset_reservation_end (tenant_id, reservation_id, outcome, transfer_id, reason)
          VALUES (tenant, r_id, r_outcome, r_transfer, r_reason) ON CONFLICT (tenant_id, reservation_id) DO NOTHING;
          IF NOT FOUND THEN
            RETURN false;
          END IF;
          INSERT INTO audit_event (tenant_id, id, member_id, operation, organisation_id, subject_type, subject_id,
                                   after, correlation_id)
          SELECT tenant, gen_random_uuid(), by_member, in_operation, r.organisation_id, 'AssetReservation', r_id,
                 jsonb_build_object('outcome', r_outcome, 'transfer_id', r_transfer), with_correlation
          FROM asset_reservation r WHERE r.tenant_id = tenant AND r.id = r_id;
          RETURN true;
        END $$
        """,
        "REVOKE ALL ON FUNCTION ledger_reserve, ledger_end_reservation FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_reserve, ledger_end_reservation TO tanheng_app, tanheng_worker",
    )
