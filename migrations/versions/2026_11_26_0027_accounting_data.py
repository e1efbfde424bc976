"""Nothing yet."""

from __future__ import annotations

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    pass
