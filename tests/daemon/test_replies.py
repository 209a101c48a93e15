"""What the guard says itself goes out at once, or not at all."""

from __future__ import annotations

import os
import socket
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from sentinetd.daemon.replies import Replies, open_banner, part, say
from sentinetd.serve.internal.table import AT_ONCE


def pair() -> tuple[socket.socket, socket.socket]:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    accepted, _ = listener.accept()
    listener.close()
    client.settimeout(5)
    return accepted, client


def everything(client: socket.socket) -> bytes:
    data = b""
    while block := client.recv(65536):
        data += block
    return data


@pytest.mark.parametrize("size", [0, 1, 4096, 1 << 20], ids=["nothing", "a byte", "a page", "more than a buffer"])
def test_all_of_it_arrives_though_nobody_waits(size: int) -> None:
    accepted, client = pair()
    say(accepted.fileno(), b"x" * size)
    accepted.close()
    assert len(everything(client)) == size
    client.close()


def test_a_client_that_is_gone_is_no_trouble() -> None:
    accepted, client = pair()
    client.close()
    for _ in range(3):
        say(accepted.fileno(), b"x" * 100_000)
    assert accepted.getblocking()
    accepted.close()


@pytest.mark.parametrize("size", [0, 1, 4096, 1 << 20], ids=["nothing", "a byte", "a page", "more than a buffer"])
def test_the_last_that_is_said_arrives_before_the_end(size: int) -> None:
    accepted, client = pair()
    descriptor = accepted.detach()
    part(descriptor, b"x" * size)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    assert len(everything(client)) == size
    client.close()


def test_whoever_spoke_unheard_hears_the_last_and_the_end() -> None:
    accepted, client = pair()
    client.sendall(b"what time is it?")
    assert accepted.recv(1, socket.MSG_PEEK)
    part(accepted.detach(), b"x" * 26)
    assert len(everything(client)) == 26
    client.close()


def test_to_part_from_whoever_is_gone_is_no_trouble() -> None:
    accepted, client = pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    descriptor = accepted.detach()
    part(descriptor, b"x" * 26)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("name", sorted(AT_ONCE))
def test_what_is_said_at_once_is_of_its_second(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    unused: Any = None
    replies = Replies(unused, unused, unused, unused)
    for now in (1_000_000_000.0, 1_000_000_000.9, 1_000_000_001.0, 1_000_000_060.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert replies._text(name) == AT_ONCE[name](now)


def test_a_banner_is_opened_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "banner").write_bytes(b"hello\n")
    with open_banner(str(tmp_path / "banner")) as file:
        assert file.read() == b"hello\n"
    os.mkfifo(tmp_path / "fifo")
    with open_banner(str(tmp_path / "fifo")) as file:
        assert not file.read()
    with pytest.raises(FileNotFoundError):
        open_banner(str(tmp_path / "none"))
