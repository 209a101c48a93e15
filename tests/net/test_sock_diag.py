from __future__ import annotations

import array
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from rig.network import Namespace
from sentinetd.model.address import Address
from sentinetd.net.sock_diag import Holder, Listening, holders, listening

PROGRAM = """
import socket, sys
from ctypes import CDLL, create_string_buffer
CDLL(None).prctl(15, create_string_buffer(b"odd name"))  # PR_SET_NAME
family, kind, address, port, v6only = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
held = socket.socket(family, kind)
if family == socket.AF_INET6:
    held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only == "v6only")
held.bind((address, port))
if kind == socket.SOCK_STREAM and v6only != "idle":
    held.listen()
print(flush=True)
sys.stdin.read()
"""

TCP, UDP = 6, 17
PORT = 4000
Start = Callable[..., int]


@pytest.fixture
def start(namespace: Namespace) -> Iterator[Start]:
    """Starts another process that holds *address*; gives its pid."""
    with ExitStack() as stack:

        def started(protocol: int, address: str, port: int = PORT, how: str = "") -> int:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            kind = socket.SOCK_STREAM if protocol == TCP else socket.SOCK_DGRAM
            words = [sys.executable, "-c", PROGRAM, str(int(family)), str(int(kind)), address, str(port), how]
            other = stack.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            assert other.stdin is not None
            assert other.stdout is not None
            stack.callback(other.stdin.close)
            assert other.stdout.readline() == b"\n"
            return other.pid

        yield started


@pytest.mark.parametrize("protocol", [TCP, UDP], ids=["tcp", "udp"])
@pytest.mark.parametrize(
    ("held", "how", "wanted", "meets"),
    [
        pytest.param("127.0.0.1", "", "127.0.0.1", True, id="same address"),
        pytest.param("127.0.0.1", "", "127.0.0.2", False, id="other address"),
        pytest.param("127.0.0.1", "", "0.0.0.0", True, id="the IPv4 wildcard takes an address in"),
        pytest.param("127.0.0.1", "", None, True, id="so does the wildcard of both"),
        pytest.param("127.0.0.1", "", "::", True, id="spelled or not"),
        pytest.param("::1", "", "0.0.0.0", False, id="the IPv4 wildcard takes no IPv6 in"),
        pytest.param("0.0.0.0", "", "::", True, id="two wildcards"),
        pytest.param("0.0.0.0", "", "127.0.0.1", True, id="a held wildcard takes an address in"),
        pytest.param("0.0.0.0", "", "::1", False, id="but none of IPv6"),
        pytest.param("::", "", "127.0.0.1", True, id="a held dual wildcard takes IPv4 in"),
        pytest.param("::", "v6only", "127.0.0.1", False, id="not if it is v6only"),
        pytest.param("::", "v6only", "::1", True, id="IPv6 all the same"),
        pytest.param("::1", "", "::1", True, id="same IPv6 address"),
        pytest.param("::1", "", "127.0.0.1", False, id="other family"),
    ],
)
def test_holders(start: Start, protocol: int, held: str, how: str, wanted: str | None, meets: bool) -> None:
    pid = start(protocol, held, how=how)
    address = Address.parse(wanted) if wanted else None
    expected = [Holder(pid, "odd name", Address.parse(held))] if meets else []
    assert holders(protocol, address, PORT) == expected
    assert holders(protocol, address, PORT + 1) == []
    assert holders(TCP + UDP - protocol, address, PORT) == []


def test_a_holder_that_does_not_listen(start: Start) -> None:
    pid = start(TCP, "127.0.0.1", how="idle")
    with socket.create_server(("127.0.0.2", PORT + 1)) as server, socket.socket() as client:
        client.bind(("127.0.0.2", PORT + 2))
        client.connect(server.getsockname())
        [connected] = holders(TCP, Address.parse("127.0.0.2"), PORT + 2)
        assert connected.pid == os.getpid(), "merely connected from there"
    bound = holders(TCP, Address.parse("127.0.0.1"), PORT)
    assert bound in ([], [Holder(pid, "odd name", Address.parse("127.0.0.1"))]), "kernels before 6.8 do not tell"


def test_a_holder_that_no_process_shows() -> None:
    """The listener's last descriptor is under way in a unix socket: it lives, and nobody has it."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    near, far = socket.socketpair()
    near.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener.fileno()]))])
    listener.close()
    [holder] = holders(TCP, Address.parse("127.0.0.1"), port)
    assert holder.pid == 0
    assert str(holder) == "a process that cannot be seen from here"
    near.close()
    far.close()


def test_listening(start: Start) -> None:
    start(TCP, "127.0.0.1", 4001)
    start(TCP, "::", 4002, "v6only")
    start(UDP, "::", 4003)
    start(UDP, "0.0.0.0", 4004)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connected:
        connected.connect(("127.0.0.1", 4004))
        found = {(one.protocol, one.address.text, one.port, one.v6only) for one in listening()}
        assert all(isinstance(one, Listening) and one.inode > 0 and one.uid == os.geteuid() for one in listening())
    assert found == {
        (TCP, "127.0.0.1", 4001, False),
        (TCP, "::", 4002, True),
        (UDP, "::", 4003, False),
        (UDP, "0.0.0.0", 4004, False),
    }, "and not the socket that is connected"


def test_an_unknown_protocol_has_no_holders() -> None:
    assert holders(132, None, 80) == []
