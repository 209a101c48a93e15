"""Programs that listen on all addresses, at ports of addresses that a sensor watches: there the sensor gets nothing.

The article's own warning ("take care to make sure that Apache isn't listening on .5 & .8's ports"), with the program's
name.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from sentinetd.model.address import Address
from sentinetd.model.aim import watches
from sentinetd.model.service import Service
from sentinetd.net.host_addresses import own
from sentinetd.net.sock_diag import TCP, Listening, listening, owners

PORTS_NAMED = 8
"""Ports of one program that are told; their number is told in any case."""


def shadows(services: Iterable[Service]) -> list[str]:
    """A sentence for each program in the way of one of *services*: of sensors with addresses of their own, since one
    that watches all that is unused is meant to give way. `NetlinkError` if the kernel does not tell."""
    asked = [one for one in services if one.caught and _has_addresses(one)]
    if not asked:
        return []
    everywhere = [one for one in listening() if one.protocol == TCP and one.address.value == 0]
    mine = [Address(net.version, net.value, str(net), net.scope) for net in own()]
    found = {one.id: in_the_way(one, everywhere, mine) for one in asked}
    names = _names({socket for sockets in found.values() for socket in sockets})
    return [text for sensor, sockets in found.items() for text in _told(sensor, sockets, names)]


def in_the_way(service: Service, everywhere: Iterable[Listening], mine: Sequence[Address]) -> list[Listening]:
    """Those of the sockets *everywhere*, which are bound to no address, that get what is meant for *service*; *mine*:
    the addresses that the host has. At others that become its own such sockets get nothing."""
    return [
        one for one in everywhere
        if any(_takes(one, address) and watches(service, address, one.port) for address in mine)
    ]  # fmt: skip


def _has_addresses(service: Service) -> bool:
    return bool(service.addresses) or (service.address is not None and service.address.value != 0)


def _takes(one: Listening, address: Address) -> bool:
    return one.address.version == address.version or (one.address.version == 6 and not one.v6only)


def _names(sockets: Iterable[Listening]) -> dict[int, str]:
    """Who has each socket, by inode; nobody where it is this daemon, whose services the operator has written down."""
    known = owners(sockets) if sockets else {}
    names: dict[int, str] = {}
    for one in sockets:
        holders = known.get(one.inode, ())
        if not any(holder.pid == os.getpid() for holder in holders):
            names[one.inode] = str(holders[0]) if holders else "a program that cannot be seen from here"
    return names


def _told(sensor: str, sockets: Iterable[Listening], names: dict[int, str]) -> Iterator[str]:
    ports: defaultdict[str, set[int]] = defaultdict(set)
    for one in sockets:
        if one.inode in names:
            ports[names[one.inode]].add(one.port)
    for name, numbers in sorted(ports.items()):
        listed = ", ".join(map(str, sorted(numbers)[:PORTS_NAMED])) + (" ..." if len(numbers) > PORTS_NAMED else "")
        yield (
            f"{name} listens on all addresses, and so has port{'s' if len(numbers) > 1 else ''} {listed} where "
            f"sensor {sensor} should be; bind it to the addresses that it serves"
        )
