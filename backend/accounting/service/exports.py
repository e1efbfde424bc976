"""Use cases on exports: ask for one, write its file, look at it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from backend.accounting.domain.exports import ActivityExport, NewExport
from backend.accounting.files.writer import HEADERS, csv_file
from backend.accounting.repository import exports as rows
from backend.accounting.service.made_files import keep_csv
from backend.kit.database import UnitOfWork
from backend.kit.ids import uuid7
from backend.kit.jobs.outbox import enqueue
from backend.kit.toolbox import Toolbox
from tenants.access import Permission, Principal, require_organisation
from tenants.commands import Actor, Change, Done, perform

JOB: Final = "accounting.export"


class ExportService:
    """Activity into files, in the background."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox = toolbox

    async def ask(self, actor: Actor, new: NewExport) -> Done[ActivityExport]:
        """Export the activity of an organisation and all below it.

        Errors: NOT_FOUND, FORBIDDEN, MONTH_OUT_OF_RANGE, EXPORT_PERIOD.
        """
        checked = new.checked(self.toolbox.clock.today())

        async def work(change: Change) -> ActivityExport:
            await change.require(Permission.EMISSION_READ, checked.organisation_id)
            await require_organisation(change.unit, checked.organisation_id, "organisationId")
            key, member = uuid7(), actor.principal.member_id
            job_id = await enqueue(
                change.unit, JOB, {"export_id": key}, organisation_id=checked.organisation_id, created_by=member
            )
            made = ActivityExport(
                id=key,
                organisation_id=checked.organisation_id,
                first_month=checked.first_month,
                last_month=checked.last_month,
                job_id=job_id,
                rows=None,
                document_id=None,
                asked_by=member,
                created_at=self.toolbox.clock.now(),
                finished_at=None,
            )
            await rows.insert(change.unit, made)
            await change.audit("ActivityExport", key, checked.organisation_id, after=made)
            return made

        done = await perform(self.toolbox, actor, "exportActivity", checked, ActivityExport, work)
        self.toolbox.wake_relay()
        return done

    async def write(self, tenant_id: UUID, key: UUID, path: Path) -> tuple[ActivityExport, int]:
        """Write the file; what was asked for, and how many rows there are. Writes nothing else."""
        async with self.toolbox.database.snapshot(tenant_id) as session:
            asked = (await rows.exports(session, [key]))[key]
            count = 0
            with csv_file(path, list(HEADERS.values())) as write:
                async for line in rows.lines(session, asked):
                    write(line)
                    count += 1
        return asked, count

    async def store(self, unit: UnitOfWork, asked: ActivityExport, count: int, path: Path) -> dict[str, Any]:
        """Keep the file; the export is finished with it."""
        months = f"{asked.first_month:%Y-%m}—{asked.last_month:%Y-%m}"
        name = f"活动数据 {months}.csv"
        document = await keep_csv(self.toolbox, unit, path, name, asked.organisation_id, asked.asked_by)
        now = self.toolbox.clock.now()
        await rows.finish(unit, asked.id, rows=count, document_id=document.id, finished_at=now)
        return {"rows": count}

    async def by_ids(self, principal: Principal, keys: Sequence[UUID]) -> dict[UUID, ActivityExport]:
        async with self.toolbox.database.read(principal.tenant_id) as session:
            return await rows.exports(session, keys, principal)
