"""${message}"""

from __future__ import annotations

from migrations.support import append_only, protect, run

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    run(
        """
        """,
    )
