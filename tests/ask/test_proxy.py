"""PROXY headers: read in whatever pieces, to their last byte; the proxy-protocol library as a second opinion."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from proxyprotocol.result import ProxyResult, ProxyResultIPv4, ProxyResultIPv6, ProxyResultLocal, ProxyResultUnknown
from proxyprotocol.tlv import ProxyProtocolTLV
from proxyprotocol.v1 import ProxyProtocolV1
from proxyprotocol.v2 import ProxyProtocolV2

from rig.carrier import reset, tcp_pair
from sentinetd.ask.proxy import FIXED, LONGEST, LONGEST_LINE, OURS, SIGNATURE, Header, announced, read
from sentinetd.model.address import Address
from sentinetd.model.connection import Announced

LINE = b"PROXY TCP4 192.0.2.9 198.51.100.6 40022 443\r\n"
NINE = Announced(Address.parse("192.0.2.9"), 40022)
SIX = Announced(Address.parse("2001:db8::9"), 65535)


def binary(command: int = 0x21, family: int = 0x11, body: bytes = b"", size: int | None = None) -> bytes:
    return SIGNATURE + bytes([command, family]) + (len(body) if size is None else size).to_bytes(2, "big") + body


BLOCK4 = socket.inet_pton(socket.AF_INET, "192.0.2.9") + bytes(4) + (40022).to_bytes(2, "big") + b"\x01\xbb"
BLOCK6 = socket.inet_pton(socket.AF_INET6, "2001:db8::9") + bytes(16) + b"\xff\xff\0\x50"
MAPPED = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.9") + bytes(16) + (40022).to_bytes(2, "big") + b"\0\x50"
WORST = b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"


@pytest.mark.parametrize(
    ("data", "who"),
    [
        pytest.param(LINE, NINE, id="v1 TCP4"),
        pytest.param(b"PROXY TCP6 2001:db8::9 ::1 65535 80\r\n", SIX, id="v1 TCP6"),
        pytest.param(b"PROXY TCP6 2001:DB8:0:0:0:0:0:9 ::1 65535 80\r\n", SIX, id="v1, another spelling"),
        pytest.param(b"PROXY TCP6 ::ffff:192.0.2.9 ::1 40022 80\r\n", NINE, id="v1, mapped"),
        pytest.param(b"PROXY TCP4 192.0.2.9 198.51.100.6 0 0\r\n", Announced(NINE.source, 0), id="v1, port 0"),
        pytest.param(b"PROXY UNKNOWN\r\n", OURS, id="v1 UNKNOWN"),
        pytest.param(b"PROXY UNKNOWN \0what ever\r\r\n", OURS, id="v1 UNKNOWN and more"),
        pytest.param(WORST, OURS, id="v1, the longest"),
        pytest.param(binary(body=BLOCK4), NINE, id="v2 TCP over IPv4"),
        pytest.param(binary(family=0x21, body=BLOCK6), SIX, id="v2 TCP over IPv6"),
        pytest.param(binary(family=0x21, body=MAPPED), NINE, id="v2, mapped"),
        pytest.param(binary(body=BLOCK4 + b"\x04\0\x03abc\x20\xff\xff"), NINE, id="v2, TLVs are skipped unread"),
        pytest.param(binary(body=BLOCK4 + bytes(LONGEST - FIXED - 12)), NINE, id="v2, the longest"),
        pytest.param(binary(0x20, 0x00), OURS, id="v2 LOCAL"),
        pytest.param(binary(0x20, 0xFF, bytes(9)), OURS, id="v2 LOCAL, the rest is ignored"),
        pytest.param(binary(0x20, 0x11, BLOCK4), OURS, id="v2 LOCAL with addresses"),
        pytest.param(binary(0x21, 0x00), OURS, id="v2 UNSPEC"),
        pytest.param(binary(0x21, 0x10, bytes(5)), OURS, id="v2 IPv4, protocol UNSPEC"),
        pytest.param(binary(0x21, 0x12, BLOCK4), OURS, id="v2 UDP"),
        pytest.param(binary(0x21, 0x31, bytes(216)), OURS, id="v2 UNIX"),
    ],
)
def test_read(data: bytes, who: Announced) -> None:
    assert read(data) == Header(who, len(data))
    assert read(data + b"GET / HTTP/1.0\r\n\r\n") == Header(who, len(data))
    assert all(read(data[:length]) is None for length in range(len(data)))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.0\r\n", id="another protocol"),
        pytest.param(b"PROXYTCP4", id="no blank"),
        pytest.param(b"PROXY  TCP4 192.0.2.9 192.0.2.8 1 2\r\n", id="two blanks"),
        pytest.param(b"proxy TCP4 192.0.2.9 192.0.2.8 1 2\r\n", id="small letters"),
        pytest.param(b"PROXY TCP4 192.0.2.9 192.0.2.8 1 2\n", id="a bare LF"),
        pytest.param(b"PROXY UNKNOWN\n", id="a bare LF after UNKNOWN"),
        pytest.param(b"PROXY UNKNOWNS\r\n", id="a longer word"),
        pytest.param(b"PROXY TCP4 192.0.2.9 192.0.2.8 1\r\n", id="a port missing"),
        pytest.param(b"PROXY TCP4 192.0.2.9 192.0.2.8 1 2 3\r\n", id="a word too many"),
        pytest.param(b"PROXY TCP4 192.0.2.09 192.0.2.8 1 2\r\n", id="a leading zero"),
        pytest.param(b"PROXY TCP4 192.0.2.256 192.0.2.8 1 2\r\n", id="no address"),
        pytest.param(b"PROXY TCP4 192.0.2.9 localhost 1 2\r\n", id="a name"),
        pytest.param(b"PROXY TCP4 2001:db8::9 ::1 1 2\r\n", id="the wrong family"),
        pytest.param(b"PROXY TCP6 192.0.2.9 ::1 1 2\r\n", id="the wrong family, the other way round"),
        pytest.param(b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", id="a scope"),
        pytest.param(b"PROXY TCP6 1::2::3 ::1 1 2\r\n", id="two gaps"),
        pytest.param(b"PROXY TCP4 192.0.2.9 192.0.2.8 65536 2\r\n", id="a port too large"),
        pytest.param(b"PROXY TCP4 192.0.2.9 192.0.2.8 01 2\r\n", id="a port with a zero before"),
        pytest.param(b"PROXY TCP4 192.0.2.9 192.0.2.8 +1 2\r\n", id="a port with a sign"),
        pytest.param(b"PROXY UDP4 192.0.2.9 192.0.2.8 1 2\r\n", id="another transport"),
        pytest.param(b"PROXY UNKNOWN " + b"x" * LONGEST_LINE, id="endless"),
        pytest.param(WORST[:-2] + b"5\r\n", id="one byte too long"),
        pytest.param(b"\r\n\r\n\0\r\nQUIX", id="nearly the signature"),
        pytest.param(binary(0x11, body=BLOCK4), id="version 1 in version 2's form"),
        pytest.param(binary(0x22, body=BLOCK4), id="an unknown command"),
        pytest.param(binary(family=0x41, body=bytes(300)), id="an unknown family"),
        pytest.param(binary(family=0x13, body=BLOCK4), id="an unknown protocol"),
        pytest.param(binary(body=BLOCK4[:-1]), id="too short for IPv4"),
        pytest.param(binary(family=0x21, body=BLOCK6[:-1]), id="too short for IPv6"),
        pytest.param(binary(family=0x31, body=bytes(215)), id="too short for UNIX"),
        pytest.param(binary(size=LONGEST - FIXED + 1), id="too long"),
    ],
)
def test_read_refuses(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"PROXY"):
        read(data)


HEADERS = [LINE, WORST, binary(body=BLOCK4), binary(family=0x21, body=BLOCK6), binary(0x20), b"PROXY ", SIGNATURE]


@given(st.one_of(st.binary(max_size=200), st.tuples(st.sampled_from(HEADERS), st.binary(max_size=60)).map(b"".join)))
@example(WORST[:-1])
def test_pieces_make_no_difference(data: bytes) -> None:
    outcomes = []
    for length in range(len(data) + 1):
        try:
            outcomes.append(read(data[:length]))
        except ValueError:
            outcomes.append(ValueError)
    told = [one for one in outcomes if one is not None]
    assert outcomes == [None] * (len(outcomes) - len(told)) + told
    assert len(set(map(repr, told))) <= 1
    assert told or len(data) < LONGEST


addresses4 = st.ip_addresses(v=4)
addresses6 = st.ip_addresses(v=6)
ports = st.integers(0, 65535)


@given(addresses4, addresses4, ports, ports)
def test_v1_and_v2_of_the_library_ipv4(source: IPv4Address, other: IPv4Address, port: int, local: int) -> None:
    agree(ProxyResultIPv4((source, port), (other, local), protocol=socket.SOCK_STREAM), source, port)


@given(addresses6, addresses6, ports, ports)
def test_v1_and_v2_of_the_library_ipv6(source: IPv6Address, other: IPv6Address, port: int, local: int) -> None:
    agree(ProxyResultIPv6((source, port), (other, local), protocol=socket.SOCK_STREAM), source, port)


def agree(result: ProxyResult, source: IPv4Address | IPv6Address, port: int) -> None:
    who = Announced(Address.parse(str(source)), port)
    for packer in (ProxyProtocolV1(), ProxyProtocolV2()):
        data = packer.pack(result)
        assert read(data + b"\0") == Header(who, len(data))


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_tlvs_of_the_library(name: bytes, token: bytes) -> None:
    tlv = ProxyProtocolTLV(authority=name.hex(), unique_id=token)
    result = ProxyResultIPv4((IPv4Address("192.0.2.9"), 40022), (IPv4Address("192.0.2.1"), 1), protocol=1, tlv=tlv)
    data = ProxyProtocolV2().pack(result)
    assert read(data) == Header(NINE, len(data))


@pytest.mark.parametrize(
    ("pack", "result"),
    [(ProxyProtocolV2().pack, ProxyResultLocal()), (ProxyProtocolV2().pack, ProxyResultUnknown())],
)
def test_what_announces_nobody(pack: Callable[[ProxyResult], bytes], result: ProxyResult) -> None:
    data = pack(result)
    assert read(data) == Header(OURS, len(data))


@given(st.binary(min_size=2, max_size=80), st.integers(0, 40))
def test_what_we_believe_the_library_believes(rest: bytes, size: int) -> None:
    """Of version 2, where the library is as strict; of version 1 it lets blanks and signs pass in numbers."""
    data = SIGNATURE + rest[:2] + size.to_bytes(2, "big") + rest[2:]
    try:
        header = read(data)
    except ValueError:
        return
    if header is None or header.announced.source is None:
        return
    theirs = ProxyProtocolV2().unpack(data[: FIXED + 12] if rest[1] >> 4 == 1 else data[: FIXED + 36])
    assert isinstance(theirs, ProxyResultIPv4 | ProxyResultIPv6)
    assert Address.parse(str(theirs.source[0])) == header.announced.source
    assert theirs.source[1] == header.announced.port


# Off a connection.


async def off(pieces: list[bytes], seconds: float = 20.0) -> tuple[Announced, bytes]:
    """Whom a client announces that sends *pieces*, each when the one before was taken off; and what is left."""
    client, accepted = tcp_pair()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with client, accepted:
        task = asyncio.create_task(announced(accepted, seconds))
        for piece in pieces:
            client.send(piece)
            for _ in range(20):
                await asyncio.sleep(0)
        who = await task
        client.shutdown(socket.SHUT_WR)
        assert os.get_blocking(accepted.fileno())
        rest = b""
        while piece := accepted.recv(100):
            rest += piece
        return who, rest


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([LINE + b"SSH-2.0-x\r\n"], id="in one piece"),
        pytest.param([LINE, b"SSH-2.0-x\r\n"], id="the header alone, then the rest"),
        pytest.param([bytes([byte]) for byte in LINE] + [b"SSH-2.0-x\r\n"], id="byte by byte"),
        pytest.param([LINE[:-1], b"\nSSH-2.0-x\r\n"], id="its last byte with the rest"),
    ],
)
def test_nothing_is_taken_of_what_follows(pieces: list[bytes]) -> None:
    assert asyncio.run(off(pieces)) == (NINE, b"SSH-2.0-x\r\n")


def test_version_2_off_a_connection() -> None:
    data = binary(body=BLOCK4 + bytes(1000))
    assert asyncio.run(off([data[:14], data[14:600], data[600:] + b"x"])) == (NINE, b"x")


def refused(act: Callable[[socket.socket], None], seconds: float = 20.0) -> str:
    """Why a client that does *act* announces nobody."""

    async def inside() -> str:
        client, accepted = tcp_pair()
        with client, accepted:
            act(client)
            with pytest.raises(ValueError, match="PROXY") as caught:
                await announced(accepted, seconds)
            return str(caught.value)

    return asyncio.run(inside())


def half_close(client: socket.socket) -> None:
    client.send(LINE[:20])
    client.shutdown(socket.SHUT_WR)


def break_off(client: socket.socket) -> None:
    reset(client)


@pytest.mark.parametrize(
    ("act", "why"),
    [
        pytest.param(
            lambda client: client.send(b"GET / HTTP/1.0\r\n"), "no PROXY header, but something else", id="else"
        ),
        pytest.param(
            half_close, "the end of the connection in place of a PROXY header", id="half a header, then the end"
        ),
        pytest.param(break_off, "no PROXY header: Connection reset by peer", id="a reset"),
        pytest.param(
            lambda client: client.send(b"PROXY UNKNOWN" + b" " * 200),
            "a PROXY line of more than 107 bytes",
            id="endless",
        ),
    ],
)
def test_no_header(act: Callable[[socket.socket], None], why: str) -> None:
    assert refused(act) == why


@pytest.mark.parametrize("said", [pytest.param(b"", id="silence"), pytest.param(LINE[:9], id="half a header")])
def test_a_header_that_does_not_come(said: bytes) -> None:
    assert refused(lambda client: client.send(said) and None, 0.2) == "no PROXY header within 0.2 seconds"
