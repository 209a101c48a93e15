"""A log file whose descriptor somebody else opened. Lines go in whole, in order, many with one system call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from sentinetd.model.events import Level

Dress = Callable[[float, Level, str], str]
"""A message (Unix time, level, text) as a line without its end; the text comes last, as it is."""
BEHIND_MOST = 1 << 20
"""Bytes that wait for the reader of a pipe; those after them are lost."""


class LogFile:
    """Owns *descriptor*, opened for appending; `close` closes it. *label* names the log in messages.

    *soft* and *hard* are limits of its size in bytes, 0: none (xinetd.conf(5), log_type). Passing the soft one is told
    once. The line that passes the hard one is still written, those after it are counted. A file that cannot be written
    (a full disk) is told once; when it can be again, so is how many lines were lost. Of a pipe or a terminal that is
    full, and whose descriptor does not wait, what comes next is kept until there is room, up to `BEHIND_MOST`.
    """

    def __init__(self, descriptor: int, label: str, dress: Dress, soft: int = 0, hard: int = 0) -> None:
        self._descriptor = descriptor
        self._label = label
        self._dress = dress
        self._soft = soft
        self._hard = hard
        self._size = os.fstat(descriptor).st_size if soft or hard else 0
        self._lines: list[str] = []
        self._rest = b""  # of a line of which the disk took only a part; of all that a full pipe did not take
        self._begun = False  # whether that begins in the midst of a line
        self._behind = False  # a pipe is full
        self._lost = 0  # lines that the disk did not take; 0: it works
        self._failing = False
        self._surplus = 0  # lines beyond the hard limit
        self._told_soft = self._told_hard = False

    def put(self, at: float, level: Level, text: str) -> None:
        """Take a message for the next `flush`."""
        self._lines.append(self._dress(at, level, text))

    def put_all(self, at: float, level: Level, texts: Sequence[str]) -> None:
        """The same for each of *texts*."""
        before = self._dress(at, level, "")
        self._lines += [before + text for text in texts]

    def flush(self) -> Sequence[str]:
        """Write what was put. Gives what is to be told of the log itself; a failing disk raises nothing."""
        lines, self._lines = self._lines, []
        told: list[str] = []
        if self._soft or self._hard:
            lines = self._within_limits(lines, told)
        if lines or self._behind:
            self._write(lines, told)
        return told

    @property
    def waiting(self) -> int:
        """Bytes for which a pipe has no room yet; `flush` tries them again."""
        return len(self._rest) if self._behind else 0

    def fileno(self) -> int | None:
        """The descriptor to watch for writing while something waits."""
        return self._descriptor

    def close(self) -> Sequence[str]:
        """Close the file. Gives what is left to tell of it."""
        os.close(self._descriptor)
        self._lost += self._rest.count(b"\n") if self._behind else 0
        told = []
        if self._surplus:
            told.append(f"{self._label} log: {self._surplus} lines were left out beyond the hard limit")
        if self._lost:
            told.append(f"{self._label} log: {self._lost} lines were lost")
        return told

    def _within_limits(self, lines: list[str], told: list[str]) -> list[str]:
        """Those of *lines* that the hard limit lets pass."""
        passing = len(lines)
        for place, line in enumerate(lines):
            if self._hard and self._size > self._hard:
                passing = place
                break
            self._size += len(line) + 1
        if self._soft and self._size > self._soft and not self._told_soft:
            self._told_soft = True
            told.append(f"Size of {self._label} log exceeded soft limit")
        if self._hard and self._size > self._hard and not self._told_hard:
            self._told_hard = True
            told.append(f"Size of {self._label} log exceeded hard limit")
        self._surplus += len(lines) - passing
        return lines[:passing]

    def _write(self, lines: list[str], told: list[str]) -> None:
        data = self._rest + "".join([f"{line}\n" for line in lines]).encode("ascii", "backslashreplace")
        done, error = self._written(data)
        self._behind = isinstance(error, BlockingIOError)
        if error is None:
            self._rest, self._begun = b"", False
            if self._failing:
                told.append(f"{self._label} log can be written again, {self._lost} lines were lost")
                self._failing, self._lost = False, 0
            return
        if done:
            self._begun = data[done - 1 : done] != b"\n"
        lost = self._keep(data[done:], BEHIND_MOST if self._behind else 0)
        if not self._failing and (lost or not self._behind):
            self._failing = True
            why = "nobody reads what is written" if self._behind else error.strerror or str(error)
            told.append(f"{self._label} log cannot be written: {why}")

    def _written(self, data: bytes) -> tuple[int, OSError | None]:
        """How many bytes of *data* went in, and why not all."""
        done = 0
        while done < len(data):
            try:
                done += os.write(self._descriptor, data[done:] if done else data)
            except OSError as error:
                return done, error
        return done, None

    def _keep(self, rest: bytes, most: int) -> int:
        """Keep of *rest*, which did not go in, the line that is begun, and the next ones, *most* bytes in all. How many
        lines are lost."""
        keep = rest.index(b"\n") + 1 if self._begun else 0
        self._rest = rest[: max(keep, rest.rfind(b"\n", 0, most) + 1)]
        lost = rest.count(b"\n", len(self._rest))
        self._lost += lost
        return lost
