"""What the configuration asks of the machine: files, users, the tables of services(5) and its kin, names of addresses.

The only module of this room that does. One `Host` serves one load: what it has read or looked up once it remembers,
so that ten thousand services cost one reading of services(5), and all of them see the same one.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from sentinetd.model.address import Address, Network
from sentinetd.model.address_words import classful, inet_aton
from sentinetd.model.noun import dataclass
from sentinetd.model.values import Protocol

LARGEST = 64 << 20
"""Bytes of a configuration file; more is no configuration."""

NUMBERS = {"tcp": 6, "udp": 17}
"""Protocols by name (RFC 1700), where protocols(5) says nothing of them."""

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class User:
    """A row of passwd(5)."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a path names: *key* is the same for the same file; *readable* by others than owner and group."""

    key: tuple[int, int]
    regular: bool
    directory: bool
    readable: bool


class Host:
    """Answers about this machine. *environment* and *directory* are what the daemon was started with and in."""

    def __init__(self, environment: Mapping[str, str], directory: str = "") -> None:
        self.environment = dict(environment)
        self.directory = directory or os.getcwd()
        self._users: dict[str, User | None] = {}
        self._users_by_number: dict[int, User | None] = {}
        self._groups: dict[str, int | None] = {}
        self._memberships: dict[tuple[str, int], tuple[int, ...]] = {}
        self._executables: dict[str, str] = {}
        self._tables: dict[str, dict[str, list[str]]] = {}
        self._addresses: dict[str, tuple[Address, ...]] = {}
        self._names_by_port: dict[str, str] = {}

    def again(self) -> Host:
        """The same machine, asked anew: for a reload."""
        return Host(self.environment, self.directory)

    def as_before(self, before: Host) -> bool:
        """Whether the machine says what it said to *before*: whatever was asked of that is asked again."""
        return (
            self.uid == before.uid
            and all(self._table(path) == table for path, table in before._tables.items())
            and all(self.user(name) == user for name, user in before._users.items())
            and all(self.user_of(uid) == user for uid, user in before._users_by_number.items())
            and all(self.group(name) == number for name, number in before._groups.items())
            and all(self.groups(*who) == groups for who, groups in before._memberships.items())
            and all(self.not_executable(path) == why for path, why in before._executables.items())
            and all(self.addresses(name) == found for name, found in before._addresses.items())
        )

    def absolute(self, path: str) -> str:
        """*path*, where it is relative, from the directory in which the daemon was started: the same at each reload."""
        return os.path.join(self.directory, path)

    @property
    def uid(self) -> int:
        """The daemon's own user."""
        return os.geteuid()

    def found(self, path: str) -> Found | None:
        """What *path* names, symbolic links followed; None if nothing. OSError if it cannot be told."""
        try:
            seen = os.stat(self.absolute(path))
        except FileNotFoundError:
            return None
        mode = seen.st_mode
        return Found((seen.st_dev, seen.st_ino), stat.S_ISREG(mode), stat.S_ISDIR(mode), bool(mode & stat.S_IROTH))

    def read(self, path: str) -> bytes:
        """All of the file; OSError if it cannot be read, is larger than `LARGEST`, or would make the reader wait."""
        descriptor = os.open(self.absolute(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with os.fdopen(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode) and path != "/dev/null":
                raise OSError(0, "not a regular file")
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise OSError(0, f"larger than {LARGEST} bytes")
        return data

    def listing(self, directory: str) -> list[str]:
        """Names in *directory*, in no order; OSError if it cannot be read."""
        return os.listdir(self.absolute(directory))

    def not_executable(self, path: str) -> str:
        """Why *path* cannot be executed; empty if it can, by this daemon's own user."""
        return _once(self._executables, path, _not_executable)

    def unlabeled(self) -> str:
        """Why no connection here has an SELinux range that a server could take on; empty if it may have."""
        try:
            levels = self.read("/sys/fs/selinux/mls")
        except OSError:
            return "SELinux is not enabled here"
        try:
            self.read("/proc/self/attr/current")
        except OSError as error:
            return f"the daemon's own SELinux context cannot be read ({error.strerror})"
        return "" if levels == b"1" else "the SELinux policy here has no ranges (MLS, MCS)"

    def user(self, name: str) -> User | None:
        return _once(self._users, name, _user)

    def user_of(self, uid: int) -> User | None:
        return _once(self._users_by_number, uid, _user_of)

    def group(self, name: str) -> int | None:
        """Its number."""
        return _once(self._groups, name, _group)

    def groups(self, user: str, gid: int) -> tuple[int, ...]:
        """The groups of which *user* is a member, *gid* among them (initgroups(3))."""
        return _once(self._memberships, (user, gid), lambda key: tuple(sorted(os.getgrouplist(*key))))

    def addresses(self, name: str) -> tuple[Address, ...]:
        """What *name* resolves to for this machine, in the resolver's order; empty if nothing."""
        return _once(self._addresses, name, _addresses)

    def protocol(self, name: str) -> Protocol | None:
        """The row of protocols(5) for a name or alias, which are told apart by case. Those of most services are known
        without it: small images of containers lack the file."""
        row = self._table("/etc/protocols").get(name)
        if row and row[1].isdecimal():
            return Protocol(row[0], int(row[1]))
        return Protocol(name, NUMBERS[name]) if name in NUMBERS else None

    def port(self, name: str, protocol: str) -> int | None:
        """The port of services(5) for a service or alias and a protocol's name."""
        row = self._table("/etc/services").get(f"{name}/{protocol}")
        return int(row[1].partition("/")[0]) if row else None

    def service_at(self, port: int, protocol: str) -> str:
        """The first name of services(5) for *port* and a protocol's name; empty if there is none."""
        if not self._names_by_port:
            for row in self._table("/etc/services").values():
                self._names_by_port.setdefault(row[1], row[0])
        return self._names_by_port.get(f"{port}/{protocol}", "")

    def rpc_number(self, name: str) -> int | None:
        """The program number of rpc(5) for a name or alias."""
        row = self._table("/etc/rpc").get(name)
        return int(row[1]) if row and row[1].isdecimal() else None

    def network(self, name: str) -> Network | None:
        """The network of networks(5) for a name or alias, whatever its case; number 0 names none."""
        row = self._table("/etc/networks").get(name.lower())
        number = _network_number(row[1]) if row else None
        return classful(number) if number else None

    def service_names(self) -> Iterator[str]:
        """All names of services(5), for telling what was meant."""
        return (key.partition("/")[0] for key in self._table("/etc/services"))

    def _table(self, path: str) -> dict[str, list[str]]:
        return _once(self._tables, path, self._read_table)

    def _read_table(self, path: str) -> dict[str, list[str]]:
        """Rows of a table under each of their names; the first row of a name counts. No file: no rows."""
        try:
            data = self.read(path)
        except OSError:
            return {}
        table: dict[str, list[str]] = {}
        for line in data.decode("utf-8", "surrogateescape").split("\n"):
            row = line.partition("#")[0].split()
            if len(row) < 2:
                continue
            suffix = ""
            if path == "/etc/services":
                port, _, protocol = row[1].partition("/")
                if not (port.isdecimal()) or int(port) > 65535:
                    continue
                suffix = "/" + protocol
            for name in (row[0], *row[2:]):
                table.setdefault((name.lower() if path == "/etc/networks" else name) + suffix, row)
        return table


def _once(known: dict[K, T], key: K, ask: Callable[[K], T]) -> T:
    """The answer to *key*, asked for at most once."""
    if key not in known:
        known[key] = ask(key)
    return known[key]


def _not_executable(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return error.strerror or str(error)
    if stat.S_ISDIR(mode):
        return "it is a directory"
    return "" if os.access(path, os.X_OK) else "execute permission is missing"


def _user(name: str) -> User | None:
    try:
        row = pwd.getpwnam(name)
    except (KeyError, UnicodeError, ValueError):
        return None
    return User(row.pw_name, row.pw_uid, row.pw_gid)


def _user_of(uid: int) -> User | None:
    try:
        row = pwd.getpwuid(uid)
    except (KeyError, OverflowError):
        return None
    return User(row.pw_name, row.pw_uid, row.pw_gid)


def _group(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, UnicodeError, ValueError):
        return None


def _addresses(name: str) -> tuple[Address, ...]:
    try:
        rows = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(Address.parse(str(row[4][0])) for row in rows))


def _network_number(text: str) -> int | None:
    """The number that inet_network(3) reads: parts are bytes from the left of the number, which stays unshifted."""
    parts = text.rstrip(".").split(".")
    if not 1 <= len(parts) <= 4:
        return None
    number = 0
    for part in parts:
        byte = inet_aton(part)
        if byte is None or byte > 255:
            return None
        number = number << 8 | byte
    return number
