"""A tiny DNS server in a network namespace of its own: answers from a table, refuses to know, or stays silent."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from rig.network import Namespace

A, PTR, AAAA = 1, 12, 28
SILENT = "silent"
"""In place of records: the question is never answered."""
BROKEN = "broken"
"""In place of records: the answer is SERVFAIL."""

Records = Mapping[tuple[str, int], Sequence[str] | str]


def reverse(address: str) -> str:
    """The name in whose PTR record the name of *address* stands."""
    return ipaddress.ip_address(address).reverse_pointer


class Resolver:
    """The namespace, its files below /etc and the server at 127.0.0.1 port 53. *asked* counts what was asked."""

    def __init__(self, records: Records, hosts: str = "127.0.0.1 localhost\n") -> None:
        self.records = dict(records)
        self.asked: Counter[tuple[str, int]] = Counter()
        self.namespace = Namespace(f"sr{secrets.token_hex(3)}")
        self.namespace.ip("link", "set", "lo", "up")
        self.namespace.etc.mkdir(parents=True)
        for name, text in {
            "hosts": hosts,
            "resolv.conf": "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
        }.items():
            (self.namespace.etc / name).write_text(text)
        self._socket = self.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            question, client = self._socket.recvfrom(2048)
            if not question:
                return
            if (answer := self._answer(question)) is not None:
                self._socket.sendto(answer, client)

    def _answer(self, question: bytes) -> bytes | None:
        labels, at = [], 12
        while length := question[at]:
            labels.append(question[at + 1 : at + 1 + length])
            at += 1 + length
        kind = int.from_bytes(question[at + 1 : at + 3])
        name = b".".join(labels).decode().lower()
        self.asked[name, kind] += 1
        found = self.records.get((name, kind), ())
        if found == SILENT:
            return None
        known = any(row[0] == name for row in self.records)
        code = 2 if found == BROKEN else 0 if known else 3
        rows = () if isinstance(found, str) else found
        head = question[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(rows), 0, 0)
        return head + question[12 : at + 5] + b"".join(_record(kind, row) for row in rows)

    def close(self) -> None:
        """End the server and remove the namespace with all that runs in it."""
        with self.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as bell:
            bell.sendto(b"", ("127.0.0.1", 53))
        self._thread.join()
        self._socket.close()
        self.namespace.close()


def _record(kind: int, text: str) -> bytes:
    if kind == PTR:
        data = b"".join(bytes([len(label)]) + label for label in text.encode().split(b".")) + b"\0"
    else:
        data = ipaddress.ip_address(text).packed
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
