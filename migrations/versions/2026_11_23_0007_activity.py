"""Activity in packs of narrow lines; results follow from sums per stream and month."""

from __future__ import annotations

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Nothing yet."""
