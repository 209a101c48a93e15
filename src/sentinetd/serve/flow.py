"""One direction of a connection: bytes from a source to a sink, as fast as the sink takes them.

Nothing is kept here: what the sink does not take stays in the source's own queue in the kernel, and so presses back on
whoever sends. Bytes are looked at, sent, and only then taken off the source's queue, without copying them again
(MSG_PEEK, then MSG_TRUNC: tcp(7)). A thousand stalled connections therefore cost no more than idle ones. splice(2)
through pipes of a megabyte takes half of our CPU, but sender and receiver on the same host then take as much more and
no more goes through, while a stalled direction holds two descriptors and what is in its pipe.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

CHUNK = 524_288
"""Bytes moved in one turn: enough to make the turn's own cost small (with an eighth of it, as many bytes took three
quarters more CPU; with twice of it, a little more), few enough for the others to get theirs within half a millisecond.
"""
THROWN_AWAY = 1_048_576
"""Bytes thrown away in one turn; they are not copied."""


class Buffer:
    """Memory that all flows of a loop share: what is in it is done with before the next flow has its turn."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(THROWN_AWAY))  # never touched beyond a chunk, so never really there


class State(Enum):
    FLOWING = "flowing"
    WAITING = "waiting"
    """For the sink to take more."""
    ENDED = "ended"


class Flow:
    """Bytes from *source* to *sink*; a sink of None throws them away. Owns neither.

    *ended* is called once, when the source has no more (with None) or is broken (with its error). A broken sink turns
    the flow into one that throws away, for the sink may still have something to say; *broke* is called then, with the
    sink's error. Whoever learns of a socket's error is the only one: the next call on it finds just an end.
    """

    __slots__ = ("_broke", "_buffer", "_ended", "_loop", "_sink", "_source", "moved", "state", "stirred")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        buffer: Buffer,
        source: socket.socket,
        sink: socket.socket | None,
        ended: Callable[[OSError | None], None],
        broke: Callable[[OSError], None],
    ) -> None:
        self._loop = loop
        self._buffer = buffer
        self._source = source
        self._sink = sink
        self._ended = ended
        self._broke = broke
        self.moved = 0
        """Bytes taken from the source."""
        self.state = State.FLOWING
        self.stirred = False
        """Something moved since whoever watches for idleness set this to False."""
        loop.add_reader(source.fileno(), self._move)

    @property
    def sink_broken(self) -> bool:
        """Whether there is no sink that takes what comes."""
        return self._sink is None

    def _move(self) -> None:
        if self._sink is None:
            self._throw_away()
            return
        view = self._buffer.view
        try:
            size = self._source.recv_into(view, CHUNK, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if not size:
            self._end(None)
            return
        try:
            sent = self._sink.send(view[:size])
        except BlockingIOError:
            self._wait()
            return
        except OSError as error:
            self._sink = None
            self._broke(error)
            return
        self._take(sent)

    def _throw_away(self) -> None:
        try:
            size = self._take(THROWN_AWAY)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if not size:
            self._end(None)

    def _take(self, most: int) -> int:
        size = self._source.recv_into(self._buffer.view, most, socket.MSG_TRUNC)
        self.moved += size
        self.stirred = True
        return size

    def _wait(self) -> None:
        assert self._sink is not None
        self.state = State.WAITING
        self._loop.remove_reader(self._source.fileno())
        self._loop.add_writer(self._sink.fileno(), self._go_on)

    def _go_on(self) -> None:
        assert self._sink is not None
        self._loop.remove_writer(self._sink.fileno())
        self.state = State.FLOWING
        self._loop.add_reader(self._source.fileno(), self._move)
        self._move()

    def _end(self, error: OSError | None) -> None:
        self.stop()
        self._ended(error)

    def stop(self) -> None:
        """No byte moves any more; `ended` is not called."""
        if self.state is State.WAITING and self._sink is not None:
            self._loop.remove_writer(self._sink.fileno())
        elif self.state is State.FLOWING:
            self._loop.remove_reader(self._source.fileno())
        self.state = State.ENDED
