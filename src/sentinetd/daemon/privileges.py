"""How a process gives up what it does not need, before its first byte from anywhere. Nothing here gives rights.

Used by the courier and the porter; the guard keeps its own.
"""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
from collections.abc import Collection

from sentinetd.errors import EdgeError

PR_SET_DUMPABLE = 4  # prctl(2)
PR_SET_NAME = 15
PR_SET_NO_NEW_PRIVS = 38

STDERR = 2
WITHOUT_PROC = 1 << 16
"""Descriptors that are closed where proc(5) does not tell which are open."""


def out_of_reach(paths: Collection[str]) -> bool:
    """Whether some of *paths* could not be read by just any user, as in the home of root: what is loaded from there has
    to be loaded before rights are given up."""
    return any(not _readable(path) or closed_above(path) for path in paths)


def _readable(path: str) -> bool:
    try:
        return bool(os.stat(path).st_mode & 0o004)
    except OSError:
        return False


def closed_above(path: str) -> str:
    """The directory nearest above *path* that not everybody may pass; "" if there is none."""
    path = os.path.realpath(path)
    while path != "/":
        path = os.path.dirname(path)
        try:
            if not os.stat(path).st_mode & 0o001:
                return path
        except OSError:
            return path
    return ""


def confine(title: str, keep: Collection[int], user: str | None = None, group: str | None = None) -> None:
    """Become the process *title* that holds the descriptors *keep* and standard error, nothing else, as *user*.

    Standard input and output become ``/dev/null``. The working directory is the root, what is created is our own
    alone. Without *user* the credentials stay, but no capability does, and no program could add to them. EdgeError if
    any of it fails.
    """
    from sentinetd.daemon.lockdown import NEVER, drop_capabilities, forbid  # the guard has no use for it

    try:
        _keep_only(keep)
        os.chdir("/")
        os.umask(0o077)
    except OSError as error:
        raise EdgeError(f"cannot let go of what was inherited: {error}") from error
    if user is None:
        _add_nothing()
    else:
        drop(user, group)
    try:
        drop_capabilities()
    except OSError as error:
        raise EdgeError(f"cannot give up capabilities: {error}") from error
    forbid(NEVER)
    _prctl(PR_SET_NAME, ctypes.c_char_p(title.encode("ascii")[:15]))


def drop(user: str, group: str | None = None) -> None:
    """Run as *user* (name or number) and *group* (likewise; None: the user's own) and no other group, for ever.

    EdgeError if there is no such user or group, or we may not become it.
    """
    uid, gid = ids(user)
    if group is not None:
        gid = _group(group)
    try:
        if os.geteuid() == 0:
            os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise EdgeError(f"cannot run as user {uid}, group {gid}: {error.strerror}") from error
    _add_nothing()


def obstacle(user: str) -> str:
    """Why this process, which is root's, could not `drop` its rights to *user*; "" if it could. It stays as it is.

    A root without capabilities cannot, nor one of a user namespace in which *user* has no number.
    """
    uid, gid = ids(user)
    own = os.geteuid(), os.getegid()
    try:
        os.setresgid(-1, gid, -1)
        os.setresgid(-1, own[1], -1)
        os.setresuid(-1, uid, -1)
        os.setresuid(-1, own[0], -1)
        os.setgroups(os.getgroups())
    except OSError as error:
        return error.strerror or str(error)
    return ""


def ids(word: str) -> tuple[int, int]:
    """Number and group of the user *word*, EdgeError if there is none. A number needs no entry in passwd(5); its group
    is then the same number."""
    try:
        row = pwd.getpwuid(int(word)) if _is_number(word) else pwd.getpwnam(word)
    except KeyError:
        if not _is_number(word):
            raise EdgeError(f"no user {word} in passwd(5)") from None
        return int(word), int(word)
    return row.pw_uid, row.pw_gid


def _group(word: str) -> int:
    if _is_number(word):
        return int(word)
    try:
        return grp.getgrnam(word).gr_gid
    except KeyError:
        raise EdgeError(f"no group {word} in group(5)") from None


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit()


def _keep_only(keep: Collection[int]) -> None:
    null = os.open("/dev/null", os.O_RDWR)
    for standard in (0, 1):
        if standard not in keep:
            os.dup2(null, standard)
    try:
        held: Collection[int] = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        held = range(WITHOUT_PROC)
    for descriptor in held:
        if descriptor > STDERR and descriptor not in keep:
            try:
                os.close(descriptor)
            except OSError:
                continue  # it was not open, or the one that listed the directory is closed already


def _add_nothing() -> None:
    """No program we might run gains rights by its file's bits, and nobody of our own user may trace us (prctl(2))."""
    _prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1))
    _prctl(PR_SET_DUMPABLE, ctypes.c_ulong(0))


def _prctl(option: int, argument: ctypes.c_ulong | ctypes.c_char_p) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    nought = ctypes.c_ulong(0)
    if libc.prctl(ctypes.c_int(option), argument, nought, nought, nought):
        raise EdgeError(f"prctl option {option}: {os.strerror(ctypes.get_errno())}")
