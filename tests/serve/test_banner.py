"""Files said to clients, quick and slow."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from rig.carrier import NUMBER, Carrier, Ended, read_all, reset, tcp_pair
from sentinetd.model.routine import Ending
from sentinetd.serve.banner import Banner


def say(carrier: Carrier, file: Path, last: bool, seconds: float = 5.0) -> tuple[socket.socket, socket.socket]:
    """The client, and what the guard keeps of its connection."""
    client, accepted = tcp_pair()
    kept = accepted.dup()
    descriptor = os.open(file, os.O_RDONLY)
    carrier.do(lambda: Banner(carrier.sessions, NUMBER, accepted, seconds, descriptor, last))
    return client, kept


@pytest.mark.parametrize("size", [0, 100, 5_000_000])
def test_the_last_word(carrier: Carrier, tmp_path: Path, size: int) -> None:
    text = os.urandom(size)
    (tmp_path / "banner").write_bytes(text)
    client, kept = say(carrier, tmp_path / "banner", last=True)
    kept.close()
    client.sendall(b"what an impatient client says before it reads")
    assert read_all(client) == text
    client.close()
    assert carrier.ended() == Ended(NUMBER, 45, size, Ending.CLOSED, "")


def test_the_connection_goes_on_after_it(carrier: Carrier, tmp_path: Path) -> None:
    (tmp_path / "banner").write_bytes(b"welcome\r\n")
    client, kept = say(carrier, tmp_path / "banner", last=False)
    assert carrier.ended() == Ended(NUMBER, 0, 9, Ending.CLOSED, "")
    assert os.get_blocking(kept.fileno())
    client.sendall(b"hello")
    assert kept.recv(10) == b"hello"
    kept.sendall(b"you")
    kept.close()
    assert read_all(client) == b"welcome\r\nyou"
    client.close()


def test_who_does_not_read_is_left(carrier: Carrier, tmp_path: Path) -> None:
    (tmp_path / "banner").write_bytes(bytes(50_000_000))
    client, kept = say(carrier, tmp_path / "banner", last=True, seconds=0.2)
    kept.close()
    ended = carrier.ended()
    assert ended.ending is Ending.TIMEOUT
    assert ended.bytes_out < 50_000_000
    client.close()


def test_who_resets(carrier: Carrier, tmp_path: Path) -> None:
    (tmp_path / "banner").write_bytes(bytes(50_000_000))
    client, kept = say(carrier, tmp_path / "banner", last=True)
    kept.close()
    reset(client)
    assert carrier.ended().ending is Ending.RESET
