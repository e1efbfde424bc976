"""What things, members of enumerations and fields are called where a text names them, in English and in Chinese.

A slice declares its words beside what they name. Errors put them in by themselves: `state=found.state` is enough for
the Chinese text to say 已冻结, and a tuple of members lists what may be written, each with its code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from string import Formatter
from types import MappingProxyType
from typing import Final

_CHINESE: Final[dict[str, str]] = {}
_MEMBERS: Final[dict[type[StrEnum], Mapping[str, str]]] = {}
_THINGS: Final[dict[str, str]] = {}
_MEMBER: Final = re.compile(r"[A-Z][A-Z_]+")
_FORMAT: Final = Formatter()
_HAN: Final = re.compile("[一-鿿（）]")
_BLANK_FIRST: Final = re.compile(" [一-鿿]")
_BLANK_LAST: Final = re.compile("[一-鿿] $")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def in_chinese(words: Mapping[str, str]) -> None:
    """What bare words are called where a Chinese text asks for them: `{state_zh}` for `{state}`, `{what_zh}` for a
    field.
    """
    _CHINESE.update(words)


def members_in_chinese(kind: type[StrEnum], words: Mapping[str, str]) -> None:
    """What the members of an enumeration are called; the same code may be called otherwise in another one."""
    _MEMBERS[kind] = words


def enumerations_in_chinese() -> Mapping[type[StrEnum], Mapping[str, str]]:
    """The enumerations named by the modules imported so far."""
    return MappingProxyType(_MEMBERS)


def things_in_chinese(words: Mapping[str, str]) -> None:
    """What the types of the API are called: `{"EmissionSource": "排放源"}`."""
    _THINGS.update(words)


def thing(type_name: str) -> str:
    """A type of the API as an English text names it: `emission source`."""
    return _HUMP.sub(" ", type_name).lower()


def a_thing(type_name: str) -> str:
    """With its article: `an emission source`."""
    name = thing(type_name)
    return f"{'an' if name[0] in 'aeio' else 'a'} {name}"


def thing_in_chinese(type_name: str) -> str:
    """A type of the API as a Chinese text names it; one that has no word keeps its name."""
    return _THINGS.get(type_name, type_name)


def named_in_chinese(member: object) -> str:
    """A member of an enumeration as a Chinese text names it; anything else stays."""
    words = _MEMBERS.get(type(member), {}) if isinstance(member, StrEnum) else {}
    return words.get(str(member), str(member))


def word_in_chinese(word: str) -> str:
    """A bare word as a Chinese text puts it; one that was not declared stays."""
    return _CHINESE.get(word, word)


def _listed_in_chinese(member: object) -> str:
    name = named_in_chinese(member) if isinstance(member, StrEnum) else word_in_chinese(str(member))
    return name if name == str(member) else f"{name}（{member}）"


def particulars(params: Mapping[str, object]) -> dict[str, object]:
    """What a text names, with the Chinese of it where that is another word: `state_zh` beside `state`."""
    found = dict(params)
    for name, value in params.items():
        if isinstance(value, tuple):
            found[name] = ", ".join(map(str, value)) or "none"
            found.setdefault(f"{name}_zh", "、".join(map(_listed_in_chinese, value)) or "无")
        elif isinstance(value, StrEnum) and type(value) in _MEMBERS:
            found.setdefault(f"{name}_zh", named_in_chinese(value))
    return found


def chinese_text(template: str, params: Mapping[str, object]) -> str:
    """A Chinese text with what it names: `{cause}` and `{cause_zh}` are the Chinese for the cause; where none was
    given, words that are declared in Chinese are put so where `{cause_zh}` asks for it, and the rest stays. Around
    Chinese words no blanks are left, as there are around codes and numbers.
    """
    text, closed = "", False
    for written, name, _, _ in _FORMAT.parse(template):
        text += written[1:] if closed and _BLANK_FIRST.match(written) else written
        if name is None:
            continue
        plain, value = _put(name, params)
        closed = value != plain and bool(_HAN.match(value[-1:]))
        if value != plain and _HAN.match(value) and _BLANK_LAST.search(text):
            text = text[:-1]
        text += value
    return text


def _put(name: str, params: Mapping[str, object]) -> tuple[str, str]:
    """What was given for a name, and what a Chinese text puts."""
    plain, chinese = name.removesuffix("_zh"), f"{name.removesuffix('_zh')}_zh"
    given = str(params[plain if plain in params else chinese])
    if chinese in params:
        return given, str(params[chinese])
    if name == plain:
        return given, given
    return given, _CHINESE.get(given) or _MEMBER.sub(lambda found: _CHINESE.get(found[0], found[0]), given)
