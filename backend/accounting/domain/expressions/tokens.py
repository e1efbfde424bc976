"""The words of an expression: numbers, names (Chinese ones too), operators, as people type them in either width."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from backend.kit.errors import invalid

LONGEST: Final = 500
MOST_TOKENS: Final = 200

EXPRESSION_LENGTH = invalid(
    "EXPRESSION_LENGTH",
    en="An expression has 1 to {longest} characters and at most {most} terms and signs; this one has {length} "
    "characters.",
    zh="表达式须为 1 至 {longest} 个字符、至多 {most} 个项和符号；收到 {length} 个字符。",
)
EXPRESSION_SYNTAX = invalid(
    "EXPRESSION_SYNTAX",
    en="At position {position} of the expression stands {found}; expected there: {expected}.",
    zh="表达式第 {position} 个字符处为{found_zh}；此处应为：{expected_zh}。",
)


class Sort(StrEnum):
    """What a token is."""

    NUMBER = "NUMBER"
    NAME = "NAME"
    SIGN = "SIGN"
    END = "END"


@dataclass(frozen=True, slots=True)
class Token:
    """A word and where it begins, counted from 1 in what was written."""

    sort: Sort
    text: str
    position: int


_SAME: Final = {"×": "*", "·": "*", "∙": "*", "✕": "*", "÷": "/", "∕": "/", "−": "-", "–": "-", "、": ",", "，": ","}
_SIGNS: Final = "+-*/^(),%"
_SUPERSCRIPTS: Final = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻"
_NUMBER: Final = re.compile(r"(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2}(?![0-9A-Za-z_]))?", re.ASCII)


def tokens(written: str) -> list[Token]:
    """The tokens, an END last. Errors: EXPRESSION_LENGTH, EXPRESSION_SYNTAX."""
    if not len(written.strip()) >= 1 or len(written) > LONGEST:
        raise EXPRESSION_LENGTH(path=("formula",), longest=LONGEST, most=MOST_TOKENS, length=len(written))
    text, places = _folded(written)
    found: list[Token] = []
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token, at = _next(text, at, places)
        found.append(token)
        if len(found) > MOST_TOKENS:
            raise EXPRESSION_LENGTH(path=("formula",), longest=LONGEST, most=MOST_TOKENS, length=len(written))
    return [*found, Token(Sort.END, "", len(written) + 1)]


def _folded(written: str) -> tuple[str, list[int]]:
    """One width for all, and where each character came from."""
    text, places = [], []
    for position, character in enumerate(written, start=1):
        if character in _SUPERSCRIPTS:
            raise EXPRESSION_SYNTAX(
                path=("formula",),
                position=position,
                found=f"'{character}'",
                found_zh=f"'{character}'",
                expected="a power written with ^, such as x^2",
                expected_zh="用 ^ 书写的乘方，如 x^2",
            )
        for plain in _SAME.get(character) or unicodedata.normalize("NFKC", character):
            text.append(_SAME.get(plain, plain))
            places.append(position)
    return "".join(text), places


def _next(text: str, at: int, places: list[int]) -> tuple[Token, int]:
    position, character = places[at], text[at]
    if match := _NUMBER.match(text, at):
        return Token(Sort.NUMBER, match[0], position), match.end()
    if character == "_" or character.isalpha():
        end = at + 1
        while end < len(text) and (text[end] == "_" or text[end].isalnum()):
            end += 1
        return Token(Sort.NAME, text[at:end], position), end
    if text.startswith("**", at):
        return Token(Sort.SIGN, "^", position), at + 2
    if character in _SIGNS:
        return Token(Sort.SIGN, character, position), at + 1
    raise EXPRESSION_SYNTAX(
        path=("formula",),
        position=position,
        found=f"'{character}'",
        found_zh=f"'{character}'",
        expected="a number, a name, a bracket or one of + - * / ^ %",
        expected_zh="数字、名称、括号或 + - * / ^ % 之一",
    )
