from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinetd.firewall import framing


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        pytest.param(framing.attribute(3, b"abcd"), b"\x08\0\x03\0abcd", id="even"),
        pytest.param(framing.attribute(3, b"abcde"), b"\x09\0\x03\0abcde\0\0\0", id="padded, the padding not counted"),
        pytest.param(framing.text(1, "t"), b"\x06\0\x01\0t\0\0\0", id="text ends in a zero byte"),
        pytest.param(framing.number(2, 258), b"\x08\0\x02\0\0\0\x01\x02", id="a number is big-endian"),
        pytest.param(framing.number(2, 1, 1), b"\x05\0\x02\0\x01\0\0\0", id="a number of one byte"),
        pytest.param(framing.nested(4, framing.attribute(1, b"")), b"\x08\0\x04\x80\x04\0\x01\0", id="nested"),
        pytest.param(
            framing.request(0x0A0C, 5, 7, 1, b"body", 10),
            b"\x18\0\0\0\x0c\x0a\x05\0\x07\0\0\0\0\0\0\0\x01\0\0\x0abody",
            id="a request",
        ),
    ],
)
def test_written(made: bytes, wanted: bytes) -> None:
    assert made == wanted


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40))))
def test_what_is_written_is_read(rows: list[tuple[int, bytes]]) -> None:
    assert list(framing.attributes(b"".join(framing.attribute(*row) for row in rows))) == rows


@given(st.binary(max_size=200))
def test_any_bytes_are_read_to_an_end(data: bytes) -> None:
    for _kind, flags, _sequence, _port, payload in framing.messages(data):
        list(framing.attributes(payload))
        if len(payload) >= framing.NUMBER.size + framing.HEADER.size:
            framing.words(flags, payload)


@pytest.mark.parametrize("flags", [framing.ACK_TLVS | framing.CAPPED, framing.ACK_TLVS])
def test_the_kernels_words(flags: int) -> None:
    failed = framing.request(0x0A0C, 5, 7, 1, b"sixteen bytes...")
    repeated = failed[: framing.HEADER.size] if flags & framing.CAPPED else failed
    told = framing.NUMBER.pack(-22) + repeated + framing.text(framing.ERROR_TEXT, "not so\n")
    assert framing.words(flags, told) == "not so\n"
    assert framing.words(0, told) == ""
