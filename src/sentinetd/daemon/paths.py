"""Where things are kept: the state directory, its lock, the pid file, for root and for an ordinary user."""

from __future__ import annotations

import fcntl
import os

from sentinetd.errors import EdgeError

DEFAULT_CONFIG = "/etc/xinetd.conf"
STATE = "/var/lib/sentinetd"
RUN = "/run/sentinetd"


def state_directory(option: str, config: str, environment: dict[str, str], uid: int) -> str:
    """Where bans are kept: *option* (--state) if given; else one directory per configuration file, so that several
    daemons run beside each other. *config* is absolute."""
    if option:
        return os.path.abspath(option)
    if uid == 0:
        return STATE if config == DEFAULT_CONFIG else os.path.join(STATE, _name_of(config))
    home = environment.get("XDG_STATE_HOME") or os.path.join(environment.get("HOME", "/"), ".local/state")
    return os.path.join(home, "sentinetd", _name_of(config))


def lock_directory(environment: dict[str, str], uid: int) -> str:
    """Where locks of state directories lie: one place for all configurations, since two may name the same state."""
    if uid == 0:
        return RUN
    return os.path.join(environment.get("XDG_RUNTIME_DIR") or os.path.join("/tmp", f"sentinetd-{uid}"), "sentinetd")


def run_directory(config: str, environment: dict[str, str], uid: int) -> str:
    """Where sockets and dumps of the running daemon go."""
    below = lock_directory(environment, uid)
    return below if uid == 0 and config == DEFAULT_CONFIG else os.path.join(below, _name_of(config))


def _name_of(config: str) -> str:
    """A directory's name for the configuration file *config*: FNV-1a of its path, 64 bits, in hexadecimal."""
    value = 0xCBF29CE484222325
    for byte in os.fsencode(config):
        value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def make_directory(path: str, uid: int, gid: int) -> None:
    """Make *path* and give it to the user *uid*; what is missing above it stays ours. EdgeError if that cannot be.

    The directory of the default configuration has those of other configurations below it, so it can be passed through.
    """
    mode = 0o755 if path in (STATE, RUN) else 0o700
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        if not os.path.isdir(path):
            os.mkdir(path, mode)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.geteuid() == 0:
                os.fchown(handle, uid, gid)
            os.fchmod(handle, mode)
        finally:
            os.close(handle)
    except OSError as error:
        raise EdgeError(f"{path}: {error.strerror}") from error


class Lock:
    """The right to be the one daemon of the state directory *state*; held until the process ends.

    The lock lies in *directory*, which is ours alone: in the state directory, which is the courier's, a courier that
    was taken over could put a link in its place and have us write elsewhere.
    """

    def __init__(self, directory: str, state: str) -> None:
        self._path = os.path.join(directory, f"{_name_of(os.path.realpath(state))}.lock")
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise EdgeError(f"{self._path}: {error.strerror}") from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise EdgeError(
                f"another sentinetd{f' (process {holder})' if holder else ''} runs with the state directory "
                f"{state}; stop it, or give this one its own with --state DIR"
            ) from None
        self.sign()

    def sign(self) -> None:
        """Write our process number into the lock, for whoever is refused."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)


class PidFile:
    """The pid file, as long as it is ours."""

    def __init__(self, path: str) -> None:
        self._path = path

    def write(self) -> None:
        """Put our process number there in one step, so that no reader finds half of it. EdgeError if it cannot be."""
        fresh = f"{self._path}.{os.getpid()}"
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            with open(descriptor, "wb") as file:
                file.write(b"%d\n" % os.getpid())
            os.rename(fresh, self._path)
        except OSError as error:
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
