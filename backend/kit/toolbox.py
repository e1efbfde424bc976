"""What every service is made of. A service is a class whose one argument is the toolbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from backend.kit.clock import Clock
from backend.kit.database import Database
from backend.kit.objects.store import OBJECTS_UNAVAILABLE, ObjectStore


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The means of a process: its database (in the role of the process), its clock, a bell for the job relay,
    its object store, and how many rows a request may work on before the work becomes a job.
    """

    database: Database
    clock: Clock
    wake_relay: Callable[[], None] = lambda: None
    objects: ObjectStore | None = None
    at_once: int = 5_000

    @property
    def store(self) -> ObjectStore:
        """Where files are kept. Errors: OBJECTS_UNAVAILABLE in a process that was given none."""
        if self.objects is None:
            raise OBJECTS_UNAVAILABLE(because="this process has no object store", because_zh="本进程未配置对象存储")
        return self.objects


class Service(Protocol):
    """What a slice's service class looks like from outside."""

    def __init__(self, toolbox: Toolbox) -> None: ...


S = TypeVar("S", bound=Service)


class Services:
    """Makes each service once, on first use."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox
        self._made: dict[type[Any], Any] = {}

    def get(self, service: type[S]) -> S:
        made: S | None = self._made.get(service)
        if made is None:
            made = self._made[service] = service(self.toolbox)
        return made
