"""The spawner in Python, for machines where the C one was not built: same messages, same replies, a third of the speed.

It is a process of its own for the same reasons, and keeps to the same order of steps; ``birth.c`` gives the reasons.
The interpreter is started afresh and imports little, so its forks stay cheap. Between fork and exec the child makes
system calls and nothing else: limits may be so low that Python can allocate no more.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import resource
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from typing import NoReturn

from sentinetd.errors import MessageError
from sentinetd.model.noun import dataclass
from sentinetd.spawn.label import LabelError, label_server
from sentinetd.spawn.protocol import (
    DESCRIPTOR,
    EXEC_STATUS,
    FORGET,
    HEADER,
    LAUNCH,
    LAUNCH_FAILED,
    LAUNCHED,
    MAX_HOST,
    MORE,
    PIECE,
    REPLY,
    SETUP_FAILED,
    SETUP_STATUS,
    TEACH,
    Step,
)
from sentinetd.spawn.recipe import MAX_SIZE, Recipe

SYSTEM_CALLS = {
    "x86_64": (56, 13), "aarch64": (220, 134), "riscv64": (220, 134), "loongarch64": (220, 134),
    "i686": (120, 174), "armv7l": (120, 174), "armv6l": (120, 174), "ppc64le": (120, 173), "ppc64": (120, 173),
}  # fmt: skip
"""Numbers of clone and rt_sigaction by machine (syscalls(2)); only machines whose clone takes the flags first."""

_CLONE_PARENT = 0x8000
_PR_SET_DUMPABLE, _PR_SET_NAME, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 4, 15, 47, 4

_INT = struct.Struct("=i")

Strings = ctypes.Array[ctypes.c_char_p]


@dataclass(slots=True)
class _Known:
    """A recipe, ready for exec; the last but one place of *environment* is REMOTE_HOST's."""

    recipe: Recipe
    server: bytes
    argv: Strings
    environment: Strings


