"""How nfnetlink messages are written and read: headers, attributes (linux/netlink.h, linux/netfilter/nfnetlink.h).

Pure functions of bytes. Numbers of the headers are in the machine's order, those of nftables' attributes big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
ATTRIBUTE = struct.Struct("=HH")  # nlattr: length, type
NUMBER = struct.Struct("=i")  # of nlmsgerr and NLMSG_DONE: 0 or a negative errno
FAMILY = struct.Struct("=BB2s")  # nfgenmsg: address family, version, resource (big-endian)

NESTED, TYPE_MASK = 0x8000, 0x3FFF  # NLA_F_NESTED; a type without it and NLA_F_NET_BYTEORDER
CAPPED, ACK_TLVS = 0x100, 0x200  # NLM_F_*, of an error: only the header of what failed is repeated; attributes follow
ERROR_TEXT = 1  # NLMSGERR_ATTR_MSG


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    length = ATTRIBUTE.size + len(value)
    return ATTRIBUTE.pack(length, kind) + value + bytes(-length & 3)


def nested(kind: int, *values: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | NESTED, b"".join(values))


def text(kind: int, value: str) -> bytes:
    """An attribute with a name, which ends in a zero byte."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int, size: int = 4) -> bytes:
    """An attribute with a number of *size* bytes."""
    return attribute(kind, value.to_bytes(size, "big"))


def attributes(data: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """The attributes in *data* from *offset* on, in their order: (type, value)."""
    while offset + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, offset)
        if length < ATTRIBUTE.size:
            return
        yield kind & TYPE_MASK, data[offset + ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def request(kind: int, flags: int, sequence: int, family: int, body: bytes, resource: int = 0) -> bytes:
    """A message to the kernel, padded to four bytes."""
    length = HEADER.size + FAMILY.size + len(body)
    head = HEADER.pack(length, kind, flags, sequence, 0)
    return head + FAMILY.pack(family, 0, resource.to_bytes(2, "big")) + body + bytes(-length & 3)


def messages(data: bytes) -> Iterator[tuple[int, int, int, int, bytes]]:
    """The messages of one datagram: (type, flags, sequence, port, payload)."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, sequence, port = HEADER.unpack_from(data, offset)
        if length < HEADER.size:
            return
        yield kind, flags, sequence, port, data[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3


def words(flags: int, payload: bytes) -> str:
    """What the kernel says in an error message beyond its number (NETLINK_EXT_ACK); mostly nothing."""
    if not flags & ACK_TLVS:
        return ""
    offset = NUMBER.size + HEADER.size
    if not flags & CAPPED:
        length = HEADER.unpack_from(payload, NUMBER.size)[0]
        offset = NUMBER.size + ((length + 3) & ~3)
    told = dict(attributes(payload, offset)).get(ERROR_TEXT, b"")
    return told.rstrip(b"\0").decode("ascii", "backslashreplace")
