"""What is there before anything is planned, as the kernel tells it: addresses, sockets that listen, programs."""

from __future__ import annotations

from sentinetd.model.address import Address
from sentinetd.model.noun import dataclass
from sentinetd.net import host_addresses, sock_diag
from sentinetd.net.port_range import Ephemeral, ephemeral
from sentinetd.net.sock_diag import TCP, UDP, Holder, Listening

OURS = "sentinetd"
"""How the names of our own processes begin."""


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port of a transport; *protocol* is 6 or 17."""

    protocol: int
    number: int

    @property
    def transport(self) -> str:
        """Its protocol's name in services(5)."""
        return "udp" if self.protocol == UDP else "tcp"

    def __str__(self) -> str:
        return str(self.number) if self.protocol == TCP else f"{self.number}/{self.transport}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that takes what strangers send, and who has it open: *holders* is empty where that cannot be seen."""

    socket: Listening
    holders: tuple[Holder, ...] = ()

    @property
    def port(self) -> Port:
        return Port(self.socket.protocol, self.socket.port)

    @property
    def everywhere(self) -> bool:
        """Whether it is bound to no address: it takes what comes to any."""
        return self.socket.address.value == 0

    @property
    def ours(self) -> bool:
        """Whether sentinetd has it open; a server may share it then."""
        return any(holder.program.startswith(OURS) for holder in self.holders)

    def reaches(self, address: Address) -> bool:
        """Whether what comes to *address* can end here."""
        bound = self.socket.address
        if not self.everywhere:
            return bound == address
        return address.version == bound.version or (bound.version == 6 and not self.socket.v6only)


@dataclass(frozen=True, slots=True)
class Ground:
    """*addresses*: the host's own, in the kernel's order, loopback among them."""

    addresses: tuple[Address, ...]
    listeners: tuple[Listener, ...]
    ephemeral: Ephemeral

    def asks(self, listener: Listener) -> bool:
        """Whether *listener* is in truth a client: datagram sockets that ask and wait for an answer look like servers,
        but for their port, which the kernel chose."""
        return listener.socket.protocol == UDP and listener.socket.port in self.ephemeral

    @property
    def unseen(self) -> int:
        """How many listeners nobody can be seen to hold."""
        return sum(1 for one in self.listeners if not one.holders and not self.asks(one))


def look() -> Ground:
    """This network namespace, now. `EdgeError` if the kernel does not tell."""
    sockets = sock_diag.listening()
    holders = sock_diag.owners(sockets)
    addresses = (Address.parse(str(network)) for network in host_addresses.own())
    return Ground(
        tuple(dict.fromkeys(addresses)),
        tuple(Listener(one, holders.get(one.inode, ())) for one in sockets),
        ephemeral(),
    )
