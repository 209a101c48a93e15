"""What a process may not ask of the kernel any more: asked for by one that has locked itself in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PRELUDE = """
import ctypes, os, subprocess, sys, threading
from sentinetd.daemon.lockdown import EXECUTE, NEVER, change_no_files, drop_capabilities, forbid
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
def tried(call, *arguments):
    ctypes.set_errno(0)
    return "done" if call(*arguments) >= 0 else os.strerror(ctypes.get_errno())
def word(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.strerror
    return "done"
"""


def said(script: str, *before: str) -> list[str]:
    """The lines that a process says that runs *script* after the prelude, by the command *before*."""
    if os.geteuid() != 0:
        pytest.fail("what only root may is to be refused here: run as root")
    words = [*before, sys.executable, "-c", PRELUDE + script]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


def test_what_is_of_no_use_to_us_is_refused_to_root_too() -> None:
    assert said(
        """
forbid(NEVER)
print(tried(libc.unshare, 0x20000))  # CLONE_NEWNS
print(tried(libc.mount, None, b"/", None, 0x80000, None))  # MS_PRIVATE
print(tried(libc.ptrace, 0, 0, 0, 0))
print(tried(libc.syscall, 321 if os.uname().machine == "x86_64" else 280, 0, None, 0))  # bpf(2)
print(tried(libc.syscall, 435, None, 0))  # clone3(2)
print(tried(libc.syscall, 56 if os.uname().machine == "x86_64" else 220, 0x10000000 | 17, 0, 0, 0, 0))  # a new user ns
print(open("/proc/self/status").read().partition("Seccomp:")[2].split()[0])
"""
    ) == [*["Operation not permitted"] * 4, "Function not implemented", "Operation not permitted", "2"]


def test_what_we_do_goes_on() -> None:
    assert said(
        """
forbid(NEVER)
thread = threading.Thread(target=print, args=("thread",), kwargs={"flush": True})
thread.start()
thread.join()
print(subprocess.run(["/bin/echo", "program"], capture_output=True, text=True).stdout, end="", flush=True)
if os.fork() == 0:
    print("child", flush=True)
    os._exit(0)
os.wait()
"""
    ) == ["thread", "program", "child"]


def test_programs_are_not_run() -> None:
    assert said('forbid(EXECUTE)\nprint(word(os.execv, "/bin/true", ["true"]))') == ["Operation not permitted"]


def test_files_are_read_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("text")
    assert said(
        f"""
os.chdir({str(tmp_path)!r})
before = os.open("there", os.O_WRONLY)
change_no_files()
print(word(os.open, "there", os.O_RDONLY))
print(word(os.open, "there", os.O_WRONLY))
print(word(os.open, "new", os.O_WRONLY | os.O_CREAT))
print(word(os.mkdir, "new"))
print(word(os.unlink, "there"))
print(word(os.execv, "/bin/true", ["true"]))
print(os.write(before, b"TEXT"))
"""
    ) == ["done", *["Permission denied"] * 5, "4"]
    assert (tmp_path / "there").read_text() == "TEXT"


def test_no_capability_is_left() -> None:
    script = """
drop_capabilities()
print(*[line.split()[1] for line in open("/proc/self/status") if line[:6] in ("CapInh", "CapPrm", "CapEff", "CapAmb")])
print(open("/proc/self/status").read().partition("Uid:")[2].split()[0])
"""
    some = ("--inh-caps=+net_bind_service,+setuid", "--ambient-caps=+net_bind_service,+setuid")
    assert said(script) == [" ".join(["0" * 16] * 4), "0"]
    assert said(script, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *some) == [
        " ".join(["0" * 16] * 4),
        "65534",
    ]
