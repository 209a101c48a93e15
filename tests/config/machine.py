"""A machine for tests: the real `Host` over files, users and names that the test gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from sentinetd.config.host import Found, Host, User
from sentinetd.config.load import Loaded, load
from sentinetd.model.address import Address

SERVICES = b"""\
ftp     21/tcp
telnet  23/tcp
time    37/tcp timserver
time    37/udp timserver
tftp    69/udp
http    80/tcp www   # the web
pop3    110/tcp pop-3
auth    113/tcp ident
irc     194/tcp
echo    7/tcp
echo    7/udp
bad     x/tcp
"""
PROTOCOLS = b"ip 0 IP\ntcp 6 TCP\nudp 17 UDP\n"
NETWORKS = b"loopback 127.0.0.0\noffice 192.168.1\nten 10\nlink-local 169.254.0.0\nnothing 0.0.0.0\n"
RPC = b"rstatd 100001 rstat rup\n"


class Machine(Host):
    """Files by path (None: cannot be read); a path ending in / is a directory of the files below it."""

    TABLES: ClassVar[Mapping[str, bytes]] = {
        "/etc/services": SERVICES,
        "/etc/protocols": PROTOCOLS,
        "/etc/networks": NETWORKS,
        "/etc/rpc": RPC,
    }
    USERS: ClassVar[Mapping[str, User]] = {
        "root": User("root", 0, 0),
        "nobody": User("nobody", 65534, 65534),
        "ann": User("ann", 1000, 1000),
        "a.b": User("a.b", 1001, 1001),
    }
    GROUPS: ClassVar[Mapping[str, int]] = {"mail": 8, "users": 100}
    NAMES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "one.example": ("192.0.2.1",),
        "both.example": ("192.0.2.2", "2001:db8::2"),
        "two.example": ("192.0.2.3", "192.0.2.4"),
    }

    def __init__(
        self,
        files: Mapping[str, bytes | None] | None = None,
        *,
        uid: int = 0,
        environment: Mapping[str, str] | None = None,
        links: Mapping[str, str] | None = None,
        readable: bool = False,
    ) -> None:
        super().__init__(environment or {"PATH": "/bin", "LANG": "C"})
        self.files = {**self.TABLES, **(files or {})}
        self.links = links or {}
        self.reads: list[str] = []
        self.readable = readable
        self._uid = uid

    @property
    def uid(self) -> int:
        return self._uid

    def found(self, path: str) -> Found | None:
        path = self.links.get(path, path)
        if path in self.files:
            regular = not path.endswith(".fifo")
            return Found((1, sorted(self.files).index(path)), regular, False, self.readable)
        if any(name.startswith(path.rstrip("/") + "/") for name in self.files):
            return Found((2, hash(path)), False, True, False)
        return None

    def read(self, path: str) -> bytes:
        path = self.links.get(path, path)
        self.reads.append(path)
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory", path)
        data = self.files[path]
        if data is None:
            raise PermissionError(13, "Permission denied", path)
        return data

    def listing(self, directory: str) -> list[str]:
        start = directory.rstrip("/") + "/"
        names = [name[len(start) :] for name in (*self.files, *self.links) if name.startswith(start)]
        if not names:
            raise FileNotFoundError(2, "No such file or directory", directory)
        return sorted({name.partition("/")[0] for name in names}, reverse=True)

    def not_executable(self, path: str) -> str:
        return "" if path.startswith("/bin/") else "No such file or directory"

    def user(self, name: str) -> User | None:
        return self.USERS.get(name)

    def user_of(self, uid: int) -> User | None:
        return next((user for user in self.USERS.values() if user.uid == uid), None)

    def group(self, name: str) -> int | None:
        return self.GROUPS.get(name)

    def groups(self, user: str, gid: int) -> tuple[int, ...]:
        return (gid, 100) if user == "ann" else (gid,)

    def addresses(self, name: str) -> tuple[Address, ...]:
        return tuple(map(Address.parse, self.NAMES.get(name, ())))


def loaded(text: str | bytes, files: Mapping[str, bytes | None] | None = None, **more: object) -> Loaded:
    """What `load` makes of *text* as main.conf, on a `Machine` with *files* beside it."""
    data = text if isinstance(text, bytes) else text.encode()
    return load("main.conf", Machine({"main.conf": data, **(files or {})}, **more))  # type: ignore[arg-type]


def entry(name: str, lines: str, **own: str) -> str:
    """A complete entry: a nowait tcp service that runs /bin/cat, with *lines* (separated by ``;``) added to it.

    Keywords replace the lines that make it complete; an empty one leaves its line out.
    """
    base = {"socket_type": "stream", "wait": "no", "user": "nobody", "server": "/bin/cat"} | own
    body = [f"{key} = {value}" for key, value in base.items() if value]
    body += [line.strip() for line in lines.split(";") if line.strip()]
    return f"service {name}\n{{\n" + "".join(f"\t{line}\n" for line in body) + "}\n"
