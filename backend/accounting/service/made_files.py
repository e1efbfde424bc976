"""Files the system makes: kept as documents beside those that people bring."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Final
from uuid import UUID

from backend.evidence.domain import Document, DocumentState
from backend.evidence.service import keep_made
from backend.kit.database import UnitOfWork
from backend.kit.ids import uuid7
from backend.kit.toolbox import Toolbox

CSV: Final = "text/csv"


async def keep_csv(
    toolbox: Toolbox, unit: UnitOfWork, path: Path, name: str, organisation_id: UUID, made_for: UUID
) -> Document:
    """A stored document of the file, of the organisation, as if its member had brought it."""
    now = toolbox.clock.now()
    size, sha256 = await asyncio.to_thread(_measured, path)
    document = Document(
        id=uuid7(),
        organisation_id=organisation_id,
        title=name,
        file_name=name,
        media_type=CSV,
        size=size,
        sha256=sha256,
        replaces_id=None,
        state=DocumentState.STORED,
        keep_until=None,
        legal_hold=False,
        withdrawn_because=None,
        uploaded_by=made_for,
        created_at=now,
        stored_at=now,
    )
    await keep_made(toolbox, unit, document, path)
    return document


def _measured(path: Path) -> tuple[int, str]:
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
