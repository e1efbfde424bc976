"""A lot is entered from another day than that of its issue: whose period is closed, or of which one learns later.

Its day of issue stays what it was, for rules ask for it; the units are in the account from the day named beside it.
"""

from __future__ import annotations

from migrations.support import amend, run

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    amend(
        "ledger_issue",
        ("o_evidence text[])", "o_evidence text[], o_effective_on date[])"),
        (
            """'ISSUE', 1, x.issued_on, x.evidence
          FROM unnest(o_id, o_transfer, o_issued_on, o_evidence) AS x (id, transfer, issued_on, evidence)""",
            """'ISSUE', 1, x.effective_on, x.evidence
          FROM unnest(o_id, o_transfer, o_effective_on, o_evidence) AS x (id, transfer, effective_on, evidence)""",
        ),
        drop=True,
    )
    run(
        "REVOKE ALL ON FUNCTION ledger_issue FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_issue TO tanheng_app, tanheng_worker",
    )
