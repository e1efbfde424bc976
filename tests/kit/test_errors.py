"""Coded errors: one meaning per code, two languages, and a path that grows outwards."""

from __future__ import annotations

import pickle
import re
import string

import pytest

from backend.capabilities import modules
from backend.kit.errors import Code, CodedError, invalid, published_codes

WRONG = invalid("TEST_WRONG", en="{what} is wrong.", zh="{what} 有误。")


def test_message_in_both_languages() -> None:
    error = WRONG(path=("rows", "3"), what="数量")
    assert (error.message("zh-CN"), error.message("en")) == ("数量 有误。", "数量 is wrong.")
    assert error.at("input").path == ("input", "rows", "3")


def test_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(WRONG(what="x")))
    assert isinstance(error, CodedError)
    assert error.code is not None
    assert error.message("en") == "x is wrong."


def test_a_code_has_one_meaning() -> None:
    with pytest.raises(RuntimeError, match="twice"):
        invalid("TEST_WRONG", en="other", zh="其他")


def _parameters(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def all_codes() -> tuple[Code, ...]:
    list(modules("graphql"))
    return published_codes()


@pytest.mark.parametrize("code", all_codes(), ids=lambda c: c.name)
def test_both_messages_say_the_same_and_end_properly(code: Code) -> None:
    plain = {p.removesuffix("_zh") for p in _parameters(code.zh)}
    assert plain <= {p.removesuffix("_zh") for p in _parameters(code.en)} | {"reason"}
    assert re.search(r"[一-鿿{]", code.zh)
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", code.name)
