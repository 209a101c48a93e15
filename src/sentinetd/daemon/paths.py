"""Where things are kept: the state directory, its lock, the pid file, for root and for an ordinary user."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress

from sentinetd.config.directories import (
    DEFAULT_CONFIG,
    RUN,
    STATE,
    lock_directory,
    name_of,
    run_directory,
    state_directory,
)
from sentinetd.errors import EdgeError

__all__ = [
    "DEFAULT_CONFIG",
    "RUN",
    "STATE",
    "Lock",
    "PidFile",
    "lock_directory",
    "make_directory",
    "run_directory",
    "state_directory",
]

PRIVATE, PASSABLE, OF_GROUP = 0o700, 0o755, 0o750


def make_directory(path: str, uid: int, gid: int, mode: int = PRIVATE) -> None:
    """Make *path* and give it to the user *uid* and the group *gid*; what is missing above it stays ours. Unusable if
    that cannot be, Foreign if somebody else could change what is above it.

    The directory of the default configuration has those of other configurations below it, so it can be passed through.
    """
    if path in (STATE, RUN):
        mode = PASSABLE
    try:
        _make_above(os.path.dirname(path))
        if not os.path.isdir(path):
            with suppress(FileExistsError):  # others start at the same moment
                os.mkdir(path, mode)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.geteuid() == 0:
                os.fchown(handle, uid, gid)
            os.fchmod(handle, mode)
        finally:
            os.close(handle)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from error


def _make_above(path: str) -> None:
    """Make *path* and what is missing above it, for everybody to pass, whatever the umask says.

    Where everybody may make a name, as in /tmp, somebody else may have made it before us, and could put links in the
    place of what we make below it. Foreign if so.
    """
    above = os.path.dirname(path)
    if above != path:
        _make_above(above)
    if not os.path.isdir(path):
        try:
            os.mkdir(path)
            os.chmod(path, PASSABLE)
            return
        except FileExistsError:
            if not os.path.isdir(path):  # else another daemon starts at the same moment
                raise
    if os.stat(above).st_mode & stat.S_ISVTX:
        found = os.lstat(path)
        open_to_all = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
        if found.st_uid not in (0, os.geteuid()) or open_to_all:
            raise Foreign(
                f"{path} is somebody else's, who could replace what we put there; remove it, or use another directory "
                f"(--state, XDG_RUNTIME_DIR)"
            )


class Foreign(EdgeError):
    """A directory is not ours alone, where it has to be."""


class Unusable(EdgeError):
    """A directory or a file in it cannot be made: read-only, say."""


class Held(EdgeError):
    """Another daemon uses the state directory; *elsewhere*: in another network namespace."""

    def __init__(self, text: str, *, elsewhere: bool) -> None:
        super().__init__(text)
        self.elsewhere = elsewhere


def network() -> str:
    """The network namespace we are in, by its number (namespaces(7)); "?" where it cannot be told."""
    try:
        return str(os.stat("/proc/self/ns/net").st_ino)
    except OSError:
        return "?"


class Lock:
    """The right to be the one daemon of the state directory *state*; held until the process ends.

    The lock lies in *directory*, which is ours alone: in the state directory, which is the courier's, a courier that
    was taken over could put a link in its place and have us write elsewhere.
    """

    def __init__(self, directory: str, state: str) -> None:
        self._path = os.path.join(directory, f"{name_of(os.path.realpath(state))}.lock")
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise Unusable(f"{self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder, _, place = os.pread(self._descriptor, 64, 0).decode("ascii", "replace").strip().partition(" ")
            os.close(self._descriptor)
            raise Held(
                f"another sentinetd{f' (process {holder})' if holder else ''} runs with the state directory "
                f"{state}; stop it, or give this one its own with --state DIR",
                elsewhere=place != network(),
            ) from None
        self.sign()

    def sign(self) -> None:
        """Write our process number and network into the lock, for whoever is refused."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()} {network()}\n".encode(), 0)


class PidFile:
    """The pid file, as long as it is ours."""

    def __init__(self, path: str) -> None:
        self._path = path

    def write(self) -> None:
        """Put our process number there in one step, so that no reader finds half of it. EdgeError if it cannot be."""
        fresh = f"{self._path}.{os.getpid()}"
        try:
            with suppress(FileNotFoundError):
                os.unlink(fresh)  # of one that died here with our number, as in a container where we always have it
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            with open(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o644)  # whatever the mask: start scripts of others read it
                file.write(b"%d\n" % os.getpid())
            os.rename(fresh, self._path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(fresh)  # a full disk makes an empty file
            raise EdgeError(f"pid file {self._path}: {error.strerror}") from error

    def remove(self) -> None:
        """Remove it, unless somebody else has written his number there."""
        try:
            with open(self._path, "rb") as file:
                if file.read(32).strip() == b"%d" % os.getpid():
                    os.unlink(self._path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise EdgeError(f"pid file {self._path}: {error.strerror}") from error
