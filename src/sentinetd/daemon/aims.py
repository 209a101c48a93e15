"""From a sensor that the kernel brings connections to, to what exactly is brought: functions of values."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.aim import Aim
from sentinetd.model.service import Service

Ports = tuple[tuple[int, int], ...]
"""Of listeners: IP version and port."""


def aims(service: Service, listeners: Ports, own: Collection[Network]) -> Iterator[Aim]:
    """What comes to *listeners* of *service*, a caught one; *own*: the addresses that the host has."""
    ports, out = service.ports, service.ports_except
    if ports is None:
        return
    left_out = (out.ranges, out.spots) if out else ((), ())
    if not service.addresses:
        bound = service.address
        network = None if bound is None or not bound.value else Network(bound.version, bound.value, BITS[bound.version])
        yield Aim(network, ports.ranges, *left_out, _of(network, listeners), shared=True)
        return
    for network in service.addresses.networks:
        for one in own:
            if _within(one, network) and one != network:
                yield Aim(one, ports.ranges, *left_out, _of(one, listeners), shared=True)
        yield Aim(network, ports.ranges, *left_out, _of(network, listeners), shared=network in own)


def _of(network: Network | None, listeners: Ports) -> Ports:
    """Those of *listeners* that can be asked for at *network*."""
    return tuple(one for one in listeners if network is None or one[0] == network.version)


def claims(service: Service, own: Collection[Network]) -> Iterator[Network]:
    """The networks that must be made the host's own for *service*."""
    for network in service.addresses.networks:
        if network not in own:
            yield network


def objection(service: Service, needed: Collection[Network], near: Collection[Network]) -> str:
    """Why what *service* watches cannot be made the host's own; empty if nothing is against it. *needed*: gateways and
    resolvers; *near*: the networks on link."""
    for network in service.addresses.networks:
        for one in needed:
            if _within(one, network):
                return f"addresses = {network}: {one} is a gateway or resolver of this host; leave it out"
        for one in near:
            if _within(one, network):
                return f"addresses = {network}: this host's neighbours are there; list only what nobody uses"
    return ""


def _within(one: Network, network: Network) -> bool:
    return one.length >= network.length and network.holds(Address(one.version, one.value, "", one.scope))
