"""Who uses an idempotency key takes its turn before any balance is locked.

A call with many postings locked their balances and then met a key that somebody else was using, who waited for one of
the balances: a circle. The server broke it at whoever stood first in line for the balance, one a second, and neither of
the two moved on before the line was gone.
"""

from __future__ import annotations

from migrations.support import amend

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    amend(
        "ledger_commit",
        # A key that is in use elsewhere is not waited for: it goes by itself, as one that has been used.
        (
            """CROSS JOIN LATERAL (
            SELECT FROM idempotency_key k
            WHERE k.tenant_id = for_tenant AND k.member_id = x.member AND k.key = x.key OFFSET 0) k;""",
            """WHERE x.key IS NOT NULL AND (
            NOT pg_try_advisory_xact_lock(hashtextextended('key ' || x.member || ' ' || x.key, 0))
            OR EXISTS (SELECT FROM idempotency_key k
                       WHERE k.tenant_id = for_tenant AND k.member_id = x.member AND k.key = x.key OFFSET 0));""",
        ),
    )
    amend(
        "ledger_commit_list",
        (
            "INSERT INTO idempotency_key",
            """done := pg_advisory_xact_lock(hashtextextended('key ' || by_member || ' ' || with_key, 0));
            INSERT INTO idempotency_key""",
        ),
    )
