"""The assembler and the calls; what the programs do is shown in `test_filter`."""

from __future__ import annotations

import errno
import os
import signal
import struct
import subprocess
import sys

import pytest

from sentinetd.net import bpf
from sentinetd.net.bpf import Assembler, Kernel
from sentinetd.net.filter import SourceFilter


def jumps(code: bytes) -> list[tuple[int, int]]:
    """(operation, offset) of every instruction."""
    return [struct.unpack_from("=BBh", code, at)[::2] for at in range(0, len(code), 8)]


def test_labels_before_and_behind() -> None:
    asm = Assembler()
    asm.label("top")
    asm.jump(bpf.EQUAL, "end", 1, 5)
    asm.emit(bpf.MOVE_NUMBER, 0, number=7)
    asm.jump(bpf.ALWAYS, "top")
    asm.label("end")
    asm.emit(bpf.EXIT)
    assert jumps(asm.code()) == [(bpf.EQUAL, 2), (bpf.MOVE_NUMBER, 0), (bpf.ALWAYS, -3), (bpf.EXIT, 0)]


def test_mistakes_with_labels() -> None:
    asm = Assembler()
    asm.label("twice")
    with pytest.raises(ValueError, match="label twice is set twice"):
        asm.label("twice")
    asm.jump(bpf.ALWAYS, "nowhere")
    with pytest.raises(KeyError):
        asm.code()


@pytest.fixture
def kernel() -> Kernel:
    if (reason := SourceFilter.available()) is not None:
        pytest.skip(reason)
    return Kernel()


def test_a_program_that_the_verifier_refuses_is_told_with_its_reason(kernel: Kernel) -> None:
    asm = Assembler()
    asm.emit(bpf.EXIT)  # register 0 was never set
    with pytest.raises(OSError, match="R0 !read_ok") as raised:
        kernel.load(asm.code())
    assert raised.value.errno == errno.EACCES


def test_no_signal_interrupts_a_load(kernel: Kernel) -> None:
    """A program that takes the verifier longer than the next signal takes to come."""
    asm = Assembler()
    asm.emit(bpf.MOVE_NUMBER, 0, number=0)
    for _ in range(1000):
        asm.emit(bpf.ADD_NUMBER, 0, number=1)
    asm.emit(bpf.EXIT)
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        for _ in range(200):
            os.close(kernel.load(asm.code()))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_fill_takes_more_than_a_batch(kernel: Kernel) -> None:
    count = bpf.BATCH * 2 + 1
    table = kernel.trie(8, 4, count)
    rows = [(struct.pack("=I", 32) + number.to_bytes(4, "big"), bytes(4)) for number in range(count)]
    kernel.fill(table, rows)
    with pytest.raises(OSError, match="No space left"):
        kernel.update(table, struct.pack("=I", 32) + (count + 1).to_bytes(4, "big"), bytes(4))
    for key, _value in rows[:: bpf.BATCH]:
        kernel.delete(table, key)
    with pytest.raises(OSError, match="No such file"):
        kernel.delete(table, rows[0][0])
    os.close(table)


WITHOUT_BATCHES = """
import ctypes, os, struct
from sentinetd.net.bpf import Kernel
number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]  # bpf(2)
rows = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, 26),
        (0x06, 0, 0, 0x00050000 | 524), (0x06, 0, 0, 0x7FFF0000)]  # ENOTSUPP for BPF_MAP_UPDATE_BATCH
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
program = ctypes.create_string_buffer(struct.pack("@HP", len(rows), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
kernel = Kernel()
table = kernel.trie(8, 4, 100)
keys = [struct.pack("=I", 32) + bytes([192, 0, 2, host]) for host in range(100)]
kernel.fill(table, [(key, bytes(4)) for key in keys])
for key in keys:
    kernel.delete(table, key)
print("all were there")
"""


def test_fill_does_without_batches_where_the_kernel_has_none(kernel: Kernel) -> None:
    """As before Linux 5.12; here a seccomp filter says so in the kernel's place."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_BATCHES], capture_output=True, text=True, check=True)
    assert done.stdout == "all were there\n"
