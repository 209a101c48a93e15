"""XDR and ONC RPC, as much as a client of rpcbind needs (RFC 4506, RFC 5531). Bytes in, values out; no socket here.

What is read was written by somebody else: every length is checked, and what does not fit is a `Malformed`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sentinetd.errors import EdgeError
from sentinetd.model.noun import dataclass

CALL, REPLY = 0, 1
ACCEPTED = 0
SUCCESS = 0
RPC_VERSION = 2
LAST_FRAGMENT = 1 << 31
LONGEST_RECORD = 4096
"""Bytes of a record; what we ask for is answered in 28."""
LONGEST_VERIFIER = 400
"""Bytes of an authenticator (RFC 5531, section 8.2)."""

FAILURES = {1: "no such program", 2: "no such version", 3: "no such procedure", 4: "arguments not understood"}
"""What a server that accepted a call may say of it beside success (RFC 5531, accept_stat)."""
DENIALS = {0: "another version of RPC is wanted", 1: "not authorised"}
"""Why a server does not accept a call (reject_stat)."""


class Malformed(EdgeError):
    """These bytes are not what they should be; nothing more is to be believed of where they came from."""


def unsigned(value: int) -> bytes:
    """An unsigned integer of 32 bits."""
    return value.to_bytes(4, "big")


def text(value: str) -> bytes:
    """A string: its length, its bytes, and zeros up to a multiple of four."""
    data = value.encode("ascii")
    return unsigned(len(data)) + data + bytes(-len(data) % 4)


def call(number: int, program: int, version: int, procedure: int, arguments: bytes) -> bytes:
    """The record that calls *procedure*, without credentials; *number* tells its reply from others (xid)."""
    no_credentials = unsigned(0) + unsigned(0)
    head = (number, CALL, RPC_VERSION, program, version, procedure)
    message = b"".join(map(unsigned, head)) + no_credentials + no_credentials + arguments
    return unsigned(LAST_FRAGMENT | len(message)) + message


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to the call *number*: its results, as bytes yet to be read; *failure*: there are none, and why."""

    number: int
    results: bytes
    failure: str = ""


def reply(record: bytes) -> Reply:
    """What *record* says. Malformed if it is no reply."""
    reader = Reader(record)
    number = reader.unsigned()
    if reader.unsigned() != REPLY:
        raise Malformed("a call, where a reply should be")
    if reader.unsigned() != ACCEPTED:
        return Reply(number, b"", DENIALS.get(reader.unsigned(), "not accepted"))
    reader.unsigned()  # flavour of the verifier, which proves nothing to us
    reader.opaque(LONGEST_VERIFIER)
    state = reader.unsigned()
    if state != SUCCESS:
        return Reply(number, b"", FAILURES.get(state, "system error"))
    return Reply(number, reader.rest())


def truth(results: bytes) -> bool:
    """The boolean that is all of *results*."""
    reader = Reader(results)
    value = reader.unsigned()
    if value > 1 or reader.rest():
        raise Malformed("a boolean is 0 or 1")
    return value == 1


class Reader:
    """Reads *data* from its beginning; Malformed where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def unsigned(self) -> int:
        """The next unsigned integer of 32 bits."""
        return int.from_bytes(self._take(4), "big")

    def opaque(self, most: int) -> bytes:
        """The next counted bytes, at most *most*, without their padding."""
        length = self.unsigned()
        if length > most:
            raise Malformed(f"{length} bytes, where {most} are the most")
        return self._take(length + -length % 4)[:length]

    def rest(self) -> bytes:
        """All that is left."""
        return self._take(len(self._data) - self._place)

    def _take(self, count: int) -> bytes:
        taken = self._data[self._place : self._place + count]
        if len(taken) < count:
            raise Malformed("it ends too early")
        self._place += count
        return taken


class Records:
    """Puts the records of a stream together again (RFC 5531, section 11)."""

    def __init__(self) -> None:
        self._pending = b""  # what has come of the next fragment, its head included
        self._fragments = b""  # of the next record

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The records that *data* completes. Malformed if one is longer than `LONGEST_RECORD`."""
        self._pending += data
        while len(self._pending) >= 4:
            head = int.from_bytes(self._pending[:4], "big")
            length = head & ~LAST_FRAGMENT
            if length + len(self._fragments) > LONGEST_RECORD:
                raise Malformed(f"a record is longer than {LONGEST_RECORD} bytes")
            if len(self._pending) < 4 + length:
                return
            self._fragments += self._pending[4 : 4 + length]
            self._pending = self._pending[4 + length :]
            if head & LAST_FRAGMENT:
                record, self._fragments = self._fragments, b""
                yield record
