"""Imports count the rows that were there already."""

from __future__ import annotations

from migrations.support import run

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    run(
        "ALTER TABLE activity_import ADD present integer CHECK (present >= 0)",
        "GRANT UPDATE (present) ON activity_import TO tanheng_app, tanheng_worker",
    )
