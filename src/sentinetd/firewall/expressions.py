"""What a rule of nftables is made of: expressions that load into registers, compare, look up, and end in a verdict.

Each function gives one expression as bytes; a rule is several of them in a row, and holds while each of them does.
Numbers are those of linux/netfilter/nf_tables.h. Values without a register of their own pass through the first.
"""

from __future__ import annotations

import socket
import sys

from sentinetd.firewall.framing import attribute, nested, number, text

REGISTER = 1  # NFT_REG_1: 16 bytes
WORD_0 = 8  # NFT_REG32_00: the first of 16 words of 4 bytes, for keys of several parts
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2  # NFT_PAYLOAD_*
META_FAMILY, META_PROTOCOL = 15, 16  # NFT_META_NFPROTO, NFT_META_L4PROTO
EQUAL, UNEQUAL = 0, 1  # NFT_CMP_*
TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP
FAMILY = {4: 2, 6: 10}  # NFPROTO_IPV4, NFPROTO_IPV6
SOURCE = {4: (12, 4), 6: (8, 16)}  # offset and length in the IP header (RFC 791, RFC 8200)
DESTINATION = {4: (16, 4), 6: (24, 16)}
PORT = (2, 2)  # the destination's, in the header of TCP and UDP
TCP_FLAGS = (13, 1)
SYN, SYN_OR_ACK = b"\x02", b"\x12"  # RFC 9293
DROP, ACCEPT, JUMP, GOTO, RETURN = 0, 1, -3, -4, -5  # NF_*, NFT_*
LOCAL = 2  # RTN_LOCAL


def expression(name: str, *attributes: bytes) -> bytes:
    """The expression *name* with its attributes, as an element of a rule."""
    return nested(1, text(1, name), nested(2, *attributes))


def meta(key: int, register: int = REGISTER) -> bytes:
    """Load what is known of the packet beside its bytes."""
    return expression("meta", number(1, register), number(2, key))


def payload(header: int, place: tuple[int, int], register: int = REGISTER) -> bytes:
    """Load bytes of the packet: *place* is offset and length from the beginning of *header*."""
    return expression("payload", number(1, register), number(2, header), number(3, place[0]), number(4, place[1]))


def masked(mask: bytes, register: int = REGISTER) -> bytes:
    """Keep the bits of the register that *mask* has."""
    return expression(
        "bitwise",
        number(1, register),
        number(2, register),
        number(3, len(mask)),
        nested(4, attribute(1, mask)),
        nested(5, attribute(1, bytes(len(mask)))),
    )


def compared(value: bytes, how: int = EQUAL, register: int = REGISTER) -> bytes:
    """The rule goes on if the register is *value*, or is not."""
    return expression("cmp", number(1, register), number(2, how), nested(3, attribute(1, value)))


def looked_up(name: str, register: int = REGISTER) -> bytes:
    """The rule goes on if what begins in *register* is in the set *name*."""
    return expression("lookup", text(1, name), number(2, register))


def local_destination() -> bytes:
    """The rule goes on if the packet is for an address of this host, not one to be forwarded to."""
    address_type, of_destination = 3, 2  # NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR
    load = expression("fib", number(1, REGISTER), number(2, address_type), number(3, of_destination))
    return load + compared(LOCAL.to_bytes(4, sys.byteorder))


def counter() -> bytes:
    """Count the packets and bytes that come as far."""
    return expression("counter")


def verdict(code: int, chain: str = "") -> bytes:
    """End with *code*; *chain* is where a jump goes."""
    told = number(1, code & 0xFFFFFFFF) + (text(2, chain) if chain else b"")
    return expression("immediate", number(1, 0), nested(2, nested(2, told)))


def reset() -> bytes:
    """Answer with a TCP reset, and drop."""
    return expression("reject", number(1, 1), number(2, 0, 1))


def family(version: int) -> bytes:
    """The rule goes on for that IP version."""
    return meta(META_FAMILY) + compared(bytes([FAMILY[version]]))


def protocol(wanted: int) -> bytes:
    """The rule goes on for that transport protocol."""
    return meta(META_PROTOCOL) + compared(bytes([wanted]))


def begins_connection() -> bytes:
    """The rule goes on for TCP's SYN without ACK, which only begins a connection and never answers or continues one."""
    flags = payload(TRANSPORT_HEADER, TCP_FLAGS) + masked(SYN_OR_ACK) + compared(SYN)
    return protocol(TCP) + flags
