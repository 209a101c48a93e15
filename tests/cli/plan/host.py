"""A host made of values: addresses, sockets, entries."""

from __future__ import annotations

import dataclasses

from sentinetd.cli.plan.ground import Ground, Listener
from sentinetd.model.address import Address
from sentinetd.model.service import Flag, Service
from sentinetd.net.port_range import Ephemeral
from sentinetd.net.sock_diag import TCP, Holder, Listening

A, B, SIX, LO, LINK = map(Address.parse, ("192.0.2.5", "192.0.2.6", "2001:db8::5", "127.0.0.1", "fe80::1%eth0"))


def address(text: str) -> Address:
    return Address.parse(text)


def listener(
    where: str, port: int, *programs: str, protocol: int = TCP, v6only: bool = False, inode: int = 1
) -> Listener:
    """A socket that *programs* hold; none: that nobody can be seen to hold."""
    bound = address(where)
    holders = tuple(Holder(100 + number, name, bound) for number, name in enumerate(programs))
    return Listener(Listening(protocol, bound, port, v6only, 0, inode), holders)


def ground(*listeners: Listener) -> Ground:
    return Ground((LO, LINK, SIX, B, A), listeners, Ephemeral(32768, 60999))


def entry(name: str, port: int, where: Address | None = None, *, sensor: bool = True, **more: object) -> Service:
    flags = frozenset({Flag.SENSOR}) if sensor else frozenset()
    service = Service(name=name, id=name, flags=flags, port=port, address=where)
    return dataclasses.replace(service, **more)  # type: ignore[arg-type]
