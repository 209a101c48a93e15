"""Conversions on a machine that the test gives. What the tests of this room share."""

from __future__ import annotations

from collections.abc import Mapping

from config.machine import Machine
from sentinetd.cli.convert.job import Outcome, to_systemd, to_xinetd
from sentinetd.cli.convert.source import Source

PROTOCOLS = b"ip 0 IP\ntcp 6 TCP\nudp 17 UDP\nsctp 132 SCTP\n"
WAYS = {"xinetd": to_xinetd, "systemd": to_systemd}


def converted(text: str | bytes, to: str, files: Mapping[str, bytes | None] | None = None) -> Outcome:
    """What becomes of *text*, called FILE, with *files* beside it."""
    data = text if isinstance(text, bytes) else text.encode()
    return WAYS[to](Source("FILE", data), Machine({"/etc/protocols": PROTOCOLS, **(files or {})}))


def told(outcome: Outcome) -> list[str]:
    """Everything that is told, a line each."""
    return [f"{one.level.value}: {one}" for one in outcome.told]
