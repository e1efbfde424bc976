"""Fields: guarded at the root, batched below it.

`query(guard)` and `mutation(guard)` are the only ways to make a root field, so a root field without a guard cannot
be written; `batched` makes a field whose resolver takes all parents of a level and answers for each of them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar, get_args

import strawberry
from strawberry.types.base import get_object_definition

from backend.kit.errors import CodedError
from backend.kit.graphql.payloads import Payload, user_error
from backend.kit.graphql.straight import Resolved

R = TypeVar("R", bound=Callable[..., Awaitable[Any]])
P = TypeVar("P", bound=Payload)
GUARD: Final = "tanheng.guard"
BATCH: Final = "tanheng.batch"


class Guard(Protocol):
    """Decides from the context alone whether a caller may try a root field at all."""

    def check(self, context: Any) -> None:
        """Raise a CodedError (FORBIDDEN, UNAUTHENTICATED) to refuse."""

    def describe(self) -> str:
        """One line for the published matrix."""


def query(guard: Guard) -> Callable[[Callable[..., Awaitable[Any]]], Any]:
    """A field of the query root that `guard` stands before."""

    def make(resolver: Callable[..., Awaitable[Any]]) -> Any:
        @functools.wraps(resolver)
        async def guarded(self: Any, info: Any, **arguments: Any) -> Any:
            guard.check(info.context)
            return await resolver(self, info, **arguments)

        return strawberry.field(resolver=guarded, description=_doc(resolver), metadata={GUARD: guard})

    return make


def mutation(guard: Guard) -> Callable[[Callable[..., Awaitable[Any]]], Any]:
    """A field of the mutation root: `guard` stands before it, coded errors become its payload's errors."""

    def make(resolver: Callable[..., Awaitable[Any]]) -> Any:
        payload = inspect.signature(resolver, eval_str=True).return_annotation

        @functools.wraps(resolver)
        async def guarded(self: Any, info: Any, **arguments: Any) -> Any:
            try:
                if isinstance(self, Resolved):
                    return self.again()
                guard.check(info.context)
                return await resolver(self, info, **arguments)
            except CodedError as error:
                return refusal(payload, [error], info.context.locale)
            except ExceptionGroup as several:
                coded, others = several.split(CodedError)
                if others is not None or coded is None:
                    raise
                return refusal(payload, [e for e in coded.exceptions if isinstance(e, CodedError)], info.context.locale)

        return strawberry.mutation(resolver=guarded, description=_doc(resolver), metadata={GUARD: guard})

    return make


def subscription(guard: Guard) -> Callable[[Callable[..., AsyncIterator[Any]]], Any]:
    """A field of the subscription root that `guard` stands before."""

    def make(resolver: Callable[..., AsyncIterator[Any]]) -> Any:
        @functools.wraps(resolver)
        async def guarded(self: Any, info: Any, **arguments: Any) -> Any:
            guard.check(info.context)
            async for item in resolver(self, info, **arguments):
                yield item

        return strawberry.subscription(resolver=guarded, description=_doc(resolver), metadata={GUARD: guard})

    return make


def refusal(payload: type[P], errors: Sequence[CodedError], locale: Any) -> P:
    """An empty payload that carries errors."""
    empty: dict[str, Any] = {
        f.python_name: [] if str(f.type).startswith("<strawberry.types.base.StrawberryList") else None
        for f in get_object_definition(payload, strict=True).fields
        if f.python_name not in {"errors", "replayed"}
    }
    return payload(errors=[user_error(e, locale) for e in errors], **empty)


def batched(resolver: R) -> Any:
    """A field resolved for a whole level at once.

    `async def f(parents: list[Parent], info: Info, **arguments) -> list[Value]`: one value per parent, in order.
    Below it stands a DataLoader; an executor that walks level by level may call the function itself.
    """
    signature = inspect.signature(resolver, eval_str=True)
    _parents, _info, *arguments = signature.parameters.values()
    (value,) = get_args(signature.return_annotation)

    async def one(self: Any, info: Any, **given: Any) -> Any:
        return await info.context.batch(resolver, info, given, self)

    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [own, _info, *(a.replace(kind=inspect.Parameter.KEYWORD_ONLY) for a in arguments)]
    one.__signature__ = signature.replace(parameters=parameters, return_annotation=value)  # type: ignore[attr-defined]
    one.__annotations__ = {p.name: p.annotation for p in parameters[1:]} | {"return": value}
    one.__module__, one.__name__, one.__doc__ = resolver.__module__, resolver.__name__, resolver.__doc__
    return strawberry.field(resolver=one, description=_doc(resolver), metadata={BATCH: resolver})


def by_key(keys: Sequence[Any], found: dict[Any, Any], default: Any = None) -> list[Any]:
    """What a batch function answers: for each key its value, in the order of the parents."""
    return [found.get(key, default) for key in keys]


def _doc(function: Callable[..., Any]) -> str | None:
    return inspect.cleandoc(function.__doc__) if function.__doc__ else None
