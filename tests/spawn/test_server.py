"""What a server finds when it begins: everything that its recipe says, and nothing of the guard's."""

from __future__ import annotations

import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from sentinetd.spawn.protocol import EXEC_STATUS, Launched, SetupFailed, Step
from sentinetd.spawn.recipe import Recipe
from sentinetd.spawn.spawner import Backend
from spawn.guard import ECHO, TRUE, Guard, descriptors

NOBODY = 65534
CAP_SYS_RESOURCE = 24  # capabilities(7)


def as_nobody(**parts: object) -> Recipe:
    return Recipe("/bin/cat", ("cat",), uid=NOBODY, gid=NOBODY, groups=(), **parts)  # type: ignore[arg-type]


def test_descriptors(backend: Backend) -> None:
    """The connection three times; not even what the guard was started with open is handed on."""
    inherited = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        with Guard(backend) as guard:
            server = guard.serve(ECHO)
            connection = descriptors(server.pid)
            assert set(connection) == {0, 1, 2}
            assert len(set(connection.values())) == 1
            assert connection[0].startswith("socket:")
            assert connection[0] != os.readlink(f"/proc/self/fd/{server.connection.fileno()}")
            assert set(descriptors(guard.spawner.pid)) == {0, 1, 2, 3}
    finally:
        os.close(inherited)


def test_the_connection_ends_with_the_server(guard: Guard) -> None:
    """Neither the spawner nor another server keeps a copy."""
    other = guard.serve(ECHO, order=1)
    server = guard.serve(ECHO, order=2)
    os.kill(server.pid, signal.SIGKILL)
    assert server.connection.recv(1) == b""
    assert other.connection.send(b"!") == 1
    assert other.connection.recv(1) == b"!"


def test_arguments_and_environment(guard: Guard) -> None:
    odd = "\udcff"  # a byte that is no UTF-8
    server = guard.serve(Recipe("/bin/cat", ("in.catd", "-", odd), ("PATH=/bin", "EMPTY=", f"ODD={odd}")), "192.0.2.7")
    assert server.strings("cmdline") == [b"in.catd", b"-", b"\xff"]
    assert server.strings("environ") == [b"PATH=/bin", b"EMPTY=", b"ODD=\xff", b"REMOTE_HOST=192.0.2.7"]


def test_remote_host_is_of_one_order(guard: Guard) -> None:
    first = guard.serve(ECHO, "2001:db8::1234", order=1)
    second = guard.serve(ECHO, "192.0.2.1", order=2)
    third = guard.serve(ECHO, "", order=3)
    assert first.strings("environ") == [b"REMOTE_HOST=2001:db8::1234"]
    assert second.strings("environ") == [b"REMOTE_HOST=192.0.2.1"]
    assert third.strings("environ") == []


