"""Use cases on imports: ask for one, carry it out, look at what became of it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import polars as pl

from backend.accounting.domain.activity import (
    MONTH_ALREADY_RECORDED,
    Batch,
    as_recorded,
    month_is_derived,
    new_batch_id,
    slot,
)
from backend.accounting.domain.imports import ActivityImport, ImportMode, ImportState, NewImport, Refusal
from backend.accounting.domain.inventories import PERIOD_LOCKED
from backend.accounting.domain.records import RESULT_OVERLAPS, BatchOrigin
from backend.accounting.domain.sources import Cadence
from backend.accounting.files.directory import Directory
from backend.accounting.files.headers import ROW
from backend.accounting.files.refused import write_errors
from backend.accounting.files.tables import read_parts
from backend.accounting.files.understood import Resolve, Understood, understand
from backend.accounting.repository import activity as activity_rows
from backend.accounting.repository import imports as rows
from backend.accounting.repository import inventories as inventory_rows
from backend.accounting.repository import measurements as measured_rows
from backend.accounting.repository import sources as source_rows
from backend.accounting.repository.coefficients import counting_gases
from backend.accounting.repository.frames import in_order, lines_of, packs_of
from backend.accounting.service.coefficients import ensure_coefficients
from backend.accounting.service.made_files import keep_csv
from backend.evidence.domain import Document
from backend.evidence.service import EvidenceReader
from backend.kit.database import RollBack, UnitOfWork
from backend.kit.errors import CodedError, code_named
from backend.kit.ids import global_id, uuid7
from backend.kit.jobs.outbox import enqueue
from backend.kit.pages import Page, PageRequest
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require, require_organisation
from tenants.commands import Actor, Change, Done, perform

JOB: Final = "accounting.import"
Report = Callable[[int, int, str], Awaitable[None]]
_ASKED_AT_ONCE: Final = 50_000
STEPS: Final = 4


@dataclass(slots=True)
class Read:
    """A file as it was understood before the database was asked, or why it could not be read at all."""

    asked: ActivityImport
    understood: Understood | None
    problem: CodedError | None = None


class ImportService:
    """Activity from files, in the background."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def ask(self, actor: Actor, new: NewImport) -> Done[ActivityImport]:
        """Import a stored document into an organisation and all below it. The same file again is the same import.

        Errors: NOT_FOUND, FORBIDDEN, DOCUMENT_STATE.
        """

        async def work(change: Change) -> ActivityImport:
            await change.require(Permission.EMISSION_RECORD, new.organisation_id)
            await require_organisation(change.unit, new.organisation_id, "organisationId")
            document = await EvidenceReader.stored(change.unit, new.document_id)
            await change.require(Permission.EMISSION_READ, document.organisation_id)
            await rows.close_broken(change.unit, self.toolbox.clock.now())
            earlier = await rows.same_file(change.unit, new.organisation_id, document.sha256, new.sheet)
            if earlier is not None:
                raise RollBack(Done(earlier, replayed=True))
            key = uuid7()
            job_id = await enqueue(
                change.unit,
                JOB,
                {"import_id": key},
                organisation_id=new.organisation_id,
                created_by=actor.principal.member_id,
            )
            made = ActivityImport(
                id=key,
                organisation_id=new.organisation_id,
                document_id=document.id,
                sheet=new.sheet,
                mode=new.mode,
                state=ImportState.QUEUED,
                job_id=job_id,
                rows=None,
                stored=None,
                present=None,
                refused=None,
                problem=None,
                error_document_id=None,
                sha256=document.sha256,
                asked_by=actor.principal.member_id,
                created_at=self.toolbox.clock.now(),
                finished_at=None,
            )
            if not await rows.insert(change.unit, made):
                # Somebody asked for the same at the same moment: their import it is, and no second job.
                first = await rows.same_file(change.unit, new.organisation_id, document.sha256, new.sheet)
                raise RollBack(Done(first, replayed=True))
            await change.audit("ActivityImport", key, new.organisation_id, after=made)
            return made

        done = await perform(self.toolbox, actor, "importActivity", new, ActivityImport, work)
        self.toolbox.wake_relay()
        return done

    async def read(self, tenant_id: UUID, key: UUID, report: Report) -> Read:
        """Fetch the file and understand its rows; writes nothing."""
        async with self.toolbox.database.read(tenant_id) as session:
            asked = (await rows.imports(session, [key]))[key]
            document = await EvidenceReader.stored(session, asked.document_id)
            home = asked.organisation_id
            directory = Directory(await rows.directory(session, home), home, await rows.code_of(session, home))
        await report(1, STEPS, "fetching")
        async with self._file(tenant_id, document) as path:
            await report(2, STEPS, "understanding")
            parts = read_parts(path, document.file_name, asked.sheet)
            today = self.toolbox.clock.today()
            try:
                understood = await asyncio.to_thread(_understood, parts, directory.resolve, today)
            except CodedError as error:
                return Read(asked, None, error)
        return Read(asked, understood)

    @asynccontextmanager
    async def _file(self, tenant_id: UUID, document: Document) -> AsyncIterator[Path]:
        """The content of a document as a file, for as long as it is needed."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            await EvidenceReader.fetch(self.toolbox, tenant_id, document, path)
            yield path

    async def store(self, unit: UnitOfWork, read: Read) -> dict[str, Any]:
        """Judge what only the database knows, keep the good rows, list the others; the import is finished with it.

        Errors: PERIOD_LOCKED and the like when another writer was faster; then nothing is kept.
        """
        finished = {"finished_at": self.toolbox.clock.now()}
        if read.problem is not None or read.understood is None:
            assert read.problem is not None
            problem = {"code": read.problem.code.name, "params": {k: str(v) for k, v in read.problem.params.items()}}
            await rows.finish(unit, read.asked.id, state=ImportState.FAILED.value, problem=problem, **finished)
            return {"state": ImportState.FAILED.value}
        # A copy: this may be run again when writers met.
        understood = replace(read.understood, refusals=list(read.understood.refusals))
        months = await asyncio.to_thread(_months_of, understood.lines)
        present = await _leave_out_what_is_there(unit, understood, months)
        await _refuse_what_the_database_knows(unit, understood, months)
        refused = understood.refused
        none = read.asked.mode is ImportMode.ALL_OR_NOTHING and refused.height > 0
        stored = 0 if none else understood.lines.height
        if stored:
            await _keep(unit, understood, read.asked.asked_by)
        errors = await self._list_errors(unit, read, refused, whole=none) if refused.height else None
        state = ImportState.REFUSED if none else ImportState.DONE
        counts = {"rows": understood.rows, "stored": stored, "present": present, "refused": refused.height}
        await rows.finish(
            unit, read.asked.id, state=state.value, error_document_id=errors and errors.id, **counts, **finished
        )
        return {"state": state.value, **counts}

    async def _list_errors(self, unit: UnitOfWork, read: Read, refused: pl.DataFrame, *, whole: bool) -> Document:
        """Keep the refusals, each with what its cell says. The file of the refused rows with what was wrong, to be
        corrected and sent again; of all rows where none was stored.
        """
        assert unit.tenant_id is not None
        source = await EvidenceReader.stored(unit, read.asked.document_id)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "errors.csv"
            async with self._file(unit.tenant_id, source) as file:
                parts = read_parts(file, source.file_name, read.asked.sheet)
                cells = await asyncio.to_thread(write_errors, path, parts, refused, whole=whole)
            await rows.insert_refusals(unit, read.asked.id, refused.join(cells, on=ROW, how="left"))
            name = f"{Path(source.file_name).stem[:150]}-{'全部行' if whole else '错误行'}.csv"
            asked = read.asked
            return await keep_csv(self.toolbox, unit, path, name, asked.organisation_id, asked.asked_by)

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, ActivityImport]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.imports(session, keys, principal)

    async def page(
        self, principal: Principal, organisation_id: UUID | None, request: PageRequest
    ) -> Page[ActivityImport]:
        """Errors: NOT_FOUND, FORBIDDEN for an organisation out of reach."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            if organisation_id is not None:
                await require(session, principal, Permission.EMISSION_READ, organisation_id)
            return await rows.page(session, principal, organisation_id, request)

    async def refusals(self, principal: Principal, key: UUID, request: PageRequest) -> Page[Refusal]:
        """The refused rows of an import the caller was given already."""
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.page_of_refusals(session, key, request)


