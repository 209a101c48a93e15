"""A POP3 server on descriptor 0, as an inetd hands it over: ``popd.py MAILDIRS``.

RFC 1939 with UIDL and TOP, over the Maildirs below MAILDIRS; the only user is alice, her password wonderland. It needs
no rights, so that an ordinary user can try the example; a host would rather have its own popa3d or dovecot here.
"""

from __future__ import annotations

import mailbox
import os
import sys
from collections.abc import Iterator

USERS = {"alice": "wonderland"}
LONGEST = 512  # bytes of a command line that we take; RFC 2449 section 4 asks for 255


class Refused(Exception):
    """The command cannot be carried out; the text says why."""


class Session:
    """One client's session: AUTHORIZATION until `box` is there, then TRANSACTION; the deletions come with QUIT."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._user = ""
        self._box: mailbox.Maildir | None = None
        self._keys: list[str] = []
        self._deleted: set[int] = set()

    def answer(self, line: str) -> Iterator[bytes]:
        """The lines that answer the command *line*."""
        command, _, rest = line.partition(" ")
        words = rest.split()
        try:
            match command.upper(), words:
                case "CAPA", []:
                    yield from multiline("capabilities", [b"TOP", b"USER", b"UIDL"])
                case "NOOP", []:
                    yield b"+OK"
                case "USER", [name] if self._box is None:
                    self._user = name
                    yield b"+OK"
                case "PASS", _ if self._box is None:
                    self._login(rest)
                    yield b"+OK %d messages" % len(self._keys)
                case _ if self._box is None:
                    raise Refused("first USER and PASS")
                case "STAT", []:
                    sizes = [len(self._text(number)) for number in self._present()]
                    yield b"+OK %d %d" % (len(sizes), sum(sizes))
                case "LIST", []:
                    rows = [b"%d %d" % (number, len(self._text(number))) for number in self._present()]
                    yield from multiline("sizes", rows)
                case "LIST", [word]:
                    number = self._number(word)
                    yield b"+OK %d %d" % (number, len(self._text(number)))
                case "UIDL", []:
                    yield from multiline("names", [b"%d %s" % (n, self._name(n)) for n in self._present()])
                case "UIDL", [word]:
                    number = self._number(word)
                    yield b"+OK %d %s" % (number, self._name(number))
                case "RETR", [word]:
                    yield from multiline("message", self._text(self._number(word)).split(b"\r\n")[:-1])
                case "TOP", [word, count] if count.isdecimal():
                    head, _, body = self._text(self._number(word)).partition(b"\r\n\r\n")
                    yield from multiline("top", [*head.split(b"\r\n"), b"", *body.split(b"\r\n")[: int(count)]])
                case "DELE", [word]:
                    self._deleted.add(self._number(word))
                    yield b"+OK"
                case "RSET", []:
                    self._deleted.clear()
                    yield b"+OK"
                case _:
                    raise Refused("no such command")
        except Refused as reason:
            yield f"-ERR {reason}".encode()

    def end(self) -> None:
        """QUIT: remove what was marked."""
        if self._box is not None:
            for number in self._deleted:
                self._box.discard(self._keys[number - 1])

    def _login(self, password: str) -> None:
        if USERS.get(self._user) != password:
            raise Refused("wrong user or password")
        self._box = mailbox.Maildir(os.path.join(self._directory, self._user))
        self._keys = sorted(self._box.keys())

    def _present(self) -> list[int]:
        return [number for number in range(1, len(self._keys) + 1) if number not in self._deleted]

    def _number(self, word: str) -> int:
        if not word.isdecimal() or int(word) not in self._present():
            raise Refused("no such message")
        return int(word)

    def _name(self, number: int) -> bytes:
        return self._keys[number - 1].encode()

    def _text(self, number: int) -> bytes:
        """The message with the line ends of the network, the last line too."""
        assert self._box is not None
        lines = self._box.get_bytes(self._keys[number - 1]).replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
        return b"".join(line + b"\r\n" for line in lines)


def multiline(what: str, lines: list[bytes]) -> Iterator[bytes]:
    """A reply of several lines; one that begins with a dot gets another (RFC 1939 section 3)."""
    yield f"+OK {what}".encode()
    for line in lines:
        yield b"." + line if line.startswith(b".") else line
    yield b"."


def main(directory: str) -> None:
    """Serve the Maildirs below *directory* until the client has gone."""
    session = Session(directory)
    with os.fdopen(0, "rb") as incoming, os.fdopen(1, "wb") as outgoing:
        outgoing.write(b"+OK sentinetd's example\r\n")
        outgoing.flush()
        while line := incoming.readline(LONGEST):
            text = line.decode("latin-1").rstrip("\r\n")
            if text.upper() == "QUIT":
                session.end()
                outgoing.write(b"+OK\r\n")
                return
            for reply in session.answer(text):
                outgoing.write(reply + b"\r\n")
            outgoing.flush()


if __name__ == "__main__":
    main(sys.argv[1])
