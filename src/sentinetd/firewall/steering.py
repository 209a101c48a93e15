"""Connections to ports that no program listens on, brought to the listeners of a sensor: rules of a table of its own.

The packet that begins a connection is given to the listener as it is (nft(8), TPROXY): the connection has the address
and the port that were asked for, nothing is rewritten, and connection tracking is not needed. Only what comes in by a
bridge is redirected to the listener's port: where frames of bridges pass the IP rules (br_netfilter), as they do on
hosts with containers, the kernel forgets on the way to whom a packet was given.

The rules stand behind the translation of addresses, so that what is published for containers or other hosts is theirs;
and they look for a socket first, so that whoever listens goes first, from its listen(2) on. Ports of which it is known
that somebody listened there lately are let be as well, whether he does now or not: a server that is started anew, or
closed for a while, must not have its customers banned meanwhile.

Only two kinds of packets are looked at. A SYN without ACK begins a connection, and is never an answer to what the host
began. A short ACK that belongs to no socket may end the handshake of a connection that began with a SYN cookie: were
it passed over, whoever floods the sensor with SYNs could blind it. So that the ACKs of other sessions cost no search
for their sockets, ports that were touched are remembered for a minute, and only those are searched for. What the host
sends to itself comes in by loopback, and is let be.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Collection, Iterator

from sentinetd.firewall import expressions as ex
from sentinetd.firewall import tables as tb
from sentinetd.firewall.framing import attribute, nested, number, text
from sentinetd.firewall.netfilter import CREATE, Message
from sentinetd.firewall.tables import Key, KeyType
from sentinetd.model.address import BITS, Network
from sentinetd.model.aim import Aim, InUse
from sentinetd.model.noun import dataclass
from sentinetd.model.values import Spread

LAST_OF_NAT = -99  # among chains that translate, behind those of others, which stand at dstnat, -100
BEHIND_NAT = -50
META_LENGTH, META_TYPE, META_LINK = 0, 8, 26  # NFT_META_LEN, NFT_META_IIFTYPE, NFT_META_IIFKIND
LOOPBACK = (772).to_bytes(2, sys.byteorder)  # ARPHRD_LOOPBACK
BRIDGE = b"bridge".ljust(16, b"\0")
TRANSPARENT, WILDCARD = 0, 2  # NFT_SOCKET_*
NEITHER = b"\xff"  # of what is 0 or 1
TO_BIG_ENDIAN = 1  # NFT_BYTEORDER_HTON
DESTINATION_NAT = 1  # NFT_NAT_DNAT
INET = 1  # NFPROTO_INET
AT_LEAST, AT_MOST = 5, 3  # NFT_CMP_GTE, NFT_CMP_LTE
IN_USE = "in_use_{}", "in_use_everywhere_{}"
"""Names of sets, by IP version: addresses with ports, and ports of all addresses."""
IN_USE_MOST = 65_536
"""Elements of such a set; more than so many sockets nobody opens to listen."""
TOUCHED = "touched"
"""Name of the set of ports of which packets were given to a listener a short while ago."""
TOUCHED_FOR = 60_000
"""Milliseconds, in which a handshake ends or never does."""
TOUCHED_MOST = 1 << 17  # each port once, and those once more whose time is over but which are still there
DYNAMIC = 0x30  # NFT_SET_EVAL, NFT_SET_TIMEOUT: rules put elements in, which end
UPDATE = 1  # NFT_DYNSET_OP_UPDATE
PURE_ACK, FLAGS = b"\x10", b"\x1f"  # FIN, SYN, RST, PSH, ACK (RFC 9293)
SHORT = 100
"""Bytes of the longest packet that can end a handshake and carry nothing: IPv6, and TCP with its usual options. Longer
ones, which are most of what a busy host receives, are let by without looking for their sockets."""


@dataclass(frozen=True, slots=True)
class _Way:
    """How packets come to a listener, and from which chain: *entry* of that *kind*, which leads to *sensors*, which
    leads to a chain for each aim."""

    entry: str
    sensors: str
    aim: str
    kind: str
    priority: int
    taken: Callable[[int], bytes]


def _given(port: int) -> bytes:
    """The packet goes to the transparent listener at *port*, as it is."""
    return _loaded(port) + ex.expression("tproxy", number(1, socket.AF_UNSPEC), number(3, ex.REGISTER)) + _ACCEPT


def _redirected(port: int) -> bytes:
    """The connection goes to *port* at the address that it asks for."""
    where = number(5, ex.REGISTER) + number(6, ex.REGISTER)  # NFTA_NAT_REG_PROTO_MIN, NFTA_NAT_REG_PROTO_MAX
    return _loaded(port) + ex.expression("nat", number(1, DESTINATION_NAT), number(2, INET), where)


def _loaded(port: int) -> bytes:
    return ex.expression("immediate", number(1, ex.REGISTER), nested(2, attribute(1, port.to_bytes(2, "big"))))


_ACCEPT, _LET_BE = ex.verdict(ex.ACCEPT), ex.verdict(ex.RETURN)
PLAIN = _Way("incoming", "sensors", "aim", "filter", BEHIND_NAT, _given)
BRIDGED = _Way("bridged", "bridged_sensors", "bridged_aim", "nat", LAST_OF_NAT, _redirected)


def rules(of: str, aims: Collection[Aim], used: Collection[InUse], *, bridges: bool) -> list[Message]:
    """All that the table *of*, which is empty, is to hold for *aims*; *used*: what is let be; *bridges*: the host has
    some."""
    messages = [tb.hash_set(of, name, key, IN_USE_MOST) for name, key in _sets()]
    messages.append(_touched(of))
    messages += _filled(of, used)
    messages += _way(of, PLAIN, aims, bridges)
    if bridges:
        messages += _way(of, BRIDGED, aims, bridges)
    return messages


def let_be(of: str, used: Collection[InUse]) -> list[Message]:
    """Put *used* in place of what was let be before."""
    return [*(tb.empty(of, name) for name, _key in _sets()), *_filled(of, used)]


def _touched(of: str) -> Message:
    """Make the set of touched ports."""
    key = Key((KeyType.PROTOCOL, KeyType.PORT))
    shape = number(3, DYNAMIC) + number(4, key.code) + number(5, key.length) + nested(9, number(1, TOUCHED_MOST))
    return Message(tb.NEW_SET, text(1, of) + text(2, TOUCHED) + shape + number(10, 1), CREATE)


def _port_asked() -> bytes:
    """Load what keys of ports consist of."""
    words = ex.meta(ex.META_PROTOCOL, ex.WORD_0), ex.payload(ex.TRANSPORT_HEADER, ex.PORT, ex.WORD_0 + 1)
    return ex.protocol(ex.TCP) + b"".join(words)


def _sets() -> Iterator[tuple[str, Key]]:
    for version, kind in ((4, KeyType.IPV4), (6, KeyType.IPV6)):
        yield IN_USE[0].format(version), Key((kind, KeyType.PORT))
        yield IN_USE[1].format(version), Key((KeyType.PROTOCOL, KeyType.PORT))


def _filled(of: str, used: Collection[InUse]) -> Iterator[Message]:
    rows: dict[str, list[bytes]] = {}
    for one in used:
        if one.address is None:
            name, first = IN_USE[1].format(one.version), bytes([ex.TCP, 0, 0, 0])
        else:
            name, first = IN_USE[0].format(one.version), one.address.to_bytes(BITS[one.version] // 8, "big")
        row = rows.setdefault(name, [])
        if len(row) < IN_USE_MOST:
            row.append(tb.element(first + one.port.to_bytes(2, "big") + bytes(2)))  # each part takes whole words
    for name, elements in rows.items():
        yield from tb.elements(of, name, elements)


def _way(of: str, way: _Way, aims: Collection[Aim], bridges: bool) -> Iterator[Message]:
    yield tb.chain(of, way.sensors)
    yield tb.hooked_chain(of, way.entry, tb.PREROUTING, way.priority, way.kind)
    for one in _looked_at(way, bridges):
        yield tb.rule(of, way.entry, *one)
    # Of a connection that there is, or at this very address: whoever has it.
    yield tb.rule(of, way.sensors, _socket(WILDCARD), ex.compared(b"\0"), _LET_BE)
    for place, aim in enumerate(sorted(aims, key=lambda one: -one.narrowness)):
        name = f"{way.aim}_{place}"
        yield tb.chain(of, name)
        to = () if aim.network is None else (_to(aim.network),)
        yield tb.rule(of, way.sensors, *to, ex.verdict(ex.JUMP, name))
        for one in _aim(aim, way):
            yield tb.rule(of, name, *one)


def _looked_at(way: _Way, bridges: bool) -> Iterator[tuple[bytes, ...]]:
    """The rules of the first chain: what is looked at, at all."""
    on = ex.local_destination(), ex.verdict(ex.JUMP, way.sensors)
    bridge = ex.meta(META_LINK) + ex.compared(BRIDGE)
    if way is BRIDGED:
        yield bridge, ex.begins_connection(), *on
        return
    yield ex.meta(META_TYPE) + ex.compared(LOOPBACK), _ACCEPT
    if bridges:
        yield bridge, _ACCEPT
    yield ex.begins_connection(), *on
    length = ex.meta(META_LENGTH) + _big_endian() + ex.compared(SHORT.to_bytes(4, "big"), AT_MOST)
    flags = ex.payload(ex.TRANSPORT_HEADER, ex.TCP_FLAGS) + ex.masked(FLAGS) + ex.compared(PURE_ACK)
    yield ex.protocol(ex.TCP), length, flags, _port_asked(), ex.looked_up(TOUCHED, ex.WORD_0), *on


def _aim(aim: Aim, way: _Way) -> Iterator[tuple[bytes, ...]]:
    """The rules of the aim's own chain: what is let be, then what is taken."""
    for span in aim.out:
        yield *_asking(span), _LET_BE
    for spot in aim.spots:
        yield _to(spot.network), *_asking((spot.low, spot.high)), _LET_BE
    if aim.shared:
        for version, _port in aim.listeners:
            yield from _in_use(version)
        yield _socket(TRANSPARENT), ex.compared(NEITHER, ex.UNEQUAL), _LET_BE  # there is a socket, whatever it is
    if way is PLAIN:
        lasting = number(6, TOUCHED_FOR, 8)
        put = ex.expression("dynset", text(1, TOUCHED), number(3, UPDATE), number(4, ex.WORD_0), lasting)
        yield _port_asked(), put  # a rule of its own, since it ends where the set is full
    for span in aim.ports or ((1, 65535),):
        for version, port in aim.listeners:
            yield ex.family(version), *_asking(span), way.taken(port)


