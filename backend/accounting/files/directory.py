"""Which stream the words of a row mean."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain.imports import SOURCE_IS_ELSEWHERE, UNKNOWN_SOURCE
from backend.accounting.domain.sources import Cadence, Category, DirectKind, Flow, may_be_negative, no_stream
from backend.accounting.files.understood import StreamEntry
from backend.kit.errors import CodedError
from backend.kit.text import clean

_TOLD: Final = 5


class Directory:
    """Sources and streams by the names people call them: codes first, then names in either language.

    `rows` as the repository answers them; `home` is where rows belong that name no organisation, and `code` what
    it is called.
    """

    def __init__(self, rows: Iterable[Any], home: UUID, code: str) -> None:
        self._home, self._code = home, code
        self._organisations: dict[str, UUID] = {}
        self._sources: dict[tuple[UUID, str], UUID] = {}
        self._streams: dict[UUID, list[tuple[frozenset[str], StreamEntry]]] = {}
        self._codes: dict[UUID, str] = {}
        by_name: list[Any] = []
        for row in rows:
            self._organisations.setdefault(_fold(row.organisation_code), row.organisation_id)
            self._codes[row.organisation_id] = row.organisation_code
            self._sources.setdefault((row.organisation_id, _fold(row.source_code)), row.source_id)
            names = frozenset(_fold(n) for n in (row.stream_code, row.material, row.stream_zh, row.stream_en) if n)
            self._streams.setdefault(row.source_id, []).append((names, _entry(row)))
            by_name.append(row)
        for row in by_name:  # a name never takes the place of a code
            for name in (row.organisation_zh, row.organisation_en):
                self._organisations.setdefault(_fold(name), row.organisation_id)
            for name in (row.source_zh, row.source_en):
                self._sources.setdefault((row.organisation_id, _fold(name)), row.source_id)

    def resolve(self, organisation: str, source: str, stream: str) -> StreamEntry:
        """Errors: UNKNOWN_SOURCE (also when the organisation is unknown or out of reach), SOURCE_IS_ELSEWHERE,
        STREAM_NOT_CHOSEN, UNKNOWN_STREAM.
        """
        where = self._organisations.get(_fold(organisation)) if organisation else self._home
        found = self._sources.get((where, _fold(source))) if where else None
        if found is None and not organisation:
            found = self._only(_fold(source))
        if found is None:
            raise self._no_source(organisation or self._code, source)
        entries = self._streams[found]
        fitting = [e for names, e in entries if not stream or _fold(stream) in names]
        if len(fitting) > 1:
            fitting = [e for e in fitting if e.code == stream]
        if len(fitting) != 1:
            raise no_stream(stream if not fitting else "", source, [e.code for _, e in entries])
        return fitting[0]

    def _no_source(self, organisation: str, source: str) -> CodedError:
        """That an organisation has no such source; which others have one, of those that the import may reach."""
        having = {where for where, name in self._sources if name == _fold(source)}
        place = {"source": source[:60], "organisation": organisation[:60]}
        if not having:
            return UNKNOWN_SOURCE(path=("source",), **place)
        codes = sorted(self._codes[where] for where in having)
        told = ", ".join(codes[:_TOLD]) + (" …" if len(codes) > _TOLD else "")
        return SOURCE_IS_ELSEWHERE(path=("source",), elsewhere=told, **place)

    def _only(self, source: str) -> UUID | None:
        """The source of that name where no other organisation below home has one."""
        named = {found for (_, name), found in self._sources.items() if name == source}
        return named.pop() if len(named) == 1 else None


@functools.lru_cache(maxsize=65536)
def _fold(written: str | None) -> str:
    return clean(written or "").casefold()


def _entry(row: Any) -> StreamEntry:
    kind = DirectKind(row.direct_kind) if row.direct_kind else None
    return StreamEntry(
        id=row.stream_id,
        source_id=row.source_id,
        organisation_id=row.organisation_id,
        code=row.stream_code,
        unit=row.unit,
        gas=row.gas,
        cadence=Cadence(row.cadence),
        may_be_negative=may_be_negative(Category(row.category), kind, Flow(row.flow)),
    )
