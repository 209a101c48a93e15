"""Which texts may name a host. (What the resolver says is tested with the porter, on a real one.)"""

from __future__ import annotations

import socket

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentinetd.ask.names import KNOWN_LIFE, LIAR, NONE_LIFE, UNNAMED, HostName, is_host_name, name_life


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("wzv.win.tue.nl", True, id="a name"),
        pytest.param("localhost", True, id="no dot"),
        pytest.param("_x-1.example", True, id="what RFC 952 does not allow and zones have"),
        pytest.param("a" * 63 + ".b", True, id="the longest label"),
        pytest.param("3com.example", True, id="a digit first"),
        pytest.param("192.0.2.1", False, id="an address"),
        pytest.param("127.1", False, id="a short address"),
        pytest.param("0x7f.1", False, id="an address in hexadecimal"),
        pytest.param("2130706433", False, id="an address in one number"),
        pytest.param("::1", False, id="IPv6"),
        pytest.param("", False, id="nothing"),
        pytest.param("a..b", False, id="an empty label"),
        pytest.param(".a", False, id="a dot first"),
        pytest.param("a" * 64 + ".b", False, id="a label too long"),
        pytest.param("a." * 126 + "ab", False, id="a name too long"),
        pytest.param("a b", False, id="a blank"),
        pytest.param("a\n", False, id="a newline"),
        pytest.param("a\0b", False, id="a NUL"),
        pytest.param("\u00e9.example", False, id="beyond ASCII"),
        pytest.param("$(reboot).example", False, id="for a shell"),
    ],
)
def test_is_host_name(text: str, names: bool) -> None:
    assert is_host_name(text) is names


@given(st.text(max_size=300) | st.text("0123456789abcdefxXoO.-:%", max_size=40))
@example("0" * 300)
def test_a_host_name_is_never_an_address(text: str) -> None:
    if is_host_name(text):
        assert text.isascii()
        assert text.isprintable()
        assert not text.isspace()
        with pytest.raises(OSError, match=r"not known|not supported"):
            socket.getaddrinfo(text.encode(), None, flags=socket.AI_NUMERICHOST)


def test_lives() -> None:
    assert [name_life(name) for name in (HostName("a"), LIAR, UNNAMED)] == [KNOWN_LIFE, NONE_LIFE, NONE_LIFE]
