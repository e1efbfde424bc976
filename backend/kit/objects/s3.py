"""Objects in any store that speaks S3, by boto3. Clients talk to the store itself, with presigned requests."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from backend.kit.clock import REPORTING_ZONE
from backend.kit.objects.store import (
    DOWNLOAD_S,
    OBJECT_DIFFERS,
    OBJECT_MISSING,
    OBJECTS_UNAVAILABLE,
    UPLOAD_S,
    Announced,
    SignedRequest,
)

T = TypeVar("T")


class S3Store:
    """A bucket. boto3 blocks, so its calls run in threads; signing needs no call."""

    def __init__(
        self,
        bucket: str,
        *,
        endpoint: str | None,
        region: str,
        access_key: str,
        secret_key: str,
        locking: bool = False,
    ) -> None:
        self.bucket = bucket
        self._locking = locking
        client: Any = boto3.client
        config: Any = Config
        self._client: Any = client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if endpoint else "auto"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                connect_timeout=5,
                read_timeout=60,
            ),
        )

    def upload(self, announced: Announced) -> SignedRequest:
        """Size, type and digest are part of what is signed; a store that knows checksums compares them itself."""
        checksum = base64.b64encode(bytes.fromhex(announced.sha256)).decode()
        condition = {
            "ContentLength": announced.size,
            "ContentType": announced.media_type,
            "ChecksumSHA256": checksum,
        }
        url = self._signed("put_object", announced.key, UPLOAD_S, **condition)
        return SignedRequest("PUT", url, {"content-type": announced.media_type, "x-amz-checksum-sha256": checksum})

    def download(self, key: str, file_name: str, media_type: str) -> SignedRequest:
        shown = {
            "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(file_name)}",
            "ResponseContentType": media_type,
        }
        return SignedRequest("GET", self._signed("get_object", key, DOWNLOAD_S, **shown), {})

    async def verify(self, announced: Announced) -> None:
        """By reading it back: not every store that speaks S3 knows checksums."""

        def read() -> tuple[int, str]:
            digest, size = hashlib.sha256(), 0
            for chunk in self._client.get_object(Bucket=self.bucket, Key=announced.key)["Body"].iter_chunks(1 << 20):
                digest.update(chunk)
                size += len(chunk)
            return size, digest.hexdigest()

        size, sha256 = await self._run(read)
        if size != announced.size:
            raise OBJECT_DIFFERS(what="size", found=size, announced=announced.size)
        if sha256 != announced.sha256:
            raise OBJECT_DIFFERS(what="sha256", found=sha256, announced=announced.sha256)

    async def fetch(self, key: str, path: Path) -> None:
        await self._run(lambda: self._client.download_file(self.bucket, key, str(path)))

    async def put(self, announced: Announced, path: Path) -> None:
        extra = {"ContentType": announced.media_type}
        await self._run(lambda: self._client.upload_file(str(path), self.bucket, announced.key, ExtraArgs=extra))

    async def delete(self, key: str) -> None:
        await self._run(lambda: self._client.delete_object(Bucket=self.bucket, Key=key))

    async def protect(self, key: str, *, keep_until: date | None, legal_hold: bool) -> None:
        """By object lock, in a bucket that was made with it (`locking`); a term is kept in compliance mode."""
        if not self._locking:
            return
        named = {"Bucket": self.bucket, "Key": key}

        def lock() -> None:
            if keep_until is not None:
                until = datetime.combine(keep_until + timedelta(days=1), time(), REPORTING_ZONE).astimezone(UTC)
                retention = {"Mode": "COMPLIANCE", "RetainUntilDate": until}
                self._client.put_object_retention(**named, Retention=retention)
            self._client.put_object_legal_hold(**named, LegalHold={"Status": "ON" if legal_hold else "OFF"})

        await self._run(lock)

    def _signed(self, operation: str, key: str, seconds: int, **conditions: Any) -> str:
        parameters = {"Bucket": self.bucket, "Key": key, **conditions}
        return str(self._client.generate_presigned_url(operation, Params=parameters, ExpiresIn=seconds))

    async def _run(self, call: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(call)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
                raise OBJECT_MISSING() from error
            raise OBJECTS_UNAVAILABLE(because=str(error)[:200]) from error
        except BotoCoreError as error:
            raise OBJECTS_UNAVAILABLE(because=str(error)[:200]) from error
