"""Services that are offered, whoever offers them; `dialects` has how each is told to."""

from __future__ import annotations

from dataclasses import dataclass

OUTSIDER = "198.18.0.3"
"""The source that a door with *denied* does not admit."""
SERVICE_LOG = "service.log"
NO_LIMIT = "1000000"
BACKLOG = "1024"
MANY = "65000"
"""Servers at once, where a number has to be given."""
INTERNAL_PORTS = {"echo": 7, "daytime": 13, "chargen": 19}
"""The inetds know their internal services by these numbers only."""
LIMITS = (("cpu", 20), ("data", 512 << 20), ("stack", 8 << 20))
"""Resource limits of a door with *limited*: those that every dialect has words for, in seconds and bytes."""
NICE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One service.

    *server* is a command, empty for what is done inside: then *internal* names it, unless it is a sensor or redirected.
    *user* is whom the server runs as; *limited*: with `LIMITS` and `NICE`; *denied*: `OUTSIDER` is not admitted;
    *per_source*: servers at once for one source; *redirect*: address and port where connections are carried.
    *lines* are more of xinetd's dialect, with {directory} for the contender's own, *own_lines* what only sentinetd
    understands; either makes the door one that the others have not.
    """

    name: str
    port: int
    server: tuple[str, ...] = ()
    internal: str = ""
    user: str = "root"
    limited: bool = False
    datagram: bool = False
    wait: bool = False
    denied: bool = False
    per_source: int | None = None
    redirect: str = ""
    sensor: bool = False
    lines: tuple[str, ...] = ()
    own_lines: tuple[str, ...] = ()

    @property
    def protocol(self) -> str:
        """tcp or udp."""
        return "udp" if self.datagram else "tcp"
