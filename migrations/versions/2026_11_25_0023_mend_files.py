"""Imports count the rows that were recorded already; what was read is stored, present before, or refused."""

from __future__ import annotations

from migrations.support import forced, run, unforced

revision = "0023"
down_revision = "0018"


def upgrade() -> None:
    run("ALTER TABLE activity_import ADD COLUMN present integer CHECK (present >= 0)")
    unforced("activity_import")
    run("UPDATE activity_import SET present = 0 WHERE rows IS NOT NULL")
    forced("activity_import")
    run(
        "ALTER TABLE activity_import ADD CONSTRAINT every_row_is_accounted_for "
        "CHECK (state <> 'DONE' OR rows IS NOT DISTINCT FROM stored + present + refused)",
        "GRANT UPDATE (present) ON activity_import TO tanheng_app, tanheng_worker",
    )
