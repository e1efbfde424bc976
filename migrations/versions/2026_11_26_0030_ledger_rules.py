"""A retirement says what it is for; what is said of a transfer has an end. What stands already is left as it is."""

from __future__ import annotations

from migrations.support import run

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    # NOT VALID: what is in the books was recorded under the rules of its time and cannot be edited.
    run(
        "ALTER TABLE asset_transfer ADD CONSTRAINT asset_transfer_retired_for_something "
        "CHECK (kind <> 'RETIRE' OR purpose <> '') NOT VALID",
        "ALTER TABLE asset_transfer ADD CONSTRAINT asset_transfer_texts "
        "CHECK (length(purpose) <= 2000 AND length(evidence) <= 2000) NOT VALID",
        "ALTER TABLE asset_reservation ADD CONSTRAINT asset_reservation_texts "
        "CHECK (length(purpose) <= 2000 AND length(evidence) <= 2000) NOT VALID",
        "ALTER TABLE allowance_allocation ADD CONSTRAINT allowance_allocation_texts "
        "CHECK (length(evidence) <= 2000) NOT VALID",
        "ALTER TABLE carry_over ADD CONSTRAINT carry_over_texts CHECK (length(evidence) <= 2000) NOT VALID",
    )
