"""Documents that ask for too much are refused in time linear in their size."""

from __future__ import annotations

import time

import pytest
from graphql import parse

from backend.kit.errors import CodedError
from backend.kit.graphql.limits import Limits, check_size


def code_of(document: str, limits: Limits = Limits()) -> str | None:  # noqa: B008 - frozen
    try:
        check_size(parse(document), limits)
    except CodedError as error:
        return error.code.name
    return None


def test_an_ordinary_document_passes() -> None:
    assert code_of("query Q { a { b { c } } ...F } fragment F on Query { d e }") is None


@pytest.mark.parametrize(
    "document",
    [
        "{" + "a{" * 20 + "b" + "}" * 21,
        "{" + " ".join(f"a{i}: a" for i in range(60)) + "}",
        "{ x {" + " ".join(f"a{i}: a" for i in range(2_100)) + "} }",
    ],
    ids=["deep", "wide root", "many aliases"],
)
def test_too_much_is_refused(document: str) -> None:
    assert code_of(document) == "QUERY_TOO_LARGE"


def test_fragments_that_unfold_exponentially_are_refused_at_once() -> None:
    levels = 200
    spreads = "".join(f"fragment F{i} on Q {{ ...F{i + 1} ...F{i + 1} }} " for i in range(levels))
    bomb = "{ ...F0 } " + spreads + f"fragment F{levels} on Q {{ a }}"
    started = time.perf_counter()
    assert code_of(bomb) == "QUERY_TOO_LARGE"
    assert time.perf_counter() - started < 0.5


def test_a_fragment_that_spreads_itself() -> None:
    assert code_of("{ ...A } fragment A on Q { ...B } fragment B on Q { ...A }") == "FRAGMENT_CYCLE"
