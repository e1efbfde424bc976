"""The folder of one embedded server: its files, its locks, the way to its socket."""

import fcntl
import hashlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from backend.kit.embedded.errors import EmbeddedError

PORT = 5432  # only part of the socket's name: nothing listens on TCP
SOCKET_NAME = f".s.PGSQL.{PORT}"
LONGEST_SOCKET_PATH = 107  # bytes; the kernel's sockaddr_un holds 108 with the closing zero
LARGEST_LOG = 16 * 1024 * 1024  # bytes; a larger log is set aside when a server starts


@dataclass(frozen=True, slots=True)
class Home:
    """`STATE_DIR/postgres`, which only its owner can enter."""

    root: Path

    @classmethod
    def under(cls, state_dir: Path) -> "Home":
        return cls(state_dir.resolve() / "postgres")

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def unborn(self) -> Path:
        """Where initdb works: `data` appears whole, by one rename, or not at all."""
        return self.root / "data.new"

    @property
    def log(self) -> Path:
        return self.root / "postgres.log"

    @property
    def users_lock(self) -> Path:
        """Shared by every process that uses the server; exclusive while the last one is seen out."""
        return self.root / "users.lock"

    @property
    def start_lock(self) -> Path:
        """Held by the one process that brings a supervisor up or takes it down."""
        return self.root / "start.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Held by the supervisor for as long as it lives; the file names its pid."""
        return self.root / "supervisor.lock"

    @property
    def server_lock(self) -> Path:
        """Inherited by postgres and all its children: held exactly as long as one of them lives."""
        return self.root / "server.lock"

    def prepare(self) -> None:
        """Make the folder if it is absent. Raises STATE_UNUSABLE."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(self.root, error) from error

    def exists(self) -> bool:
        """Whether the folder is there. Raises STATE_UNUSABLE where only somebody else can tell."""
        try:
            os.scandir(self.root).close()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise unusable(self.root, error) from error
        return True

    def socket_dir(self) -> Path:
        """Name the data folder itself, or a short alias of it where the kernel could not take the long path.

        The socket lies in the data folder because PostgreSQL already refuses to serve a data folder that
        others can enter; whoever reaches the socket could have read the files.
        """
        if len(os.fsencode(self.data / SOCKET_NAME)) <= LONGEST_SOCKET_PATH:
            return self.data
        alias = _runtime_dir() / hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]
        if not alias.is_symlink() or alias.readlink() != self.data:
            fresh = alias.with_name(f"{alias.name}.{os.getpid()}")
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(self.data)
            fresh.replace(alias)
        return alias

    def forget_alias(self) -> None:
        if (alias := self.socket_dir()) != self.data:
            alias.unlink(missing_ok=True)

    def open_log(self) -> int:
        """Open the log for appending; an overgrown one becomes `postgres.log.1` first."""
        if self.log.exists() and self.log.stat().st_size > LARGEST_LOG:
            self.log.replace(self.log.with_suffix(".log.1"))
        return _open(self.log, os.O_WRONLY | os.O_APPEND)

    def supervisor_pid(self) -> int | None:
        """Say who supervises now. None also in the instant before a new supervisor has written its pid."""
        if not is_held(self.supervisor_lock, shared=True):
            return None
        written = self.supervisor_lock.read_text("ascii").strip()
        return int(written) if written else None

    def log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def log_tail(self, since: int = 0, lines: int = 12) -> str:
        """Read the last lines that the server wrote after byte `since`."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(max(since, self.log_size() - 64 * 1024))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def unusable(path: Path, error: OSError) -> EmbeddedError:
    return EmbeddedError(
        "STATE_UNUSABLE",
        f"{path} cannot be used by uid {os.geteuid()} ({error.strerror}); "
        "give a state folder that this user owns, or run as the user who made it",
    )


def hold(path: Path, *, shared: bool = False, patience_s: float = 0.0) -> int | None:
    """Lock a file, or None when others hold it for longer than `patience_s` seconds.

    The descriptor is the lock: closing it, or the death of every process that has it, gives the lock back.
    Raises STATE_UNUSABLE where the file cannot be opened.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            descriptor = _open(path, os.O_RDWR)
        except OSError as error:
            raise unusable(path, error) from error
        if _lock(descriptor, shared=shared) and is_same(descriptor, path):
            return descriptor
        os.close(descriptor)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.01)


def is_held(path: Path, *, shared: bool = False) -> bool:
    """Whether a lock is refused now. A shared question does not disturb others who ask the same."""
    if not path.exists():
        return False
    descriptor = hold(path, shared=shared)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def is_same(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one under that name: a lock on a deleted file guards nothing."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _lock(descriptor: int, *, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path, flags: int) -> int:
    """Open or make a file. What root makes in another's folder belongs to that folder's owner."""
    descriptor = os.open(path, flags | os.O_CREAT, 0o600)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


def _runtime_dir() -> Path:
    """Make a short folder of this user alone; in a shared place its owner and mode are checked."""
    uid = os.geteuid()
    session = Path(f"/run/user/{uid}")
    folder = (session if os.access(session, os.W_OK | os.X_OK) else Path("/tmp")) / f"tanheng-{uid}"  # noqa: S108
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise unusable(folder, error) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) & 0o077:
        raise EmbeddedError("STATE_UNUSABLE", f"{folder} must be a mode 700 folder of uid {uid}; remove it")
    return folder