def test_two_hundred_kilobytes_of_environment(guard: Guard) -> None:
    environment = tuple(f"V{number}={'x' * 1000}" for number in range(200))
    server = guard.serve(Recipe("/bin/cat", ("cat",), environment), "192.0.2.7")
    assert server.strings("environ") == [*(text.encode() for text in environment), b"REMOTE_HOST=192.0.2.7"]


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("recipe", "uid", "gid", "groups"),
    [
        pytest.param(ECHO, os.getuid(), os.getgid(), sorted(os.getgroups()), id="nothing given, nothing changed"),
        pytest.param(Recipe("/bin/cat", ("cat",), uid=NOBODY, gid=8, groups=()), NOBODY, 8, [], id="no groups"),
        pytest.param(
            Recipe("/bin/cat", ("cat",), uid=NOBODY, gid=8, groups=(65533, 4, 1000)),
            NOBODY,
            8,
            [4, 1000, 65533],
            id="groups of the user, the gid another",
        ),
        pytest.param(Recipe("/bin/cat", ("cat",), gid=8, groups=()), os.getuid(), 8, [], id="group alone"),
        pytest.param(
            Recipe("/bin/cat", ("cat",), uid=NOBODY), NOBODY, os.getgid(), sorted(os.getgroups()), id="user alone"
        ),
        pytest.param(
            Recipe("/bin/cat", ("cat",), uid=4294967294, gid=4294967294, groups=(4294967294,)),
            4294967294,
            4294967294,
            [4294967294],
            id="the last number there is",
        ),
    ],
)
def test_credentials(guard: Guard, recipe: Recipe, uid: int, gid: int, groups: list[int]) -> None:
    """Real, effective, saved and of the file system: all are changed, there is no way back."""
    server = guard.serve(recipe)
    assert server.status("Uid") == " ".join(4 * [str(uid)])
    assert server.status("Gid") == " ".join(4 * [str(gid)])
    assert server.status("Groups") == " ".join(map(str, groups))


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    ("which", "value", "name", "shown"),
    [
        pytest.param(resource.RLIMIT_NOFILE, 77, "Max open files", "77", id="files, fewer"),
        pytest.param(resource.RLIMIT_CPU, 5, "Max cpu time", "5", id="processor time"),
        pytest.param(
            resource.RLIMIT_AS, 16 << 20, "Max address space", str(16 << 20), id="less memory than Python has"
        ),
        pytest.param(resource.RLIMIT_DATA, 1 << 20, "Max data size", str(1 << 20), id="data"),
        pytest.param(resource.RLIMIT_STACK, 3 << 32, "Max stack size", str(3 << 32), id="stack, beyond 32 bits"),
        pytest.param(resource.RLIMIT_CORE, -1, "Max core file size", "unlimited", id="infinity"),
    ],
)
def test_limits(guard: Guard, which: int, value: int, name: str, shown: str) -> None:
    """Soft and hard alike."""
    server = guard.serve(as_nobody(limits=((which, value),)))
    assert server.limit(name) == (shown, shown)
    assert guard.replies == [Launched(1, server.pid)]


@pytest.mark.usefixtures("root")
def test_a_limit_is_raised(guard: Guard) -> None:
    """Beyond the guard's own hard limit, though the server's user might not."""
    with open("/proc/self/status", encoding="ascii") as status:
        (effective,) = (line.split()[1] for line in status if line.startswith("CapEff"))
    if not int(effective, 16) >> CAP_SYS_RESOURCE & 1:
        pytest.skip("root without CAP_SYS_RESOURCE, as in many containers, cannot raise a hard limit")
    resource.prlimit(guard.spawner.pid, resource.RLIMIT_CORE, (0, 0))
    server = guard.serve(as_nobody(limits=((resource.RLIMIT_CORE, 4096),)))
    assert server.limit("Max core file size") == ("4096", "4096")


@pytest.mark.usefixtures("root")
def test_limits_in_order(guard: Guard) -> None:
    """The later of two for one resource holds; several resources at once."""
    limits = ((resource.RLIMIT_NOFILE, 60), (resource.RLIMIT_CPU, 9), (resource.RLIMIT_NOFILE, 50))
    server = guard.serve(as_nobody(limits=limits))
    assert server.limit("Max open files") == ("50", "50")
    assert server.limit("Max cpu time") == ("9", "9")


@pytest.mark.usefixtures("root")
def test_a_limit_that_cannot_be(guard: Guard) -> None:
    """Told with its number and borne: the server begins with the limits it could have."""
    limits = ((resource.RLIMIT_NOFILE, 1 << 40), (resource.RLIMIT_CPU, 9))
    server = guard.serve(as_nobody(limits=limits))
    failed = SetupFailed(1, Step.LIMIT, errno.EPERM, resource.RLIMIT_NOFILE)
    assert not failed.fatal
    guard.heard(2)
    assert failed in guard.replies
    assert server.limit("Max cpu time") == ("9", "9")


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("nice", [pytest.param(7, id="kinder"), pytest.param(-5, id="greedier, though a user may not")])
def test_nice(guard: Guard, nice: int) -> None:
    server = guard.serve(as_nobody(nice=nice))
    assert os.getpriority(os.PRIO_PROCESS, server.pid) == os.getpriority(os.PRIO_PROCESS, 0) + nice


