"""Global object identification: opaque ids that carry the type and the key."""

from __future__ import annotations

import base64
import binascii
from typing import Final
from uuid import UUID

import strawberry

from backend.kit.errors import INVALID_ID
from backend.kit.graphql.types import interface_type
from backend.kit.ids import global_id
from backend.kit.words import a_thing, thing_in_chinese

_MOST_NAMED: Final = 4
"""Of more types than these an error does not name each."""


@interface_type
class Node:
    """An object that can be fetched again by its id alone."""

    id: strawberry.ID
    """Opaque identifier, unique over all types; give it to `node(id:)` to fetch the object again."""


def to_id(type_name: str, key: UUID) -> strawberry.ID:
    """`base64url("Organisation:0193…")` without padding."""
    return strawberry.ID(global_id(type_name, key))


def from_id(value: str, *expected: str, path: tuple[str, ...] = ()) -> tuple[str, UUID]:
    """Type name and key of a global id; INVALID_ID when it is none, or of another type than expected."""
    named = 0 < len(expected) <= _MOST_NAMED
    refused = INVALID_ID(
        path=path,
        value=value[:100],
        expected=" or ".join(map(a_thing, expected)) if named else "any object",
        expected_zh="或".join(map(thing_in_chinese, expected)) if named else "任何对象",
    )
    try:
        type_name, _, key = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).decode().partition(":")
        uuid = UUID(key)
    except (binascii.Error, ValueError) as error:
        raise refused from error
    if expected and type_name not in expected:
        raise refused
    return type_name, uuid


def key_of(value: str, expected: str, *path: str) -> UUID:
    """The key inside a global id of one expected type."""
    return from_id(value, expected, path=path)[1]
