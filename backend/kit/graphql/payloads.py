"""What a mutation answers: its result, or typed errors that a program can act on."""

from __future__ import annotations

from typing import Final

from backend.kit.errors import CodedError, Kind, Locale
from backend.kit.graphql.types import input_type, interface_type, object_type


@interface_type
class UserError:
    """An expected failure: a stable code, a readable message, and where in the input it lies."""

    code: str
    """Stable code from the published list (`errorCodes`); never translated."""
    message: str
    """What was wrong and what would be right, in the language of Accept-Language (zh-CN or en)."""
    path: list[str]
    """The way into the input that the error is about, outermost first; empty when it is about the whole."""
    retryable: bool
    """Whether the same request may succeed if it is sent again."""


@object_type
class InputError(UserError):
    """A value was malformed or out of range."""


@object_type
class NotFoundError(UserError):
    """Something named in the input does not exist for this caller."""


@object_type
class ForbiddenError(UserError):
    """The caller may not do this here."""


@object_type
class ConflictError(UserError):
    """The request collides with the present state: a duplicate, a stale version, a reused key."""


@object_type
class RuleError(UserError):
    """A rule of the field refuses it: a balance, an eligibility, a boundary."""

    rule: str
    """The rule that refused, with its source where there is one."""


@object_type
class UnavailableError(UserError):
    """It could not be done just now; nothing was written."""


ERROR_TYPES: Final = {
    Kind.INPUT: InputError,
    Kind.NOT_FOUND: NotFoundError,
    Kind.FORBIDDEN: ForbiddenError,
    Kind.CONFLICT: ConflictError,
    Kind.UNAVAILABLE: UnavailableError,
}


def user_error(error: CodedError, locale: Locale) -> UserError:
    code, path = error.code, list(error.path)
    if code.kind is Kind.RULE:
        source = str(error.params.get("source", code.name))
        return RuleError(
            code=code.name, message=error.message(locale), path=path, retryable=code.retryable, rule=source
        )
    made = ERROR_TYPES[code.kind]
    return made(code=code.name, message=error.message(locale), path=path, retryable=code.retryable)


@object_type
class Payload:
    """What every mutation answers besides its own result."""

    errors: list[UserError]
    """Why nothing was done; empty when it was done."""
    replayed: bool = False
    """True when this idempotency key had been used before with the same input: the first answer again."""


@input_type
class MutationInput:
    """What every mutation takes besides its own input."""

    idempotency_key: str | None = None
    """Makes a repeat harmless: the same key with the same input answers the same; with another, a coded error."""
    dry_run: bool = False
    """Rehearse: check everything and show the result, write nothing. What the rehearsal made is gone with it: ids of
    new things in its answer name nothing afterwards."""