def _understood(parts: Iterator[pl.DataFrame], resolve: Resolve, today: date) -> Understood:
    """The rows of a file, its lines in the order they are packed in: whoever takes some away leaves the others so."""
    understood = understand(parts, resolve, today)
    understood.lines = in_order(understood.lines)
    return understood


def _months_of(lines: pl.DataFrame) -> pl.DataFrame:
    """Stream and month, each once."""
    return lines.select("stream", pl.col("day").dt.month_start().alias("month")).unique()


async def _leave_out_what_is_there(unit: UnitOfWork, understood: Understood, months: pl.DataFrame) -> int:
    """Take away the rows that say what a current record says already, as often as it is recorded; how many."""
    lines = understood.lines
    asked = await _in_recorded_months(unit, understood, months)
    there: list[tuple[Any, ...]] = []
    number = {s.id: n for n, s in enumerate(understood.streams)}
    for part in asked.iter_slices(_ASKED_AT_ONCE):
        said = [(understood.streams[n].id, day, quantity) for n, day, quantity in part.iter_rows()]
        there += [
            (batch, number[stream], day, quantity, times)
            for stream, day, quantity, batch, times in await activity_rows.said(unit, said, understood.batches)
        ]
    if not there:
        return 0
    same = ["batch", "stream", "day", "quantity"]
    schema: dict[str, Any] = {**{name: lines.schema[name] for name in same}, "times": pl.Int64}
    nth = pl.int_range(pl.len()).over(same).alias("nth")
    times = pl.DataFrame(there, schema=schema, orient="row")
    known = lines.with_columns(nth).join(times, on=same, how="left", maintain_order="left")
    understood.lines = known.filter(pl.col("nth") >= pl.col("times").fill_null(0)).select(lines.columns)
    return lines.height - understood.lines.height


