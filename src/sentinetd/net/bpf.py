"""bpf(2) without a compiler: maps, a small assembler with labels, programs that judge packets at a socket.

Only what the listener filter needs, on x86_64 and aarch64. What this kernel or this process cannot have is an OSError
at the call, which the caller words for the operator. The instruction set is that of RFC 9669.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
from collections.abc import Iterable
from itertools import islice

SYSCALL = {"x86_64": 321, "aarch64": 280}  # the number of bpf(2), by machine

# Commands, map types and flags (linux/bpf.h).
MAP_CREATE, UPDATE_ELEM, DELETE_ELEM, PROG_LOAD, UPDATE_BATCH = 0, 2, 3, 5, 26
LPM_TRIE, ARRAY_OF_MAPS = 11, 12
NO_PREALLOC = 1
SOCKET_FILTER = 1

ATTRIBUTE_BYTES = 144  # of union bpf_attr, as far as these commands reach
LOG_BYTES = 1 << 16  # of the verifier's account of a refusal
BATCH = 4096  # elements that go over in one call
ENOTSUPP = 524  # the kernel's own number, without a name in errno(3): this map type knows no batches

# Operation codes: class, operation and operand kind in one byte.
MOVE, MOVE_NUMBER, ADD_NUMBER, AND_NUMBER = 0xBF, 0xB7, 0x07, 0x57
LOAD_BYTE, LOAD_WORD, LOAD_DOUBLE, STORE_WORD, STORE_NUMBER = 0x71, 0x61, 0x79, 0x63, 0x62
EQUAL, UNEQUAL, GREATER, ALWAYS = 0x15, 0x55, 0x2D, 0x05
CALL, EXIT, LOAD_MAP = 0x85, 0x95, 0x18

# Helper functions (bpf-helpers(7)).
LOOKUP, LOAD_BYTES, LOAD_BYTES_RELATIVE, BOOT_NANOSECONDS = 1, 26, 68, 125


class Kernel:
    """The system call. Descriptors that it returns are close-on-exec and the caller's to close."""

    __slots__ = ("_number", "_syscall")

    def __init__(self) -> None:
        """OSError with ENOSYS on a machine for which the number of bpf(2) is not known."""
        machine = os.uname().machine
        if machine not in SYSCALL:
            raise OSError(errno.ENOSYS, f"bpf(2) is not known for {machine}")
        self._number = ctypes.c_long(SYSCALL[machine])
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        self._syscall.restype = ctypes.c_long

    def _call(self, command: int, attribute: bytes) -> int:
        block = ctypes.create_string_buffer(attribute, ATTRIBUTE_BYTES)
        answer: int = self._syscall(self._number, ctypes.c_long(command), block, ctypes.c_ulong(ATTRIBUTE_BYTES))
        if answer < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return answer

    def trie(self, key_bytes: int, value_bytes: int, capacity: int) -> int:
        """A longest-prefix map. Keys: prefix length (native u32), then the address in network order."""
        return self._call(MAP_CREATE, struct.pack("=IIIII", LPM_TRIE, key_bytes, value_bytes, capacity, NO_PREALLOC))

    def array_of(self, inner: int, size: int) -> int:
        """An array of *size* maps, each of the shape of the map *inner*, all empty."""
        return self._call(MAP_CREATE, struct.pack("=IIIIIII", ARRAY_OF_MAPS, 4, 4, size, 0, inner, 0))

    def update(self, table: int, key: bytes, value: bytes) -> None:
        """Set *key* to *value*; OSError with ENOSPC when the map is full."""
        keys, values = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
        self._call(UPDATE_ELEM, struct.pack("=IxxxxQQQ", table, ctypes.addressof(keys), ctypes.addressof(values), 0))

    def delete(self, table: int, key: bytes) -> None:
        """Remove *key*; OSError with ENOENT if it is not there."""
        keys = ctypes.create_string_buffer(key, len(key))
        self._call(DELETE_ELEM, struct.pack("=IxxxxQQQ", table, ctypes.addressof(keys), 0, 0))

    def fill(self, table: int, elements: Iterable[tuple[bytes, bytes]]) -> None:
        """Set every (key, value) of *elements*, `BATCH` of them per call where the kernel can (5.12)."""
        rest = iter(elements)
        while chunk := list(islice(rest, BATCH)):
            try:
                self._batch(table, chunk)
            except OSError as error:
                if error.errno not in (ENOTSUPP, errno.EOPNOTSUPP, errno.EINVAL):
                    raise
                for key, value in chunk:
                    self.update(table, key, value)

    def _batch(self, table: int, chunk: list[tuple[bytes, bytes]]) -> None:
        joined = b"".join(key for key, _ in chunk), b"".join(value for _, value in chunk)
        keys, values = (ctypes.create_string_buffer(one, len(one)) for one in joined)
        addresses = ctypes.addressof(keys), ctypes.addressof(values)
        self._call(UPDATE_BATCH, struct.pack("=QQQQIIQQ", 0, 0, *addresses, len(chunk), table, 0, 0))

    def load(self, code: bytes) -> int:
        """A socket filter program. OSError with the verifier's last words if the kernel does not accept it."""
        instructions = ctypes.create_string_buffer(code, len(code))
        licence = ctypes.create_string_buffer(b"Apache-2.0")  # no helper used here is reserved for the GPL
        head = (SOCKET_FILTER, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(licence))
        try:
            return self._load(struct.pack("=IIQQIIQII16s", *head, 0, 0, 0, 0, 0, b"sentinetd"))
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EACCES):
                raise
            refused = error
        log = ctypes.create_string_buffer(LOG_BYTES)  # asked for only now: writing it makes every load slower
        told = struct.pack("=IIQQIIQII16s", *head, 1, LOG_BYTES, ctypes.addressof(log), 0, 0, b"sentinetd")
        try:
            return self._load(told)
        except OSError:
            lines = log.value.decode(errors="replace").strip().splitlines()
        raise OSError(refused.errno, f"{refused.strerror} ({'; '.join(lines[-3:])})")

    def _load(self, attribute: bytes) -> int:
        """The verifier gives up when a signal comes (EAGAIN), such as that of a server's end: they wait meanwhile."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            return self._call(PROG_LOAD, attribute)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Assembler:
    """Collects instructions; jumps go to labels, which may be set before or after."""

    __slots__ = ("_code", "_jumps", "_labels")

    def __init__(self) -> None:
        self._code: list[bytes] = []
        self._jumps: dict[int, tuple[int, int, int, int, str]] = {}
        self._labels: dict[str, int] = {}

    def emit(self, operation: int, target: int = 0, source: int = 0, offset: int = 0, number: int = 0) -> None:
        """One instruction; *target* and *source* are registers."""
        self._code.append(struct.pack("=BBhi", operation, target | source << 4, offset, number))

    def call(self, helper: int) -> None:
        """Call a helper: arguments in registers 1 to 5, which are lost; the answer in register 0."""
        self.emit(CALL, number=helper)

    def load_map(self, target: int, table: int) -> None:
        """Register *target* becomes the map with descriptor *table*."""
        self.emit(LOAD_MAP, target, 1, 0, table)
        self.emit(0)

    def jump(self, operation: int, label: str, target: int = 0, number: int = 0, source: int = 0) -> None:
        """Go to *label* if register *target* compares so with *number*, or with register *source*."""
        self._jumps[len(self._code)] = (operation, target, source, number, label)
        self._code.append(b"")

    def label(self, name: str) -> None:
        """The next instruction's name, used once."""
        if name in self._labels:
            raise ValueError(f"label {name} is set twice")
        self._labels[name] = len(self._code)

    def code(self) -> bytes:
        """The program; KeyError for a jump to a label that was never set."""
        whole = list(self._code)
        for at, (operation, target, source, number, label) in self._jumps.items():
            offset = self._labels[label] - at - 1
            whole[at] = struct.pack("=BBhi", operation, target | source << 4, offset, number)
        return b"".join(whole)
