"""Decoys before clients that know nothing of them: the library's own, and OpenSSH's."""

from __future__ import annotations

import ftplib
import http.client
import imaplib
import poplib
import smtplib
import socket
import subprocess
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from rig.carrier import Carrier
from sentinetd.model.values import Decoy
from sentinetd.serve import play
from sentinetd.serve.internal.decoys.dialogue import NOISE, Scene
from sentinetd.serve.internal.decoys.table import DECOYS
from sentinetd.serve.play import Part, Playing

HOST = "127.0.0.1"


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "JITTER", (0.0, 0.0))


@pytest.fixture
def at(carrier: Carrier) -> Iterator[Callable[[Decoy], int]]:
    """Starts a decoy; its port."""
    listeners: list[socket.socket] = []
    numbers = count(1)

    def listen(decoy: Decoy) -> int:
        listener = socket.create_server((HOST, 0))
        listeners.append(listener)

        def accept() -> None:
            client = listener.accept()[0]
            dialogue = DECOYS[decoy](Scene("gw.example", HOST, 0.0, bytes(range(NOISE))))
            part = Part(dialogue, None, 0, 0.0, 0.0)
            Playing(carrier.sessions, next(numbers), client, part, lambda number, heard: None)

        carrier.do(lambda: carrier.loop.add_reader(listener.fileno(), accept))
        return int(listener.getsockname()[1])

    try:
        yield listen
    finally:
        for listener in listeners:
            carrier.do(lambda: carrier.loop.remove_reader(listener.fileno()))  # noqa: B023 - it is done with at once
            listener.close()


def test_ftplib(at: Callable[[Decoy], int]) -> None:
    with ftplib.FTP(timeout=20) as client:
        assert client.connect(HOST, at(Decoy.FTP)) == "220 (vsFTPd 3.0.3)"
        with pytest.raises(ftplib.error_perm, match=r"530 Login incorrect\."):
            client.login("root", "toor")
        with pytest.raises(ftplib.error_perm, match="530 Please login"):
            client.retrlines("LIST", lambda line: None)
        assert "UTF8" not in client.sendcmd("FEAT")
        assert client.quit() == "221 Goodbye."


def test_smtplib(at: Callable[[Decoy], int]) -> None:
    with smtplib.SMTP(HOST, at(Decoy.SMTP), timeout=20) as client:
        assert client.ehlo()[0] == 250
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login("root", "toor")
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("a@example.test", ["b@example.test", "c@example.test"], "text")
        assert [code for code, _ in refused.value.recipients.values()] == [454, 454]


def test_poplib(at: Callable[[Decoy], int]) -> None:
    client = poplib.POP3(HOST, at(Decoy.POP3), timeout=20)
    assert client.getwelcome() == b"+OK Dovecot ready."
    assert client.capa()["SASL"] == ["PLAIN", "LOGIN"]
    client.user("root")
    with pytest.raises(poplib.error_proto, match="Authentication failed"):
        client.pass_("toor")
    assert client.quit() == b"+OK Logging out"


def test_imaplib(at: Callable[[Decoy], int]) -> None:
    with imaplib.IMAP4(HOST, at(Decoy.IMAP), timeout=20) as client:
        assert "IDLE" in client.capabilities
        with pytest.raises(imaplib.IMAP4.error, match="Authentication failed"):
            client.login("root", 'to"or')
        with pytest.raises(imaplib.IMAP4.error, match="Authentication failed"):
            client.authenticate("PLAIN", lambda _: b"\0root\0toor")
        assert client.noop()[0] == "OK"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 200), ("HEAD", "/", 200), ("GET", "/.env", 404), ("POST", "/", 405)]
)
def test_http_client(at: Callable[[Decoy], int], method: str, path: str, status: int) -> None:
    client = http.client.HTTPConnection(HOST, at(Decoy.HTTP), timeout=20)
    client.request(method, path, body=b"a=b" if method == "POST" else None)
    answer = client.getresponse()
    body = answer.read()
    assert (answer.status, answer.getheader("Server")) == (status, "nginx/1.22.1")
    assert len(body) == (0 if method == "HEAD" else int(answer.getheader("Content-Length", "-1")))
    client.close()


def test_openssh(at: Callable[[Decoy], int]) -> None:
    """It understands what is offered, agrees to it, and is hung up on."""
    options = ["-v", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "UserKnownHostsFile=/dev/null"]
    words = ["ssh", *options, "-F", "none", "-p", str(at(Decoy.SSH)), f"root@{HOST}", "true"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 255
    assert "remote software version OpenSSH_9.2p1 Debian-2+deb12u3" in done.stderr
    assert "kex: algorithm: " in done.stderr
    assert f"Connection closed by {HOST}" in done.stderr
