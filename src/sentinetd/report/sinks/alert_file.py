"""A file that alerts are appended to, one line each. It asks for a new one when it has its full size."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence

from sentinetd.errors import EdgeError
from sentinetd.model.alert import FileTarget
from sentinetd.ports import Message
from sentinetd.report.sinks.making import Making

ASK_AGAIN_AFTER = 60.0
"""Seconds after which a new file is asked for again, if none came."""


class AlertFile:
    """Owns a copy of the descriptor that it is made with. Until there is a new one it writes on: nothing is lost."""

    most = 1000

    def __init__(self, target: FileTarget, making: Making) -> None:
        self._number = target.file
        self._rotate = target.rotate
        self._full = making.full
        self._file = os.dup(making.files[target.file])
        self._asked_at = -math.inf

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Append *messages*, all of them or, as far as the disk knows, none."""
        data = b"".join(message.text.encode("utf-8", "backslashreplace") + b"\n" for message in messages)
        try:
            before = os.fstat(self._file).st_size
            self._write(data, before)
        except OSError as error:
            raise EdgeError(f"it cannot be written: {error.strerror}") from error
        now = time.monotonic()
        if self._rotate and before + len(data) >= self._rotate and now >= self._asked_at + ASK_AGAIN_AFTER:
            self._asked_at = now
            await self._full(self._number)

    def _write(self, data: bytes, before: int) -> None:
        done = 0
        try:
            while done < len(data):
                done += os.write(self._file, data[done:])
        except OSError:
            if done:
                os.ftruncate(self._file, before)  # the lines come again: none twice, and none torn
            raise

    def reopen(self, number: int, descriptor: int) -> None:
        """If file *number* is ours, write to a copy of *descriptor* from now on."""
        if number == self._number:
            fresh = os.dup(descriptor)
            os.close(self._file)
            self._file = fresh
            self._asked_at = -math.inf

    async def close(self) -> None:
        """Close the file."""
        os.close(self._file)
