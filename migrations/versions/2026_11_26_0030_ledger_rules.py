"""A retirement says what it is for; what is said of a transfer has an end. What stands already is left as it is."""

from __future__ import annotations

from migrations.support import run

revision = "0030"
down_revision = "0029"

LEAST_SAID = {
    "asset_transfer_retired_for_something": ("asset_transfer", "kind <> 'RETIRE' OR purpose <> ''"),
    "asset_transfer_texts": ("asset_transfer", "length(purpose) <= 2000 AND length(evidence) <= 2000"),
    "asset_reservation_texts": ("asset_reservation", "length(purpose) <= 2000 AND length(evidence) <= 2000"),
    "allowance_allocation_texts": ("allowance_allocation", "length(evidence) <= 2000"),
    "carry_over_texts": ("carry_over", "length(evidence) <= 2000"),
}


def upgrade() -> None:
    for name, (table, check) in LEAST_SAID.items():
        _from_now_on(name, table, check)


def _from_now_on(name: str, table: str, check: str) -> None:
    """A check on what is recorded after this moment: what is in the books was right by the rules of its time and cannot
    be edited. Nobody records anything between the moment and the check.
    """
    run(
        f"""
        DO $since$
        BEGIN
          LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
          EXECUTE format($check$
            ALTER TABLE {table} ADD CONSTRAINT {name} CHECK (recorded_at <= %L OR ({check}))
          $check$, clock_timestamp());
        END $since$
        """,
    )
