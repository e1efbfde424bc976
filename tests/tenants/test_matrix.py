"""The committed page of roles says what the table says."""

from __future__ import annotations

from tenants.access import ROLES, Permission
from tenants.matrix import PAGE, TABLE_1, page


def test_the_page_is_fresh() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tenants.matrix"


def test_table_1_has_eleven_rows_of_its_own_codes() -> None:
    assert len({row.code for row in TABLE_1}) == 11


def test_who_answers_can_read_and_write_it() -> None:
    for row in TABLE_1:
        for role in row.roles:
            assert {Permission.MANAGEMENT_READ, Permission.MANAGEMENT_WRITE} <= ROLES[role], (row.code, role)
