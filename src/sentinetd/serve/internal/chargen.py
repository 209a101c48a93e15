"""The `chargen` service (RFC 864): lines of 72 characters, each beginning one character further in a ring."""

FIRST, LAST = ord("!"), ord("}")
WIDTH = 72
LINES = 95
"""Lines until the pattern begins again: two more than the ring has characters, as xinetd counts."""
DATAGRAM = 1024
"""Bytes of the answer to a datagram."""

_RING = bytes(range(FIRST, LAST + 1))


def line(position: int) -> bytes:
    """The line that begins at *position* of the ring, CR LF included."""
    start = position % len(_RING)
    return (_RING[start:] + _RING)[:WIDTH] + b"\r\n"


def pattern(position: int) -> bytes:
    """All lines until the pattern begins again, from the one at *position* (0 to `LINES` - 1) on."""
    return b"".join(line(number % LINES) for number in range(position, position + LINES))


def reply(position: int) -> tuple[bytes, int]:
    """Answer to any datagram, and the position for the next. The last line is shorter, but ends like the others."""
    whole = -(-DATAGRAM // (WIDTH + 2))
    lines = b"".join(line((position + number) % LINES) for number in range(whole))
    return lines[: DATAGRAM - 2] + b"\r\n", (position + whole) % LINES
