"""The SELinux context of a server with the flag LABELED, for the fallback: as ``label.c``, which tells why it is so."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import socket

from sentinetd.spawn.protocol import Part

MAX_CONTEXT = 4096
"""Bytes, with an end of one byte."""

_CONTEXT = re.compile(rb"([!-9;-~]+:[!-9;-~]+:[!-9;-~]+)(?::([!-~]+))?")


class LabelError(Exception):
    """A server cannot have its context: what failed, and how."""

    def __init__(self, part: Part, number: int | None) -> None:
        super().__init__(part, number)
        self.part = part
        self.errno = number or 0


def take_range(own: bytes, peer: bytes) -> bytes:
    """The context *own* with the range of *peer*.

    OSError: EBADMSG if one of them is no context, ENODATA if *peer* has no range, ENAMETOOLONG.
    """
    ours, theirs = _CONTEXT.fullmatch(own), _CONTEXT.fullmatch(peer)
    if ours is None or theirs is None:
        raise OSError(errno.EBADMSG, "not an SELinux context")
    if theirs[2] is None:
        raise OSError(errno.ENODATA, "no range")
    return _bounded(ours[1] + b":" + theirs[2])


def label_server(server: bytes, connection: int) -> None:
    """Let the next exec of this process, that of *server*, give it the context. LabelError: nothing may be run."""
    part = Part.OWN
    try:
        own = _read("/proc/self/attr/current")
        part = Part.PEER
        wanted = take_range(own, _peer(connection))
        part = Part.PROGRAM
        program = _text(os.getxattr(server, b"security.selinux"))
        if _CONTEXT.fullmatch(program) is None:
            raise OSError(errno.EBADMSG, "not an SELinux context")
        part = Part.COMPUTE
        number = _read("/sys/fs/selinux/class/process/index")
        context = _compute(_bounded(b" ".join((wanted, program, number))))
        part = Part.EXEC
        _write("/proc/self/attr/exec", context)
    except OSError as error:
        raise LabelError(part, error.errno) from error


def _compute(question: bytes) -> bytes:
    """What policy says that "source target class" creates."""
    file = os.open("/sys/fs/selinux/create", os.O_RDWR | os.O_CLOEXEC)
    try:
        os.write(file, question)  # the kernel takes all or nothing
        return _text(os.read(file, MAX_CONTEXT))
    finally:
        os.close(file)


def _peer(connection: int) -> bytes:
    libc = ctypes.PyDLL(None, use_errno=True)  # socket.getsockopt takes 1024 bytes at most
    text, length = ctypes.create_string_buffer(MAX_CONTEXT), ctypes.c_uint32(MAX_CONTEXT)
    if libc.getsockopt(connection, socket.SOL_SOCKET, socket.SO_PEERSEC, text, ctypes.byref(length)) < 0:
        raise OSError(ctypes.get_errno(), "SO_PEERSEC")
    return _text(text.raw[: length.value])


def _read(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _text(os.read(file, MAX_CONTEXT))
    finally:
        os.close(file)


def _write(path: str, text: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text)
    finally:
        os.close(file)


def _text(given: bytes) -> bytes:
    """What the kernel gave, without a zero byte at its end."""
    text = _bounded(given.removesuffix(b"\0"))
    if b"\0" in text:
        raise OSError(errno.EBADMSG, "a zero byte")
    return text


def _bounded(text: bytes) -> bytes:
    if len(text) >= MAX_CONTEXT:
        raise OSError(errno.ENAMETOOLONG, "a context beyond a page")
    return text
