"""Factor sets of a tenant, proposals, adoption as a restatement."""

from __future__ import annotations

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Nothing yet."""