class Fallback:
    """Answers the guard on one socket until it ends."""

    def __init__(self, guard: socket.socket, clone: int, sigaction: int) -> None:
        self._guard = guard
        self._recipes: dict[int, _Known] = {}
        self._lesson: tuple[int, int, bytes] | None = None  # number, size, bytes so far
        self._libc = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter's lock: a fork must not let go of it
        self._libc.syscall.argtypes = [ctypes.c_long] * 6
        self._libc.syscall.restype = ctypes.c_long
        self._libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
        self._clone, self._sigaction = clone, sigaction

    def run(self) -> None:
        """Do what the guard says; return when its end of the socket is closed."""
        self._prepare()
        with suppress(BrokenPipeError, ConnectionResetError):
            while self._one():
                pass

    def _one(self) -> bool:
        """Receive one message and obey it; False at the end of the socket."""
        message, rights, flags, _ = self._guard.recvmsg(
            HEADER.size + PIECE, socket.CMSG_LEN(_INT.size), socket.MSG_CMSG_CLOEXEC
        )
        descriptors = [_INT.unpack(data)[0] for _, kind, data in rights if kind == socket.SCM_RIGHTS]
        try:
            if message:
                self._obey(message, descriptors, flags)
        except MessageError as error:
            print(f"sentinetd-spawner: {error}, dropped", file=sys.stderr, flush=True)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return bool(message)

    def _prepare(self) -> None:
        """As `prepare` in ``spawner.c``."""
        name = ctypes.create_string_buffer(b"sentinetd-spawn")
        self._libc.prctl(_PR_SET_NAME, ctypes.addressof(name), 0, 0, 0)
        self._libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        self._libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
        default = ctypes.create_string_buffer(64)  # a struct sigaction of zeros, which is SIG_DFL, for any machine
        for number in range(1, signal.NSIG):  # past the C library: its posix_spawn leaves 32 and 33 ignored
            self._libc.syscall(self._sigaction, number, ctypes.addressof(default), 0, 8, 0)
        self._guard.set_inheritable(False)
        for inherited in os.listdir("/proc/self/fd"):
            if int(inherited) > DESCRIPTOR:
                with suppress(OSError):  # one of them was that of the directory
                    os.close(int(inherited))
        os.chdir("/")
        gc.disable()

    def _obey(self, message: bytes, descriptors: list[int], flags: int) -> None:
        if len(message) < HEADER.size or flags & socket.MSG_TRUNC:
            raise MessageError(f"a message of {len(message)} bytes is not of its form")
        kind, number, value = HEADER.unpack_from(message)
        payload = message[HEADER.size :]
        if kind == TEACH:
            self._recipes.pop(number, None)
            self._lesson = (number, value, b"")
            self._learn(number, 0, payload)
        elif kind == MORE:
            self._learn(number, value, payload)
        elif kind == FORGET:
            self._recipes.pop(number, None)
        elif kind == LAUNCH:
            error = self._launch(value, number, descriptors, flags, payload)
            if error:
                self._give_back(value, error, descriptors)
        else:
            raise MessageError(f"a message of unknown kind {kind}")

    def _learn(self, number: int, offset: int, piece: bytes) -> None:
        lesson, self._lesson = self._lesson, None
        if lesson is None or lesson[0] != number or len(lesson[2]) != offset:
            raise MessageError(f"a piece of recipe {number} is out of place")
        size, encoded = lesson[1], lesson[2] + piece
        if not 0 < size <= MAX_SIZE or len(encoded) > size:
            raise MessageError(f"recipe {number} has a length out of bounds")
        if len(encoded) < size:
            self._lesson = (number, size, encoded)
            return
        recipe = Recipe.decode(encoded)
        self._recipes[number] = _Known(
            recipe,
            os.fsencode(recipe.server),
            (ctypes.c_char_p * (len(recipe.argv) + 1))(*map(os.fsencode, recipe.argv)),
            (ctypes.c_char_p * (len(recipe.environment) + 2))(*map(os.fsencode, recipe.environment)),
        )

    def _launch(self, order: int, number: int, descriptors: list[int], flags: int, host: bytes) -> int:
        """errno of a launch that cannot be tried; 0 once it was; then *descriptors* are closed and gone, before anybody
        hears of the server."""
        if len(host) > MAX_HOST or b"\0" in host:
            return errno.EBADMSG
        if not descriptors:
            return errno.EMFILE if flags & socket.MSG_CTRUNC else errno.EBADMSG
        if (known := self._recipes.get(number)) is None:
            return errno.ENOENT
        known.environment[-2] = b"REMOTE_HOST=" + host if host else None
        pid = self._libc.syscall(self._clone, _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0)
        if pid < 0:
            return ctypes.get_errno()
        if pid == 0:
            self._serve(known, order, descriptors[0])
        while descriptors:
            os.close(descriptors.pop())
        self._tell(LAUNCHED, 0, order, pid, 0)
        return 0

    def _tell(self, kind: int, step: int, order: int, value: int, detail: int) -> None:
        at = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if kind == LAUNCHED else 0
        self._guard.send(REPLY.pack(kind, step, order, value, detail, at), socket.MSG_NOSIGNAL)

    def _give_back(self, order: int, error: int, descriptors: list[int]) -> None:
        """Tell of a launch that failed, its descriptor going along."""
        reply = REPLY.pack(LAUNCH_FAILED, 0, order, error, 0, 0)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _INT.pack(descriptor)) for descriptor in descriptors]
        try:
            self._guard.sendmsg([reply], rights, socket.MSG_NOSIGNAL)
        except OSError as failed:
            if failed.errno != errno.ETOOMANYREFS:  # too many under way (unix(7))
                raise
            self._guard.send(reply, socket.MSG_NOSIGNAL)

    def _report(self, step: Step, order: int, error: int | None, detail: int = 0) -> None:
        """In the new process: tell of a failed step. Where nobody listens any more, go on without."""
        with suppress(OSError):
            self._tell(SETUP_FAILED, step, order, error or 0, detail)

    def _serve(self, known: _Known, order: int, connection: int) -> NoReturn:
        """In the new process: become the server, or end it."""
        recipe, status = known.recipe, SETUP_STATUS
        step = Step.SETSID
        try:
            os.setsid()
            step = Step.DUP
            for descriptor in (0, 1, 2):
                os.dup2(connection, descriptor)
            if recipe.labeled:
                label_server(known.server, 0)
            for which, value in recipe.limits:
                try:
                    resource.setrlimit(which, (value, value))
                except ValueError:  # so EPERM is told; EINVAL cannot be, the number being in bounds and soft being hard
                    self._report(Step.LIMIT, order, errno.EPERM, which)
            if recipe.nice:
                try:
                    os.nice(recipe.nice)
                except OSError as error:
                    self._report(Step.NICE, order, error.errno)
            if recipe.umask is not None:
                os.umask(recipe.umask)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            step = Step.SETGID
            if recipe.gid is not None:
                os.setresgid(recipe.gid, recipe.gid, recipe.gid)
            step = Step.SETGROUPS
            if recipe.groups is not None:
                os.setgroups(recipe.groups)
            step = Step.SETUID
            if recipe.uid is not None:
                os.setresuid(recipe.uid, recipe.uid, recipe.uid)
            step, status = Step.EXEC, EXEC_STATUS
            self._libc.execve(known.server, known.argv, known.environment)
            raise OSError(ctypes.get_errno(), "execve")
        except LabelError as error:
            self._report(Step.LABEL, order, error.errno, error.part)
        except OSError as error:
            self._report(step, order, error.errno)
        finally:
            os._exit(status)


def main() -> None:
    """What the process that the guard starts runs; descriptor 3 is the socket."""
    machine = os.uname().machine
    if machine not in SYSTEM_CALLS:
        sys.exit(f"sentinetd-spawner: the fallback cannot fork on {machine}; build the C spawner")
    Fallback(socket.socket(fileno=DESCRIPTOR), *SYSTEM_CALLS[machine]).run()