async def _in_recorded_months(unit: UnitOfWork, understood: Understood, months: pl.DataFrame) -> pl.DataFrame:
    """Stream, day and quantity of the lines in months of their stream that something was recorded for, each once."""
    number = {s.id: n for n, s in enumerate(understood.streams)}
    wanted = [(understood.streams[n].id, first) for n, first in months.iter_rows()]
    found = await activity_rows.recorded_months(unit, wanted, understood.batches) if wanted else []
    recorded = [(number[key], first) for key, first in found]
    there = pl.DataFrame(recorded, schema=months.schema, orient="row")
    if there.is_empty():
        return understood.lines.head(0)
    month = pl.col("day").dt.month_start().alias("month")
    asked = understood.lines.select("stream", "day", "quantity", month).join(there, on=months.columns, how="semi")
    return asked.drop("month").unique().sort("stream", "day")


async def _refuse_what_the_database_knows(unit: UnitOfWork, understood: Understood, months: pl.DataFrame) -> None:
    """Streams without a coefficient, months that are declared, months and days that are recorded already."""
    await _refuse_what_is_locked(unit, understood)
    await _refuse_what_is_derived(unit, understood)
    await _refuse_what_has_no_factor(unit, understood, months)
    declared = await rows.declared_of(unit, list({s.source_id for s in understood.streams}))
    with_declared = {source for source, _ in declared}
    asked = {
        (understood.streams[n].id, month): n
        for n, month in months.iter_rows()
        if understood.streams[n].source_id in with_declared
    }
    clashes = [
        ((n, month), RESULT_OVERLAPS(gas=gas, earlier=f"DECLARED {month:%Y-%m}"))
        for (key, month), gases in (await counting_gases(unit, asked)).items()
        for n in (asked[key, month],)
        for gas in sorted(gases)
        if month in declared.get((understood.streams[n].source_id, gas), ())
    ]
    _refuse(understood, list(dict(clashes).items()), ("stream", "month"))
    often = [n for n, s in enumerate(understood.streams) if s.cadence is Cadence.EVENT]
    limited = list(months.filter(~pl.col("stream").is_in(often)).iter_rows())
    number = {understood.streams[s].id: s for s, _ in limited}
    taken = await activity_rows.taken(unit, [(understood.streams[s].id, m) for s, m in limited])
    _refuse(understood, list(_already(understood, taken, number, Cadence.MONTHLY)), ("stream", "month"))
    _refuse(understood, list(_already(understood, taken, number, Cadence.DAILY)), ("stream", "day"))


