"""From words to a tree, by precedence climbing: + − below × ÷, below the sign, below powers. No code is ever run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

from backend.accounting.domain.expressions.tokens import EXPRESSION_SYNTAX, Sort, Token, tokens
from backend.kit.errors import CodedError, invalid

DEEPEST: Final = 24
FUNCTIONS: Final = ("min", "max", "round", "sqrt")
_LEVELS: Final = {"+": 1, "-": 1, "*": 2, "/": 2}

EXPRESSION_TOO_DEEP = invalid(
    "EXPRESSION_TOO_DEEP",
    en="At position {position} the expression is nested more than {deepest} deep; split it into parameters.",
    zh="表达式在第 {position} 个字符处嵌套超过 {deepest} 层；请拆分为参数。",
)
EXPRESSION_FUNCTION = invalid(
    "EXPRESSION_FUNCTION",
    en="At position {position}: there is no function '{name}'; there are {known}.",
    zh="第 {position} 个字符处：没有函数 '{name}'；可用函数：{known}。",
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written."""

    value: Fraction
    position: int


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter."""

    name: str
    position: int


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function, and what it is applied to."""

    name: str
    arguments: tuple[Node, ...]
    position: int


Node = Number | Name | Call
NEGATION: Final = "negation"


@lru_cache(maxsize=2048)
def parse(written: str) -> Node:
    """The tree of an expression. Errors: EXPRESSION_LENGTH, EXPRESSION_SYNTAX, EXPRESSION_TOO_DEEP,
    EXPRESSION_FUNCTION.
    """
    reader = _Parser(tokens(written))
    tree = reader.expression(1, 0)
    reader.expect("", "an operator, or the end", "运算符或结尾")
    return tree


def names(tree: Node) -> Iterator[str]:
    """The parameters an expression uses, in order, repeated ones too."""
    if isinstance(tree, Name):
        yield tree.name
    elif isinstance(tree, Call):
        for argument in tree.arguments:
            yield from names(argument)


class _Parser:
    def __init__(self, words: list[Token]) -> None:
        self.words, self.at = words, 0

    @property
    def word(self) -> Token:
        return self.words[self.at]

    def take(self) -> Token:
        self.at += 1
        return self.words[self.at - 1]

    def error(self, expected: str, expected_zh: str) -> CodedError:
        text = f"'{self.word.text[:40]}'"
        ended = self.word.sort is Sort.END
        return EXPRESSION_SYNTAX(
            path=("formula",),
            position=self.word.position,
            found="the end of the formula" if ended else text,
            found_zh="公式结尾" if ended else text,
            expected=expected,
            expected_zh=expected_zh,
        )

    def expect(self, text: str, expected: str, expected_zh: str) -> None:
        if self.word.text != text or (text == "" and self.word.sort is not Sort.END):
            raise self.error(expected, expected_zh)
        self.at += 1

    def expression(self, lowest: int, depth: int) -> Node:
        if depth > DEEPEST:
            raise EXPRESSION_TOO_DEEP(path=("formula",), position=self.word.position, deepest=DEEPEST)
        left = self.signed(depth)
        while self.word.sort is Sort.SIGN and _LEVELS.get(self.word.text, 0) >= lowest:
            sign = self.take()
            right = self.expression(_LEVELS[sign.text] + 1, depth + 1)
            left = Call(sign.text, (left, right), sign.position)
        return left

    def signed(self, depth: int) -> Node:
        if self.word.sort is Sort.SIGN and self.word.text in "+-":
            if depth > DEEPEST:
                raise EXPRESSION_TOO_DEEP(path=("formula",), position=self.word.position, deepest=DEEPEST)
            sign = self.take()
            operand = self.signed(depth + 1)
            return operand if sign.text == "+" else Call(NEGATION, (operand,), sign.position)
        return self.power(depth)

    def power(self, depth: int) -> Node:
        base = self.percent(depth)
        if self.word.text != "^":
            return base
        sign = self.take()
        return Call("^", (base, self.signed(depth + 1)), sign.position)

    def percent(self, depth: int) -> Node:
        node = self.primary(depth)
        while self.word.text == "%":
            sign = self.take()
            node = Call("/", (node, Number(Fraction(100), sign.position)), sign.position)
        return node

    def primary(self, depth: int) -> Node:
        word = self.word
        if word.sort is Sort.NUMBER:
            self.at += 1
            return Number(Fraction(word.text), word.position)
        if word.sort is Sort.NAME:
            self.at += 1
            return self.call(word, depth) if self.word.text == "(" else Name(word.text, word.position)
        if word.text == "(":
            self.at += 1
            inner = self.expression(1, depth + 1)
            self.expect(")", "a closing bracket", "右括号")
            return inner
        raise self.error("a number, a name or an opening bracket", "数字、名称或左括号")

    def call(self, name: Token, depth: int) -> Node:
        function = name.text.casefold()
        if function not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise EXPRESSION_FUNCTION(path=("formula",), position=name.position, name=name.text[:40], known=known)
        self.at += 1
        arguments = [self.expression(1, depth + 1)]
        while self.word.text == ",":
            self.at += 1
            arguments.append(self.expression(1, depth + 1))
        self.expect(")", "a comma or a closing bracket", "逗号或右括号")
        return Call(function, tuple(arguments), name.position)
