"""What `map` and `plan` stand on: the configuration as written and the host as it is, read once."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence

from sentinetd.cli.plan.ground import Ground, Port, look
from sentinetd.cli.plan.targets import targets
from sentinetd.config.host import Host
from sentinetd.config.load import SETTINGS, Loaded, load
from sentinetd.errors import UsageError
from sentinetd.model.address import Address
from sentinetd.model.attribute import BadValue
from sentinetd.model.diagnostic import Diagnostic, Level, Scope
from sentinetd.model.noun import dataclass
from sentinetd.model.port_words import port_list
from sentinetd.model.service import Service
from sentinetd.model.settings import Settings
from sentinetd.net.sock_diag import TCP, UDP

CONFIGURATION = "/etc/xinetd.conf"
MOST = 1024
"""Ports that one table shows."""


class Onlooker(Host):
    """The machine as the daemon finds it, whoever looks: users and programs are judged as for the owner of the
    configuration *path*, and settings that he alone may read are passed over (*unread* names them)."""

    def __init__(self, environment: Mapping[str, str], path: str) -> None:
        super().__init__(environment)
        self.unread: list[str] = []
        try:
            self._owner = os.stat(path).st_uid
        except OSError:
            self._owner = super().uid

    @property
    def uid(self) -> int:
        return self._owner

    def read(self, path: str) -> bytes:
        try:
            return super().read(path)
        except PermissionError:
            if not path.endswith(f"/{SETTINGS}"):
                raise
            self.unread.append(path)
            raise FileNotFoundError(errno.ENOENT, "only its owner may read it") from None

    def not_executable(self, path: str) -> str:
        why = super().not_executable(path)
        return "" if os.geteuid() != self._owner and os.path.lexists(path) else why


@dataclass(frozen=True, slots=True)
class Survey:
    """*path*: the configuration, absolute; *loaded* is None where there is none. *told*: what is wrong with it."""

    path: str
    host: Onlooker
    loaded: Loaded | None
    ground: Ground

    @property
    def services(self) -> tuple[Service, ...]:
        return self.loaded.services if self.loaded is not None else ()

    @property
    def unread(self) -> tuple[str, ...]:
        """What could not be read, as sentences."""
        if self.loaded is None:
            return (f"There is no {self.path}: what programs use is all there is to show.",)
        return tuple(f"{path} can only be read by its owner: it is taken as empty." for path in self.host.unread)

    @property
    def told(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.loaded.diagnostics if one.level is Level.ERROR) if self.loaded else ()

    @property
    def settings(self) -> Settings:
        return self.loaded.settings if self.loaded is not None else Settings()

    def name(self, port: Port) -> str:
        """What *port* is called: among attackers, else by services(5); empty if by nobody."""
        known = targets().get(port)
        return known.name if known is not None else self.host.service_at(port.number, port.transport)


def survey(config: str | None, settings: str | None) -> Survey:
    """Read the configuration *config* and the host. Without a name it is the usual one, which need not be there; one
    that is named must be readable. `UsageError` if it is not, `EdgeError` if the kernel does not tell."""
    path = os.path.abspath(config or CONFIGURATION)
    host = Onlooker(os.environ, path)
    if config is None and not os.path.lexists(path):
        return Survey(path, host, None, look())
    loaded = load(path, host, settings=settings)
    for one in loaded.diagnostics:
        if one.scope is Scope.FILE and one.level is Level.ERROR:
            raise UsageError(f"{one}")
    return Survey(path, host, loaded, look())


def read_addresses(text: str) -> tuple[Address, ...]:
    """Addresses separated by commas. `UsageError` for what is none."""
    found = []
    for word in text.replace(",", " ").split():
        try:
            found.append(Address.parse(word))
        except ValueError:
            raise UsageError(f"--addresses: {word} is no address; write numbers, as 192.0.2.5,2001:db8::5") from None
    if not found:
        raise UsageError("--addresses: names no address; write numbers, as 192.0.2.5,2001:db8::5")
    return tuple(dict.fromkeys(found))


def read_ports(text: str, host: Host) -> tuple[Port, ...]:
    """Ports separated by commas: numbers, ranges, names of services(5); each with ``/udp`` for datagrams. `UsageError`
    for what is none."""
    found: list[Port] = []
    for word in text.replace(",", " ").split():
        found += _ports(word, host)
    if not found or len(found) > MOST:
        raise UsageError(f"--ports: names {len(found)} ports; write 1 to {MOST}, as 21,22,8000-8010,ftp,69/udp")
    return tuple(dict.fromkeys(found))


def _ports(word: str, host: Host) -> Sequence[Port]:
    spelled, _, transport = word.partition("/")
    protocol = {"": TCP, "tcp": TCP, "udp": UDP}.get(transport)
    if protocol is not None:
        named = host.port(spelled, transport or "tcp")
        if named is not None:
            return (Port(protocol, named),)
        try:
            ranges = port_list([spelled]).ranges
        except BadValue:
            ranges = ()
        if ranges and sum(high - low + 1 for low, high in ranges) <= MOST:
            return [Port(protocol, number) for low, high in ranges for number in range(low, high + 1)]
    raise UsageError(
        f"--ports: {word} is no port of services(5) and no range of at most {MOST}; write 21,8000-8010,ftp,69/udp"
    )
