"""The S3 store: signatures, dates, digests and sizes against Swift's s3api; locks against moto.

moto takes any signature, so it proves none; Swift knows no object lock. Each is asked for what it judges.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from backend.kit.errors import CodedError
from backend.kit.objects.s3 import S3Store
from backend.kit.objects.store import Announced, SignedRequest
from tests.fixtures.servers import folder, free_port, running

ROOT = Path(__file__).resolve().parents[2]
PDF = "application/pdf"
CONTENT = "一月份煤炭采购发票".encode()
KEY = hashlib.sha256(CONTENT).hexdigest()
ANNOUNCED = Announced(f"tenant/{KEY}", len(CONTENT), PDF, KEY)


def store(endpoint: str, secret: str = "testing") -> S3Store:
    return S3Store("evidence", endpoint=endpoint, region="us-east-1", access_key="test:tester", secret_key=secret)


@pytest.fixture(scope="module")
def swift() -> Iterator[S3Store]:
    port = free_port()
    with folder() as home:
        command = [sys.executable, "-W", "ignore", "-m", "tests.fixtures.swift_process", str(home), str(port)]
        with running(command, home, port, {"PYTHONPATH": str(ROOT)}):
            made = store(f"http://127.0.0.1:{port}")
            made._client.create_bucket(Bucket="evidence")
            yield made


def send(request: SignedRequest, content: bytes = CONTENT, url: str = "", media_type: str = PDF) -> tuple[int, str]:
    """What the store answers: status and code."""
    headers = request.headers | {"content-type": media_type}
    answer = httpx.request(request.method, url or request.url, content=content, headers=headers)
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]


def coded(work: Any) -> str:
    with pytest.raises(CodedError) as refused:
        asyncio.run(work)
    return refused.value.code.name


def test_from_upload_to_download(swift: S3Store, tmp_path: Path) -> None:
    asyncio.run(swift.delete(ANNOUNCED.key))
    assert coded(swift.verify(ANNOUNCED)) == "OBJECT_MISSING"
    assert send(swift.upload(ANNOUNCED))[0] == 200
    asyncio.run(swift.verify(ANNOUNCED))
    signed = swift.download(ANNOUNCED.key, "一月发票.pdf", PDF)
    answer = httpx.get(signed.url)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, CONTENT, PDF)
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''%E4%B8%80")
    asyncio.run(swift.fetch(ANNOUNCED.key, tmp_path / "fetched"))
    assert (tmp_path / "fetched").read_bytes() == CONTENT
    asyncio.run(swift.delete(ANNOUNCED.key))
    assert httpx.get(signed.url).status_code == 404


def test_only_what_was_announced_is_taken(swift: S3Store) -> None:
    asyncio.run(swift.delete(ANNOUNCED.key))
    request = swift.upload(ANNOUNCED)
    other = CONTENT[:-1] + b"x"
    digest = send(request, other)
    assert digest[0] == 400
    assert digest[1] == "BadDigest"
    assert send(request, CONTENT + b"x") == (403, "SignatureDoesNotMatch")
    assert send(request, CONTENT[:-1]) == (403, "SignatureDoesNotMatch")
    assert send(request, media_type="text/html") == (403, "SignatureDoesNotMatch")
    assert coded(swift.verify(ANNOUNCED)) == "OBJECT_MISSING"


def test_a_wrong_secret_and_a_changed_url_are_refused(swift: S3Store) -> None:
    endpoint = str(swift._client.meta.endpoint_url)
    stranger = store(endpoint, "guessed")
    assert send(stranger.upload(ANNOUNCED)) == (403, "SignatureDoesNotMatch")
    assert coded(stranger.verify(ANNOUNCED)) == "OBJECTS_UNAVAILABLE"
    request = swift.upload(ANNOUNCED)
    assert send(request, url=request.url.replace("X-Amz-Expires=900", "X-Amz-Expires=9000"))[0] == 403
    assert send(request, url=request.url.replace(KEY, "0" * 64))[0] == 403


def test_an_expired_url_is_refused(swift: S3Store) -> None:
    send(swift.upload(ANNOUNCED))
    url = swift._signed("get_object", ANNOUNCED.key, 5)
    assert httpx.get(url).status_code == 200
    threading.Event().wait(6.1)
    late = httpx.get(url)
    assert (late.status_code, "AccessDenied" in late.text) == (403, True)


def test_what_was_put_in_otherwise_is_noticed(swift: S3Store) -> None:
    swift._client.put_object(Bucket="evidence", Key=ANNOUNCED.key, Body=b"x" * len(CONTENT))
    assert coded(swift.verify(ANNOUNCED)) == "OBJECT_DIFFERS"


def test_nobody_there() -> None:
    assert coded(store(f"http://127.0.0.1:{free_port()}").verify(ANNOUNCED)) == "OBJECTS_UNAVAILABLE"


@pytest.fixture
def locking() -> Iterator[S3Store]:
    with mock_aws():
        made = S3Store("evidence", endpoint=None, region="us-east-1", access_key="a", secret_key="b", locking=True)
        made._client.create_bucket(Bucket="evidence", ObjectLockEnabledForBucket=True)
        made._client.put_object(Bucket="evidence", Key=ANNOUNCED.key, Body=CONTENT)
        yield made


def _delete_version(store: S3Store) -> None:
    version = store._client.head_object(Bucket="evidence", Key=ANNOUNCED.key)["VersionId"]
    store._client.delete_object(Bucket="evidence", Key=ANNOUNCED.key, VersionId=version)


def test_a_legal_hold_is_the_stores_own(locking: S3Store) -> None:
    asyncio.run(locking.protect(ANNOUNCED.key, keep_until=None, legal_hold=True))
    with pytest.raises(ClientError):
        _delete_version(locking)
    asyncio.run(locking.protect(ANNOUNCED.key, keep_until=None, legal_hold=False))
    _delete_version(locking)


def test_a_term_is_kept_to_the_end_of_its_day(locking: S3Store) -> None:
    asyncio.run(locking.protect(ANNOUNCED.key, keep_until=date(2099, 12, 31), legal_hold=False))
    found = locking._client.head_object(Bucket="evidence", Key=ANNOUNCED.key)
    assert found["ObjectLockMode"] == "COMPLIANCE"
    assert found["ObjectLockRetainUntilDate"] == datetime(2099, 12, 31, 16, tzinfo=UTC)
    with pytest.raises(ClientError):
        _delete_version(locking)


def test_without_lock_nothing_is_asked_of_the_store(locking: S3Store) -> None:
    plain = S3Store("evidence", endpoint=None, region="us-east-1", access_key="a", secret_key="b")
    asyncio.run(plain.protect(ANNOUNCED.key, keep_until=date(2099, 12, 31), legal_hold=True))
    found = plain._client.head_object(Bucket="evidence", Key=ANNOUNCED.key)
    assert not {"ObjectLockMode", "ObjectLockLegalHoldStatus"} & found.keys()
    _delete_version(plain)
