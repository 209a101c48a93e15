"""LABELED: how the contexts are joined, the same in C and in Python; and that where it cannot be done nothing is run.

That it can be done takes a kernel with SELinux: tests/selinux.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sentinetd.spawn.label import MAX_CONTEXT, take_range
from sentinetd.spawn.protocol import SETUP_STATUS, SetupFailed, Step
from sentinetd.spawn.recipe import Recipe
from spawn.guard import WITHIN, Guard
from spawn.test_malformed import OPTIONS, SANITIZED, SOURCES

Join = Callable[[bytes, bytes], bytes]
"""Own context and peer's to the joined one, or the name of the error."""

OWN = b"system_u:system_r:inetd_t:s0-s15:c0.c1023"
CASES = {
    "levels and categories": (OWN, b"user_u:user_r:user_t:s3:c1,c5", b"system_u:system_r:inetd_t:s3:c1,c5"),
    "a range of two levels": (OWN, b"u:r:t:s0-s1:c1.c3", b"system_u:system_r:inetd_t:s0-s1:c1.c3"),
    "a longer range": (b"a:b:c:s0", b"u:r:t:s0-s15:c0.c1023", b"a:b:c:s0-s15:c0.c1023"),
    "the same": (OWN, OWN, OWN),
    "own without a range": (b"a:b:c", b"u:r:t:s0", b"a:b:c:s0"),
    "the peer without a range": (OWN, b"u:r:t", b"ENODATA"),
    "none with a range": (b"a:b:c", b"u:r:t", b"ENODATA"),
    "an empty range": (OWN, b"u:r:t:", b"EBADMSG"),
    "an empty range of our own": (b"a:b:c:", b"u:r:t:s0", b"EBADMSG"),
    "no peer": (OWN, b"", b"EBADMSG"),
    "no own": (b"", OWN, b"EBADMSG"),
    "AppArmor's": (b"unconfined\n", OWN, b"EBADMSG"),
    "before a policy is loaded": (b"kernel", OWN, b"EBADMSG"),
    "two parts": (OWN, b"u:r", b"EBADMSG"),
    "an empty user": (OWN, b":r:t:s0", b"EBADMSG"),
    "an empty role": (OWN, b"u::t:s0", b"EBADMSG"),
    "an empty type": (OWN, b"u:r::s0", b"EBADMSG"),
    "a space would be the next word of the question": (OWN, b"u:r:t:s0 x:y:z:s0", b"EBADMSG"),
    "a line's end": (OWN, b"u:r:t:s0\n", b"EBADMSG"),
    "a space of our own": (b"a:b c:d:s0", b"u:r:t:s0", b"EBADMSG"),
    "beyond ASCII": (OWN, b"u:r:t:s0\xe9", b"EBADMSG"),
    "a control character": (OWN, b"u:r:t:s0\x7f", b"EBADMSG"),
    "as long as can be": (b"a:b:c", b"u:r:t:" + b"s" * (MAX_CONTEXT - 7), b"a:b:c:" + b"s" * (MAX_CONTEXT - 7)),
    "a byte longer": (b"a:b:c", b"u:r:t:" + b"s" * (MAX_CONTEXT - 6), b"ENAMETOOLONG"),
}


@pytest.fixture(scope="session")
def in_c(tmp_path_factory: pytest.TempPathFactory) -> Join:
    if shutil.which("cc") is None:
        pytest.skip("the C spawner's test needs a C compiler: apt-get install gcc libc6-dev")
    directory = tmp_path_factory.mktemp("join")
    (directory / "options.c").write_text(OPTIONS)
    program = directory / "join"
    source = Path(__file__).with_name("join.c")
    command = ["cc", *SANITIZED, "-I", SOURCES, "-o", program, directory / "options.c", source, SOURCES / "label.c"]
    subprocess.run(command, check=True)

    def join(own: bytes, peer: bytes) -> bytes:
        run = subprocess.run([program, own, peer, str(MAX_CONTEXT)], capture_output=True, check=False)
        assert run.returncode == 0, (run.returncode, run.stderr)
        return run.stdout[:-1]

    return join


def in_python(own: bytes, peer: bytes) -> bytes:
    try:
        return take_range(own, peer)
    except OSError as error:
        return errno.errorcode[error.errno or 0].encode()


@pytest.mark.parametrize(("own", "peer", "joined"), CASES.values(), ids=CASES.keys())
def test_the_range_is_the_peers(in_c: Join, own: bytes, peer: bytes, joined: bytes) -> None:
    assert (in_c(own, peer), in_python(own, peer)) == (joined, joined)


def test_c_and_python_agree_on_anything(in_c: Join) -> None:
    chance = random.Random(17)
    seen = set()
    bytes_of, weights = b"at:s0-\xff ~!", (9, 9, 16, 9, 9, 1, 0.1, 0.1, 1, 1)
    for _ in range(300):
        own, peer = (bytes(chance.choices(bytes_of, weights, k=chance.randrange(30))) for _ in range(2))
        joined = in_c(own, peer)
        assert joined == in_python(own, peer), (own, peer)
        seen.add(joined if joined.startswith(b"E") else b"a context")
    assert seen == {b"EBADMSG", b"ENODATA", b"a context"}


def test_where_there_is_no_label_nothing_is_run(guard: Guard, tmp_path: Path) -> None:
    """By TCP on loopback there is no label unless NetLabel is told to make one, whatever this machine runs."""
    mark = tmp_path / "run"
    guard.spawner.teach(1, Recipe("/usr/bin/touch", ("touch", str(mark)), labeled=True))
    guard.spawner.teach(2, Recipe("/bin/true", ("true",)))
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        served, _ = listener.accept()
        with served:
            guard.spawner.launch(1, 1, served.fileno(), "")
        client.settimeout(WITHIN)
        assert client.recv(1) == b""
    assert guard.exit(1) == SETUP_STATUS
    guard.until(lambda: any(isinstance(reply, SetupFailed) for reply in guard.replies), "a reply")
    (failed,) = (reply for reply in guard.replies if isinstance(reply, SetupFailed))
    assert (failed.order, failed.step, failed.fatal) == (1, Step.LABEL, True)
    assert failed.errno > 0
    assert not os.path.lexists(mark)
    guard.launch(2, 2)
    assert guard.exit(2) == 0
