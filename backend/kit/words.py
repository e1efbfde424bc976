"""What things, members of enumerations and fields are called where a text names them, in English and in Chinese.

A slice declares its words beside what they name. Errors put them in by themselves: `state=found.state` is enough for
the Chinese text to say 已冻结, and a tuple of members lists what may be written, each with its code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

_CHINESE: Final[dict[str, str]] = {}
_MEMBERS: Final[dict[type[StrEnum], Mapping[str, str]]] = {}
_THINGS: Final[dict[str, str]] = {}
_MEMBER: Final = re.compile(r"[A-Z][A-Z_]+")
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
            found[name] = ", ".join(map(str, value)) or "-"
            found.setdefault(f"{name}_zh", "、".join(map(_listed_in_chinese, value)) or "-")
        elif isinstance(value, StrEnum) and type(value) in _MEMBERS:
            found.setdefault(f"{name}_zh", named_in_chinese(value))
    return found


class ChineseParticulars(dict[str, object]):
    """What a text in Chinese puts in: `{cause}` and `{cause_zh}` are the Chinese for the cause; where none was given,
    its words that are declared in Chinese are put so where `{cause_zh}` asks for it, and the rest stays.
    """

    def __getitem__(self, name: str) -> object:
        return super().__getitem__(f"{name}_zh" if f"{name}_zh" in self else name)

    def __missing__(self, name: str) -> object:
        if not name.endswith("_zh"):
            raise KeyError(name)
        plain = str(self[name.removesuffix("_zh")])
        return _CHINESE.get(plain) or _MEMBER.sub(lambda found: _CHINESE.get(found[0], found[0]), plain)
