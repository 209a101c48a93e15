"""The result of nmap -oX: the ports that a scan tried, as records of whoever scanned.

Read by expat piece by piece. nmap writes a bare ``<!DOCTYPE nmaprun>``; a document that declares or refers to anything
more is refused before any of it is expanded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO
from xml.parsers import expat

from sentinetd.cli.plan.ground import Port
from sentinetd.cli.simulate.record import Reading, Record
from sentinetd.errors import UsageError
from sentinetd.model.address import Address
from sentinetd.model.attribute import BadValue
from sentinetd.model.port_words import port_list
from sentinetd.net.sock_diag import TCP, UDP

PIECE = 64 * 1024
MOST = 1_000_000
"""Ports of all hosts together that are played."""
PROTOCOLS = {"tcp": TCP, "udp": UDP}
HALF_OPEN = frozenset({"syn", "ack", "fin", "null", "xmas", "window", "maimon", "udp"})
"""Scans that complete no connection; a sensor never sees them, but what follows them."""


class Scan:
    """The records of an nmap result, as if *scanner* had run it.

    A scan that connects touches every port that it names; one that does not touches the open ones, and only if it asked
    for versions or ran scripts, which connect. *half_open* is true after the reading if it does not connect.
    """

    def __init__(self, data: BinaryIO, scanner: Address) -> None:
        self._data = data
        self._scanner = scanner
        self._found: list[Record] = []
        self._named: dict[str, tuple[tuple[int, int], ...]] = {}
        self._connects = False
        self._talks = False
        self._seen_run = False
        self._at = 0.0
        self._address: Address | None = None
        self._port: tuple[str, int] | None = None
        self._count = 0
        self.half_open = False
        self.reading = Reading()

    def records(self) -> Iterator[Record]:
        """All of them. `UsageError` if it is no result of nmap."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = _refuse("it declares entities")
        parser.ElementDeclHandler = _refuse("it declares elements")
        parser.AttlistDeclHandler = _refuse("it declares attributes")
        parser.ExternalEntityRefHandler = _refuse("it refers to another document")
        parser.StartElementHandler = self._begins
        parser.EndElementHandler = self._ends
        try:
            while piece := self._data.read(PIECE):
                parser.Parse(piece, False)
                yield from self._taken()
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            why = expat.ErrorString(error.code)
            raise UsageError(f"line {error.lineno}: {why}; give a result of nmap -oX") from None
        finally:
            self.reading.lines = parser.CurrentLineNumber
        yield from self._taken()

    def _taken(self) -> Iterator[Record]:
        found, self._found = self._found, []
        yield from found

    def _doctype(self, name: str, system: str | None, public: str | None, subset: int) -> None:
        if name != "nmaprun" or system or public or subset:
            raise UsageError("its document type is not nmap's, so nothing of it is read; give a result of nmap -oX")

    def _begins(self, name: str, given: dict[str, str]) -> None:
        if not self._seen_run and name != "nmaprun":
            raise UsageError(f"it is no result of nmap: it begins with <{name}>; give one of nmap -oX")
        if name == "nmaprun":
            self._seen_run = True
            words = given.get("args", "").split()
            self._talks = any(word.startswith(("-sV", "-A", "-sC", "--script")) for word in words)
            self._at = _number(given.get("start"), time.time())
        elif name == "scaninfo":
            self._scaninfo(given)
        elif name == "host":
            self._address, self._at = None, _number(given.get("starttime"), self._at)
        elif name == "address" and given.get("addrtype") in ("ipv4", "ipv6"):
            try:
                self._address = Address.parse(given.get("addr", ""))
            except ValueError:
                self.reading.wrong(0, f"{given.get('addr')} is no address")
        elif name == "port":
            self._port = given.get("protocol", ""), int(_number(given.get("portid"), 0))
        elif name == "state" and given.get("state") == "open" and self._talks and not self._connects and self._port:
            self._touch(*self._port)

    def _scaninfo(self, given: dict[str, str]) -> None:
        kind, protocol = given.get("type", ""), given.get("protocol", "")
        if kind in HALF_OPEN:
            self.half_open = True
            return
        self._connects = True
        try:
            self._named[protocol] = port_list([given.get("services", "")]).ranges
        except BadValue:
            self.reading.wrong(0, "the ports of <scaninfo> cannot be read")

    def _ends(self, name: str) -> None:
        if name == "port":
            self._port = None
        elif name == "host" and self._connects:
            for protocol, ranges in self._named.items():
                for low, high in ranges:
                    for number in range(low, high + 1):
                        self._touch(protocol, number)

    def _touch(self, protocol: str, number: int) -> None:
        if self._address is None or protocol not in PROTOCOLS:
            return
        self._count += 1
        if self._count > MOST:
            raise UsageError(f"it tried more than {MOST} ports; give a result of fewer hosts")
        port = Port(PROTOCOLS[protocol], number)
        self._found.append(Record(self._at, self._scanner, port=port, address=self._address))


def _number(text: str | None, otherwise: float) -> float:
    return float(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else otherwise


def _refuse(why: str) -> Callable[..., Any]:
    def refuse(*_: object) -> int:
        raise UsageError(f"{why}, which a result of nmap never does, so nothing of it is read")

    return refuse
