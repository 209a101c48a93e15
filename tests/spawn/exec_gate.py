"""Holds processes at execve(2), as a slow disk would, until they are let go (fanotify(7)). Root only."""

from __future__ import annotations

import ctypes
import os
import select
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

FAN_CLASS_CONTENT, FAN_CLOEXEC = 0x4, 0x1
FAN_MARK_ADD, FAN_OPEN_EXEC_PERM, FAN_ALLOW = 0x1, 0x40000, 0x1
AT_FDCWD = -100
EVENT = struct.Struct("=IBBHQii")  # struct fanotify_event_metadata
ANSWER = struct.Struct("=iI")  # struct fanotify_response


class ExecGate:
    """Whoever executes *program* waits. The end of the gate lets everybody go."""

    def __init__(self, program: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._gate = libc.fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, os.O_RDONLY | os.O_CLOEXEC)
        if self._gate < 0:
            raise OSError(ctypes.get_errno(), "fanotify_init")
        mark = (self._gate, FAN_MARK_ADD, ctypes.c_uint64(FAN_OPEN_EXEC_PERM), AT_FDCWD, os.fsencode(program))
        if libc.fanotify_mark(*mark) < 0:
            raise OSError(ctypes.get_errno(), "fanotify_mark")
        self._held: list[int] = []  # descriptors by which the kernel names what is held

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in self._held:
            os.close(descriptor)
        os.close(self._gate)

    def held(self) -> int:
        """How many processes wait."""
        while select.select([self._gate], [], [], 0)[0]:
            data = os.read(self._gate, 4096)
            for offset in range(0, len(data), EVENT.size):
                self._held.append(EVENT.unpack_from(data, offset)[5])
        return len(self._held)

    def open(self) -> None:
        """Let those go that wait now."""
        self.held()
        for descriptor in self._held:
            os.write(self._gate, ANSWER.pack(descriptor, FAN_ALLOW))
            os.close(descriptor)
        self._held.clear()

    def forget(self) -> None:
        """Those that waited are gone."""
        for descriptor in self._held:
            os.close(descriptor)
        self._held.clear()