async def _refuse_what_is_derived(unit: UnitOfWork, understood: Understood) -> None:
    number = {s.id: n for n, s in enumerate(understood.streams)}
    derived = [
        ((n, month), month_is_derived(BatchOrigin(cause), understood.streams[n].code, month))
        for (key, month), cause in (await measured_rows.derived_months(unit, list(number))).items()
        for n in (number[key],)
    ]
    _refuse(understood, derived, ("stream", "month"))


async def _refuse_what_is_locked(unit: UnitOfWork, understood: Understood) -> None:
    frozen = await inventory_rows.frozen(unit, list({s.organisation_id for s in understood.streams}))
    locked = [
        ((n, month), PERIOD_LOCKED(period=found.period, state=found.state))
        for found in frozen
        for n, stream in enumerate(understood.streams)
        if stream.organisation_id == found.organisation_id
        for month in found.each_month
    ]
    _refuse(understood, locked, ("stream", "month"))


def _already(
    understood: Understood, taken: list[tuple[UUID, date, UUID]], number: dict[UUID, int], cadence: Cadence
) -> Iterator[tuple[tuple[int, date], CodedError]]:
    seen: set[tuple[Any, ...]] = set()
    for stream_id, day, record in taken:
        stream = understood.streams[number[stream_id]]
        key = (stream_id, slot(cadence, day))
        if stream.cadence is cadence and key not in seen:
            seen.add(key)
            when = day.replace(day=1) if cadence is Cadence.MONTHLY else day
            error = MONTH_ALREADY_RECORDED(
                stream=stream.code,
                cadence=cadence,
                when=as_recorded(cadence, when),
                earlier=global_id("ActivityRecord", record),
            )
            yield (number[stream_id], when), error


async def _refuse_what_has_no_factor(unit: UnitOfWork, understood: Understood, months: pl.DataFrame) -> None:
    streams = await source_rows.streams(unit, [s.id for s in understood.streams])
    years = months.select("stream", pl.col("month").dt.year().alias("year")).unique()
    number = {s.id: n for n, s in enumerate(understood.streams)}
    missing = await ensure_coefficients(
        unit, ((streams[understood.streams[s].id], year) for s, year in years.iter_rows())
    )
    _refuse(understood, [((number[s], year), error) for (s, year), error in missing.items()], ("stream", "year"))


def _refuse(understood: Understood, bad: list[tuple[tuple[int, Any], CodedError]], on: tuple[str, str]) -> None:
    if not bad:
        return
    kinds: dict[str, Any] = {"stream": pl.UInt32, "month": pl.Date, "day": pl.Date, "year": pl.Int32}
    keys = pl.DataFrame(
        [(*key, n) for n, (key, _) in enumerate(bad)],
        schema={on[0]: kinds[on[0]], on[1]: kinds[on[1]], "problem": pl.UInt32},
        orient="row",
    )
    day = pl.col("day")
    extra = {"month": day.dt.month_start(), "year": day.dt.year(), "day": day}[on[1]]
    columns = understood.lines.columns
    understood.lines = understood.lines.with_columns(extra.alias(on[1]))
    understood.refuse(keys, list(on), "month", [error for _, error in bad])
    understood.lines = understood.lines.select(columns)


async def _keep(unit: UnitOfWork, understood: Understood, member: UUID) -> None:
    batches = [Batch(new_batch_id(), *words, origin=BatchOrigin.IMPORT) for words in understood.batches]
    batch_ids = [b.id for b in batches]
    parts = packs_of(understood.lines, [s.id for s in understood.streams], batch_ids)
    await activity_rows.store_parts(unit, batches, lines_of(understood.lines, batch_ids), parts, member)


def message_of(refusal: Refusal, locale: Any) -> str:
    """What was wrong with a row, in a language."""
    error = code_named(refusal.code)(**refusal.params)
    return error.message(locale)


def problem_of(asked: ActivityImport) -> CodedError | None:
    """Why a file could not be read."""
    if asked.problem is None:
        return None
    return code_named(asked.problem["code"])(**asked.problem["params"])
