"""Words of the configuration that mean ports: numbers, ranges, and ports of certain addresses only.

Names of services(5) are numbers by the time a reader sees them; `numbered` is what replaces them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from sentinetd.model.address import Network
from sentinetd.model.attribute import BadValue, Words
from sentinetd.model.readers import need_one
from sentinetd.model.values import LeftOut, Ports, Spot, Spread

HIGHEST = 65535


def numbered(words: Words, port_of: Callable[[str], int | None]) -> list[str]:
    """The pieces of *words*, those between commas as well, each name that *port_of* knows replaced by its number."""
    return [_numbered(piece, port_of) for piece in _pieces(words)]


def _numbered(piece: str, port_of: Callable[[str], int | None]) -> str:
    where, _, port = piece.rpartition(":")
    known = None if _range(port) else port_of(port)
    return piece if known is None else f"{where}:{known}" if where else str(known)


def port_list(words: Words) -> Ports:
    """``unused``, or ports and ``LOW-HIGH`` ranges, separated by commas or spaces."""
    need_one("ports", words)
    if [word.lower() for word in words] == ["unused"]:
        return Ports(unused=True)
    way_out = "write unused, or ports and ranges, as 23,110-143,3306"
    return Ports(combined(_wanted(piece, way_out) for piece in _pieces(words)))


def left_out(words: Words) -> LeftOut:
    """Ports and ranges, and ``ADDRESS:PORT`` or ``NETWORK:LOW-HIGH`` with IPv6 in brackets."""
    need_one("ports_except", words)
    way_out = "write ports and ranges, and ADDRESS:PORT where they are left out of one address, as 113 192.0.2.5:25"
    ranges: list[Spread] = []
    spots: list[Spot] = []
    for piece in _pieces(words):
        where, colon, port = piece.rpartition(":")
        span = _wanted(port, way_out, piece)
        if not colon:
            ranges.append(span)
            continue
        if ":" in where and not (where.startswith("[") and where.endswith("]")):
            raise BadValue(f"IPv6 address without brackets: {piece}", f"write [{where}]:{port}")
        try:
            spots.append(Spot(Network.parse(where.removeprefix("[").removesuffix("]")), *span))
        except ValueError:
            raise BadValue(f"bad address: {where}", way_out) from None
    return LeftOut(combined(ranges), tuple(spots))


def combined(ranges: Iterable[Spread]) -> tuple[Spread, ...]:
    """*ranges* in order, those that touch or overlap made one."""
    found: list[Spread] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return tuple(found)


def without(ranges: Iterable[Spread], less: Iterable[Spread]) -> tuple[Spread, ...]:
    """What is left of *ranges* when *less*, which are in order and apart, are taken away."""
    return tuple(part for one in ranges for part in _parts(one, less))


def _parts(whole: Spread, less: Iterable[Spread]) -> Iterator[Spread]:
    begin, end = whole
    for low, high in less:
        if high < begin or low > end:
            continue
        if low > begin:
            yield begin, low - 1
        begin = high + 1
    if begin <= end:
        yield begin, end


def _pieces(words: Words) -> list[str]:
    return ",".join(words).split(",")


def _wanted(port: str, way_out: str, piece: str = "") -> Spread:
    span = _range(port)
    if span is None or not 1 <= span[0] <= span[1] <= HIGHEST:
        raise BadValue(f"port number is invalid: {piece or port or ','}", way_out)
    return span


def _range(piece: str) -> Spread | None:
    """The two numbers of ``N`` or ``LOW-HIGH``, whatever they are; None for anything else, as the name of a service."""
    low, dash, high = piece.partition("-")
    ends = (low, high if dash else low)
    if not all(end.isascii() and end.isdigit() and len(end) < 9 for end in ends):
        return None
    return int(ends[0]), int(ends[1])
