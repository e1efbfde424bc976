"""Objects: bytes under a key, sent and fetched by those who hold a short-lived signed URL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Protocol

from backend.kit.errors import invalid, unavailable
from backend.kit.words import in_chinese

MOST_BYTES: Final = 100 * 1024 * 1024
UPLOAD_S: Final = 900
DOWNLOAD_S: Final = 300

OBJECT_TOO_LARGE = invalid(
    "OBJECT_TOO_LARGE",
    en="A file has 1 to {most} bytes; this one has {size}.",
    zh="文件须为 1 至 {most} 字节，收到 {size} 字节。",
)
OBJECT_EMPTY = invalid(
    "OBJECT_EMPTY",
    en="The file is empty ({size} bytes); choose one that has something in it.",
    zh="文件为空（{size} 字节）；请选择有内容的文件。",
)
in_chinese({"size": "大小"})
OBJECT_DIFFERS = invalid(
    "OBJECT_DIFFERS",
    en="What was uploaded is not what was announced: {what} is {found}, announced was {announced}. Upload it again.",
    zh="上传内容与声明不符：{what_zh}为 {found}，声明为 {announced}。请重新上传。",
)
OBJECT_MISSING = invalid(
    "OBJECT_MISSING",
    en="Nothing has been uploaded yet; PUT the file to the upload URL first.",
    zh="尚未上传文件；请先将文件 PUT 至上传地址。",
)
OBJECTS_UNAVAILABLE = unavailable(
    "OBJECTS_UNAVAILABLE",
    en="The object store does not answer: {because}. Try again.",
    zh="对象存储没有响应：{because}。请重试。",
)


@dataclass(frozen=True, slots=True)
class Announced:
    """What somebody is about to upload: size (bytes), media type and sha256 (hex) are conditions of the upload."""

    key: str
    size: int
    media_type: str
    sha256: str


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request that its holder may make until it expires; the headers belong to what is signed."""

    method: str
    url: str
    headers: dict[str, str]


class ObjectStore(Protocol):
    """Where objects are kept. Keys are chosen by the caller and name the content, so an object is never changed."""

    def upload(self, announced: Announced) -> SignedRequest:
        """A request that uploads exactly what was announced."""

    def download(self, key: str, file_name: str, media_type: str) -> SignedRequest:
        """A request that fetches an object under a file name."""

    async def verify(self, announced: Announced) -> None:
        """Whether the object is there and is what was announced. Errors: OBJECT_MISSING, OBJECT_DIFFERS."""

    async def fetch(self, key: str, path: Path) -> None:
        """Copy an object into a file. Errors: OBJECT_MISSING."""

    async def put(self, announced: Announced, path: Path) -> None:
        """Keep a file of our own as an object."""

    async def delete(self, key: str) -> None:
        """Forget an object; harmless when there is none."""

    async def protect(self, key: str, *, keep_until: date | None, legal_hold: bool) -> None:
        """Let the store itself refuse to forget an object, where it can: up to a day, and while it is on hold."""
