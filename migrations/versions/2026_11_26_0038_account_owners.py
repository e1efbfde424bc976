"""What names are looked up by tells the owners of accounts, so that refusals name an account as people do."""

from __future__ import annotations

from migrations.support import amend, run

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    amend(
        "ledger_look_up",
        ("name text, kind text, issued_on date)", "name text, kind text, issued_on date, owner text)"),
        (
            "SELECT 'A', a.id, a.organisation_id, a.code, a.name, a.kind, NULL::date FROM (",
            """SELECT 'A', a.id, a.organisation_id, a.code, a.name, a.kind, NULL::date, o.code || ' ' || o.name_zh FROM (""",
        ),
        (
            ") AS named JOIN asset_account a ON a.tenant_id = tenant AND a.id = named.id;",
            """) AS named JOIN asset_account a ON a.tenant_id = tenant AND a.id = named.id
          LEFT JOIN organisation o ON o.tenant_id = tenant AND o.id = a.organisation_id;""",
        ),
        ("'STANDS' END, l.issued_on\n", "'STANDS' END, l.issued_on, NULL\n"),
        ("SELECT 'O', o.id, NULL::uuid, NULL, NULL, NULL, NULL::date", "SELECT 'O', o.id, NULL::uuid, NULL, NULL, NULL, NULL::date, NULL"),
        drop=True,
    )
    run(
        "REVOKE ALL ON FUNCTION ledger_look_up FROM PUBLIC",
        "GRANT EXECUTE ON FUNCTION ledger_look_up TO tanheng_app, tanheng_worker",
    )
