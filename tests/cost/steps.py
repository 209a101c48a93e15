"""What an interpreter does for a piece of work, counted: the same each time, on any machine, however busy it is."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any


@dataclass(frozen=True, slots=True)
class Steps:
    """*instructions* of the interpreter (another version may have others for the same text), and *calls*, of functions
    in Python as well as in C."""

    instructions: float
    calls: float

    def each(self, count: int) -> Steps:
        """Of one, if these are *count* of a kind."""
        return Steps(self.instructions / count, self.calls / count)

    def __add__(self, other: Steps) -> Steps:
        return Steps(self.instructions + other.instructions, self.calls + other.calls)


def steps(work: Callable[[], object], functions: Counter[str] | None = None) -> Steps:
    """What *work* takes. Into *functions* go the instructions of each, by its name and place."""
    instructions: Counter[CodeType] = Counter()
    calls = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            instructions[frame.f_code] += 1
        elif event == "call":
            frame.f_trace_lines, frame.f_trace_opcodes = False, True
        return trace

    def profile(_: FrameType, event: str, __: Any) -> None:
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1

    before = sys.gettrace(), sys.getprofile()
    sys.setprofile(profile)
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    if functions is not None:
        for code, count in instructions.items():
            functions[f"{code.co_qualname} ({Path(code.co_filename).name}:{code.co_firstlineno})"] += count
    return Steps(instructions.total(), calls)


def least_time(work: Callable[[], object], times: int) -> float:
    """CPU seconds of this thread that *work* takes, when nothing gets in its way: the least of *times*."""
    least = float("inf")
    for _ in range(times):
        begun = time.thread_time()
        work()
        least = min(least, time.thread_time() - begun)
    return least
