"""Trips in numbers, as they come to whoever is told of them."""

from __future__ import annotations

import math

from sentinetd.model.address import BITS, Address, Network
from sentinetd.model.noun import replace
from sentinetd.model.trip_run import Tripped, TripTable, gathered

AT = 1795422817.25
"""When a flood begins."""
LOCAL = Address.parse("192.0.2.9")


def trip(source: str, at: float = AT, span: float = 3600.0, length: int | None = None) -> Tripped:
    """*source* touched a sensor, and it is banned; or what lies within *length* bits."""
    who = Address.parse(source)
    network = Network.of(who, BITS[who.version] if length is None else length)
    return Tripped(at, 7, "trap", who, 4711, span, network, 1, "tcp", LOCAL, 23, False)


def flood(count: int) -> list[Tripped]:
    """*count* trips from as many sources, each a second after the one before."""
    sources = (f"198.18.{number >> 8}.{number & 255}" for number in range(count))
    return [replace(trip(source, AT + number), connection=number) for number, source in enumerate(sources)]


def tables() -> dict[str, TripTable]:
    """One of each sort, by what it is."""
    v6 = "2001:db8::7"
    return {
        "IPv4": table(*flood(3)),
        "a flood": table(*flood(77)),
        "a network around": table(trip("192.0.2.7", length=24), trip("192.0.2.99", length=24)),
        "IPv6": table(trip(v6, length=64), trip("2001:db8:0:1::1", length=64)),
        "of one interface": table(trip("fe80::1%eth0")),
        "until lifted": table(trip(v6, span=math.inf), trip("2001:db8::8", span=90.0)),
        "one of many ports": table(replace(trip("192.0.2.7"), of_many=True)),
        "a name to be escaped": table(replace(trip("192.0.2.7"), service="tr\u00e4p\n")),
        "a test's": table(replace(trip("192.0.2.7"), number=0)),
    }


def table(*trips: Tripped) -> TripTable:
    """*trips*, which have to be such as go into one run, as whoever reads it has them."""
    [run] = gathered(trips)
    found: TripTable = run.table()
    return found
