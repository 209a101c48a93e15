"""A process of ours that is started before it is known what with: the rest of its command line is the first packet of
its channel.

An interpreter takes as long to get ready as a large configuration takes to be read, so the guard starts its courier
before it reads. Whoever starts one has loaded next to nothing yet, and so nothing heavy is imported here.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterable, Sequence

from sentinetd.daemon.haste import calm_down
from sentinetd.errors import EdgeError

CHANNEL = "--channel"
LONGEST = 1 << 16
"""Bytes of a command line."""
PROGRAM = (
    "import sys; from sentinetd.daemon.haste import make_haste; make_haste(); "
    "from {} import main; sys.exit(main(sys.argv[1:]))"
)
"""What it runs."""


class Newborn:
    """The process *pid*, a child of ours that waits at the other end of *channel*. Whoever has it owns both."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self.channel = channel

    def tell(self, words: Iterable[str]) -> None:
        """What it is to be started with. One that has died misses nothing: its death is heard of as ever."""
        try:
            tell(self.channel, words)
        except OSError:
            return

    def end(self) -> None:
        """It is not wanted; afterwards it is gone."""
        self.channel.close()
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def born(module: str) -> Newborn:
    """Start *module*, with none of our signals blocked. EdgeError if no process can be had."""
    try:
        ours, theirs = channel_pair()
    except OSError as error:
        raise EdgeError(f"{module}: no channel to it: {error.strerror}") from error
    try:
        os.set_inheritable(theirs.fileno(), True)
        command = [sys.executable, "-P", "-c", PROGRAM.format(module), CHANNEL, str(theirs.fileno())]
        pid = os.posix_spawn(sys.executable, command, os.environ, setsid=True, setsigmask=())
    except OSError as error:
        ours.close()
        raise EdgeError(f"{module}: {error.strerror}") from error
    finally:
        theirs.close()
    return Newborn(pid, ours)


def channel_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends, closed on exec."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def tell(channel: socket.socket, words: Iterable[str]) -> None:
    """Send the first packet; it is never empty, for that would be the end."""
    channel.sendall(b"".join(b"\0" + os.fsencode(word) for word in ("", *words)))


def whole(words: Sequence[str]) -> list[str] | None:
    """In such a process: its command line *words*, which names the channel, and what the guard says belongs to it, for
    which it waits. All that it needs is loaded by then. None: the guard is gone."""
    if len(words) < 2 or words[0] != CHANNEL or not words[1].isdigit():
        return list(words)  # whoever reads them says what is wrong
    channel = socket.socket(fileno=int(words[1]))
    try:
        packet = channel.recv(LONGEST)
    except ConnectionResetError:
        return None
    finally:
        channel.detach()
    calm_down()
    return [*words, *map(os.fsdecode, packet.split(b"\0")[2:])] if packet else None
