"""What a process without rights may not ask of the kernel either: system calls, files, capabilities it has no use for.

A fault in a parser of foreign bytes then leads to a process that can do little more than what it does anyway. Each step
holds for ever, and for whatever the process starts. What this kernel or machine does not have is done without: the
change of user (`privileges`) depends on none of it.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from errno import ENOSYS, EPERM

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Where a machine's numbers stand in the tables below, and what seccomp(2) calls it (linux/audit.h)."""

Numbers = dict[str, tuple[int, int]]
"""System calls by name: the number on x86_64 and on aarch64; -1 where there is none."""

NEVER: Numbers = {
    # to look into other processes, and take from them
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # to change the machine
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "quotactl": (179, 60), "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "sethostname": (170, 161), "setdomainname": (171, 162), "iopl": (172, -1),
    "ioperm": (173, -1), "vhangup": (153, 58), "syslog": (103, 116),
    # to see other files than are there, or more of them
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_by_handle_at": (304, 265),
    "unshare": (272, 97), "setns": (308, 268),
    # parts of the kernel that are large, and of no use here
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "personality": (135, 92),
}  # fmt: skip
EXECUTE: Numbers = {"execve": (59, 221), "execveat": (322, 281)}
CLONE, CLONE3 = (56, 220), (435, 435)
NEW_USER = 0x10000000
"""CLONE_NEWUSER, which `clone` has in a register; what clone3 asks for cannot be seen, so that is not there at all, and
the C library takes the other one (seccomp(2), clone(2))."""

SECCOMP = (317, 277)
SET_MODE_FILTER, SPECULATE = 1, 4  # SECCOMP_FILTER_FLAG_SPEC_ALLOW: the filter is no reason to be slower
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_*; the errno is in the low half
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # classic BPF (linux/filter.h)
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # in struct seccomp_data, little-endian
FOREIGN = 0x40000000
"""From here on calls of x86_64 are those of the x32 ABI."""

CREATE_RULESET, RESTRICT_SELF = 444, 446  # landlock(7), on every machine
ABI = 1  # LANDLOCK_CREATE_RULESET_VERSION
CHANGE_OR_EXECUTE = 0x1FFF & ~(1 << 2 | 1 << 3)
"""All that Landlock knew first, but to read files and directories (linux/landlock.h)."""

CAPABILITIES_3 = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
PR_CAP_AMBIENT, CLEAR_ALL = 47, 4


def drop_capabilities() -> None:
    """Hold no capability, and pass none on: who stays root, or was started with a few as an ordinary user, has some.
    OSError if the kernel refuses, which it never does."""
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    libc.prctl(ctypes.c_int(PR_CAP_AMBIENT), ctypes.c_ulong(CLEAR_ALL), zero, zero, zero)  # else there are none
    if libc.capset(struct.pack("=Ii", CAPABILITIES_3, 0), bytes(24)):
        raise OSError(ctypes.get_errno(), "capset")


def forbid(calls: Numbers) -> None:
    """Have the system *calls* fail from now on (EPERM), all of other machines than ours, and new user namespaces. Takes
    no_new_privs."""
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        return
    column, architecture = machine
    code = b"".join(
        struct.pack("=HBBI", *instruction)
        for instruction in _filter(
            architecture, [numbers[column] for numbers in calls.values()], CLONE[column], CLONE3[column]
        )
    )
    block = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(block))
    _call(SECCOMP[column], SET_MODE_FILTER, SPECULATE, program)


def change_no_files() -> None:
    """Neither make, change, remove nor execute any file from now on. Descriptors that are open stay of use."""
    if os.uname().machine not in MACHINES or _call(CREATE_RULESET, None, 0, ABI) < 1:
        return
    rules = _call(CREATE_RULESET, struct.pack("=Q", CHANGE_OR_EXECUTE), 8, 0)
    if rules >= 0:
        _call(RESTRICT_SELF, rules, 0)
        os.close(rules)


def _filter(architecture: int, calls: Iterable[int], clone: int, clone3: int) -> list[tuple[int, int, int, int]]:
    """The program: code, how many to leave out if so and if not, operand."""
    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, REFUSE | EPERM),
        (LOAD, 0, 0, NUMBER),
        (AT_LEAST, 0, 1, FOREIGN),
        (RETURN, 0, 0, REFUSE | EPERM),
        *[
            instruction
            for call in calls
            if call >= 0
            for instruction in ((EQUAL, 0, 1, call), (RETURN, 0, 0, REFUSE | EPERM))
        ],
        (EQUAL, 0, 1, clone3),
        (RETURN, 0, 0, REFUSE | ENOSYS),
        (EQUAL, 0, 3, clone),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (ANY_BIT, 0, 1, NEW_USER),
        (RETURN, 0, 0, REFUSE | EPERM),
        (RETURN, 0, 0, ALLOW),
    ]


def _call(number: int, *arguments: int | bytes | None) -> int:
    """The system call *number*; -1 if it failed."""
    words = [ctypes.c_long(one) if isinstance(one, int) else ctypes.c_char_p(one) for one in arguments]
    return int(ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *words))
