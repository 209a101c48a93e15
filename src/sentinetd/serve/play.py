"""A sensor's part played for whoever touched it: a decoy answers, what is said is kept, time is taken.

Everything has a bound: what is heard, what is said, what is kept, and how long it lasts. The ban, if there is one, was
in force before this began.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from sentinetd.model.noun import dataclass
from sentinetd.model.routine import Ending
from sentinetd.serve.sessions import LINGER, Session, in_words

if TYPE_CHECKING:
    import asyncio

    from sentinetd.serve.internal.decoys.dialogue import Answer, Dialogue
    from sentinetd.serve.sessions import Sessions

DECOY_WITHIN = 30.0
"""Seconds that talk with a decoy lasts at most, where no tarpit draws it out."""
HEARD_MOST = 65_536
"""Bytes that are taken from a client; what it sends beyond stays in the kernel and holds the client up."""
SAID_MOST = 32_768
"""Bytes that are said to a client."""
CHUNK = 4096
"""Bytes read in one turn."""
JITTER = (0.8, 1.2)
"""By what a pause differs from what it should be: no two are the same."""
DRIP = 1.0
"""Seconds between two bytes of what a tarpit says (as OpenBSD's spamd stutters)."""


_ESCAPES = tuple(
    {0x09: r"\t", 0x0A: r"\n", 0x0D: r"\r", 0x5C: r"\\"}.get(
        byte, chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"
    )
    for byte in range(256)
)


def escaped(data: bytes) -> str:
    r"""*data* as printable ASCII that can be read back: ``\t``, ``\n``, ``\r``, a backslash doubled, others ``\x1b``.

    Not by a codec of the library: those are read from files, of which the porter may open none.
    """
    return "".join(map(_ESCAPES.__getitem__, data))


@dataclass(frozen=True, slots=True)
class Part:
    """What is played. *greeting* is said first, in place of the decoy's own if that is not None; *keep* bytes that come
    within *listen* seconds are kept; *tarpit*: seconds that it lasts, if not 0, and then all is said byte by byte."""

    dialogue: Dialogue | None
    greeting: bytes | None
    keep: int
    listen: float
    tarpit: float

    @property
    def lasts(self) -> float:
        """Seconds after which it is over, whatever happens."""
        if self.tarpit:
            return self.tarpit
        return DECOY_WITHIN if self.dialogue is not None else self.listen


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of it: the bytes *kept*, whether more was said than that, and how many seconds it lasted."""

    kept: bytes
    more: bool
    seconds: float


class Playing(Session):
    """Plays *part* for *client*; *heard* is told once, at the end, and nothing else is."""

    __slots__ = (
        "_began",
        "_drip",
        "_heard",
        "_kept",
        "_listens",
        "_more",
        "_over",
        "_part",
        "_pause",
        "_said",
        "_taken",
        "_unsaid",
    )

    def __init__(
        self, sessions: Sessions, number: int, client: socket.socket, part: Part, heard: Callable[[int, Heard], None]
    ) -> None:
        super().__init__(sessions, number, client)
        self._part = part
        self._heard = heard
        self._began = sessions.loop.time()
        self._kept = bytearray()
        self._more = False  # something was heard that is not kept
        self._taken = 0
        self._listens = True
        self._said = 0
        self._unsaid = bytearray()
        self._over = part.dialogue is None and not part.keep
        self._drip: asyncio.TimerHandle | None = None
        self._pause: asyncio.TimerHandle | None = None
        self.due = self._began + part.lasts
        sessions.watch(self)
        sessions.loop.add_reader(client.fileno(), self._read)
        own = b"" if part.dialogue is None else part.dialogue.greeting
        self._say(own if part.greeting is None else part.greeting)

    # What the client says.

    def _read(self) -> None:
        try:
            data = self.client.recv(min(CHUNK, HEARD_MOST - self._taken))
        except BlockingIOError:
            return
        except OSError as error:
            self.end(Ending.RESET, in_words(error))
            return
        self._taken += len(data)
        if not data or self._taken >= HEARD_MOST:
            self._listens = False
            self._sessions.loop.remove_reader(self.client.fileno())
        self._keep(data)
        said = b""
        if not self._over:
            said = self._answer(data)
        self._over = self._over or not self._listens
        self._say(said)

    def _keep(self, data: bytes) -> None:
        late = self._sessions.loop.time() - self._began > self._part.listen
        room = 0 if late else self._part.keep - len(self._kept)
        self._kept += data[:room]
        self._more = self._more or len(data) > room

    def _answer(self, data: bytes) -> bytes:
        """What is said to *data*; nothing more than that where nobody answers and all is heard that was wanted."""
        dialogue = self._part.dialogue
        if dialogue is None:
            self._over = len(self._kept) >= self._part.keep
            return b""
        if not data:
            return b""
        answer = dialogue.hear(data)
        if answer.pause and not self._part.tarpit:
            self._think(answer)
            return b""
        self._over = answer.over
        return answer.data

    def _think(self, answer: Answer) -> None:
        """Say *answer* after its pause, and hear nothing meanwhile."""
        loop = self._sessions.loop
        loop.remove_reader(self.client.fileno())
        self._pause = loop.call_later(answer.pause * random.uniform(*JITTER), self._go_on, answer)

    def _go_on(self, answer: Answer) -> None:
        self._pause = None
        if self._listens:
            self._sessions.loop.add_reader(self.client.fileno(), self._read)
        self._over = answer.over
        self._say(answer.data)

    # What is said to it.

    def _say(self, data: bytes) -> None:
        self._unsaid += data[: SAID_MOST - self._said - len(self._unsaid)]
        if self._part.tarpit:
            self._wait()
        else:
            self._write()

    def _write(self) -> None:
        if self._send(len(self._unsaid)):
            watch, unwatch = self._sessions.loop.add_writer, self._sessions.loop.remove_writer
            if self._unsaid:
                watch(self.client.fileno(), self._write)
                return
            unwatch(self.client.fileno())
            if self._over:
                self._part_with()

    def _wait(self) -> None:
        """Say the next byte in a while, until time or the client is up."""
        if self._unsaid and self._drip is None:
            self._drip = self._sessions.loop.call_later(DRIP, self._dribble)
        elif not self._unsaid and not self._listens and self._taken < HEARD_MOST:
            self.end(Ending.CLOSED)  # the client left, as far as can be told

    def _dribble(self) -> None:
        self._drip = None
        if self._send(1):
            self._wait()

    def _send(self, most: int) -> bool:
        """Send up to *most* bytes of what is unsaid, as many as the client takes; False if it is gone."""
        try:
            sent = self.client.send(self._unsaid[:most]) if most else 0
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.end(Ending.RESET, in_words(error))
            return False
        del self._unsaid[:sent]
        self._said += sent
        return True

    def _part_with(self) -> None:
        """All is said: hang up, but let the client read, and hear what it was about to say."""
        if not self._listens:
            self.end(Ending.CLOSED)
            return
        try:
            self.client.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.end(Ending.RESET, in_words(error))
            return
        self.due = min(self.due, self._sessions.loop.time() + LINGER)

    # The end.

    def moved(self) -> tuple[int, int]:
        return self._taken, self._said

    def release(self) -> None:
        if self._listens:
            self._sessions.loop.remove_reader(self.client.fileno())
        self._sessions.loop.remove_writer(self.client.fileno())
        for timer in (self._drip, self._pause):
            if timer is not None:
                timer.cancel()

    def end(self, ending: Ending, error: str = "") -> None:
        """Hang up and tell what was heard; nothing if that was done before."""
        if not self.open:
            return
        self._close()
        self._sessions.forget(self)
        self._heard(self.number, Heard(bytes(self._kept), self._more, self._sessions.loop.time() - self._began))
