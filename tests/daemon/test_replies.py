"""What the guard says itself goes out at once, or not at all."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sentinetd.daemon.replies import open_banner, say


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


def test_a_banner_is_opened_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "banner").write_bytes(b"hello\n")
    with open_banner(str(tmp_path / "banner")) as file:
        assert file.read() == b"hello\n"
    os.mkfifo(tmp_path / "fifo")
    with open_banner(str(tmp_path / "fifo")) as file:
        assert not file.read()
    with pytest.raises(FileNotFoundError):
        open_banner(str(tmp_path / "none"))
