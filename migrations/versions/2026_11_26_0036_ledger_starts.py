"""Postings with fewer statements to start, and lists that write what nobody else waits for before they lock balances.

What a call costs before its first row is mostly the starting of statements. What a list keeps others waiting with is
what it does between its first lock and its commit.
"""

from __future__ import annotations

from migrations.support import amend, span

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    _commit()
    _legs()
    _list()


def _commit() -> None:
    amend(
        "ledger_commit",
        (
            "DECLARE done text; some_shut boolean; more integer[]; covered boolean; met bigint;",
            "DECLARE done text; active boolean; some_shut boolean; more integer[]; covered boolean; met bigint;",
        ),
        (
            """done := tenant_must_be_writable();
          recorded_at := now();
          SELECT coalesce(array_agg(x.n::integer), '{}'),
                 EXISTS (SELECT FROM account_state a WHERE a.tenant_id = for_tenant AND a.state <> 'OPEN')
          INTO again, some_shut
          FROM""",
            """recorded_at := now();
          SELECT coalesce(array_agg(x.n::integer), '{}'),
                 EXISTS (SELECT FROM tenant t WHERE t.id = for_tenant AND t.status = 'ACTIVE'),
                 EXISTS (SELECT FROM account_state a WHERE a.tenant_id = for_tenant AND a.state <> 'OPEN')
          INTO again, active, some_shut
          FROM""",
        ),
        (
            "IF some_shut THEN",
            """IF NOT active THEN
            done := tenant_must_be_writable();
          END IF;
          IF some_shut THEN""",
        ),
        # What a posting leaves is told by the look that judges it.
        (
            """SELECT bool_and(b.issuing OR b.quantity_t - b.reserved_t >= k.debit), count(*),
                 array_agg(b.quantity_t ORDER BY k.n)
          INTO covered, met, quantities
          FROM unnest""",
            """SELECT look.covered, look.met, ARRAY(
                   SELECT look.held[balance] + change FROM unnest(q_balance, q_change)
                     WITH ORDINALITY AS q (balance, change, n) ORDER BY n)
          INTO covered, met, quantities
          FROM (
          SELECT bool_and(b.issuing OR b.quantity_t - b.reserved_t >= k.debit) AS covered, count(*) AS met,
                 array_agg(b.quantity_t ORDER BY k.n) AS held
          FROM unnest""",
        ),
        (
            """b.lot_id = k.lot FOR UPDATE) b;
          IF met""",
            """b.lot_id = k.lot FOR UPDATE) b) look;
          IF met""",
        ),
        (
            """quantities := ARRAY(SELECT quantities[balance] + change FROM unnest(q_balance, q_change)
                              WITH ORDINALITY AS q (balance, change, n) ORDER BY n);
          WITH t AS (""",
            "WITH t AS (",
        ),
    )


def _legs() -> None:
    amend(
        "asset_legs_post",
        ("last_number bigint; last_hash bytea; short record;", "short record;"),
        # The seal that is the last and the one to come, in one statement. What is raised after it undoes it.
        (
            span("asset_legs_post", "SELECT s.number, s.hash,", "\n          IF first_day <= closed_through"),
            """INSERT INTO asset_seal (tenant_id, number, sealed_at, transfer_ids, leaves, previous, hash)
          SELECT tenant, next.number, at, ids, with_leaves, next.previous, sha256(convert_to(concat_ws('|',
            'seal', next.number, encode(next.previous, 'hex'), ledger_micros(at), cardinality(ids),
            encode(sha256(with_leaves), 'hex')), 'UTF8'))
          FROM (
            SELECT coalesce(s.number, 0) + 1 AS number,
                   coalesce(s.hash, sha256(convert_to('tanheng ledger ' || tenant, 'UTF8'))) AS previous
            FROM (VALUES (1)) AS one
            LEFT JOIN LATERAL (SELECT number, hash FROM asset_seal
                               WHERE tenant_id = tenant ORDER BY number DESC LIMIT 1) s ON true
            OFFSET 0) AS next
          RETURNING (SELECT max(c.through) FROM asset_closing c WHERE c.tenant_id = tenant),
                    EXISTS (SELECT FROM account_state a WHERE a.tenant_id = tenant AND a.state <> 'OPEN')
          INTO closed_through, some_shut;""",
        ),
        # Asked for itself, this is no statement; with the look beside it, it is one each time.
        ("IF some_shut AND EXISTS (", "IF some_shut THEN IF EXISTS ("),
        (span("asset_legs_post", "last_number := coalesce(", "RETURN NULL;"), "END IF;\n          "),
    )
    amend(
        "asset_seal_in_time",
        (
            "BEGIN",
            """DECLARE
          earliest timestamptz := clock_timestamp() - interval '5 minutes';
        BEGIN""",
        ),
        ("NEW.sealed_at < clock_timestamp() - interval '5 minutes'", "NEW.sealed_at < earliest"),
        ("ledger_id_floor(clock_timestamp() - interval '5 minutes')", "ledger_id_floor(earliest)"),
    )


def _list() -> None:
    look = span("ledger_commit_list", "SELECT bool_and(", "\n\n          IF cardinality(t_kind)")
    amend(
        "ledger_commit_list",
        (f"{look}\n\n          IF cardinality(t_kind)", "IF cardinality(t_kind)"),
        ("), audited AS (\n            INSERT INTO audit_event", ")\n          INSERT INTO audit_event"),
        (
            "AS n\n          )\n          INSERT INTO asset_leg",
            f"""AS n;

          -- Transfers and events meet nobody. From here to the commit those wait who touch one of the balances.
          {look}
          INSERT INTO asset_leg""",
        ),
    )