def _in_use(version: int) -> Iterator[tuple[bytes, ...]]:
    """Who listened there lately has it, though he may not do so just now."""
    address = ex.payload(ex.NETWORK_HEADER, ex.DESTINATION[version], ex.WORD_0)
    transport = ex.meta(ex.META_PROTOCOL, ex.WORD_0)
    for name, first, words in ((IN_USE[0], address, BITS[version] // 32), (IN_USE[1], transport, 1)):
        port = ex.payload(ex.TRANSPORT_HEADER, ex.PORT, ex.WORD_0 + words)
        found = ex.looked_up(name.format(version), ex.WORD_0)
        yield ex.family(version), ex.protocol(ex.TCP), first, port, found, _LET_BE


def _to(network: Network) -> bytes:
    length = BITS[network.version] // 8
    mask = ((1 << network.length) - 1) << (BITS[network.version] - network.length)
    found = ex.family(network.version) + ex.payload(ex.NETWORK_HEADER, ex.DESTINATION[network.version])
    return found + ex.masked(mask.to_bytes(length, "big")) + ex.compared(network.value.to_bytes(length, "big"))


def _asking(span: Spread) -> tuple[bytes, ...]:
    """For packets to one of these ports; TCP is named, since nft does not list a port of nothing."""
    low, high = (port.to_bytes(2, "big") for port in span)
    loaded = ex.protocol(ex.TCP), ex.payload(ex.TRANSPORT_HEADER, ex.PORT)
    if low == high:
        return *loaded, ex.compared(low)
    return *loaded, ex.compared(low, AT_LEAST), ex.compared(high, AT_MOST)


def _socket(key: int) -> bytes:
    """Load a fact of the socket that the packet would come to; the rule ends where there is none."""
    return ex.expression("socket", number(1, key), number(2, ex.REGISTER))


def _big_endian() -> bytes:
    registers, sizes = number(1, ex.REGISTER) + number(2, ex.REGISTER), number(4, 4) + number(5, 4)
    return ex.expression("byteorder", registers, number(3, TO_BIG_ENDIAN), sizes)
