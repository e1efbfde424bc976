"""Documents: files that prove a number, named by what they contain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from backend.kit.errors import conflict, invalid
from backend.kit.objects.store import MOST_BYTES, OBJECT_EMPTY, OBJECT_TOO_LARGE, Announced
from backend.kit.text import tidy
from backend.kit.words import members_in_chinese, things_in_chinese

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,100}")
MOST_NAME: Final = 200

BAD_DOCUMENT = invalid(
    "BAD_DOCUMENT",
    en="The {field} of the document is not usable: '{written}'; {right}.",
    zh="文件的 {field} 无法使用：“{written}”；{right_zh}。",
)
DOCUMENT_STATE = conflict(
    "DOCUMENT_STATE",
    en="The document is {state}; this needs one that is {needed}.",
    zh="文件状态为 {state}；此操作需要状态 {needed}。",
)
DOCUMENT_IS_KEPT = conflict(
    "DOCUMENT_IS_KEPT",
    en="The document must stay: it is under legal hold, or kept until {keep_until}. A term can only be lengthened.",
    zh="文件须予保留：处于法律保全，或保存至 {keep_until}。保存期限只能延长。",
)
DOCUMENT_REPLACED = conflict(
    "DOCUMENT_REPLACED",
    en="Another document replaced this one already; replace its latest version.",
    zh="该文件已被另一文件替换；请替换其最新版本。",
)
SUBJECT_UNKNOWN = invalid(
    "SUBJECT_UNKNOWN",
    en="Documents cannot be attached to {type}; they can to: {known}.",
    zh="文件不能附于 {type}；可附于：{known}。",
)


things_in_chinese({"Document": "文件"})


class DocumentState(StrEnum):
    """How far a document is."""

    ANNOUNCED = "ANNOUNCED"
    """Its upload was allowed, not finished."""
    STORED = "STORED"
    """Its content is kept and was compared with what was announced."""
    WITHDRAWN = "WITHDRAWN"
    """It no longer proves anything; its content may be removed."""
    ABANDONED = "ABANDONED"
    """Its upload was never finished; what had come of it may be removed."""


members_in_chinese(DocumentState, {
    "ANNOUNCED": "待上传", "STORED": "已入库", "WITHDRAWN": "已撤回", "ABANDONED": "上传已放弃",
})  # fmt: skip
ABANDONED_AFTER: Final = timedelta(days=1)
"""How long an upload may take before it is given up; its URL is valid for a quarter of an hour."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: uploads given up, contents removed, contents left because other documents have them."""

    abandoned: int
    removed: int
    shared: int


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A file somebody is about to upload: size in bytes, digest as 64 hexadecimal digits."""

    organisation_id: UUID
    title: str
    file_name: str
    media_type: str
    size: int
    sha256: str
    replaces_id: UUID | None = None
    keep_until: date | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document of an organisation, and how long it must stay."""

    id: UUID
    organisation_id: UUID
    title: str
    file_name: str
    media_type: str
    size: int
    sha256: str
    replaces_id: UUID | None
    state: DocumentState
    keep_until: date | None
    legal_hold: bool
    withdrawn_because: str | None
    uploaded_by: UUID
    created_at: datetime
    stored_at: datetime | None
    content_removed_at: datetime | None = None

    def announced(self, tenant_id: UUID) -> Announced:
        """Its object: one for each content in a tenant, however many documents have it."""
        return Announced(f"{tenant_id}/{self.sha256}", self.size, self.media_type, self.sha256)


def checked_document(new: NewDocument) -> NewDocument:
    """Errors: BAD_DOCUMENT, OBJECT_EMPTY, OBJECT_TOO_LARGE."""
    if new.size <= 0:
        raise OBJECT_EMPTY(path=("size",), size=new.size)
    if new.size > MOST_BYTES:
        raise OBJECT_TOO_LARGE(path=("size",), size=new.size, most=MOST_BYTES)
    name = tidy(new.file_name)
    title = tidy(new.title) or name
    media_type, digest = new.media_type.strip().lower(), new.sha256.strip().lower()
    if not name or len(name) > MOST_NAME or "/" in name or "\\" in name:
        right, right_zh = f"1 to {MOST_NAME} characters, no slashes", f"1 至 {MOST_NAME} 个字符，不含斜杠"
        raise BAD_DOCUMENT(
            path=("fileName",), field="file name", field_zh="文件名", written=name[:60], right=right, right_zh=right_zh
        )
    if not _MEDIA_TYPE.fullmatch(media_type):
        right, right_zh = "write a media type such as application/pdf", "请写媒体类型，如 application/pdf"
        raise BAD_DOCUMENT(
            path=("mediaType",),
            field="media type",
            field_zh="媒体类型",
            written=media_type[:60],
            right=right,
            right_zh=right_zh,
        )
    if not _SHA256.fullmatch(digest):
        right, right_zh = "64 hexadecimal digits", "须为 64 位十六进制数"
        raise BAD_DOCUMENT(path=("sha256",), field="sha256", written=digest[:80], right=right, right_zh=right_zh)
    return NewDocument(
        new.organisation_id,
        title[:MOST_NAME],
        name,
        media_type,
        new.size,
        digest,
        new.replaces_id,
        new.keep_until,
    )
