"""Which object store this installation has: S3 by settings, else files in the state folder."""

from __future__ import annotations

from backend.config import ApiSettings, ObjectSettings, StateSettings
from backend.kit.clock import Clock
from backend.kit.objects.files import FileStore
from backend.kit.objects.s3 import S3Store


def open_objects(clock: Clock, public_url: str | None = None) -> FileStore | S3Store:
    """By the environment; nothing is called before the first object is. `public_url`: where files are served from."""
    settings = ObjectSettings()
    if settings.bucket is None:
        return FileStore(StateSettings().state_dir / "objects", public_url or ApiSettings().public_url, clock)
    return S3Store(
        settings.bucket,
        endpoint=settings.endpoint,
        region=settings.region,
        access_key=settings.access_key,
        secret_key=settings.secret_key,
        locking=settings.locking,
    )
