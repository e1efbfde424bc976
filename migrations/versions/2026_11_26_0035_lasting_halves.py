"""What is one half of something is not reversed by itself: units would be there twice, or stand for what is gone."""

from __future__ import annotations

from migrations.support import amend, run

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    run(
        # Why a transfer is not reversed: it is one half of a carry-over, what an authority took back, or would bring
        # units of a cancelled project back to an organisation. NULL: nothing of that.
        """
        CREATE FUNCTION asset_reversal_bound(of_tenant uuid, of_transfer uuid) RETURNS text LANGUAGE sql STABLE
        RETURN CASE
          WHEN EXISTS (SELECT FROM carry_over c JOIN asset_lot n ON n.tenant_id = c.tenant_id AND n.id = c.lot_id
                       WHERE c.tenant_id = of_tenant AND of_transfer IN (c.transfer_id, n.issued_by))
            THEN 'CARRIED_OVER'
          WHEN EXISTS (SELECT FROM allowance_allocation a
                       WHERE a.tenant_id = of_tenant AND a.transfer_id = of_transfer)
            THEN 'CLAWED_BACK'
          WHEN EXISTS (SELECT FROM asset_leg l
                       JOIN asset_account f ON f.tenant_id = l.tenant_id AND f.id = l.from_account_id
                       JOIN asset_account g ON g.tenant_id = l.tenant_id AND g.id = l.to_account_id
                       JOIN asset_lot o ON o.tenant_id = l.tenant_id AND o.id = l.lot_id
                       JOIN carbon_project p ON p.tenant_id = l.tenant_id AND p.state = 'CANCELLED'
                         AND o.project IN (p.code, p.name, p.code || ' ' || p.name)
                       WHERE l.tenant_id = of_tenant AND l.transfer_id = of_transfer
                         AND f.organisation_id IS NOT NULL AND g.organisation_id IS NULL)
            THEN 'PROJECT_GONE' END
        """,
    )
    amend(
        "asset_legs_look_back",
        # A project is not cancelled while units of it come back, and the other way round.
        (
            """BEGIN
          IF EXISTS (""",
            """BEGIN
          PERFORM FROM carbon_project p WHERE p.tenant_id = of_tenant AND EXISTS (
            SELECT FROM asset_transfer t
            JOIN asset_leg l ON l.tenant_id = t.tenant_id AND l.transfer_id = t.id
            JOIN asset_lot o ON o.tenant_id = l.tenant_id AND o.id = l.lot_id
            WHERE t.tenant_id = of_tenant AND t.id = ANY (transfers) AND t.kind = 'REVERSE'
              AND o.project IN (p.code, p.name, p.code || ' ' || p.name)) FOR SHARE;
          IF EXISTS (""",
        ),
        (
            "WHEN t.kind = 'REVERSE' THEN EXISTS (",
            "WHEN t.kind = 'REVERSE' THEN asset_reversal_bound(of_tenant, t.reverses_id) IS NULL AND EXISTS (",
        ),
    )
