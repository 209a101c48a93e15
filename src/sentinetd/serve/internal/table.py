"""Every internal service, and who does it: the guard at once, or the porter for as long as it takes."""

from __future__ import annotations

from collections.abc import Callable

from sentinetd.model.routine import Routine
from sentinetd.serve.internal import chargen, daytime, discard, echo, time

AT_ONCE: dict[str, Callable[[float], bytes]] = {"daytime": daytime.reply, "time": time.reply}
"""Stream services that say one thing, at Unix time, and hang up."""

CARRIED: dict[str, Routine] = {"echo": Routine.ECHO, "discard": Routine.DISCARD, "chargen": Routine.CHARGEN}
"""Stream services that the porter carries out."""

DATAGRAM: dict[str, Callable[[bytes, float, int], tuple[bytes | None, int]]] = {
    "echo": lambda datagram, now, position: (echo.reply(datagram), position),
    "discard": lambda datagram, now, position: (discard.reply(datagram), position),
    "chargen": lambda datagram, now, position: chargen.reply(position),
    "daytime": lambda datagram, now, position: (daytime.reply(now), position),
    "time": lambda datagram, now, position: (time.reply(now), position),
}
"""Datagram services: the datagram, Unix time and chargen's position in; the answer, if any, and its position out."""
