"""What the kernel refuses at a listener: banned sources, and where the guard does not accept, those not admitted.

A `wait = yes` stream service hands its listening socket to the server, so nobody could judge a client after the
fact. A filter on the listener drops the SYN instead: the client hears nothing. **Of TCP only SYN without ACK is ever
judged.** Accepted sockets inherit the filter, and everything that belongs to a connection passes it: a ban leaves
sessions alone. Of a socket for datagrams, which has no sessions, each datagram is judged.

The order is the guard's own at accept: a source that is exempt is not judged by the bans; then bans; then only_from
and no_access, the narrower of the two deciding and a tie refusing (xinetd.conf(5)). IPv4 on a dual-stack listener
arrives as IPv4 and is judged so.
"""

from __future__ import annotations

import errno
import math
import os
import socket
import struct
import sys
from collections.abc import Generator, Iterable, Iterator
from itertools import islice

from sentinetd.errors import EdgeError
from sentinetd.model.address import BITS, EVERYONE, NOBODY, AddressSet, Network
from sentinetd.net import bpf
from sentinetd.net.bpf import Assembler, Kernel

SO_ATTACH_BPF = 50  # asm-generic/socket.h
SO_DETACH_FILTER = 27
AT_ONCE = 1000
"""Bans that one step of a replacement takes over."""
FOR_EVER = (1 << 64) - 1
VALUE = struct.Struct("=QII")  # deadline (ns of CLOCK_BOOTTIME), prefix length, whether the list admits
BANS, EXEMPT = 0, 1  # places in an outer map

# Where __sk_buff (linux/bpf.h), the IP headers (RFC 791, RFC 8200) and TCP's (RFC 9293) keep what is looked at.
SKB_PROTOCOL = 16
TCP_FLAGS, SYN, SYN_OR_ACK = 13, 0x02, 0x12
ETHERTYPE = {4: 0x0800, 6: 0x86DD}
SOURCE = {4: (12, 4), 6: (8, 16)}  # offset and bytes of the source address
FROM_NETWORK_HEADER = 1  # BPF_HDR_START_NET
# The program's stack: one key (prefix length, address), one number, one byte.
KEY, ADDRESS, INDEX, FLAGS = -24, -20, -28, -32
DROP, KEEP = 0, -1  # bytes of the packet that pass


class FilterFailed(EdgeError):
    """The kernel did not take a filter, a ban or a list; nothing was changed. *errno* says which trouble."""

    def __init__(self, text: str, number: int = 0) -> None:
        super().__init__(text)
        self.errno = number


