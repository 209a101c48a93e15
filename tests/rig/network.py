"""A network of its own: a host with several addresses and four clients, each in a network namespace.

The names hold the process id, so any number of labs live side by side; `Lab.close` removes everything, also after a
failure half-way, and what a killed test run left behind goes when the next one begins. Sockets of clients are made by
moving the calling thread into the client's namespace for the one system call: a socket keeps the namespace it was
born in.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from rig.deadline import wait_for

CLONE_NEWNET = 0x40000000  # setns(2)
_libc = ctypes.CDLL(None, use_errno=True)

HOST_ADDRESSES = ("192.168.1.5", "192.168.1.6", "192.168.1.7", "192.168.1.8")
CLIENTS = (20, 21, 22, 23)
MORE_FACES = ("192.168.2.0", "192.168.2.9", "fd00::2:23")
"""Further addresses of client 23."""

HOSTS = """\
127.0.0.1 localhost
::1 localhost
192.168.1.6 six.example.test six
192.168.1.7 seven.example.test seven
192.168.1.6 both.example.test
192.168.1.7 both.example.test
192.168.1.20 client20.example.test client20
192.168.1.21 client21.example.test client21
192.168.1.22 client22.other.test client22
fd00::20 client20.example.test
"""

NETWORKS = "loopback 127.0.0.0\ntestnet 192.168.1.0\nothernet 10.9.0.0\n"

EXTRA_SERVICES = "irc 194/tcp\nprobe-svc 7400/tcp probe-alias\nprobe-svc 7400/udp\nprobe-odd 7401/tcp\n"


TEMPORARY = "sentinetd-{what}-{pid}-"
"""Prefix of the rig's temporary directories."""


def temporary(what: str) -> Path:
    """A directory of this process that everybody may enter."""
    path = Path(tempfile.mkdtemp(prefix=TEMPORARY.format(what=what, pid=os.getpid())))
    path.chmod(0o755)
    return path


def clear_away() -> None:
    """Remove what test runs left behind that were killed: their namespaces, what runs in those, their directories."""
    for name in run("ip", "netns", "list").stdout.split():
        match = re.fullmatch(r"sx(\d+)[hc]\d*", name)
        if match and not Path("/proc", match[1]).exists():
            with suppress(FileNotFoundError):  # another worker was quicker
                Namespace.found(name).close()
    for path in Path(tempfile.gettempdir()).glob("sentinetd-*-*-*"):
        match = re.fullmatch(TEMPORARY.format(what="(?:rig|probe)", pid=r"(\d+)") + ".*", path.name)
        if match and not Path("/proc", match[1]).exists():
            shutil.rmtree(path, ignore_errors=True)


