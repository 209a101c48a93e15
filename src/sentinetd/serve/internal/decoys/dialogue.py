"""What every decoy is made of: what it may know, what it answers, and talk that goes line by line."""

from __future__ import annotations

from typing import ClassVar, Protocol

from sentinetd.model.noun import dataclass


@dataclass(frozen=True, slots=True)
class Scene:
    """All that a decoy may know. *name*: what the host calls itself; *source*: the client's address; *now*: Unix time;
    *noise*: `NOISE` bytes that nobody can foretell."""

    name: str
    source: str
    now: float
    noise: bytes


NOISE = 48
"""Bytes of `Scene.noise`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said next; *over*: it is the last, and nothing that is still said is listened to. *pause*: seconds that
    the program takes over it, as it does over wrong passwords."""

    data: bytes = b""
    over: bool = False
    pause: float = 0.0


class Dialogue(Protocol):
    """One client's talk with a decoy."""

    @property
    def greeting(self) -> bytes:
        """What is said before the client says anything; empty where the client begins."""

    def hear(self, data: bytes) -> Answer:
        """What is answered to *data*, the next bytes of the client, in whatever pieces they come."""


class Lines:
    """Talk in lines, each ended by LF or CR LF: a subclass gives `greeting` and answers each by `reply`.

    A line of more than `LONGEST` bytes and more than `MOST` lines end it.
    """

    LONGEST: ClassVar[int] = 512
    MOST: ClassVar[int] = 32
    TOO_LONG: ClassVar[bytes] = b""

    greeting = b""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._name = scene.name.encode("ascii", "replace")
        self._rest = b""
        self._lines = 0
        self._over = False

    def reply(self, line: bytes) -> Answer:
        """What is answered to *line*, which is without its end."""
        raise NotImplementedError

    def hear(self, data: bytes) -> Answer:
        said, pause = b"", 0.0
        self._rest += data
        while not self._over:
            end = self._rest.find(b"\n")
            if max(end, len(self._rest) if end < 0 else 0) > self.LONGEST:
                self._over = True
                said += self.TOO_LONG
            elif end < 0:
                return Answer(said, pause=pause)
            else:
                line, self._rest = self._rest[:end].removesuffix(b"\r"), self._rest[end + 1 :]
                self._lines += 1
                answer = self.reply(line)
                said += answer.data
                pause += answer.pause
                self._over = answer.over or self._lines >= self.MOST
        self._rest = b""
        return Answer(said, True, pause)


def printable(data: bytes, most: int) -> bytes:
    """The first *most* bytes of *data*, a question mark for each that is not printable ASCII: fit to be said again."""
    return bytes(byte if 0x20 <= byte < 0x7F else 0x3F for byte in data[:most])


def verb(line: bytes) -> tuple[bytes, bytes]:
    """The first word of *line* in capitals, and the rest without the blanks between."""
    word, _, rest = line.strip(b" \t").partition(b" ")
    return word.upper(), rest.strip(b" \t")
