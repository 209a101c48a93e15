"""What is to be converted: the text as it was given, and which kind of configuration it is."""

from __future__ import annotations

from enum import Enum

from sentinetd.config.host import Found, Host, User
from sentinetd.config.syntax import rows
from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass

STANDARD_INPUT = "standard input"
"""The name of a configuration that has none."""
UNKNOWN_ID = 65534
"""Stands for a user or group that this machine does not know; only its name is written."""

SOCKET_TYPES = frozenset({"stream", "dgram", "raw", "rdm", "seqpacket"})
"""The second word of a line of inetd.conf(5)."""
_KEYWORDS = frozenset({"service", "defaults", "include", "includedir"})
FEWEST = 6
"""Words of a complete line of inetd.conf(5)."""


class Form(Enum):
    """Whose configuration a text is."""

    INETD = "inetd.conf"
    XINETD = "xinetd.conf"


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration as given. *file* is its name in places; what has none is `STANDARD_INPUT`."""

    file: str
    data: bytes

    def form(self) -> Form | None:
        """Whose configuration it is, by its first line that tells; None where none does."""
        for row in rows(self.data, self.file):
            if len(row.words) > 1 and row.words[1].lower() in SOCKET_TYPES:
                return Form.INETD
            if row.words and row.words[0].lower() in _KEYWORDS:
                return Form.XINETD
        return None


class Paper(Host):
    """A machine for which a configuration is only written: its names and numbers count, but not whether its users and
    programs are there. Where the source has no file, it stands in for one."""

    def __init__(self, host: Host, source: Source) -> None:
        super().__init__(host.environment, host.directory)
        self._host = host
        self._source = source

    @property
    def uid(self) -> int:
        return 0

    def found(self, path: str) -> Found | None:
        return Found((0, 0), True, False, False) if path == STANDARD_INPUT else self._host.found(path)

    def read(self, path: str) -> bytes:
        return self._source.data if path == self._source.file else self._host.read(path)

    def listing(self, directory: str) -> list[str]:
        return self._host.listing(directory)

    def not_executable(self, path: str) -> str:
        return ""

    def user(self, name: str) -> User | None:
        return self._host.user(name) or User(name, UNKNOWN_ID, UNKNOWN_ID)

    def user_of(self, uid: int) -> User | None:
        return self._host.user_of(uid) or User(str(uid), uid, UNKNOWN_ID)

    def group(self, name: str) -> int | None:
        known = self._host.group(name)
        return UNKNOWN_ID if known is None else known

    def groups(self, user: str, gid: int) -> tuple[int, ...]:
        return (gid,)  # the numbers are written nowhere

    def addresses(self, name: str) -> tuple[Address, ...]:
        return self._host.addresses(name)