def run(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command of the rig itself; its output is in the error if it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    return done


class Namespace:
    """One network namespace made by ip-netns(8), with its own ``/etc/netns/NAME``."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.etc = Path("/etc/netns") / name
        run("ip", "netns", "add", name)
        self._open()

    @classmethod
    def found(cls, name: str) -> Self:
        """One that somebody else made."""
        self = cls.__new__(cls)
        self.name = name
        self.etc = Path("/etc/netns") / name
        self._open()
        return self

    def _open(self) -> None:
        self._fd = os.open(f"/run/netns/{self.name}", os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is in this namespace until the block ends."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._setns(self._fd)
            try:
                yield
            finally:
                self._setns(home)
        finally:
            os.close(home)

    @staticmethod
    def _setns(fd: int) -> None:
        if _libc.setns(fd, CLONE_NEWNET):
            errno = ctypes.get_errno()
            raise OSError(errno, f"setns: {os.strerror(errno)}")

    def socket(self, family: int, kind: int) -> socket.socket:
        """A socket of this namespace."""
        with self.entered():
            return socket.socket(family, kind)

    def command(self, *words: str) -> list[str]:
        """*words* as a command line that runs in this namespace."""
        return ["ip", "netns", "exec", self.name, *words]

    def ip(self, *words: str) -> None:
        """Run ``ip`` on this namespace."""
        run("ip", "-n", self.name, *words)

    def processes(self) -> list[int]:
        """Ids of all processes that run in this namespace."""
        return [int(word) for word in run("ip", "netns", "pids", self.name, check=False).stdout.split()]

    def sweep(self) -> None:
        """End every process in the namespace; all are the test's own."""

        def empty() -> bool:
            left = self.processes()
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            return not left

        wait_for(empty, f"an empty namespace {self.name}")

    def close(self) -> None:
        """End what runs in the namespace and remove it."""
        self.sweep()
        os.close(self._fd)
        run("ip", "netns", "del", self.name, check=False)
        shutil.rmtree(self.etc, ignore_errors=True)


class Lab:
    """A host namespace with 192.168.1.5 to .8 and fd00::5 to ::8, and clients .20 to .23, joined by a bridge."""

    def __init__(self) -> None:
        clear_away()
        tag = str(os.getpid())
        self.clients: dict[int, Namespace] = {}
        self.host = Namespace(f"sx{tag}h")
        try:
            self._build(tag)
        except BaseException:
            self.close()
            raise

    def _build(self, tag: str) -> None:
        host = self.host
        self.write_etc()
        host.ip("link", "set", "lo", "up")
        host.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0")
        host.ip("link", "set", "br0", "up")
        for address in HOST_ADDRESSES:
            host.ip("addr", "add", f"{address}/24", "dev", "br0")
            host.ip("addr", "add", f"fd00::{address[-1]}/64", "dev", "br0", "nodad")
        host.ip("route", "add", "192.168.2.0/24", "dev", "br0")
        for number in CLIENTS:
            client = self.clients[number] = Namespace(f"sx{tag}c{number}")
            inner, outer = "eth0", f"p{number}"
            host.ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", client.name)
            host.ip("link", "set", outer, "master", "br0", "up")
            client.ip("link", "set", "lo", "up")
            client.ip("link", "set", inner, "up")
            client.ip("addr", "add", f"192.168.1.{number}/24", "dev", inner)
            client.ip("addr", "add", f"fd00::{number}/64", "dev", inner, "nodad")
        # One client has more faces: a neighbouring network, among it an address that ends in zero.
        for face in MORE_FACES:
            self.clients[23].ip("addr", "add", face, "dev", "eth0", *(("nodad",) if ":" in face else ()))

    def write_etc(self, **files: str) -> None:
        """Fill the host's own /etc: *files* maps names (``_`` for ``.``) to text; the rest is the lab's usual."""
        usual = {
            "hosts": HOSTS,
            "networks": NETWORKS,
            "services": Path("/etc/services").read_text() + EXTRA_SERVICES,
            "resolv_conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
            "nsswitch_conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\nnetworks: files\n"
            "protocols: files\nservices: files\nrpc: files\n",
            "hosts_allow": "",
            "hosts_deny": "",
            "group": Path("/etc/group").read_text() + "probers:x:4242:games\nwatchers:x:4243:games\n",
        }
        shutil.rmtree(self.host.etc, ignore_errors=True)
        self.host.etc.mkdir(parents=True)
        for name, text in {**usual, **files}.items():
            (self.host.etc / name.replace("_conf", ".conf").replace("hosts_", "hosts.")).write_text(text)

    def namespace_of(self, address: str) -> Namespace:
        """The namespace that owns the client address *address*; the host's for its own addresses and loopback."""
        if address in MORE_FACES or address.startswith("192.168.2."):
            return self.clients[23]
        last = address.replace("::", ".").rpartition(".")[2]
        return self.clients.get(int(last), self.host)

    def close(self) -> None:
        """Remove the namespaces, what runs in them and their files."""
        for namespace in (*self.clients.values(), self.host):
            namespace.close()
        if Path("/etc/netns").exists() and not any(Path("/etc/netns").iterdir()):
            Path("/etc/netns").rmdir()


def command_in(namespace: Namespace, words: Sequence[str], within: float = 30.0) -> subprocess.CompletedProcess[bytes]:
    """Run a client program in *namespace* and give what it printed and its status."""
    return subprocess.run(namespace.command(*words), capture_output=True, timeout=within, check=False)
