"""ONC RPC as it is on the wire (RFC 5531), and whatever else may come."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinetd.announce.xdr import LONGEST_RECORD, Malformed, Reader, Records, Reply, call, reply, text, truth, unsigned

DONE = bytes.fromhex("00000007 00000001 00000000 00000000 00000000 00000000")


def test_a_call_is_what_the_wire_wants() -> None:
    assert call(7, 100000, 4, 1, b"args") == bytes.fromhex(
        "8000002c"  # the last fragment, 44 bytes
        "00000007 00000000 00000002"  # number, CALL, RPC version 2
        "000186a0 00000004 00000001"  # program, version, procedure
        "00000000 00000000 00000000 00000000"  # no credentials, no verifier
        "61726773"
    )


@pytest.mark.parametrize(
    ("value", "data"),
    [
        pytest.param("", "00000000", id="empty"),
        pytest.param("tcp", "00000003 74637000", id="padded"),
        pytest.param("udp6", "00000004 75647036", id="even"),
    ],
)
def test_text(value: str, data: str) -> None:
    assert text(value) == bytes.fromhex(data)
    assert Reader(text(value)).opaque(99) == value.encode()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        pytest.param(DONE + unsigned(1), Reply(7, unsigned(1)), id="done"),
        pytest.param(
            bytes.fromhex("00000007 00000001 00000000 00000001 00000004 61626364 00000000 00000001"),
            Reply(7, unsigned(1)),
            id="with a verifier",
        ),
        pytest.param(DONE[:20] + unsigned(1), Reply(7, b"", "no such program"), id="no program"),
        pytest.param(DONE[:20] + unsigned(2) + bytes(8), Reply(7, b"", "no such version"), id="no version"),
        pytest.param(DONE[:20] + unsigned(99), Reply(7, b"", "system error"), id="unheard of"),
        pytest.param(DONE[:8] + unsigned(1) + unsigned(1) + unsigned(5), Reply(7, b"", "not authorised"), id="denied"),
    ],
)
def test_reply(record: bytes, said: Reply) -> None:
    assert reply(record) == said


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(DONE[:23], id="cut off"),
        pytest.param(DONE[:4] + unsigned(0) + DONE[8:], id="a call"),
        pytest.param(DONE[:16] + unsigned(0xFFFFFFFF) + bytes(16), id="a verifier longer than all"),
    ],
)
def test_what_is_no_reply_is_refused(record: bytes) -> None:
    with pytest.raises(Malformed):
        reply(record)


@pytest.mark.parametrize(
    ("results", "value"), [pytest.param(unsigned(1), True, id="true"), pytest.param(unsigned(0), False, id="false")]
)
def test_truth(results: bytes, value: bool) -> None:
    assert truth(results) is value


@pytest.mark.parametrize("results", [b"", b"\0\0\0", unsigned(2), unsigned(1) + b"\0"], ids=repr)
def test_what_is_no_boolean_is_refused(results: bytes) -> None:
    with pytest.raises(Malformed):
        truth(results)


@given(st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), max_size=5), st.integers(1, 50))
def test_records_come_whole_however_they_are_cut(records: list[list[bytes]], size: int) -> None:
    stream = b""
    for fragments in records:
        for place, fragment in enumerate(fragments):
            last = (place == len(fragments) - 1) << 31
            stream += unsigned(len(fragment) | last) + fragment
    reader = Records()
    found = [one for start in range(0, len(stream), size) for one in reader.feed(stream[start : start + size])]
    assert found == [b"".join(fragments) for fragments in records]


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param(unsigned(LONGEST_RECORD + 1), id="one fragment"),
        pytest.param((unsigned(LONGEST_RECORD // 2) + bytes(LONGEST_RECORD // 2)) * 2 + unsigned(1), id="many"),
    ],
)
def test_a_record_has_an_end(stream: bytes) -> None:
    with pytest.raises(Malformed):
        list(Records().feed(stream))


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    with suppress(Malformed):
        for record in Records().feed(data):
            truth(reply(record).results)
    with suppress(Malformed):
        truth(reply(data).results)


@given(st.binary(max_size=60))
def test_whatever_follows_the_head_is_read_or_refused(data: bytes) -> None:
    for head in (DONE, DONE[:16], DONE[:8]):
        with suppress(Malformed):
            truth(reply(head + data).results)
