"""Brings the factor library from its files into the database. Repeatable; the owner's right.

A value that differs from the files is superseded by a new row, never changed: coefficients name the row they used.
Changed files need a migration that calls `load_library` again; a test compares the files with the database.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import Connection, text

LIBRARY: Final = Path(__file__).parent / "library"
FACTOR_FILES: Final = ("fuels", "process", "grid", "heat", "gwp", "benchmarks", "plausibility", "constants")
_NAMESPACE: Final = UUID("0190f0c0-7061-7202-8000-000000000061")

_SETS: Final = text(
    """
    INSERT INTO factor_set SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
      AS r(code text, purpose text, by_default boolean, name_zh text, name_en text)
    ON CONFLICT (code) DO UPDATE SET purpose = excluded.purpose, by_default = excluded.by_default,
      name_zh = excluded.name_zh, name_en = excluded.name_en
    """
)
_REGIONS: Final = text(
    """
    INSERT INTO factor_region SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb))
      AS r(code text, name_zh text, name_en text)
    ON CONFLICT (code) DO UPDATE SET name_zh = excluded.name_zh, name_en = excluded.name_en
    """
)
_WITHIN: Final = text(
    """
    UPDATE factor_region f SET within = r.within
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(code text, within text)
    WHERE f.code = r.code AND f.within IS DISTINCT FROM r.within
    """
)
_RETIRE: Final = text(
    """
    UPDATE factor SET superseded_at = now() WHERE superseded_at IS NULL AND id NOT IN
      (SELECT id FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(id uuid))
    """
)
_FACTORS: Final = text(
    """
    INSERT INTO factor (id, set_code, code, name_zh, name_en, parameter, value, unit, region, year,
                        first_year, last_year, provenance, basis, source)
    SELECT id, set, code, name_zh, name_en, parameter, value, unit, region, year,
           first_year, last_year, provenance, basis, source
    FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r(
      id uuid, set text, code text, name_zh text, name_en text, parameter text, value numeric, unit text,
      region text, year integer, first_year integer, last_year integer, provenance text, basis text, source text)
    ON CONFLICT (id) DO UPDATE SET superseded_at = NULL
    """
)


def file_rows(name: str) -> Iterator[dict[str, str | None]]:
    """The rows of one file of the library, as written."""
    with (LIBRARY / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def library_rows() -> list[dict[str, str | None]]:
    """The factors of the files. The id of a value is a digest of all it says, the same in every installation."""
    rows = []
    for name in FACTOR_FILES:
        for row in file_rows(name):
            key = uuid5(_NAMESPACE, json.dumps(row, ensure_ascii=False, sort_keys=True))
            years = {y: row[y] or None for y in ("year", "first_year", "last_year")}
            rows.append({**row, **years, "id": str(key)})
    return rows


def place_regions(connection: Connection) -> None:
    """Say which region lies in which, as the file says."""
    rows = [{"code": row["code"], "within": row["within"] or None} for row in file_rows("regions")]
    connection.execute(_WITHIN, {"rows": json.dumps(rows)})


def load_library(connection: Connection) -> None:
    """Make the database say what the files say."""
    factors = json.dumps(library_rows(), ensure_ascii=False)
    connection.execute(_SETS, {"rows": json.dumps(list(file_rows("sets")), ensure_ascii=False)})
    connection.execute(_REGIONS, {"rows": json.dumps(list(file_rows("regions")), ensure_ascii=False)})
    connection.execute(_RETIRE, {"rows": factors})
    connection.execute(_FACTORS, {"rows": factors})
