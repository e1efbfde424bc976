"""Past days are judged by the legs of the account alone, whatever the planner thinks of the tenant's other legs.

Where most legs came out of one account, as after many lots were issued, it seemed no dearer to look through all legs
recorded since the day as to go by the account: half a minute for a list of 500, with a hundred thousand legs.
"""

from __future__ import annotations

from migrations.support import amend

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    # Compared as a row, the moment can only be looked for inside the index of the account's legs.
    amend(
        "ledger_short_day",
        *(
            (
                f"l.{side} = x.account AND l.transfer_id >= first_id",
                f"l.{side} = x.account AND (l.{side}, l.transfer_id) >= (x.account, first_id)",
            )
            for side in ("from_account_id", "to_account_id")
        ),
    )