class SourceFilter:
    """The bans as the kernel knows them, and the filters that use them.

    Bans are shared by all listeners and end by themselves. A narrow ban that has ended does not hide a wider one.
    *capacity* is the number of networks that fit per IP version; memory is only taken for what is there. A ban that
    has ended keeps its place until it is lifted or replaced.
    """

    def __init__(self, capacity: int = 1 << 22) -> None:
        """Raises `FilterFailed` if BPF is not to be had; `available` says beforehand, and why."""
        self._capacity = capacity
        self._kernel: Kernel
        self._outer: dict[int, int] = {}
        self._bans: dict[int, int] = {}
        try:
            self._kernel = Kernel()
            for version in BITS:
                self._bans[version] = self._trie(version, ())
                self._outer[version] = self._kernel.array_of(self._bans[version], 2)
                self._place(version, BANS, self._bans[version])
        except OSError as error:
            self.close()
            raise FilterFailed(_reason(error), error.errno or 0) from error

    @staticmethod
    def available() -> str | None:
        """None if filters work here; else the reason in words. A whole filter is tried, and nothing of it stays."""
        try:
            tried = SourceFilter(16)
        except FilterFailed as error:
            return str(error)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as unbound:
                tried.attach(unbound, EVERYONE, AddressSet((Network(4, 0, 32), Network(6, 0, 128))), exempt=NOBODY)
        except FilterFailed as error:
            return str(error)
        finally:
            tried.close()
        return None

    def ban(self, network: Network, until: float) -> None:
        """Refuse *network* until *until* (seconds of CLOCK_BOOTTIME, `math.inf`: for ever), in place of an earlier end.

        A network with a scope is left out: link-local sources are refused at accept only. Raises `FilterFailed`; with
        errno ENOSPC when the map is full, which `replace` mends.
        """
        if network.scope:
            return
        try:
            self._kernel.update(self._bans[network.version], _key(network), _ban(network, until))
        except OSError as error:
            raise FilterFailed(f"ban of {network}: {error.strerror}", error.errno or 0) from error

    def lift(self, network: Network) -> None:
        """Take the ban of exactly *network* out; none there is no mistake."""
        if network.scope:
            return
        try:
            self._kernel.delete(self._bans[network.version], _key(network))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise FilterFailed(f"lift of {network}: {error.strerror}", error.errno or 0) from error

    def replace(self, bans: Iterable[tuple[Network, float]]) -> None:
        """Make *bans*, (network, until) each, the whole truth, as if at one instant: the old bans hold until then."""
        for _ in self.replacing(bans):
            pass

    def replacing(self, bans: Iterable[tuple[Network, float]]) -> Generator[None, None, None]:
        """`replace` in steps of some milliseconds; it is done when the iterator is. One that is given up changes
        nothing. What is changed in between by `ban` and `lift` has to be told again."""
        fresh: dict[int, int] = {}
        rest = iter(bans)
        try:
            for version in BITS:
                fresh[version] = self._trie(version, ())
            while chunk := list(islice(rest, AT_ONCE)):
                rows: dict[int, list[tuple[bytes, bytes]]] = {version: [] for version in BITS}
                for network, until in chunk:
                    if not network.scope:
                        rows[network.version].append((_key(network), _ban(network, until)))
                for version in BITS:
                    self._kernel.fill(fresh[version], rows[version])
                yield
            for version in BITS:
                self._place(version, BANS, fresh[version])
            fresh, self._bans = self._bans, fresh
        except OSError as error:
            raise FilterFailed(f"replacing the bans: {error.strerror}", error.errno or 0) from error
        finally:
            for descriptor in fresh.values():
                os.close(descriptor)

    def exempt(self, sources: AddressSet) -> None:
        """From now on no ban holds for *sources*, at any listener; in place of those named before."""
        networks = [network for network in sources.networks if not network.scope]
        try:
            for version in BITS:
                table = self._trie(version, _rows(version, networks, 1))
                try:
                    self._place(version, EXEMPT, table)
                finally:
                    os.close(table)  # the outer map keeps it
        except OSError as error:
            raise FilterFailed(f"exempting: {error.strerror}", error.errno or 0) from error

    def attach(
        self, listener: socket.socket, only_from: AddressSet, no_access: AddressSet, exempt: AddressSet = NOBODY
    ) -> None:
        """Let *listener* see no SYN of a source that is banned or not admitted, in place of a filter it has already; a
        socket for datagrams, no datagram.

        *exempt*: sources that no ban holds for at this listener. Connections that wait to be accepted are not judged
        again: attach before listen(2) (`open_listener`, prepare). Raises `FilterFailed`, also for lists with names or
        with interfaces, which the kernel cannot compare.
        """
        for words in (only_from, no_access, exempt):
            if words.names:
                raise FilterFailed(f"the kernel cannot compare host names ({words.names[0]})", errno.EINVAL)
            for network in words.networks:
                if network.scope:
                    raise FilterFailed(f"the kernel cannot compare interfaces ({network})", errno.EINVAL)
        tables: dict[tuple[int, str], int] = {}
        program = -1
        try:
            for version in BITS:
                if exempt.networks:
                    tables[version, "exempt"] = self._trie(version, _rows(version, exempt.networks, 1))
                if no_access.networks or only_from != EVERYONE:
                    # One map for both lists: what no_access names replaces the same network of only_from.
                    rows = [*_rows(version, only_from.networks, 1), *_rows(version, no_access.networks, 0)]
                    tables[version, "lists"] = self._trie(version, rows)
            program = self._kernel.load(_program(self._outer, tables, listener.type == socket.SOCK_DGRAM))
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_BPF, program)
        except OSError as error:
            raise FilterFailed(_reason(error), error.errno or 0) from error
        finally:
            for descriptor in (*tables.values(), program):  # the socket keeps the program, and that its maps
                if descriptor >= 0:
                    os.close(descriptor)

    @staticmethod
    def detach(listener: socket.socket) -> None:
        """Let *listener* see everybody; none that has no filter is no mistake."""
        try:
            listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise FilterFailed(f"detaching a filter: {error.strerror}", error.errno or 0) from error

    def close(self) -> None:
        """Let go of the maps. Filters that are attached stay, with the bans they know, for as long as their socket."""
        for descriptor in (*self._outer.values(), *self._bans.values()):
            os.close(descriptor)
        self._outer, self._bans = {}, {}

    def _trie(self, version: int, rows: Iterable[tuple[bytes, bytes]]) -> int:
        table = self._kernel.trie(4 + BITS[version] // 8, VALUE.size, self._capacity)
        try:
            self._kernel.fill(table, rows)
        except OSError:
            os.close(table)
            raise
        return table

    def _place(self, version: int, place: int, table: int) -> None:
        self._kernel.update(self._outer[version], struct.pack("=I", place), struct.pack("=I", table))


def _key(network: Network) -> bytes:
    return network.length.to_bytes(4, sys.byteorder) + network.value.to_bytes(BITS[network.version] // 8, "big")


def _ban(network: Network, until: float) -> bytes:
    return VALUE.pack(FOR_EVER if math.isinf(until) else max(0, int(until * 1e9)), network.length, 0)


def _rows(version: int, networks: Iterable[Network], admitted: int) -> Iterator[tuple[bytes, bytes]]:
    for network in networks:
        if network.version == version:
            yield _key(network), VALUE.pack(FOR_EVER, network.length, admitted)


def _reason(error: OSError) -> str:
    """What to tell the operator of a bpf(2) that failed."""
    if error.errno == errno.ENOSYS:
        return "this kernel has no bpf(2)"
    if error.errno in (errno.EPERM, errno.EACCES):
        return (
            "BPF is not permitted: it takes root or CAP_BPF (before Linux 5.11 an unlimited RLIMIT_MEMLOCK too), "
            "and a container or lockdown may forbid it to both"
        )
    return f"this kernel does not take the filter (Linux 5.8 or later does): {error.strerror}"


def _program(outer: dict[int, int], tables: dict[tuple[int, str], int], datagrams: bool) -> bytes:
    """The filter of one listener; register 6 holds the packet from beginning to end."""
    asm = Assembler()
    asm.emit(bpf.MOVE, 6, 1)
    if not datagrams:
        _only_syn(asm)
    asm.emit(bpf.LOAD_WORD, 1, 6, SKB_PROTOCOL)
    for version in BITS:
        asm.jump(bpf.EQUAL, f"source {version}", 1, socket.htons(ETHERTYPE[version]))
    asm.jump(bpf.ALWAYS, "drop")
    for version in BITS:
        _judge(asm, version, outer[version], tables.get((version, "exempt")), tables.get((version, "lists")))
    for label, passed in (("drop", DROP), ("keep", KEEP)):
        asm.label(label)
        asm.emit(bpf.MOVE_NUMBER, 0, number=passed)
        asm.emit(bpf.EXIT)
    return asm.code()


def _only_syn(asm: Assembler) -> None:
    """On to "keep" with what belongs to a connection."""
    asm.emit(bpf.MOVE, 1, 6)
    asm.emit(bpf.MOVE_NUMBER, 2, number=TCP_FLAGS)  # at a listener the packet begins with its TCP header
    _stack(asm, 3, FLAGS)
    asm.emit(bpf.MOVE_NUMBER, 4, number=1)
    asm.call(bpf.LOAD_BYTES)
    asm.jump(bpf.UNEQUAL, "drop", 0)
    asm.emit(bpf.LOAD_BYTE, 1, 10, FLAGS)
    asm.emit(bpf.AND_NUMBER, 1, number=SYN_OR_ACK)
    asm.jump(bpf.UNEQUAL, "keep", 1, SYN)


def _judge(asm: Assembler, version: int, outer: int, exempt: int | None, lists: int | None) -> None:
    """The part for one IP version: exempt, bans, lists."""
    offset, size = SOURCE[version]
    asm.label(f"source {version}")
    asm.emit(bpf.MOVE, 1, 6)
    asm.emit(bpf.MOVE_NUMBER, 2, number=offset)
    _stack(asm, 3, ADDRESS)
    asm.emit(bpf.MOVE_NUMBER, 4, number=size)
    asm.emit(bpf.MOVE_NUMBER, 5, number=FROM_NETWORK_HEADER)
    asm.call(bpf.LOAD_BYTES_RELATIVE)
    asm.jump(bpf.UNEQUAL, "drop", 0)
    asm.emit(bpf.STORE_NUMBER, 10, 0, KEY, BITS[version])
    if exempt is not None:
        asm.load_map(1, exempt)
        _look_up(asm)
        asm.jump(bpf.UNEQUAL, f"lists {version}", 0)
    _inner(asm, outer, EXEMPT, f"bans {version}")
    asm.emit(bpf.MOVE, 1, 0)
    _look_up(asm)
    asm.jump(bpf.UNEQUAL, f"lists {version}", 0)

    asm.label(f"bans {version}")
    _inner(asm, outer, BANS, f"lists {version}")
    asm.emit(bpf.MOVE, 7, 0)  # register 7: the bans
    asm.call(bpf.BOOT_NANOSECONDS)
    asm.emit(bpf.MOVE, 8, 0)  # register 8: now
    asm.emit(bpf.MOVE_NUMBER, 9, number=BITS[version] + 1)  # register 9: how many prefix lengths are left to try
    asm.label(f"wider {version}")
    asm.emit(bpf.MOVE, 1, 7)
    _look_up(asm)
    asm.jump(bpf.EQUAL, f"lists {version}", 0)
    asm.emit(bpf.LOAD_DOUBLE, 1, 0, 0)
    asm.jump(bpf.GREATER, "drop", 1, source=8)
    # This one has ended. The trie tells the narrowest only: ask again for what is wider than it.
    asm.emit(bpf.LOAD_WORD, 1, 0, 8)
    asm.jump(bpf.EQUAL, f"lists {version}", 1)
    asm.emit(bpf.ADD_NUMBER, 1, number=-1)
    asm.emit(bpf.STORE_WORD, 10, 1, KEY)
    asm.emit(bpf.ADD_NUMBER, 9, number=-1)
    asm.jump(bpf.UNEQUAL, f"wider {version}", 9)

    asm.label(f"lists {version}")
    if lists is None:
        asm.jump(bpf.ALWAYS, "keep")
        return
    asm.emit(bpf.STORE_NUMBER, 10, 0, KEY, BITS[version])
    asm.load_map(1, lists)
    _look_up(asm)
    asm.jump(bpf.EQUAL, "drop", 0)
    asm.emit(bpf.LOAD_WORD, 1, 0, 12)
    asm.jump(bpf.EQUAL, "drop", 1)
    asm.jump(bpf.ALWAYS, "keep")


def _inner(asm: Assembler, outer: int, place: int, absent: str) -> None:
    """Register 0 becomes the map at *place* of *outer*; on to *absent* if there is none."""
    asm.emit(bpf.STORE_NUMBER, 10, 0, INDEX, place)
    asm.load_map(1, outer)
    _stack(asm, 2, INDEX)
    asm.call(bpf.LOOKUP)
    asm.jump(bpf.EQUAL, absent, 0)


def _look_up(asm: Assembler) -> None:
    """Register 0 becomes the value for the key on the stack in the map of register 1; 0 if there is none."""
    _stack(asm, 2, KEY)
    asm.call(bpf.LOOKUP)


def _stack(asm: Assembler, target: int, offset: int) -> None:
    asm.emit(bpf.MOVE, target, 10)
    asm.emit(bpf.ADD_NUMBER, target, number=offset)
