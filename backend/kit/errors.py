"""Coded errors: one code, one message in Chinese and in English, one published list.

A slice declares its codes beside its domain (`OVERDRAWN = rule("OVERDRAWN", en=…, zh=…)`) and raises them as
`raise OVERDRAWN(path=("lines", "0"), asked=5, available=3)`. Codes are never translated and never reused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from backend.kit.ids import global_id
from backend.kit.words import chinese_text, particulars, thing, thing_in_chinese

Locale = Literal["zh-CN", "en"]
DEFAULT_LOCALE: Final[Locale] = "zh-CN"


class Kind(StrEnum):
    """What sort of failure a code is; each sort is one error type of the GraphQL schema."""

    INPUT = "INPUT"
    """A value was malformed or out of range."""
    NOT_FOUND = "NOT_FOUND"
    """Something named does not exist for this caller."""
    FORBIDDEN = "FORBIDDEN"
    """The caller may not do this."""
    CONFLICT = "CONFLICT"
    """The request collides with the present state."""
    RULE = "RULE"
    """A rule of the field refuses it."""
    UNAVAILABLE = "UNAVAILABLE"
    """It could not be done just now."""


class CodedError(Exception):
    """An expected failure: it has a code, and the caller can do something about it."""

    def __init__(self, code: Code, path: Sequence[str], params: Mapping[str, object]) -> None:
        self.code = code
        self.path = tuple(path)
        self.params = particulars(params)
        super().__init__(f"{code.name}: {code.en.format_map(self.params)}")

    def message(self, locale: Locale = DEFAULT_LOCALE) -> str:
        if locale == "zh-CN":
            return chinese_text(self.code.zh, self.params)
        return self.code.en.format_map(self.params)

    def at(self, *prefix: str) -> CodedError:
        """The same error, its path counted from further out (a row of a batch, say)."""
        return CodedError(self.code, (*prefix, *self.path), self.params)

    def __reduce__(self) -> tuple[type[CodedError], tuple[Code, tuple[str, ...], dict[str, object]]]:
        return CodedError, (self.code, self.path, self.params)


@dataclass(frozen=True, slots=True)
class Code:
    """A published error code. Calling it makes the error."""

    name: str
    kind: Kind
    en: str
    zh: str
    retryable: bool = False
    added: tuple[str, ...] = ()
    """Particulars that answers kept from before do not have; without them nothing is said."""

    def __call__(self, *, path: Sequence[str] = (), **params: object) -> CodedError:
        return CodedError(self, path, dict.fromkeys(self.added, "") | params)


_PUBLISHED: dict[str, Code] = {}


def _publish(code: Code) -> Code:
    if _PUBLISHED.setdefault(code.name, code) != code:
        message = f"error code {code.name} is declared twice with different meanings"
        raise RuntimeError(message)
    return code


def published_codes() -> tuple[Code, ...]:
    """Every code declared by the modules imported so far, by name."""
    return tuple(_PUBLISHED[name] for name in sorted(_PUBLISHED))


def code_named(name: str) -> Code:
    return _PUBLISHED[name]


def invalid(name: str, *, en: str, zh: str) -> Code:
    return _publish(Code(name, Kind.INPUT, en, zh))


def conflict(name: str, *, en: str, zh: str, retryable: bool = False) -> Code:
    return _publish(Code(name, Kind.CONFLICT, en, zh, retryable))


def rule(name: str, *, en: str, zh: str, added: tuple[str, ...] = ()) -> Code:
    return _publish(Code(name, Kind.RULE, en, zh, added=added))


def forbidden(name: str, *, en: str, zh: str) -> Code:
    return _publish(Code(name, Kind.FORBIDDEN, en, zh))


def unavailable(name: str, *, en: str, zh: str) -> Code:
    return _publish(Code(name, Kind.UNAVAILABLE, en, zh, retryable=True))


NOT_FOUND = _publish(
    Code(
        "NOT_FOUND",
        Kind.NOT_FOUND,
        en="There is no {what} {key}, or you may not see it.",
        zh="{what} {key} 不存在，或您无权查看。",
    )
)


def not_found(what: str, key: UUID | str, *path: str) -> CodedError:
    """NOT_FOUND for a thing of a type of the API, named as the caller knows it: by the id of the API where a key is
    given, by the code or name he wrote where that is.
    """
    named = global_id(what, key) if isinstance(key, UUID) else key
    return NOT_FOUND(path=path, what=thing(what), what_zh=thing_in_chinese(what), key=named)


FORBIDDEN = _publish(
    Code(
        "FORBIDDEN",
        Kind.FORBIDDEN,
        en="This needs the permission {permission}, which none of your roles here gives you.",
        zh="此操作需要权限 {permission}，您在此处的角色均未授予该权限。",
    )
)
UNAUTHENTICATED = _publish(
    Code(
        "UNAUTHENTICATED",
        Kind.FORBIDDEN,
        en="Sign in first: send a bearer token in the Authorization header.",
        zh="请先登录：在 Authorization 请求头中携带 Bearer 令牌。",
    )
)
INVALID_INPUT = invalid("INVALID_INPUT", en="{reason}", zh="{reason_zh}")
REASON_MISSING = invalid(
    "REASON_MISSING",
    en="Say why the record is replaced or withdrawn.",
    zh="须说明记录被替换或撤回的原因。",
)
INVALID_ID = invalid(
    "INVALID_ID",
    en="'{value}' is not the id of {expected}.",
    zh="'{value}' 不是{expected}的标识。",
)
BUSY = unavailable(
    "BUSY",
    en="Other writers kept changing the same records; nothing was written. Try again.",
    zh="其他写入者正在修改相同记录，本次未写入任何内容，请重试。",
)
TIMEOUT = unavailable(
    "TIMEOUT",
    en="The database did not finish in time; nothing was written. Try again, or ask for less.",
    zh="数据库未能及时完成，本次未写入任何内容。请重试或缩小请求范围。",
)
