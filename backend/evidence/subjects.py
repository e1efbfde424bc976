"""What documents can be attached to: each slice says how the organisation of its records is found."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from backend.evidence.domain import SUBJECT_UNKNOWN
from backend.kit.database import ReadSession
from backend.kit.words import a_thing, thing, thing_in_chinese

Owners = Callable[[ReadSession, Sequence[UUID]], Awaitable[dict[UUID, UUID]]]
_OWNERS: Final[dict[str, Owners]] = {}


def subject(subject_type: str, owners: Owners) -> None:
    """Let documents be attached to nodes of a type; `owners` answers the organisation of each id it knows."""
    _OWNERS[subject_type] = owners


def owners_of(subject_type: str, *path: str) -> Owners:
    """Errors: SUBJECT_UNKNOWN."""
    found = _OWNERS.get(subject_type)
    if found is None:
        known = sorted(_OWNERS)
        raise SUBJECT_UNKNOWN(
            path=path,
            type=a_thing(subject_type),
            type_zh=thing_in_chinese(subject_type),
            known=", ".join(map(thing, known)) or "-",
            known_zh="、".join(map(thing_in_chinese, known)) or "-",
        )
    return found
