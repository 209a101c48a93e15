"""What guard and spawner say to each other: one packet a message, numbers in the machine's own byte order.

To the spawner go a kind, a recipe's number, a value and a payload; back come the replies below. ``recipes.h`` and
``birth.h`` say the same in C; `VERSION` changes with either.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from enum import IntEnum

from sentinetd.errors import MessageError
from sentinetd.model.noun import dataclass, field

VERSION = "4"

DESCRIPTOR = 3
"""Where a spawner finds its socket."""

PIECE = 16384
"""Bytes of payload in one message."""

MAX_HOST = 255
"""Bytes of REMOTE_HOST's value."""

SETUP_STATUS = 126
"""Exit status of a server that could not be set up."""

EXEC_STATUS = 127
"""Exit status of a server whose program could not be executed, whatever the reason."""

TEACH, MORE, FORGET, LAUNCH = 1, 2, 3, 4
HEADER = struct.Struct("=IIQ")
"""Kind, recipe, value. TEACH: the value is the size of the whole recipe; MORE: the offset; LAUNCH: the order."""

LAUNCHED, LAUNCH_FAILED, SETUP_FAILED = 1, 2, 3
REPLY = struct.Struct("=IIQiiQ")
"""Kind, step, order, value (pid or errno), detail, and when that was, in nanoseconds of CLOCK_BOOTTIME (LAUNCHED)."""


class Step(IntEnum):
    """A step on the way from fork to server, by the system call that failed."""

    DUP = 1
    LIMIT = 2
    NICE = 3
    SETGID = 4
    SETGROUPS = 5
    SETUID = 6
    SETSID = 7
    EXEC = 8
    LABEL = 9


class Part(IntEnum):
    """What of LABEL failed: our own context, the peer's, the program's; the new one, or to have it at exec."""

    OWN = 1
    PEER = 2
    PROGRAM = 3
    COMPUTE = 4
    EXEC = 5


@dataclass(frozen=True, slots=True)
class Launched:
    """The server of *order* is the guard's child *pid*, since *at*, in seconds of CLOCK_BOOTTIME."""

    order: int
    pid: int
    at: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """No process was made for *order*: what fork gave (EAGAIN, ENOMEM), or EMFILE (no descriptor free in the spawner),
    ENOENT (no such recipe), EBADMSG (an order not of its form).

    *descriptor* is the order's own, given back to whoever reads this, who closes it; -1 where that could not be.
    """

    order: int
    errno: int
    descriptor: int = field(default=-1, compare=False)


@dataclass(frozen=True, slots=True)
class SetupFailed:
    """A step of the server's set-up failed. Told by the new process itself: this may come before or after `Launched`,
    and before or after the process has ended, but never for an order without a process.

    *detail*: for LIMIT the RLIMIT_ number, for LABEL the `Part`, else 0.
    """

    order: int
    step: Step
    errno: int
    detail: int = 0

    @property
    def fatal(self) -> bool:
        """Whether the process ends for it, with `SETUP_STATUS` or `EXEC_STATUS`; else it goes on without."""
        return self.step not in (Step.LIMIT, Step.NICE)


Reply = Launched | LaunchFailed | SetupFailed


def teach(number: int, encoded: bytes) -> Iterator[bytes]:
    """The messages that teach a recipe, to be sent in this order with nothing between them."""
    yield HEADER.pack(TEACH, number, len(encoded)) + encoded[:PIECE]
    for offset in range(PIECE, len(encoded), PIECE):
        yield HEADER.pack(MORE, number, offset) + encoded[offset : offset + PIECE]


def forget(number: int) -> bytes:
    return HEADER.pack(FORGET, number, 0)


def launch(order: int, number: int, remote_host: str) -> bytes:
    """The message that goes with one descriptor. MessageError if *remote_host* is too long or has a zero byte."""
    host = remote_host.encode() if remote_host.isascii() else os.fsencode(remote_host)
    if len(host) > MAX_HOST or b"\0" in host:
        raise MessageError(f"REMOTE_HOST {remote_host!r} has a zero byte or more than {MAX_HOST} bytes")
    return HEADER.pack(LAUNCH, number, order) + host


def read_reply(message: bytes, descriptor: int = -1) -> Reply:
    """The reply that *message*, with which *descriptor* came, spells. MessageError if it spells none."""
    try:
        kind, step, order, value, detail, at = REPLY.unpack(message)
        if kind == LAUNCHED and value > 0 and descriptor < 0:
            return Launched(order, value, at / 1e9)
        if kind == LAUNCH_FAILED:
            return LaunchFailed(order, value, descriptor)
        if kind == SETUP_FAILED and descriptor < 0:
            return SetupFailed(order, Step(step), value, Part(detail) if step == Step.LABEL else detail)
    except (struct.error, ValueError) as error:
        raise MessageError(f"reply of the spawner: {error}") from error
    raise MessageError(f"reply of the spawner: kind {kind} with value {value}")
