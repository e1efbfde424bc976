"""What a resolver can reach: services, the caller's language, and the batches of this request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from strawberry.dataloader import DataLoader

from backend.kit.errors import DEFAULT_LOCALE, Locale
from backend.kit.toolbox import Service, Services

S = TypeVar("S", bound=Service)
BatchFunction = Callable[..., Awaitable[Sequence[Any]]]


@dataclass(slots=True)
class RequestContext:
    """One request. Subclasses add who is asking."""

    services: Services
    locale: Locale = DEFAULT_LOCALE
    correlation_id: str = "-"
    batches: dict[tuple[Any, ...], DataLoader[Any, Any]] = field(default_factory=dict)

    def use(self, service: type[S]) -> S:
        return self.services.get(service)

    async def batch(self, function: BatchFunction, info: Any, arguments: dict[str, Any], parent: object) -> Any:
        """The value for one parent, fetched together with those of its siblings."""
        key = (function, *((name, _hashable(value)) for name, value in sorted(arguments.items())))
        loader = self.batches.get(key)
        if loader is None:

            async def load(parents: list[Any]) -> Sequence[Any]:
                return await function(parents, info, **arguments)

            loader = self.batches[key] = DataLoader(load_fn=load, cache_key_fn=id, cache=False)
        return await loader.load(parent)


def _hashable(value: object) -> object:
    return value if value.__hash__ is not None else repr(value)
