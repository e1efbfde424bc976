"""A machine without a server: its tests are left out aloud, or fail where the server has to be."""

from __future__ import annotations

import pytest

from tests.fixtures.left_out import needs


def test_left_out_where_it_may_be_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"):
        needs("no-such-server")


def test_a_failure_where_it_must_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI must have it"):
        needs("no-such-server")
