"""What stands before serial numbers means the same in capitals and not: no block of `ab` beside the same of `AB`."""

from __future__ import annotations

from migrations.support import amend, run

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    """Refused, and nothing changed, where units are there twice: the message names them."""
    run(
        "ALTER TABLE asset_lot DROP CONSTRAINT asset_lot_serial_overlap",
        """
        ALTER TABLE asset_lot ADD CONSTRAINT asset_lot_serial_overlap EXCLUDE USING gist (
          tenant_id WITH =, scheme WITH =, upper(serial_prefix) WITH =,
          int8range(serial_first, serial_last, '[]') WITH &&)
        WHERE (serial_first IS NOT NULL AND withdrawn_by IS NULL)
        """,
    )
    amend("ledger_issue", ("s.serial_prefix = x.prefix", "upper(s.serial_prefix) = upper(x.prefix)"))