@pytest.mark.parametrize(
    ("umask", "shown"), [pytest.param(0o27, "0027", id="given"), pytest.param(0, "0000", id="none at all")]
)
def test_umask(guard: Guard, umask: int, shown: str) -> None:
    assert guard.serve(Recipe("/bin/cat", ("cat",), umask=umask)).status("Umask") == shown


def test_umask_not_given(backend: Backend) -> None:
    before = os.umask(0o13)
    try:
        with Guard(backend) as guard:
            assert guard.serve(ECHO).status("Umask") == "0013"
    finally:
        os.umask(before)


def test_session_parent_directory(guard: Guard) -> None:
    server = guard.serve(ECHO)
    assert os.getsid(server.pid) == server.pid
    assert os.getpgid(server.pid) == server.pid
    assert int(server.status("PPid")) == os.getpid()
    assert os.readlink(f"/proc/{server.pid}/cwd") == "/"


def test_signals(backend: Backend) -> None:
    """All at their defaults and none blocked, whatever the guard does with its own."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGHUP, signal.SIGUSR1)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    try:
        with Guard(backend) as guard:
            server = guard.serve(ECHO)
            assert [int(server.status(key), 16) for key in ("SigBlk", "SigIgn", "SigCgt")] == [0, 0, 0]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)


def test_relative_server(guard: Guard) -> None:
    """Seen from the root directory, not from where the guard stands, and not sought in PATH."""
    server = guard.serve(Recipe("bin/cat", ("cat",)))
    assert os.readlink(f"/proc/{server.pid}/exe").endswith("/cat")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Programs that cannot be executed, each for a reason of its own."""
    (tmp_path / "text").write_text("no program\n")
    (tmp_path / "text").chmod(0o755)
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    (tmp_path / "interpreter").write_text("#!/nonexistent\n")
    (tmp_path / "interpreter").chmod(0o755)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "private" / "true").symlink_to("/bin/true")
    return tmp_path


@pytest.mark.parametrize(
    ("recipe", "error"),
    [
        pytest.param(Recipe("nothing", ("x",)), errno.ENOENT, id="no such file"),
        pytest.param(Recipe("interpreter", ("x",)), errno.ENOENT, id="no such interpreter"),
        pytest.param(Recipe("", ("x",)), errno.EACCES, id="a directory"),
        pytest.param(Recipe("plain", ("x",)), errno.EACCES, id="not executable"),
        pytest.param(Recipe("private/true", ("x",), uid=NOBODY), errno.EACCES, id="not for this user"),
        pytest.param(Recipe("text", ("x",)), errno.ENOEXEC, id="not a program; no shell tries it either"),
        pytest.param(Recipe("plain/x", ("x",)), errno.ENOTDIR, id="below a file"),
        pytest.param(Recipe("loop", ("x",)), errno.ELOOP, id="a loop"),
        pytest.param(Recipe("text", ("x" * 200_000,)), errno.E2BIG, id="an argument beyond the kernel's bound"),
    ],
)
@pytest.mark.usefixtures("root")
def test_exec_failure(guard: Guard, programs: Path, recipe: Recipe, error: int) -> None:
    """The guard hears why, the exit status says it too, the client sees the connection close."""
    guard.spawner.teach(1, Recipe(str(programs / recipe.server), recipe.argv, uid=recipe.uid))
    connection = guard.launch(1)
    assert guard.exit(1) == EXEC_STATUS
    guard.heard(2)
    failed = SetupFailed(1, Step.EXEC, error)
    assert failed.fatal
    assert failed in guard.replies
    assert connection.recv(100) == b""


def test_a_server_of_a_few_moments(guard: Guard) -> None:
    guard.spawner.teach(1, TRUE)
    guard.launch(1)
    assert guard.exit(1) == 0
