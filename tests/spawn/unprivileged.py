"""A guard without rights: run as a program, it gives some up for good, orders servers and prints what it hears.

Its arguments are a `Backend` by name and one of the stories below. It keeps user 0 in effect, so that it can read any
Python and any program, but the kernel's exceptions for root are gone.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable

from sentinetd.spawn.recipe import Recipe
from sentinetd.spawn.spawner import Backend
from spawn.guard import Guard

PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 24, 47, 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522
CAP_SETGID, CAP_SETUID, CAP_NET_BIND_SERVICE, CAP_SYS_ADMIN, CAP_SYS_NICE, CAP_SYS_RESOURCE = 6, 7, 10, 21, 23, 24
FIRST_UID = 100_000_000
"""Added to our process id it is nobody else's: the kernel counts processes by user, and other tests run beside us."""
CANNOT = Recipe("/bin/true", ("true",), nice=-3, limits=((resource.RLIMIT_NOFILE, 1 << 40),))


def give_up() -> None:
    """What is out of the bounding set is gone after the next exec, which the spawner's start is; what is in the ambient
    set would be handed on for ever (capabilities(7))."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, CAP_SYS_NICE, CAP_SYS_RESOURCE):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
            sys.exit(f"PR_CAPBSET_DROP: {os.strerror(ctypes.get_errno())}")
    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice, for 64 bits
    head = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
    for name, call in (("capget", libc.capget), ("capset", libc.capset)):
        if call(head, words) < 0:
            sys.exit(f"{name}: {os.strerror(ctypes.get_errno())}")
        words[2] |= 1 << CAP_NET_BIND_SERVICE
    if libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) < 0:
        sys.exit(f"PR_CAP_AMBIENT_RAISE: {os.strerror(ctypes.get_errno())}")
    os.setresuid(FIRST_UID + os.getpid(), 0, 0)  # counted is the real user
    resource.setrlimit(resource.RLIMIT_NPROC, (3, 3))


def ordered(guard: Guard, recipe: Recipe) -> None:
    """One order: every reply and the exit status."""
    guard.spawner.teach(1, recipe)
    connection = guard.launch(1)
    status = guard.exit(1)
    assert connection.recv(1) == b""
    guard.spawner.forget(1)
    guard.launch(2)  # its failure comes after all that the first order's process had to say
    guard.until(lambda: any(reply.order == 2 for reply in guard.replies), "the answer to the second order")
    for reply in guard.replies:
        if reply.order == 1:
            told = [name for name in reply.__slots__[1:] if name not in ("pid", "at")]
            print(type(reply).__name__, *(getattr(reply, name) for name in told))
    print("exit", status)


def fork_failure(guard: Guard) -> None:
    """No process may be made; when one ends, again one may."""
    guard.spawner.teach(1, Recipe("/bin/cat", ("cat",)))
    guard.launch(1)
    guard.pid(1)  # now as many as may be: this process, the spawner, the first server
    connection = guard.launch(2)
    guard.heard(2)
    guard.drop(2)
    assert connection.recv(1) == b""
    guard.end_servers()
    guard.launch(3)
    guard.heard(3)
    for reply in guard.replies:
        print(type(reply).__name__, getattr(reply, "errno", ""))


def ambient(guard: Guard) -> None:
    """This process has one; a server must not."""
    print("CapAmb", guard.serve(Recipe("/bin/cat", ("cat",))).status("CapAmb"))


STORIES: dict[str, Callable[[Guard], None]] = {
    "fork": fork_failure,
    "ambient": ambient,
    "setuid": lambda guard: ordered(guard, Recipe("/bin/true", ("true",), uid=1)),
    "setgid": lambda guard: ordered(guard, Recipe("/bin/true", ("true",), uid=1, gid=1, groups=())),
    "setgroups": lambda guard: ordered(guard, Recipe("/bin/true", ("true",), uid=1, groups=())),
    "borne": lambda guard: ordered(guard, CANNOT),
    "before": lambda guard: ordered(guard, Recipe("/bin/true", ("true",), uid=1, nice=-3, limits=CANNOT.limits)),
}

if __name__ == "__main__":
    wanted = Backend[sys.argv[1]]
    give_up()
    with Guard(wanted) as made:
        STORIES[sys.argv[2]](made)
