"""Which function does which job."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from backend.kit.jobs.domain import JOB_BAD_ARGUMENTS, JOB_UNKNOWN
from backend.kit.jobs.schedules import Schedule

Answer = Mapping[str, Any] | None
Run = Callable[..., Awaitable[Answer]]
R = TypeVar("R", bound=Run)

DEFAULT_TIME_LIMIT_S: Final = 3600.0
_HANDLERS: Final[dict[str, Handler]] = {}


@dataclass(frozen=True, slots=True)
class Handler:
    """The function behind a name; its arguments are read back into the types it declares. With a schedule it is also
    started by itself, for every tenant.
    """

    name: str
    run: Run
    arguments: type[BaseModel]
    time_limit_s: float
    schedule: Schedule | None = None

    def read(self, written: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments for `run`. Errors: JOB_BAD_ARGUMENTS."""
        try:
            read = self.arguments.model_validate(written)
        except ValidationError as error:
            first = error.errors()[0]
            problem = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise JOB_BAD_ARGUMENTS(name=self.name, problem=problem) from error
        return {name: getattr(read, name) for name in self.arguments.model_fields}


def job(name: str, *, time_limit_s: float = DEFAULT_TIME_LIMIT_S, schedule: Schedule | None = None) -> Callable[[R], R]:
    """Register `async def run(context: JobContext, **arguments)` as the way to do `name` ("slice.verb").

    What it returns (a JSON object or None) is kept as the result. An effect that must be there exactly once goes
    through `context.finish`; anything else the function does may be done again by a later attempt. What has a
    `schedule` must go without arguments.
    """

    def register(run: R) -> R:
        if name in _HANDLERS:
            message = f"two functions want to do the job {name}"
            raise RuntimeError(message)
        made = Handler(name, run, _arguments(name, run), time_limit_s, schedule)
        if schedule is not None:
            made.read({})
        _HANDLERS[name] = made
        return run

    return register


def handler_of(name: str) -> Handler:
    """Errors: JOB_UNKNOWN."""
    found = _HANDLERS.get(name)
    if found is None:
        raise JOB_UNKNOWN(name=name)
    return found


def schedules() -> dict[str, Schedule]:
    """The jobs that are started by themselves, and when."""
    return {name: found.schedule for name, found in _HANDLERS.items() if found.schedule is not None}


def _arguments(name: str, run: Run) -> type[BaseModel]:
    _context, *parameters = inspect.signature(run, eval_str=True).parameters.values()
    fields: dict[str, Any] = {
        p.name: (p.annotation, ... if p.default is inspect.Parameter.empty else p.default) for p in parameters
    }
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
