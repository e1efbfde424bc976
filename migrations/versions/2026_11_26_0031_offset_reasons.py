"""Why an offset surrender was turned back is kept as a code with its particulars, to be said in any language."""

from __future__ import annotations

from migrations.support import run

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    run(
        # A rule or a deadline has a code; a registry that refuses and a holder who withdraws say it in their own words.
        # Steps of before kept a sentence for either.
        "ALTER TABLE offset_surrender_step ADD COLUMN refusal_code text, ADD COLUMN refusal_params jsonb",
        "ALTER TABLE offset_surrender_step DROP CONSTRAINT offset_step_because",
        """
        ALTER TABLE offset_surrender_step ADD CONSTRAINT offset_step_because CHECK (
          (step = 'TURNED_BACK') = (cause IS NOT NULL)
          AND (refusal_code IS NULL) = (refusal_params IS NULL)
          AND (refusal_code IS NULL OR reason = '' AND cause IS NOT NULL AND cause IN ('DEADLINE', 'RULE'))
          AND (step <> 'TURNED_BACK' OR reason <> '' OR refusal_code IS NOT NULL))
        """,
    )
