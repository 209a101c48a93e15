"""Real servers, started by each daemon, driven by their own clients."""

from __future__ import annotations

import ftplib
import io
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rig.daemon import Daemon, Kind
from rig.deadline import wait_for
from rig.entries import SIX, dgram, service
from rig.network import Lab, Namespace

pytestmark = pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
Maker = Callable[..., Daemon]

FIRST = "192.168.1.5"
"""The host's first address: in.tftpd answers a datagram that waited before it started from there, wherever it went."""


def client(lab: Lab, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a client program on host .20; its output is shown if it fails."""
    done = subprocess.run(lab.clients[20].command(*words), capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done


def directory(daemon: Daemon, name: str, mode: int = 0o755) -> Path:
    """A directory for a server to work on."""
    path = daemon.work.path / name
    path.mkdir()
    path.chmod(mode)
    return path


def retrieve(namespace: Namespace, host: str, port: int, name: str) -> bytes:
    """Fetch one file by anonymous FTP, passive mode."""
    taken = io.BytesIO()
    with namespace.entered(), ftplib.FTP(timeout=10) as session:
        session.connect(host, port)
        session.login()
        session.retrbinary(f"RETR {name}", taken.write)
    return taken.getvalue()


def test_vsftpd(kind: Kind, lab: Lab, make_daemon: Maker) -> None:
    daemon = make_daemon(
        kind, service("ftp", 21, "type = UNLISTED", "server = /usr/sbin/vsftpd", "server_args = @WORK@/vsftpd.conf")
    )
    daemon.work.write("ftp/welcome.txt", "welcome\n")
    directory(daemon, "empty")
    daemon.work.write(
        "vsftpd.conf",
        "listen=NO\nlisten_ipv6=NO\nanonymous_enable=YES\nlocal_enable=NO\n"
        f"anon_root={daemon.work.path}/ftp\nsecure_chroot_dir={daemon.work.path}/empty\n",
    )
    daemon.start()
    assert retrieve(lab.clients[20], SIX, 21, "welcome.txt") == b"welcome\n"
    done = client(lab, "lftp", "-c", f"set net:max-retries 1; open ftp://{SIX}; cat welcome.txt")
    assert done.stdout == b"welcome\n"


def test_rsync(kind: Kind, lab: Lab, make_daemon: Maker, tmp_path: Path) -> None:
    daemon = make_daemon(
        kind,
        service("rsync", 873, "server = /usr/bin/rsync", "server_args = --daemon --config=@WORK@/rsyncd.conf"),
    )
    box = directory(daemon, "box")
    daemon.work.write(
        "rsyncd.conf",
        f"[box]\npath = {box}\nread only = no\nuse chroot = no\nuid = root\ngid = root\n"
        f"log file = {daemon.work.path}/rsyncd.log\nlock file = {daemon.work.path}/rsyncd.lock\n",
    )
    (tmp_path / "there").mkdir()
    content = b"line\n" * 100_000
    (tmp_path / "there" / "file").write_bytes(content)
    daemon.start()
    client(lab, "rsync", "-a", f"{tmp_path}/there/", f"rsync://{SIX}/box/")
    assert (box / "file").read_bytes() == content
    client(lab, "rsync", "-a", f"rsync://{SIX}/box/", f"{tmp_path}/back/")
    assert (tmp_path / "back" / "file").read_bytes() == content


def test_tftpd(kind: Kind, lab: Lab, make_daemon: Maker, tmp_path: Path) -> None:
    daemon = make_daemon(
        kind,
        dgram(
            "tftp",
            69,
            f"bind = {FIRST}",
            "server = /usr/sbin/in.tftpd",
            "server_args = -t 1 -c -p -u root -s @WORK@/tftp",
        ),
    )
    root = directory(daemon, "tftp", 0o777)
    content = bytes(range(256)) * 100
    (root / "down").write_bytes(content)
    (tmp_path / "up").write_bytes(content[::-1])
    daemon.start()
    client(lab, "tftp", "-m", "binary", FIRST, "-c", "get", "down", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == content
    client(lab, "tftp", "-m", "binary", FIRST, "-c", "put", str(tmp_path / "up"), "up")
    wait_for(lambda: (root / "up").exists() and (root / "up").read_bytes() == content[::-1], daemon.story)
    # The server waits a second for more work; when it has ended, the next datagram starts another.
    wait_for(lambda: any("EXIT: tftp" in line for line in daemon.service_log()), daemon.story)
    client(lab, "tftp", "-m", "binary", FIRST, "-c", "get", "down", str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == content


def test_git_daemon(kind: Kind, lab: Lab, make_daemon: Maker, tmp_path: Path) -> None:
    daemon = make_daemon(
        kind,
        service(
            "git",
            9418,
            "server = /usr/bin/git",
            "server_args = daemon --inetd --export-all --base-path=@WORK@/git",
            "env = HOME=/nonexistent",
        ),
    )
    source = directory(daemon, "git") / "project"
    author = ("-c", "user.name=A", "-c", "user.email=a@example.test")
    for words in (
        ("git", "init", "-q", str(source)),
        ("git", "-C", str(source), *author, "commit", "-q", "--allow-empty", "-m", "first"),
    ):
        subprocess.run(words, check=True, capture_output=True)
    daemon.start()
    client(lab, "git", "clone", "-q", f"git://{SIX}/project", str(tmp_path / "clone"))
    log = subprocess.run(
        ["git", "-C", str(tmp_path / "clone"), "log", "--format=%s"], check=True, capture_output=True, text=True
    )
    assert log.stdout == "first\n"


def test_a_server_that_a_nameless_signal_ends(kind: Kind, lab: Lab, make_daemon: Maker) -> None:
    """The daemon lives on, and says which: most real-time signals have a number only (signal(7))."""
    daemon = make_daemon(
        kind, service("dies", 7100, "type = UNLISTED", "server = @WORK@/dies", "log_on_success = HOST EXIT")
    )
    daemon.work.write("dies", "#!/bin/sh\nread line\nkill -40 $$\n").chmod(0o755)
    daemon.start()
    for _ in range(2):
        with lab.clients[20].entered(), socket.create_connection((SIX, 7100), timeout=20) as connection:
            connection.sendall(b"\n")
            assert connection.recv(1) == b""
    wait_for(lambda: sum("EXIT: dies signal=40" in line for line in daemon.service_log()) == 2, daemon.story)
