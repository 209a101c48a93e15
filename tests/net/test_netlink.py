from __future__ import annotations

import errno
import os
import sys

import pytest

from sentinetd.net.netlink import HEADER, NetlinkError, attributes, dump, messages


def test_a_question_that_the_kernel_refuses() -> None:
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(NetlinkError, match="what nobody asks: ") as raised:
        dump(4, 20, b"\xff" * 56, "what nobody asks")  # sock_diag of address family 255
    assert raised.value.errno in (errno.ENOENT, errno.EINVAL, errno.EAFNOSUPPORT)
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_protocol_that_the_kernel_lacks() -> None:
    with pytest.raises(NetlinkError):
        dump(31, 20, b"", "anything")


def row(length: int, kind: int, value: bytes) -> bytes:
    return length.to_bytes(2, "little") + kind.to_bytes(2, "little") + value


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is written for little-endian machines")
@pytest.mark.parametrize(
    ("data", "read"),
    [
        pytest.param(row(8, 1, b"abcd") + row(5, 2, b"x\0\0\0") + row(4, 3, b""), [(1, b"abcd"), (2, b"x"), (3, b"")]),
        pytest.param(row(8, 0x8001, b"abcd"), [(1, b"abcd")], id="nested flag"),
        pytest.param(row(0, 1, b"abcd"), [], id="a length of nothing ends it"),
        pytest.param(row(400, 1, b"abcd"), [(1, b"abcd")], id="cut short"),
        pytest.param(b"\x08\0", [], id="half a head"),
    ],
)
def test_attributes(data: bytes, read: list[tuple[int, bytes]]) -> None:
    assert list(attributes(b"head" + data, 4)) == read


def test_messages() -> None:
    first = HEADER.pack(HEADER.size + 3, 20, 2, 1, 0) + b"abc" + b"\0"
    second = HEADER.pack(HEADER.size, 3, 0, 1, 0)
    broken = HEADER.pack(2, 3, 0, 1, 0)
    assert list(messages(first + second + broken + second)) == [(20, 2, 1, b"abc"), (3, 0, 1, b"")]
