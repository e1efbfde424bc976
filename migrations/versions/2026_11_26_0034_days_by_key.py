"""Past days are judged by the legs of the account alone, whatever the planner thinks of the tenant's other legs.

Where most legs came out of one account, as after many lots were issued, it seemed no dearer to look through all legs
recorded since the day as to go by the account: half a minute for a list of 500, with a hundred thousand legs.
"""

from __future__ import annotations

from migrations.support import run

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    run(
        # Compared as a row, the moment can only be looked for inside the index of the account's legs.
        """
        DO $patch$
        DECLARE body text := pg_get_functiondef('ledger_short_day'::regproc); was text; side text;
        BEGIN
          FOREACH side IN ARRAY ARRAY['from_account_id', 'to_account_id'] LOOP
            was := format('l.%s = x.account AND l.transfer_id >= first_id', side);
            IF strpos(body, was) = 0 THEN
              RAISE EXCEPTION 'ledger_short_day does not say %', was;
            END IF;
            body := replace(body, was, format('l.%1$s = x.account AND (l.%1$s, l.transfer_id) >= (x.account, first_id)',
                                              side));
          END LOOP;
          EXECUTE body;
        END $patch$
        """,
    )
