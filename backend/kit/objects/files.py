"""Objects as files under one folder, behind URLs that we sign ourselves: the default of an installation of one machine.

A file is written beside its place, made durable and renamed, so an object is there whole or not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import secrets
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from backend.kit.clock import Clock
from backend.kit.objects.store import (
    DOWNLOAD_S,
    OBJECT_DIFFERS,
    OBJECT_MISSING,
    UPLOAD_S,
    Announced,
    SignedRequest,
)

PATH: Final = "/objects"
_CHUNK: Final = 1 << 20


class FileStore:
    """Objects under `folder`, reached through `public_url`; the secret of the signatures lies beside them."""

    def __init__(self, folder: Path, public_url: str, clock: Clock) -> None:
        self.folder = folder
        self._public_url = public_url.rstrip("/")
        self._clock = clock
        self._key: bytes | None = None

    def upload(self, announced: Announced) -> SignedRequest:
        """Valid for a quarter of an hour."""
        signed = {"size": str(announced.size), "type": announced.media_type, "sha256": announced.sha256}
        url = self._url("PUT", announced.key, signed, UPLOAD_S)
        return SignedRequest("PUT", url, {"content-type": announced.media_type})

    def download(self, key: str, file_name: str, media_type: str) -> SignedRequest:
        """Valid for five minutes."""
        return SignedRequest("GET", self._url("GET", key, {"name": file_name, "type": media_type}, DOWNLOAD_S), {})

    async def verify(self, announced: Announced) -> None:
        path = self.path(announced.key)
        if not path.exists():
            raise OBJECT_MISSING()
        found = await asyncio.to_thread(_digest, path)
        if found != announced.sha256:
            raise OBJECT_DIFFERS(what="sha256", found=found, announced=announced.sha256)

    async def fetch(self, key: str, path: Path) -> None:
        source = self.path(key)
        if not source.exists():
            raise OBJECT_MISSING()
        await asyncio.to_thread(shutil.copyfile, source, path)

    async def put(self, announced: Announced, path: Path) -> None:
        part = self._part(announced.key)
        await asyncio.to_thread(shutil.copyfile, path, part)
        await asyncio.to_thread(_settle, part, self.path(announced.key))

    async def delete(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)

    async def protect(self, key: str, *, keep_until: date | None, legal_hold: bool) -> None:
        """A folder has no lock of its own: the database alone holds what must stay."""

    def path(self, key: str) -> Path:
        """Keys are made by us, of hexadecimal digits, dashes and slashes."""
        return self.folder / key

    def routes(self) -> list[Route]:
        """Where the signed URLs lead."""
        return [Route(PATH + "/{key:path}", self._serve, methods=["GET", "PUT"])]

    async def _serve(self, request: Request) -> Response:
        key, query = request.path_params["key"], dict(request.query_params)
        signature, expires = query.pop("signature", ""), query.get("expires", "0")
        expected = self._signature(request.method if request.method != "HEAD" else "GET", key, query)
        if not hmac.compare_digest(signature, expected):
            return _problem(403, "SIGNATURE_REFUSED", "The URL was not signed by this installation, or was changed.")
        if int(expires) < self._clock.now().timestamp():
            return _problem(403, "URL_EXPIRED", "The URL has expired; ask for another.")
        return await (self._take(request, key, query) if request.method == "PUT" else self._give(key, query))

    async def _give(self, key: str, query: Mapping[str, str]) -> Response:
        path = self.path(key)
        if not path.exists():
            return _problem(404, "OBJECT_MISSING", "There is no such object.")
        # Never shown inside a page of ours, whatever it claims to be.
        safe = {"x-content-type-options": "nosniff", "content-security-policy": "sandbox", "cache-control": "private"}
        return FileResponse(path, filename=query.get("name"), media_type=query.get("type"), headers=safe)

    async def _take(self, request: Request, key: str, query: Mapping[str, str]) -> Response:
        size, part = int(query["size"]), self._part(key)
        if request.headers.get("content-type", "") != query["type"]:
            return _problem(400, "OBJECT_DIFFERS", f"The content type must be {query['type']}.")
        digest, received = hashlib.sha256(), 0
        try:
            with part.open("wb") as file:
                async for chunk in request.stream():
                    received += len(chunk)
                    if received > size:
                        break
                    digest.update(chunk)
                    await asyncio.to_thread(file.write, chunk)
            if received != size:
                return _problem(400, "OBJECT_DIFFERS", f"The file must have {size} bytes; {received} were received.")
            if digest.hexdigest() != query["sha256"]:
                return _problem(400, "OBJECT_DIFFERS", f"The sha256 must be {query['sha256']}.")
            await asyncio.to_thread(_settle, part, self.path(key))
        except ClientDisconnect:
            return _problem(400, "OBJECT_DIFFERS", "The upload was broken off.")
        finally:
            part.unlink(missing_ok=True)
        return Response(status_code=200)

    def _part(self, key: str) -> Path:
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(f".{path.name}.{secrets.token_hex(8)}")

    def _url(self, method: str, key: str, signed: Mapping[str, str], seconds: int) -> str:
        query = {**signed, "expires": str(int(self._clock.now().timestamp()) + seconds)}
        query["signature"] = self._signature(method, key, query)
        return f"{self._public_url}{PATH}/{quote(key)}?{urlencode(query)}"

    def _signature(self, method: str, key: str, query: Mapping[str, str]) -> str:
        message = "\n".join((method, key, urlencode(sorted(query.items()))))
        return hmac.new(self._secret(), message.encode(), hashlib.sha256).hexdigest()

    def _secret(self) -> bytes:
        """Made on first use; of several processes that make it at once, one wins."""
        if self._key is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            place, part = self.folder / ".secret", self.folder / f".secret.{secrets.token_hex(8)}"
            if not place.exists():
                part.touch(mode=0o600)
                part.write_bytes(secrets.token_bytes(32))
                with contextlib.suppress(FileExistsError):
                    os.link(part, place)
                part.unlink()
            self._key = place.read_bytes()
        return self._key


def _settle(part: Path, place: Path) -> None:
    descriptor = os.open(part, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    part.replace(place)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _problem(status: int, code: str, detail: str) -> Response:
    return JSONResponse({"code": code, "detail": detail}, status_code=status, media_type="application/problem+json")
